"""Tags of files, and their copies in the index that a search is narrowed by."""

from collections.abc import Iterable, Sequence

import anyio

from kb_service.collection_set import CollectionSet
from kb_service.entities import Job, Labels, Tag
from kb_service.errors import NoSuchFile
from kb_service.names import shown
from kb_service.store import LabelStore, Outdated


class Labelling:
    """The rows are the truth; what the index has is noted with each version and catches up."""

    def __init__(self, rows: LabelStore, collections: CollectionSet) -> None:
        self._rows, self._collections = rows, collections
        self._catching_up = anyio.Lock()
        self._may_be_behind = True

    async def of(self, kb_id: int, file_name: str) -> Labels:
        return await self._rows.of(kb_id, file_name)

    async def for_job(self, job: Job) -> Labels:
        """Of the file as it will be when the job is done."""
        now = await self._rows.of(job.kb_id, job.file_name)
        return Labels(now.tags, job.create_time) if job.content else now

    async def tags(self, kb_id: int) -> list[Tag]:
        return await self._rows.tags(kb_id)

    async def put(self, kb_id: int, file_name: str, tags: Iterable[str]) -> None:
        """In the place of those that it has; searches see it when this returns.

        Raises NoSuchFile.
        """
        if not await self._rows.put_tags(kb_id, file_name, tuple(sorted(set(tags)))):
            raise NoSuchFile(shown(file_name))
        await self.catch_up(kb_id, file_name)

    async def catch_up(self, kb_id: int, *file_names: str) -> None:
        """Also when tags were changed while a version of a file was being built."""
        # Shielded, and one at a time: what is noted is what the points have.
        with anyio.CancelScope(shield=True):
            async with self._catching_up:
                was_behind, self._may_be_behind = self._may_be_behind, True
                await self._relabel(await self._rows.outdated(kb_id, file_names))
                self._may_be_behind = was_behind

    async def recover(self) -> None:
        """What a crash or a failure left between the row and the index, if there was any."""
        with anyio.CancelScope(shield=True):
            async with self._catching_up:
                if self._may_be_behind:
                    await self._relabel(await self._rows.all_outdated())
                    self._may_be_behind = False

    async def _relabel(self, outdated: Sequence[Outdated]) -> None:
        for one in outdated:
            labels = {"tags": list(one.tags)}
            await self._collections.relabel(one.collection, one.kb_id, one.version, labels)
        if outdated:  # a power cut takes nothing that is noted
            await self._collections.flush()
        for one in outdated:
            await self._rows.note(one.version, one.tags)
