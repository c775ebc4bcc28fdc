"""Files into a knowledge base, again, and out of it; one bad file never stops the others.

What comes in is durable before it is acknowledged; indexing it is a job, whoever waits for it.
"""

import logging
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from io import BytesIO
from itertools import chain
from time import monotonic
from typing import BinaryIO

import anyio
import orjson
from anyio import to_thread

from kb_service import archive, errors
from kb_service.archive import Entry
from kb_service.content import ContentFolder
from kb_service.entities import (
    ChunkOptions,
    Content,
    CustomDoc,
    Job,
    JobKind,
    KnowledgeBase,
    NewJob,
    Owner,
    ParseOptions,
    Replaced,
    StoredFile,
)
from kb_service.errors import FileFault, Superseded
from kb_service.indexer import Indexer
from kb_service.jobs.queue import Queue
from kb_service.loaders import FORMATS, LoadFault
from kb_service.names import extension_of, fault_of, shown
from kb_service.parsers import ParserPool
from kb_service.store import FileStore, TakenOut
from servicekit.errors import Unavailable

_ACCEPTING_MAX = 32
_TAKEN_MAX = 50  # files whose jobs go into one transaction
_INFLATED_MAX_FILES = 20  # an archive may hold as much as so many files of the largest size
_FOREVER = float("inf")

logger = logging.getLogger(__name__)
Failures = dict[str, str]


@dataclass(frozen=True, slots=True)
class Upload:
    """A file that came in; `size` beyond the limit means that it was cut there."""

    name: str
    size: int
    file: BinaryIO


@dataclass(frozen=True, slots=True)
class Progress:
    """One file of a rebuild is through, well or with a fault."""

    file_name: str
    finished: int
    total: int
    fault: str | None


@dataclass(frozen=True, slots=True)
class Accepted:
    """What became of a request: the jobs by their files' names, and files with a reason.

    `since` is when it came, for whoever must not be kept waiting for too long in all.
    """

    jobs: dict[int, str] = field(default_factory=dict)
    failed: Failures = field(default_factory=dict)
    since: float = field(default_factory=monotonic)


@dataclass(frozen=True, slots=True)
class Wishes:
    """How files are to be indexed, for whom.

    Who did not name a splitter gets files that were cut by another one cut as before.
    """

    options: ChunkOptions
    owner: Owner
    parsing: ParseOptions = field(default_factory=ParseOptions)
    names_splitter: bool = False
    discards_edits: bool = False
    tags: tuple[str, ...] | None = None  # of files that are uploaded; None: those that they have

    def for_file(self, file: StoredFile) -> "Wishes":
        own = file.options
        if own is None or self.names_splitter or own.splitter == self.options.splitter:
            return self
        return replace(self, options=own)


