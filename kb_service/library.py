"""Knowledge bases: who may see and write which, and what is in them."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio

from kb_service.content import ContentFolder
from kb_service.embeddings.available import Embedders
from kb_service.entities import ChunkOptions, KnowledgeBase, StoredFile, Visibility
from kb_service.errors import (
    NoSuchEmbedder,
    NoSuchFile,
    NoSuchKnowledgeBase,
    NotReadable,
    OutOfReach,
    UnknownVectorStore,
)
from kb_service.indexer import Indexer
from kb_service.names import check_knowledge_base_name, shown
from kb_service.store import FileStore, KnowledgeBaseStore
from kb_service.visibility import may_reach, may_see, may_write
from servicekit.identity import Caller

# What the old wire calls its stores; all of them mean ours.
_VECTOR_STORES = {"default", "faiss", "milvus", "zilliz", "pg", "es", "qdrant"}
_OURS = "qdrant"

logger = logging.getLogger(__name__)


class Library:
    """Rows are read once: a search asks for its knowledge base without any SQL.

    What a caller may not see answers like what does not exist, so every way in takes the caller.
    """

    def __init__(
        self,
        *,
        knowledge_bases: KnowledgeBaseStore,
        files: FileStore,
        content: ContentFolder,
        indexer: Indexer,
        embedders: Embedders,
    ) -> None:
        self._rows, self._files, self._content = knowledge_bases, files, content
        self._indexer, self._embedders = indexer, embedders
        self._by_name: dict[str, KnowledgeBase] = {}
        self._changing = anyio.Lock()

    async def load(self) -> None:
        """Before the first request: read the names, and remove contents that no row points to."""
        self._by_name = {kb.name: self._named(kb) for kb in await self._rows.all()}
        orphans = await self._content.sweep(await self._files.content_ids())
        if orphans:
            logger.info("removed %d uploads that were never acknowledged", orphans)

    async def ids(self) -> set[int]:
        """Of all that there are or were, as far as this process knows."""
        return {kb.id for kb in (*await self._rows.all(), *self._by_name.values())}

    async def read_again(self, kb_id: int) -> bool:
        """After another process changed it, or made or removed it; False when it is gone."""
        async with self._changing:
            kb = await self._rows.with_id(kb_id)
            others = {name: one for name, one in self._by_name.items() if one.id != kb_id}
            self._by_name = others | ({kb.name: self._named(kb)} if kb else {})
            return kb is not None

    async def all(self, caller: Caller) -> list[KnowledgeBase]:
        return [self._named(kb) for kb in await self._rows.all() if may_see(caller, kb)]

    def names(self, caller: Caller) -> list[str]:
        return [kb.name for kb in self._by_name.values() if may_see(caller, kb)]

    def all_writable(self, caller: Caller) -> list[KnowledgeBase]:
        """In the order of their making, without their numbers of files."""
        return [kb for kb in self._by_name.values() if may_write(caller, kb)]

    def with_id(self, kb_id: int) -> KnowledgeBase | None:
        """For work that goes on without a caller."""
        return next((kb for kb in self._by_name.values() if kb.id == kb_id), None)

    def find(self, name: str, caller: Caller) -> KnowledgeBase | None:
        kb = self._by_name.get(name)
        return kb if kb and may_see(caller, kb) else None

    def readable(self, name: str, caller: Caller) -> KnowledgeBase:
        """Raises HostileName, EmptyName or NoSuchKnowledgeBase."""
        check_knowledge_base_name(name)
        kb = self.find(name, caller)
        if kb is None:
            raise NoSuchKnowledgeBase(shown(name))
        return kb

    def writable(self, name: str, caller: Caller) -> KnowledgeBase:
        """One that is not the caller's to write answers like one that is not there."""
        kb = self.readable(name, caller)
        if not may_write(caller, kb):
            raise NoSuchKnowledgeBase(shown(name))
        return kb

    async def create_for(
        self,
        caller: Caller,
        name: str,
        *,
        zh_name: str,
        info: str,
        vector_store: str,
        embed_model: str = "",
    ) -> KnowledgeBase:
        """Raises OutOfReach before it looks whether there is one.

        Names are given once for the whole installation, so NameTaken tells a caller who may make
        knowledge bases of one that it cannot see: nothing but that the name is taken.
        """
        check_knowledge_base_name(name)
        if not may_reach(caller, name):
            raise OutOfReach
        return await self.create(
            name,
            zh_name=zh_name,
            info=info,
            vector_store=vector_store,
            owner_client=caller.client_id,
            embed_model=embed_model,
        )

    async def create(
        self,
        name: str,
        *,
        zh_name: str,
        info: str,
        vector_store: str,
        owner_client: str,
        embed_model: str = "",
        questions: Sequence[str] = (),
    ) -> KnowledgeBase:
        if vector_store not in _VECTOR_STORES:
            raise UnknownVectorStore(shown(vector_store))
        self._check_model(embed_model)
        added = await self._rows.add(
            name,
            zh_name=zh_name,
            info=info,
            vs_type=_OURS,
            embed_model=embed_model,
            owner_client=owner_client,
            questions=questions,
        )
        kb = self._by_name[name] = self._named(added)
        await self._indexer.spread()
        return kb

    async def rename(self, kb: KnowledgeBase, zh_name: str) -> None:
        await self.say(kb, zh_name=zh_name)

    async def describe(self, kb: KnowledgeBase, info: str) -> None:
        await self.say(kb, info=info)

    async def say(
        self, kb: KnowledgeBase, *, zh_name: str | None = None, info: str | None = None
    ) -> KnowledgeBase:
        """What is None stays as it is."""
        said = {"zh_name": zh_name, "info": info}
        fields = {name: text for name, text in said.items() if text is not None}
        if fields:
            await self._change(kb, {f"kb_{name}": text for name, text in fields.items()}, **fields)
        return self._by_name.get(kb.name, kb)

    async def show_to(self, kb: KnowledgeBase, visibility: Visibility, caller: Caller) -> None:
        """From the next request on; what is being read or streamed already goes on."""
        columns = {
            "visibility": visibility.kind,
            "visible_clients": sorted(visibility.clients),
            "visible_groups": sorted(visibility.groups),
        }
        await self._change(kb, columns, visibility=visibility)
        logger.info(
            "knowledge base %s is visible to %s now, by user %s of client %s",
            *(shown(kb.name), visibility.kind, shown(caller.user_id), caller.client_id),
        )

    async def cut_as(self, kb: KnowledgeBase, chunking: ChunkOptions) -> None:
        """From the next upload on; files that are there stay as they were cut."""
        await self._change(kb, {"chunking": chunking.to_json()}, chunking=chunking)

    def model_meant(self, name: str) -> str:
        """By the old wire, whose users name models of their own: then the default one is meant."""
        is_other = name != self._embedders.default.name and self._embedders.named(name)
        return name if is_other else ""

    async def embed_as(self, kb: KnowledgeBase, model: str) -> None:
        """From the next job on, "" being the default model. Raises NoSuchEmbedder."""
        self._check_model(model)
        name = model or self._embedders.default.name
        await self._change(
            kb, {"embed_model": model}, embed_model=name, follows_default_model=not model
        )

    async def remove(self, kb: KnowledgeBase) -> None:
        with anyio.CancelScope(shield=True):
            versions = await self._rows.remove(kb)
            if self._holds(kb):
                del self._by_name[kb.name]
            await self._indexer.drop(kb.id, versions)
            await self._content.remove_all(kb.id)
        await self._indexer.spread()

    async def listed_files(self, kb: KnowledgeBase) -> list[str]:
        return [file.name for file in await self._files.listed(kb.id)]

    async def stored(self, kb: KnowledgeBase, file_name: str) -> StoredFile:
        """A file that has content. Raises NoSuchFile."""
        file = await self._files.find(kb.id, file_name)
        if file is None or not file.listed or not await self._content.has(kb.id, file.content_id):
            raise NoSuchFile(shown(file_name))
        return file

    async def content_of(self, kb: KnowledgeBase, file_name: str) -> Path:
        """Where the bytes of a file are. Raises NotReadable."""
        file = await self._files.find(kb.id, file_name)
        if file is None or not await self._content.has(kb.id, file.content_id):
            raise NotReadable(shown(file_name))
        return self._content.path(kb.id, file.content_id)

    async def _change(self, kb: KnowledgeBase, columns: dict[str, Any], **fields: Any) -> None:
        """One at a time, and onto what is there by then: two changes never undo each other."""
        with anyio.CancelScope(shield=True):
            async with self._changing:
                changed = await self._rows.change(kb.id, **columns)
                if not changed or not self._holds(kb):
                    raise NoSuchKnowledgeBase(shown(kb.name))
                self._by_name[kb.name] = replace(self._by_name[kb.name], **fields)
        await self._indexer.spread()

    def _check_model(self, name: str) -> None:
        if name and not self._embedders.named(name):
            names = [one.name for one in self._embedders.all()]
            raise NoSuchEmbedder(shown(name), names)

    def _named(self, kb: KnowledgeBase) -> KnowledgeBase:
        is_default = kb.follows_default_model
        return replace(kb, embed_model=self._embedders.default.name) if is_default else kb

    def _holds(self, kb: KnowledgeBase) -> bool:
        """False when it is gone, even if there is a new one of its name."""
        current = self._by_name.get(kb.name)
        return current is not None and current.id == kb.id
