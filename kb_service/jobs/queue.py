"""The queue as those see it who put jobs in, look at them, and call them off."""

from collections.abc import AsyncGenerator, Collection, Sequence

from kb_service.entities import Job, JobState, NewJob
from kb_service.errors import NoSuchJob, NotCancelled
from kb_service.jobs.broker import Signals
from kb_service.jobs.progress import Board
from kb_service.store import JobStore, Page
from servicekit.errors import Unavailable

_QUEUED_MAX = 20_000  # of one client
_AT_ONCE = 200


class Queue:
    """Whose jobs a caller may see is for its callers to know: they name knowledge bases."""

    def __init__(self, jobs: JobStore, board: Board, signals: Signals) -> None:
        self._jobs, self._board, self._signals = jobs, board, signals

    async def refuse_when_full(self, client_id: str) -> None:
        """Raises Unavailable."""
        if await self._jobs.queued_of(client_id) >= _QUEUED_MAX:
            raise Unavailable(
                "Too many files are waiting already. 排队的文件过多，请稍后再试。", retry_after=60
            )

    async def add(self, jobs: Sequence[NewJob]) -> list[int]:
        """Durable when this returns. Raises Superseded when the knowledge base is gone."""
        ids: list[int] = []
        for start in range(0, len(jobs), _AT_ONCE):
            added = await self._jobs.add(jobs[start : start + _AT_ONCE])
            await self._signals.send(len(added))
            ids += added
        return ids

    async def size_on_its_way(self, kb_id: int, name: str) -> int | None:
        return await self._jobs.size_on_its_way(kb_id, name)

    async def ended(self, job_ids: Collection[int], seconds: float) -> list[Job]:
        """The jobs when all are over, or when the time is; without those that are gone."""
        return await self._board.ended(job_ids, seconds)

    async def page(
        self, kb_ids: Sequence[int], state: JobState | None, *, page: int, page_size: int
    ) -> Page:
        return await self._jobs.page(kb_ids, state, start=(page - 1) * page_size, limit=page_size)

    async def find(self, job_id: int, kb_ids: Collection[int]) -> Job:
        """Raises NoSuchJob, also for one of another knowledge base."""
        job = await self._jobs.find(job_id)
        if job is None or job.kb_id not in kb_ids:
            raise NoSuchJob
        return job

    def follow(self, job: Job) -> AsyncGenerator[Job | None, None]:
        """The job whenever it has changed, until it is over; None is a sign of life between."""
        return self._board.follow(job.id)

    async def cancel(self, job: Job) -> Job:
        """At once when it is queued; one that runs stops and cleans up. Raises NotCancelled."""
        if not await self._jobs.cancel(job):
            raise NotCancelled
        self._board.ring([job.id])
        return await self.find(job.id, {job.kb_id})

    async def retry(self, job: Job) -> Job:
        """Raises NotRetried."""
        await self._jobs.retry(job)
        await self._signals.send(1)
        return await self.find(job.id, {job.kb_id})

    def ring(self, job_ids: Collection[int]) -> None:
        self._board.ring(job_ids)