class Ingest:
    """`patience` is how many seconds those who wait for their files are kept waiting."""

    def __init__(
        self,
        *,
        files: FileStore,
        content: ContentFolder,
        parsers: ParserPool,
        indexer: Indexer,
        queue: Queue,
        upload_max_mb: int,
        patience: float,
    ) -> None:
        self._files, self._content, self._parsers = files, content, parsers
        self._indexer, self._queue = indexer, queue
        self._max_mb, self._patience = upload_max_mb, patience
        self._accepting = 0

    async def upload(
        self,
        kb: KnowledgeBase,
        uploads: Sequence[Upload],
        docs: Mapping[str, list[CustomDoc]],
        wishes: Wishes,
        *,
        override: bool,
        to_vector_store: bool = True,
    ) -> Accepted:
        """Every file is durable when this returns, or has its reason."""
        await self._queue.refuse_when_full(wishes.owner.client_id)
        accepted, taken = Accepted(), list[NewJob]()
        came = {upload.name for upload in uploads}
        with self._accepting_slot():
            try:
                async for upload in self._unpacked(kb, uploads, accepted):
                    came.add(upload.name)
                    if len(taken) >= _TAKEN_MAX or upload.name in {job.file_name for job in taken}:
                        await self._queue_taken(kb, taken, accepted)
                    with _noting(accepted, upload.name):
                        known = await self._check(kb, upload, override=override)
                        own = docs.get(upload.name)
                        if to_vector_store:
                            taken.append(await self._take(kb, upload, own, wishes))
                        else:
                            await self._keep(kb, upload, known, own, wishes.owner)
            finally:
                await self._queue_taken(kb, taken, accepted)
            others = {name: own for name, own in docs.items() if name not in came}
            await self._customise(kb, others, wishes, accepted)
        return accepted

    async def update(
        self,
        kb: KnowledgeBase,
        names: Sequence[str],
        docs: Mapping[str, list[CustomDoc]],
        wishes: Wishes,
        *,
        override_custom_docs: bool,
    ) -> Accepted:
        """Index files anew; those with passages of the user's own only when that is wished."""
        await self._queue.refuse_when_full(wishes.owner.client_id)
        accepted, jobs = Accepted(), list[NewJob]()
        with self._accepting_slot():
            for name in dict.fromkeys(names):
                if name in docs:
                    continue
                file = await self._files.find(kb.id, name)
                if file is None:
                    fault = errors.nothing_to_load(shown(name))
                    accepted.failed[shown(name)] = str(fault)
                elif not file.custom_docs or override_custom_docs:
                    jobs.append(_job(kb, name, "update", wishes.for_file(file)))
            try:
                await self._queue_all(jobs, accepted)
            except FileFault:  # the knowledge base is gone, and all of them with it
                gone = (shown(job.file_name) for job in jobs)
                accepted.failed.update((name, str(errors.changed_meanwhile(name))) for name in gone)
            await self._customise(kb, docs, wishes, accepted)
        return accepted

    async def outcome(self, accepted: Accepted) -> Failures:
        """Waits for the jobs, but not for ever: what is not done yet is told like a failure."""
        left = max(self._patience - (monotonic() - accepted.since), 0)
        ended = {job.id: job for job in await self._queue.ended(accepted.jobs, left)}
        failed = dict(accepted.failed)
        for job_id, name in accepted.jobs.items():
            if why := _why_not(ended.get(job_id), shown(name)):
                failed[shown(name)] = why
        await self._indexer.spread()
        return failed

    async def remove(
        self, kb: KnowledgeBase, names: Sequence[str], *, delete_content: bool
    ) -> Failures:
        failed, replaced = Failures(), list[Replaced]()
        with anyio.CancelScope(shield=True):
            try:
                for name in dict.fromkeys(names):
                    taken = await self._take_out(kb, name, keep_content=not delete_content)
                    replaced.append(taken.replaced)
                    if not taken.found:
                        failed[shown(name)] = str(errors.not_found(shown(name)))
            finally:
                await self._clear(kb, *replaced)
        await self._indexer.spread()
        return failed

    async def rebuild(self, kb: KnowledgeBase, wishes: Wishes) -> AsyncGenerator[Progress, None]:
        """Index every file anew while the old index answers; progress comes after the work.

        It goes on when nobody listens any more.
        """
        files = await self._files.listed(kb.id)
        accepted = Accepted()
        jobs = [_job(kb, file.name, "recreate", wishes.for_file(file)) for file in files]
        with suppress(FileFault):  # the knowledge base is gone
            await self._queue_all(jobs, accepted)
        for number, (job_id, name) in enumerate(accepted.jobs.items(), 1):
            ended = await self._queue.ended([job_id], _FOREVER)
            fault = _why_not(next(iter(ended), None), shown(name))
            yield Progress(name, number, len(files), fault)

    async def _take_out(self, kb: KnowledgeBase, name: str, *, keep_content: bool) -> TakenOut:
        why = str(errors.changed_meanwhile(shown(name)))
        async with self._indexer.flips:
            taken = await self._files.take_out(kb.id, name, keep_content=keep_content, why=why)
            self._indexer.withdraw(kb.id, taken.replaced)
        return taken

    async def _unpacked(
        self, kb: KnowledgeBase, uploads: Sequence[Upload], accepted: Accepted
    ) -> AsyncGenerator[Upload, None]:
        """The uploads, and the files of those that are archives in the place of these."""
        for upload in uploads:
            if extension_of(upload.name) != ".zip":
                yield upload
                continue
            file_max = self._max_mb << 20
            entries = archive.entries(
                upload.file, file_max=file_max, total_max=file_max * _INFLATED_MAX_FILES
            )
            with _noting(accepted, upload.name):
                self._check_size(upload)
                async for entry in _in_thread(kb, upload.name, entries):
                    if entry.file is None:
                        why = errors.not_saved(shown(entry.name), entry.fault)
                        accepted.failed[shown(entry.name)] = str(why)
                        continue
                    with entry.file as file:
                        yield Upload(entry.name, entry.size, file)

    async def _take(
        self,
        kb: KnowledgeBase,
        upload: Upload,
        own: list[CustomDoc] | None,
        wishes: Wishes,
    ) -> NewJob:
        content = await self._save(kb, upload.name, upload.file, settled=False)
        try:
            passages = await self._save_passages(kb, upload.name, own) if own is not None else None
        except FileFault:
            await self._drop(kb, content.id)
            raise
        job = _job(kb, upload.name, "upload", wishes, content, passages)
        return replace(job, tags=wishes.tags)

    async def _queue_taken(
        self, kb: KnowledgeBase, taken: list[NewJob], accepted: Accepted
    ) -> None:
        """Many at once, since the disk is waited for every time; none of them stays in the list."""
        jobs, taken[:] = taken[:], []
        try:
            if jobs:
                await self._content.settle(kb.id)
                await self._queue_all(jobs, accepted)
        except (FileFault, OSError):  # the knowledge base is gone, or else the disk
            logger.warning("uploads could not be queued", exc_info=True)
            for job in jobs:
                name = shown(job.file_name)
                accepted.failed[name] = str(errors.changed_meanwhile(name))
                await self._drop(kb, job.content.id if job.content else None, job.passages_id)

    async def _keep(
        self,
        kb: KnowledgeBase,
        upload: Upload,
        known: StoredFile | None,
        own: list[CustomDoc] | None,
        owner: Owner,
    ) -> None:
        """Store without indexing; what answers for the file goes on answering."""
        name = shown(upload.name)
        content = await self._save(kb, upload.name, upload.file)
        try:
            if own is None:
                path = self._content.path(kb.id, content.id)
                await self._parsers.check(path, extension_of(upload.name))
            expected = known.content_id if known else None
            why = str(errors.changed_meanwhile(name))
            replaced = await self._files.put(
                kb.id, upload.name, content, owner, expected_content=expected, why=why
            )
        except BaseException as error:
            await self._drop(kb, content.id)
            if isinstance(error, LoadFault):
                raise errors.not_loaded(kb.name, name, error) from None
            if isinstance(error, Superseded):
                raise errors.changed_meanwhile(name) from None
            raise
        await self._clear(kb, replaced)

    async def _check(
        self, kb: KnowledgeBase, upload: Upload, *, override: bool
    ) -> StoredFile | None:
        name = shown(upload.name)
        if why := fault_of(upload.name):
            raise errors.not_saved(name, why)
        if (extension := extension_of(upload.name)) not in FORMATS:
            raise errors.not_supported(name, shown(extension))
        self._check_size(upload)
        known = await self._files.find(kb.id, upload.name)
        size = await self._queue.size_on_its_way(kb.id, upload.name)
        if size is None and known and known.listed:
            size = known.size
        if size == upload.size and not override:
            raise errors.already_there(name)
        return known

    def _check_size(self, upload: Upload) -> None:
        if upload.size > self._max_mb << 20:
            why = f"文件超过 {self._max_mb} MB。The file is larger than {self._max_mb} MB."
            raise errors.not_saved(shown(upload.name), why)

    async def _save(
        self, kb: KnowledgeBase, name: str, file: BinaryIO, *, settled: bool = True
    ) -> Content:
        try:
            return await self._content.save(kb.id, file, settled=settled)
        except OSError as error:
            logger.exception("an upload could not be written")
            raise errors.not_saved(shown(name), error.strerror) from None

    async def _save_passages(self, kb: KnowledgeBase, name: str, docs: list[CustomDoc]) -> Content:
        pairs = [(doc.content, doc.metadata) for doc in docs]
        return await self._save(kb, name, BytesIO(await to_thread.run_sync(orjson.dumps, pairs)))

    async def _customise(
        self,
        kb: KnowledgeBase,
        docs: Mapping[str, list[CustomDoc]],
        wishes: Wishes,
        accepted: Accepted,
    ) -> None:
        for name, own in docs.items():
            with _noting(accepted, name):
                if await self._files.find(kb.id, name) is None:
                    raise errors.not_customised(shown(name), errors.not_found(shown(name)))
                passages = await self._save_passages(kb, name, own)
                try:
                    job = _job(kb, name, "update", wishes, passages=passages)
                    await self._queue_all([job], accepted)
                except FileFault:
                    await self._drop(kb, passages.id)
                    raise

    async def _queue_all(self, jobs: Sequence[NewJob], accepted: Accepted) -> None:
        """Shielded: whoever hangs up, nobody takes away contents that jobs are there for."""
        with anyio.CancelScope(shield=True):
            try:
                ids = await self._queue.add(jobs)
            except Superseded:
                raise errors.changed_meanwhile(shown(jobs[0].file_name)) from None
            if tagged := [job.file_name for job in jobs if job.tags is not None]:
                await self._indexer.catch_up(jobs[0].kb_id, *tagged)  # while an old version answers
        accepted.jobs.update(zip(ids, (job.file_name for job in jobs), strict=True))

    async def _clear(self, kb: KnowledgeBase, *replaced: Replaced) -> None:
        """Of what nothing points to any more."""
        await self._indexer.clear(kb.id, [one for each in replaced for one in each.versions])
        for content_id in chain.from_iterable(each.content_ids for each in replaced):
            await self._content.remove(kb.id, content_id)

    async def _drop(self, kb: KnowledgeBase, *content_ids: str | None) -> None:
        with anyio.CancelScope(shield=True):
            for content_id in filter(None, content_ids):
                await self._content.remove(kb.id, content_id)

    @contextmanager
    def _accepting_slot(self) -> Iterator[None]:
        if self._accepting >= _ACCEPTING_MAX:
            raise Unavailable("Too many uploads at once. 上传过多，请稍后再试。", retry_after=5)
        self._accepting += 1
        try:
            yield
        finally:
            self._accepting -= 1


