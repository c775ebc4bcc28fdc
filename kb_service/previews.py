"""What a split would give, before it is applied."""

import anyio

from kb_service.content import ContentFolder
from kb_service.entities import ChunkOptions, KnowledgeBase, ParseOptions, SplitPreview
from kb_service.errors import NotPreviewed
from kb_service.ingest import Upload
from kb_service.library import Library
from kb_service.loaders import FORMATS, LoadFault
from kb_service.names import extension_of, fault_of, shown
from kb_service.parsers import ParserPool
from servicekit.errors import Unavailable

_WAITING_MAX = 8


class Previews:
    """Nothing of what is looked at is kept."""

    def __init__(
        self, library: Library, content: ContentFolder, parsers: ParserPool, *, upload_max_mb: int
    ) -> None:
        self._library, self._content, self._parsers = library, content, parsers
        self._max_mb = upload_max_mb
        self._waiting = 0

    async def of_file(
        self,
        kb: KnowledgeBase,
        name: str,
        options: ChunkOptions,
        parsing: ParseOptions,
        *,
        first: int,
    ) -> SplitPreview:
        """Raises NoSuchFile or NotPreviewed."""
        file = await self._library.stored(kb, name)
        return await self._preview(kb, name, file.content_id, options, parsing, first)

    async def of_upload(
        self,
        kb: KnowledgeBase,
        upload: Upload,
        options: ChunkOptions,
        parsing: ParseOptions,
        *,
        first: int,
    ) -> SplitPreview:
        """Raises NotPreviewed."""
        if why := fault_of(upload.name):
            raise NotPreviewed(why)
        if (extension := extension_of(upload.name)) not in FORMATS:
            raise NotPreviewed(f"暂未支持的文件格式 {shown(extension)}。Not a supported format.")
        if upload.size > self._max_mb << 20:
            limit = f"{self._max_mb} MB"
            raise NotPreviewed(f"文件超过 {limit}。The file is larger than {limit}.")
        stored = await self._content.save(kb.id, upload.file)
        try:
            return await self._preview(kb, upload.name, stored.id, options, parsing, first)
        finally:
            with anyio.CancelScope(shield=True):
                await self._content.remove(kb.id, stored.id)

    async def _preview(
        self,
        kb: KnowledgeBase,
        name: str,
        content_id: str,
        options: ChunkOptions,
        parsing: ParseOptions,
        first: int,
    ) -> SplitPreview:
        if self._waiting >= _WAITING_MAX:
            raise Unavailable("Too many previews at once. 预览过多，请稍后再试。", retry_after=5)
        self._waiting += 1
        path, extension = self._content.path(kb.id, content_id), extension_of(name)
        try:
            return await self._parsers.preview(path, extension, options, first, parsing)
        except LoadFault as fault:
            raise NotPreviewed(str(fault)) from None
        finally:
            self._waiting -= 1
