"""Files into a knowledge base, again, and out of it; one bad file never stops the others."""

import logging
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO

import anyio

from kb_service import errors
from kb_service.content import ContentFolder
from kb_service.entities import (
    ChunkOptions,
    Content,
    CustomDoc,
    KnowledgeBase,
    NewVersion,
    Replaced,
    StoredFile,
)
from kb_service.errors import FileFault, Superseded
from kb_service.indexer import Built, Indexer
from kb_service.loaders import FORMATS, LoadFault
from kb_service.names import extension_of, fault_of, shown
from kb_service.parsers import ParserPool
from kb_service.store import FileStore, VersionStore
from servicekit.errors import ServiceError, Unavailable

_WORKING_MAX = 32
_PAGE = 500

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


class Ingest:
    def __init__(
        self,
        *,
        files: FileStore,
        versions: VersionStore,
        content: ContentFolder,
        parsers: ParserPool,
        indexer: Indexer,
        upload_max_mb: int,
    ) -> None:
        self._files, self._versions, self._content = files, versions, content
        self._parsers, self._indexer = parsers, indexer
        self._max_mb = upload_max_mb
        self._working = 0

    async def upload(
        self,
        kb: KnowledgeBase,
        uploads: Sequence[Upload],
        docs: Mapping[str, list[CustomDoc]],
        *,
        override: bool,
        to_vector_store: bool,
        options: ChunkOptions,
    ) -> Failures:
        """Every file is durable and searchable when this returns, or has its reason."""
        failed: Failures = {}
        with self._working_slot():
            for upload in uploads:
                try:
                    own = docs.get(upload.name)
                    await self._take(kb, upload, own, override, options, to_vector_store)
                except FileFault as fault:
                    failed[shown(upload.name)] = str(fault)
            uploaded = {upload.name for upload in uploads}
            others = {name: own for name, own in docs.items() if name not in uploaded}
            return failed | await self._customise(kb, others, options)

    async def update(
        self,
        kb: KnowledgeBase,
        names: Sequence[str],
        docs: Mapping[str, list[CustomDoc]],
        *,
        override_custom_docs: bool,
        options: ChunkOptions,
    ) -> Failures:
        """Index files anew; those with passages of the user's own only when that is wished."""
        failed: Failures = {}
        with self._working_slot():
            for name in dict.fromkeys(names):
                if name in docs:
                    continue
                try:
                    file = await self._files.find(kb.id, name)
                    if file is None:
                        raise errors.nothing_to_load(shown(name))
                    if not file.custom_docs or override_custom_docs:
                        await self._index(_Job.again(kb, file, options))
                except FileFault as fault:
                    failed[shown(name)] = str(fault)
            return failed | await self._customise(kb, docs, options)

    async def remove(
        self, kb: KnowledgeBase, names: Sequence[str], *, delete_content: bool
    ) -> Failures:
        failed: Failures = {}
        for name in dict.fromkeys(names):
            file = await self._files.find(kb.id, name)
            if file is None or not file.listed:
                failed[shown(name)] = str(errors.not_found(shown(name)))
            if file is None:
                continue
            with anyio.CancelScope(shield=True):
                gone = await self._files.take_out(file, keep_content=not delete_content)
                if gone.version:
                    await self._indexer.withdraw(kb.id, gone.version)
                if gone.content_id:
                    await self._content.remove(kb.id, gone.content_id)
        return failed

    async def rebuild(
        self, kb: KnowledgeBase, options: ChunkOptions
    ) -> AsyncGenerator[Progress, None]:
        """Index every file anew while the old index answers; progress comes after the work."""
        files = await self._files.listed(kb.id)
        with self._working_slot():
            for number, file in enumerate(files, 1):
                fault = None
                try:
                    rows = self._kept_rows(file, options)
                    is_custom = rows is not None and file.custom_docs
                    await self._index(_Job.again(kb, file, options, is_custom=is_custom), rows)
                except FileFault as error:
                    fault = str(error)
                yield Progress(file.name, number, len(files), fault)

    async def _take(
        self,
        kb: KnowledgeBase,
        upload: Upload,
        docs: list[CustomDoc] | None,
        override: bool,
        options: ChunkOptions,
        to_vector_store: bool,
    ) -> None:
        known = await self._check(kb, upload, override=override)
        expected = known.content_id if known else None
        content = await self._save(kb, upload)
        job = _Job(kb, upload.name, content, expected, options, docs, docs is not None)
        try:
            replaced = await (self._index(job) if to_vector_store else self._keep(job))
        except BaseException:
            with anyio.CancelScope(shield=True):
                await self._content.remove(kb.id, content.id)
            raise
        if replaced.content_id:
            await self._content.remove(kb.id, replaced.content_id)

    async def _check(
        self, kb: KnowledgeBase, upload: Upload, *, override: bool
    ) -> StoredFile | None:
        name = shown(upload.name)
        if why := fault_of(upload.name):
            raise errors.not_saved(name, why)
        if (extension := extension_of(upload.name)) not in FORMATS:
            raise errors.not_supported(name, shown(extension))
        if upload.size > self._max_mb << 20:
            raise errors.not_saved(
                name, f"文件超过 {self._max_mb} MB。The file is larger than {self._max_mb} MB."
            )
        known = await self._files.find(kb.id, upload.name)
        if known and known.listed and known.size == upload.size and not override:
            raise errors.already_there(name)
        return known

    async def _save(self, kb: KnowledgeBase, upload: Upload) -> Content:
        try:
            return await self._content.save(kb.id, upload.file)
        except OSError as error:
            logger.exception("an upload could not be written")
            raise errors.not_saved(shown(upload.name), error.strerror) from None

    async def _keep(self, job: "_Job") -> Replaced:
        """Store without indexing; what answers for the file goes on answering."""
        try:
            if job.docs is None:
                path = self._content.path(job.kb.id, job.content.id)
                await self._parsers.check(path, extension_of(job.name))
            return await self._files.put(
                job.kb.id, job.name, job.content, expected_content=job.expected
            )
        except (LoadFault, Superseded) as error:
            raise _fault(job, error) from None

    async def _index(
        self, job: "_Job", rows: AsyncIterator[list[CustomDoc]] | None = None
    ) -> Replaced:
        """Build a version from `rows`, else from the job's passages, else from the file."""
        pages = rows or (None if job.docs is None else _pages(job.docs))
        if pages:
            batches = self._parsers.index(pages)
        else:
            path = self._content.path(job.kb.id, job.content.id)
            batches = self._parsers.parse(path, extension_of(job.name), job.options)
        try:
            built = await self._indexer.build(job.kb.id, job.name, batches)
            return await self._flip(job, built)
        except (LoadFault, ServiceError, Superseded) as error:
            raise _fault(job, error) from None

    async def _flip(self, job: "_Job", built: Built) -> Replaced:
        """The database and the catalog change together, whoever hangs up."""
        with anyio.CancelScope(shield=True):
            try:
                replaced = await self._files.go_live(job.version(built))
            except BaseException:
                await self._indexer.discard(job.kb.id, built.version)
                raise
            await self._indexer.switch(job.kb.id, built, replaced)
        return replaced

    async def _customise(
        self, kb: KnowledgeBase, docs: Mapping[str, list[CustomDoc]], options: ChunkOptions
    ) -> Failures:
        failed: Failures = {}
        for name, own in docs.items():
            try:
                file = await self._files.find(kb.id, name)
                if file is None:
                    raise errors.not_customised(shown(name), errors.not_found(shown(name)))
                await self._index(_Job.again(kb, file, options, docs=own, is_custom=True))
            except FileFault as fault:
                failed[shown(name)] = str(fault)
        return failed

    def _kept_rows(
        self, file: StoredFile, options: ChunkOptions
    ) -> AsyncIterator[list[CustomDoc]] | None:
        """The chunk rows, when cutting the file again would give the same ones."""
        if file.live_version and (file.custom_docs or file.options == options):
            return self._versions.chunks(file.live_version)
        return None

    @contextmanager
    def _working_slot(self) -> Iterator[None]:
        if self._working >= _WORKING_MAX:
            raise Unavailable("Too many uploads at once. 上传过多，请稍后再试。", retry_after=5)
        self._working += 1
        try:
            yield
        finally:
            self._working -= 1


