"""Index again what a power cut took from the embedded engine.

Its flush keeps everybody waiting, so that points reach the disk moments after their file answers.
A kill takes none of them: they are in the engine's log, which the kernel writes.
"""

import logging
from contextlib import suppress

from kb_service.catalog import LiveCatalog
from kb_service.collection_set import CollectionSet
from kb_service.entities import LateVersion, NewJob, Owner, ParseOptions
from kb_service.errors import Superseded
from kb_service.jobs.queue import Queue
from kb_service.store import VersionStore

FLUSHED_EVERY = 1.0  # seconds
_LOOKED_BACK = 60.0  # from the last version that went live: for a disk that takes its time

logger = logging.getLogger(__name__)


class Repair:
    def __init__(
        self, versions: VersionStore, collections: CollectionSet, catalog: LiveCatalog, queue: Queue
    ) -> None:
        self._versions, self._collections = versions, collections
        self._catalog, self._queue = catalog, queue

    async def run(self) -> None:
        """Once, after a start: files that went live last and miss points are indexed again."""
        for late in await self._versions.late(within=_LOOKED_BACK):
            if await self._is_whole(late):
                continue
            logger.warning(
                "%s of knowledge base %d lost points, to a power cut perhaps; it is indexed again",
                late.file_name,
                late.kb_id,
            )
            job = NewJob(
                kb_id=late.kb_id,
                file_name=late.file_name,
                kind="recreate",
                options=late.options,
                parsing=ParseOptions(),
                owner=Owner("", ""),
            )
            with suppress(Superseded):  # the knowledge base is gone
                await self._queue.add([job])

    async def _is_whole(self, late: LateVersion) -> bool:
        there = await self._collections.count(late.collection, late.kb_id, late.id)
        return there >= late.chunks - self._catalog.hidden(late.kb_id, late.id)
