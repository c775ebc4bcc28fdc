"""Which files a knowledge base has already, byte for byte: an import leaves them out."""

from collections.abc import Sequence
from dataclasses import dataclass

from kb_service.content import ContentFolder
from kb_service.entities import KnowledgeBase
from kb_service.store import FileStore, JobStore


@dataclass(frozen=True, slots=True)
class Fingerprint:
    name: str
    size: int
    sha256: str


class KnownFiles:
    def __init__(self, files: FileStore, jobs: JobStore, content: ContentFolder) -> None:
        self._files, self._jobs, self._content = files, jobs, content

    async def among(self, kb: KnowledgeBase, given: Sequence[Fingerprint]) -> list[str]:
        """Names of those that are indexed, or on their way, with the same content."""
        return [file.name for file in given if await self._is_known(kb.id, file)]

    async def _is_known(self, kb_id: int, file: Fingerprint) -> bool:
        content_id = await self._jobs.content_on_its_way(kb_id, file.name)
        if content_id is None:
            row = await self._files.find(kb_id, file.name)
            if row is None or not row.listed or row.live_version is None:
                return False
            content_id = row.content_id
        return await self._content.is_same(kb_id, content_id, size=file.size, sha256=file.sha256)