@dataclass(frozen=True, slots=True)
class _Job:
    """One file to index; `expected` is the content that its row must point to until the end."""

    kb: KnowledgeBase
    name: str
    content: Content
    expected: str | None
    options: ChunkOptions
    docs: list[CustomDoc] | None = None
    is_custom: bool = False

    @classmethod
    def again(
        cls,
        kb: KnowledgeBase,
        file: StoredFile,
        options: ChunkOptions,
        *,
        docs: list[CustomDoc] | None = None,
        is_custom: bool = False,
    ) -> "_Job":
        content = Content(file.content_id, file.size, file.mtime)
        return cls(kb, file.name, content, file.content_id, options, docs, is_custom)

    def version(self, built: Built) -> NewVersion:
        return NewVersion(
            id=built.version,
            kb_id=self.kb.id,
            file_name=self.name,
            content=self.content,
            expected_content=self.expected,
            custom_docs=self.is_custom,
            options=self.options,
            loader=built.summary.loader,
            splitter=built.summary.splitter,
            chunks=built.chunks,
            term_counts=built.packed_counts,
        )


def _fault(job: _Job, error: Exception) -> FileFault:
    """What can go wrong with one file, as the sentence for its user."""
    name = shown(job.name)
    if isinstance(error, Superseded):
        return errors.changed_meanwhile(name)
    if job.docs is not None:
        return errors.not_customised(name, error)
    return errors.not_loaded(job.kb.name, name, error)


async def _pages(docs: list[CustomDoc]) -> AsyncIterator[list[CustomDoc]]:
    for start in range(0, len(docs), _PAGE):
        yield docs[start : start + _PAGE]
