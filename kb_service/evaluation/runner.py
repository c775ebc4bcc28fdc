"""Asks the questions of runs, one after the other, whenever nobody is kept waiting by it."""

import asyncio
import hashlib
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

import anyio

from kb_service.entities import ChunkOptions, KnowledgeBase, SearchFilter
from kb_service.errors import LeaseLost
from kb_service.evaluation.figures import figures_of
from kb_service.evaluation.judging import judged
from kb_service.evaluation_entities import Circumstances, Item, Outline, Result, Run, RunOptions
from kb_service.repeating import repeat
from kb_service.search import Passage
from kb_service.store import EvalRunStore, EvalSetStore

_EVERY = 10.0  # seconds
_NOTED_EVERY = 0.5
_REST = 2.0  # so many times as long as a question took: at most a third of the time is the run's
_REST_MIN, _REST_MAX = 0.001, 0.25

logger = logging.getLogger(__name__)


class Retrieval(Protocol):
    """As chats search, but counted nowhere."""

    @property
    def recipe(self) -> str: ...

    async def passages(
        self,
        kb_id: int,
        query: str,
        *,
        top_k: int,
        score_threshold: float,
        wanted: SearchFilter | None,
        rerank: bool | None,
    ) -> list[Passage]: ...


class Runner:
    """The rows are the truth: what waits is found again after a restart."""

    def __init__(
        self,
        runs: EvalRunStore,
        sets: EvalSetStore,
        search: Retrieval,
        find_knowledge_base: Callable[[int], KnowledgeBase | None],
        chunking: ChunkOptions,
    ) -> None:
        self._runs, self._sets, self._search = runs, sets, search
        self._find, self._chunking = find_knowledge_base, chunking
        self._bell = asyncio.Event()

    def call(self) -> None:
        """Something waits now."""
        self._bell.set()

    async def run(self) -> None:
        """For as long as the service runs, one run at a time."""
        await repeat(self._work_off, every=_EVERY, bell=self._bell)

    async def _work_off(self) -> None:
        while run := await self._next():
            await self._work(run)

    async def _next(self) -> Run | None:
        await self._runs.recover(all_of_them=False)
        return await self._runs.claim()

    async def _work(self, run: Run) -> None:
        try:
            await self._ask_all(run)
        except LeaseLost:
            logger.info("evaluation run %d was cancelled or removed", run.id)
        except asyncio.CancelledError:
            with anyio.CancelScope(shield=True), suppress(LeaseLost):
                await self._runs.interrupt(run)
            raise
        except Exception:  # the boundary of a background task: the run says that it failed
            logger.exception("evaluation run %d broke down", run.id)
            with suppress(LeaseLost):
                await self._runs.fail(run, "出现内部错误。Something went wrong inside.")

    async def _ask_all(self, run: Run) -> None:
        """Raises LeaseLost."""
        kb = self._find(run.kb_id)
        if kb is None:
            raise LeaseLost
        _, total = await self._sets.items(run.set_id, start=0, limit=1)
        await self._runs.begin(run, await self._circumstances(kb), total)
        outlines: list[Outline] = []
        fresh: list[Result] = []
        noted, last = time.monotonic(), 0
        while items := await self._sets.items_after(run.set_id, last):
            last = items[-1].id
            for item in items:
                fresh.append(await self._ask(kb, item, run.options, len(outlines)))
                outlines.append(fresh[-1].outline)
                if time.monotonic() - noted > _NOTED_EVERY:
                    await self._runs.note(run, fresh, done=len(outlines))
                    noted, fresh = time.monotonic(), []
        await self._runs.note(run, fresh, done=len(outlines))
        await self._runs.finish(run, figures_of(outlines, top_k=run.options.top_k))

    async def _ask(
        self, kb: KnowledgeBase, item: Item, options: RunOptions, position: int
    ) -> Result:
        begun = time.perf_counter()
        found = await self._search.passages(
            kb.id,
            item.question,
            top_k=options.top_k,
            score_threshold=options.score_threshold,
            wanted=options.wanted,
            rerank=options.rerank,
        )
        took = time.perf_counter() - begun
        result = judged(item, found, position=position, latency_ms=took * 1_000)
        await asyncio.sleep(min(max(_REST * (time.perf_counter() - begun), _REST_MIN), _REST_MAX))
        return result

    async def _circumstances(self, kb: KnowledgeBase) -> Circumstances:
        content = await self._runs.content(kb.id)
        return Circumstances(
            chunking=(kb.chunking or self._chunking).to_json(),
            chunkings=content.chunkings,
            embed_model=kb.embed_model,
            recipe=_digest(self._search.recipe),
            files=content.files,
            chunks=content.chunks,
            content=_digest(" ".join(content.versions)),
        )


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]
