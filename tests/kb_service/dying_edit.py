"""A process that edits a chunk and is killed at a named moment of that.

`python -m tests.kb_service.dying_edit FOLDER MOMENT CHUNK_ID CONTENT` on the data of a stopped
service.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kb_service.catalog import LiveCatalog
from kb_service.chunk_entities import ChunkEdit
from kb_service.chunks import Chunks
from kb_service.collection_set import CollectionSet
from kb_service.embeddings.available import Embedders
from kb_service.entities import Owner
from kb_service.indexer import Indexer
from kb_service.labelling import Labelling
from kb_service.overlays import Overlays
from kb_service.store import ChunkStore, FileStore, LabelStore, VersionStore
from kb_service.vectors import Point
from kb_service.vectors.edge import EdgeIndex
from servicekit.database import Database, sqlite_url

MOMENTS = ("begun", "indexed", "before flip", "after flip", "hidden removed", "old one removed")


class Moment:
    def __init__(self, name: str) -> None:
        assert name in MOMENTS
        self._name = name

    def is_now(self, name: str) -> None:
        if name == self._name:
            os.kill(os.getpid(), signal.SIGKILL)


class Versions(VersionStore):
    def __init__(self, database: Database, moment: Moment) -> None:
        super().__init__(database)
        self._moment = moment

    async def begin_overlay(self, *what: Any) -> None:
        await super().begin_overlay(*what)
        self._moment.is_now("begun")


class Rows(ChunkStore):
    def __init__(self, database: Database, moment: Moment) -> None:
        super().__init__(database)
        self._moment = moment

    async def change(self, *what: Any, **more: Any) -> tuple[ChunkEdit, str | None]:
        self._moment.is_now("before flip")
        changed = await super().change(*what, **more)
        self._moment.is_now("after flip")
        return changed


class Index(EdgeIndex):
    is_ready = False

    def __init__(self, folder: Path, moment: Moment) -> None:
        super().__init__(folder)
        self._moment = moment

    async def upsert(self, points: Sequence[Point]) -> None:
        await super().upsert(points)
        self._moment.is_now("indexed")

    async def remove(self, kb_id: int, point_ids: Sequence[str]) -> None:
        await super().remove(kb_id, point_ids)
        if self.is_ready:
            self._moment.is_now("hidden removed")

    async def delete(self, kb_id: int, version: str | None = None) -> None:
        await super().delete(kb_id, version)
        self._moment.is_now("old one removed")


async def main(folder: Path, moment: Moment, chunk_id: str, content: str) -> None:
    database = Database(sqlite_url(folder / "kb.db"), package="kb_service", synchronous="FULL")
    versions, rows = Versions(database, moment), Rows(database, moment)
    collections = CollectionSet(Embedders(), lambda it: Index(folder / "qdrant" / it, moment))
    catalog = LiveCatalog()
    indexer = Indexer(
        collections=collections,
        catalog=catalog,
        versions=versions,
        labelling=Labelling(LabelStore(database), collections),
    )
    await indexer.open()
    await indexer.recover()
    overlays = Overlays(chunks=rows, versions=versions, indexer=indexer, catalog=catalog)
    await overlays.recover()
    Index.is_ready = True
    file = await FileStore(database).find(1, "a.txt")
    assert file
    chunks = Chunks(rows, overlays)
    await chunks.change(file, chunk_id, Owner("7", "u1"), content=content, is_enabled=None)
    raise AssertionError("it lived")


if __name__ == "__main__":
    given_folder, given_moment, given_id, given_content = sys.argv[1:]
    asyncio.run(main(Path(given_folder), Moment(given_moment), given_id, given_content))
