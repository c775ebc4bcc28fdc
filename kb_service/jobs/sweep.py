"""What nobody else mends: jobs of workers that died, signals that were lost, rows grown old."""

import logging
from datetime import UTC, datetime

import anyio

from kb_service.content import ContentFolder
from kb_service.indexer import Indexer
from kb_service.jobs.team import Team
from kb_service.repeating import repeat
from kb_service.store import ChangeStore, EmbeddingStore, JobStore, LeaseStore

_EVERY, _PURGED_EVERY = 15.0, 3_600.0

logger = logging.getLogger(__name__)


class Sweep:
    def __init__(
        self,
        *,
        leases: LeaseStore,
        jobs: JobStore,
        indexer: Indexer,
        content: ContentFolder,
        team: Team,
        changes: ChangeStore,
        kept_vectors: EmbeddingStore,
    ) -> None:
        self._leases, self._jobs, self._changes = leases, jobs, changes
        self._kept_vectors = kept_vectors
        self._indexer, self._content, self._team = indexer, content, team

    async def run(self) -> None:
        """For as long as the service runs, at once to begin with."""
        await repeat(self._mend, every=_EVERY)

    async def run_purge(self) -> None:
        """The same, of what has only grown old."""
        await repeat(self._purge, every=_PURGED_EVERY)

    async def _mend(self) -> None:
        with anyio.CancelScope(shield=True):  # no statement is left in the middle
            if found := await self._leases.recover():
                logger.warning("%d jobs had lost their worker", found)
            if await self._leases.has_queued():
                self._team.call()
            await self._indexer.clean()

    async def _purge(self) -> None:
        with anyio.CancelScope(shield=True):
            await self._changes.trim()
            for kb_id, content_id in await self._jobs.purge(datetime.now(UTC)):
                await self._content.remove(kb_id, content_id)
            await self._kept_vectors.trim()
