"""What is done for a job: the file is read, cut and indexed unseen, then put in its place."""

import logging
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass

import anyio
import orjson
from anyio import to_thread

from kb_service import errors
from kb_service.chunk_entities import EditPlan
from kb_service.content import ContentFolder
from kb_service.entities import Content, CustomDoc, Job, NewVersion, Replaced, StoredFile
from kb_service.errors import EditsChanged, FileFault, LeaseLost
from kb_service.indexer import Built, Indexer
from kb_service.jobs.claiming import Claim
from kb_service.loaders import LoadFault
from kb_service.names import extension_of, shown
from kb_service.overlays import Overlays
from kb_service.parsers import Batch, ParserPool
from kb_service.store import FileStore, JobStore, PageStore, PlacementStore, VersionStore
from servicekit.errors import ServiceError

_PAGE = 500

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Source:
    """Where the chunks of a file come from, and how many there are when that is known."""

    content: Content
    batches: AsyncGenerator[Batch, None]
    total: int | None = None
    is_custom: bool = False


class Worker:
    """Runs one job at a time for each caller; a file's fault ends its own job alone."""

    def __init__(
        self,
        *,
        jobs: JobStore,
        files: FileStore,
        pages: PageStore,
        versions: VersionStore,
        content: ContentFolder,
        parsers: ParserPool,
        indexer: Indexer,
        overlays: Overlays,
        placements: PlacementStore,
    ) -> None:
        self._jobs, self._files, self._versions = jobs, files, versions
        self._pages = pages
        self._content, self._parsers, self._indexer = content, parsers, indexer
        self._overlays, self._placements = overlays, placements

    async def run(self, claim: Claim) -> None:
        """Raises LeaseLost, and nothing that is the file's fault."""
        try:
            await claim.hold_while(lambda: self._work(claim))
        except FileFault as fault:
            await self._jobs.fail(claim.job, str(fault))
        except LeaseLost:
            raise
        except Exception:  # the boundary of a background task: it must not end the others
            logger.exception("job %d broke down", claim.job.id)
            name = shown(claim.job.file_name)
            await self._jobs.fail(claim.job, str(errors.broke_down(name)))

    async def _work(self, claim: Claim) -> None:
        job = claim.job
        if job.kind == "embed":
            with anyio.CancelScope(shield=True):  # no statement is left in the middle
                if not await self._is_to_move(job):
                    await self._jobs.finish(job.lease, 0, "")
                    return
        await self._index(claim)

    async def _index(self, claim: Claim) -> None:
        job = claim.job
        if job.version:  # of a worker that died, or was taken for dead
            await self._indexer.abandon(job.kb_id, [job.version])
        with anyio.CancelScope(shield=True):  # no statement is left in the middle
            source = await self._source(job)

        def note(chunks: int, batch: Batch) -> None:
            claim.note(*(batch.progress or (chunks, source.total)))

        try:
            built = await self._indexer.build(job, source.batches, note)
        except (LoadFault, ServiceError) as error:
            raise _fault(job, error) from None
        try:
            plan, replaced = await self._flip(job, source, built)
        except BaseException as error:
            await self._indexer.abandon(job.kb_id, [built.version])
            if isinstance(error, ServiceError):  # of the embedder, for an edited chunk
                raise _fault(job, error) from None
            raise
        with anyio.CancelScope(shield=True):
            # Nothing of this fails a file that answers already.
            await self._indexer.catch_up(job.kb_id, job.file_name)
            await self._indexer.clear(job.kb_id, replaced.versions)
            await self._overlays.clear_hidden(job.kb_id, built.version, plan)
            for content_id in replaced.content_ids:
                await self._content.remove(job.kb_id, content_id)
            notes = " ".join([*built.summary.notes, *plan.notes])
            await self._jobs.finish(job.lease, built.chunks, notes)

    async def _is_to_move(self, job: Job) -> bool:
        """False when it is there already, or gone."""
        wanted = await self._indexer.collection_for(job.kb_id)
        return await self._placements.is_misplaced(job.kb_id, job.file_name, wanted)

    async def _flip(self, job: Job, source: _Source, built: Built) -> tuple[EditPlan, Replaced]:
        """The database and the catalog change together, whatever is cancelled."""
        while True:
            plan = await self._overlays.plan(job, built.version)
            with anyio.CancelScope(shield=True):
                try:
                    async with self._indexer.flips:
                        new = _version(job, source, built)
                        replaced = await self._files.go_live(new, job.lease, plan)
                        self._indexer.switch(job.kb_id, built, replaced)
                        self._overlays.switch(job.kb_id, built.version, plan)
                    return plan, replaced
                except EditsChanged:
                    await self._overlays.discard(job.kb_id, plan)
                except BaseException:
                    await self._overlays.discard(job.kb_id, plan)
                    raise

    async def _source(self, job: Job) -> _Source:
        file = await self._files.find(job.kb_id, job.file_name)
        content = job.content or _content_of(file)
        if content is None:
            raise errors.nothing_to_load(shown(job.file_name))
        if job.passages_id:
            docs = await self._passages(job.kb_id, job.passages_id)
            batches = self._parsers.index(_pages(docs))
            return _Source(content, batches, len(docs), is_custom=True)
        if file and file.live_version and _keeps_its_rows(job, file):
            total = await self._versions.size_of(file.live_version)
            batches = self._parsers.index(self._versions.chunks(file.live_version))
            return _Source(content, batches, total, is_custom=file.custom_docs)
        path = self._content.path(job.kb_id, content.id)
        origin = await self._pages.origin(job.kb_id, job.file_name)
        extension = extension_of(job.file_name)
        batches = self._parsers.parse(path, extension, job.options, job.parsing, origin=origin)
        return _Source(content, batches)

    async def _passages(self, kb_id: int, passages_id: str) -> list[CustomDoc]:
        path = self._content.path(kb_id, passages_id)
        stored = await to_thread.run_sync(lambda: orjson.loads(path.read_bytes()))
        return [CustomDoc(content, metadata) for content, metadata in stored]


def _keeps_its_rows(job: Job, file: StoredFile) -> bool:
    """Whether cutting the file again would give the same ones, or may not be done."""
    if job.kind == "embed":
        return True
    return job.kind == "recreate" and (file.custom_docs or file.options == job.options)


def _content_of(file: StoredFile | None) -> Content | None:
    return Content(file.content_id, file.size, file.mtime) if file and file.content_id else None


def _version(job: Job, source: _Source, built: Built) -> NewVersion:
    return NewVersion(
        id=built.version,
        kb_id=job.kb_id,
        file_name=job.file_name,
        content=source.content,
        custom_docs=source.is_custom,
        options=job.options,
        loader=built.summary.loader,
        splitter=built.summary.splitter,
        chunks=built.chunks,
        term_counts=built.packed_counts,
    )


def _fault(job: Job, error: Exception) -> FileFault:
    """What can go wrong with one file, as the sentence for its user."""
    name = shown(job.file_name)
    if job.passages_id:
        return errors.not_customised(name, error)
    return errors.not_loaded(job.kb_name, name, error)


async def _pages(docs: list[CustomDoc]) -> AsyncIterator[list[CustomDoc]]:
    for start in range(0, len(docs), _PAGE):
        yield docs[start : start + _PAGE]
