"""Move knowledge bases into the collections of the embedding models that they are to have.

What is to be is in the rows and so is what is: a file is moved by a job like any other, so this
may be interrupted anywhere and goes on after a restart. The old index of a file answers until its
new one is complete.
"""

import asyncio
import logging
from contextlib import suppress
from dataclasses import dataclass

import anyio

from kb_service.embeddings.available import Embedders, EmbeddingModel
from kb_service.entities import KnowledgeBase, NewJob, Owner, ParseOptions
from kb_service.errors import Superseded
from kb_service.jobs.queue import Queue
from kb_service.repeating import repeat
from kb_service.store import Placement, PlacementStore

_EVERY = 60.0
# Nobody's: a large knowledge base on its way takes turns with its owner's uploads.
_OWNER = Owner("", "")

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class EmbeddingState:
    """`is_available` is False when the model is not configured: found by words alone then."""

    model: str
    follows_default: bool
    is_available: bool
    files_to_move: int


class Rebuild:
    def __init__(self, rows: PlacementStore, queue: Queue, embedders: Embedders) -> None:
        self._rows, self._queue, self._embedders = rows, queue, embedders
        self._bell = asyncio.Event()
        self._warned = set[tuple[int, str]]()

    async def run(self) -> None:
        """For as long as the service runs, at once to begin with."""
        await repeat(self.once, every=_EVERY, bell=self._bell)

    def call(self) -> None:
        """A knowledge base was given another model."""
        self._bell.set()

    async def once(self) -> None:
        with anyio.CancelScope(shield=True):  # no statement is left in the middle
            for placement in await self._rows.all():
                wanted = self._embedders.wanted(placement.chosen)
                if wanted and self._is_to_move(placement, wanted):
                    await self._move(placement, wanted)
                elif self._embedders.of_collection(placement.collection) is None:
                    self._warn(placement)

    async def state(self, kb: KnowledgeBase) -> EmbeddingState:
        wanted = self._embedders.wanted("" if kb.follows_default_model else kb.embed_model)
        files = 0
        if wanted:
            there = await self._rows.all(kb.id)
            moving = any(self._is_to_move(place, wanted) for place in there)
            files = await self._rows.count(kb.id, [wanted.collection]) if moving else 0
        return EmbeddingState(kb.embed_model, kb.follows_default_model, wanted is not None, files)

    def _is_to_move(self, placement: Placement, wanted: EmbeddingModel) -> bool:
        """Where no model is configured any more, what has vectors keeps them: words do as well."""
        if placement.collection == wanted.collection:
            return False
        is_outdated = self._embedders.of_collection(placement.collection) is wanted
        return is_outdated or bool(wanted.embedder or placement.chosen)

    async def _move(self, placement: Placement, wanted: EmbeddingModel) -> None:
        files = await self._rows.to_move(placement.kb_id, wanted.collection)
        if not files:
            return
        logger.info(
            "moving %d files of knowledge base %s to %s", len(files), placement.kb_name, wanted.name
        )
        jobs = [
            NewJob(
                kb_id=placement.kb_id,
                file_name=file.name,
                kind="embed",
                options=file.options,
                parsing=ParseOptions(),
                owner=_OWNER,
            )
            for file in files
        ]
        await self._rows.forget_failures(placement.kb_id)
        with suppress(Superseded):  # the knowledge base is gone
            await self._queue.add(jobs)

    def _warn(self, placement: Placement) -> None:
        if (placement.kb_id, placement.collection) in self._warned:
            return
        self._warned.add((placement.kb_id, placement.collection))
        logger.warning(
            "knowledge base %s was indexed with an embedding model that is not configured (%s): "
            "it is searched by words alone. 知识库所用的向量模型未配置，暂时只按词检索。",
            placement.kb_name,
            placement.collection,
        )
