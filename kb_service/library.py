"""Knowledge bases: who may see and write which, and what is in them."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import anyio

from kb_service.content import ContentFolder
from kb_service.entities import KnowledgeBase
from kb_service.errors import NoSuchKnowledgeBase, NotReadable, UnknownVectorStore
from kb_service.indexer import Indexer
from kb_service.names import check_knowledge_base_name, shown
from kb_service.store import FileStore, KnowledgeBaseStore
from servicekit.identity import Caller

# What the old wire calls its stores; all of them mean ours.
_VECTOR_STORES = {"default", "faiss", "milvus", "zilliz", "pg", "es", "qdrant"}
_OURS = "qdrant"

logger = logging.getLogger(__name__)


class Library:
    """Rows are read once: a search asks for its knowledge base without any SQL."""

    def __init__(
        self,
        *,
        knowledge_bases: KnowledgeBaseStore,
        files: FileStore,
        content: ContentFolder,
        indexer: Indexer,
        embed_model: str,
    ) -> None:
        self._rows, self._files, self._content = knowledge_bases, files, content
        self._indexer, self._embed_model = indexer, embed_model
        self._by_name: dict[str, KnowledgeBase] = {}

    async def load(self) -> None:
        """Before the first request: read the names, and remove contents that no row points to."""
        self._by_name = {kb.name: kb for kb in await self._rows.all()}
        orphans = await self._content.sweep(await self._files.content_ids())
        if orphans:
            logger.info("removed %d uploads that were never acknowledged", orphans)

    async def all(self) -> list[KnowledgeBase]:
        return await self._rows.all()

    def names(self) -> list[str]:
        return list(self._by_name)

    def find(self, name: str) -> KnowledgeBase | None:
        return self._by_name.get(name)

    def readable(self, name: str) -> KnowledgeBase:
        """Raises HostileName, EmptyName or NoSuchKnowledgeBase."""
        check_knowledge_base_name(name)
        kb = self._by_name.get(name)
        if kb is None:
            raise NoSuchKnowledgeBase(shown(name))
        return kb

    def writable(self, name: str, caller: Caller) -> KnowledgeBase:
        """One that is not the caller's to write answers like one that is not there."""
        kb = self.readable(name)
        if not caller.may("admin") and kb.owner_client != caller.client_id:
            raise NoSuchKnowledgeBase(shown(name))
        return kb

    async def create(
        self,
        name: str,
        *,
        zh_name: str,
        info: str,
        vector_store: str,
        owner_client: str,
        questions: Sequence[str] = (),
    ) -> KnowledgeBase:
        check_knowledge_base_name(name)
        if vector_store not in _VECTOR_STORES:
            raise UnknownVectorStore(shown(vector_store))
        kb = self._by_name[name] = await self._rows.add(
            name,
            zh_name=zh_name,
            info=info,
            vs_type=_OURS,
            embed_model=self._embed_model,
            owner_client=owner_client,
            questions=questions,
        )
        return kb

    async def rename(self, kb: KnowledgeBase, zh_name: str) -> None:
        await self._change(replace(kb, zh_name=zh_name), kb_zh_name=zh_name)

    async def describe(self, kb: KnowledgeBase, info: str) -> None:
        await self._change(replace(kb, info=info), kb_info=info)

    async def note_rebuilt(self, name: str) -> None:
        """Its vectors are those of the configured model now; its other columns stay."""
        kb = self._by_name.get(name)
        if kb:
            model = self._embed_model
            await self._change(replace(kb, embed_model=model), embed_model=model)

    async def remove(self, kb: KnowledgeBase) -> None:
        with anyio.CancelScope(shield=True):
            versions = await self._rows.remove(kb)
            self._by_name.pop(kb.name, None)
            await self._indexer.drop(kb.id, versions)
            await self._content.remove_all(kb.id)

    async def listed_files(self, kb: KnowledgeBase) -> list[str]:
        return [file.name for file in await self._files.listed(kb.id)]

    async def content_of(self, kb: KnowledgeBase, file_name: str) -> Path:
        """Where the bytes of a file are. Raises NotReadable."""
        file = await self._files.find(kb.id, file_name)
        if file is None or not await self._content.has(kb.id, file.content_id):
            raise NotReadable(shown(file_name))
        return self._content.path(kb.id, file.content_id)

    async def _change(self, changed: KnowledgeBase, **columns: str) -> None:
        if not await self._rows.change(changed.id, **columns):
            raise NoSuchKnowledgeBase(shown(changed.name))
        self._by_name[changed.name] = changed