def _job(
    kb: KnowledgeBase,
    name: str,
    kind: JobKind,
    wishes: Wishes,
    content: Content | None = None,
    passages: Content | None = None,
) -> NewJob:
    passages_id = passages.id if passages else None
    return NewJob(
        kb_id=kb.id,
        file_name=name,
        kind=kind,
        options=wishes.options,
        parsing=wishes.parsing,
        owner=wishes.owner,
        content=content,
        passages_id=passages_id,
        discards_edits=wishes.discards_edits,
    )


def _why_not(job: Job | None, name: str) -> str | None:
    """The reason of a file that is not done, None of one that is."""
    if job is None:
        return str(errors.changed_meanwhile(name))
    if not job.is_over:
        return str(errors.still_working(name))
    return None if job.state == "done" else job.reason


async def _in_thread(
    kb: KnowledgeBase, name: str, entries: Iterator[Entry]
) -> AsyncGenerator[Entry, None]:
    """Raises FileFault for an archive that is none."""
    try:
        while entry := await to_thread.run_sync(next, entries, None):
            yield entry
    except LoadFault as fault:
        raise errors.not_loaded(kb.name, shown(name), fault) from None


@contextmanager
def _noting(accepted: Accepted, name: str) -> Iterator[None]:
    try:
        yield
    except FileFault as fault:
        accepted.failed[shown(name)] = str(fault)
