"""What cannot be cleaned away while the index does not answer fails nothing, and is done later."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from kb_service.catalog import LiveCatalog
from kb_service.chunks import Chunks
from kb_service.collection_set import CollectionSet
from kb_service.content import ContentFolder
from kb_service.embeddings.available import Embedders
from kb_service.entities import ChunkOptions, Job, NewJob, Owner, ParseOptions, StoredFile
from kb_service.indexer import Indexer
from kb_service.jobs.claiming import Claim
from kb_service.jobs.progress import Board
from kb_service.jobs.worker import Worker
from kb_service.labelling import Labelling
from kb_service.library import Library
from kb_service.overlays import Overlays
from kb_service.settings import KbSettings
from kb_service.store import (
    ChunkStore,
    FileStore,
    JobStore,
    KnowledgeBaseStore,
    LabelStore,
    LeaseStore,
    Outdated,
    PageStore,
    PlacementStore,
    VersionStore,
)
from kb_service.vectors import Point
from kb_service.vectors.edge import EdgeIndex
from servicekit.database import Database, sqlite_url
from servicekit.errors import Unavailable
from tests.kb_service.test_jobs import count
from tests.parsers import PARSERS

OWNER = Owner("7", "u1")


class Index(EdgeIndex):
    """Refuses what it is told to, as a server that has just gone away."""

    refuses: frozenset[str] = frozenset()
    refused = 0
    meanwhile: Callable[[], Awaitable[object]] | None = None

    async def upsert(self, points: Sequence[Point]) -> None:
        self._refuse("upsert")
        await super().upsert(points)
        if self.meanwhile:
            await self.meanwhile()

    async def delete(self, kb_id: int, version: str | None = None) -> None:
        self._refuse("delete")
        await super().delete(kb_id, version)

    async def remove(self, kb_id: int, point_ids: Sequence[str]) -> None:
        self._refuse("remove")
        await super().remove(kb_id, point_ids)

    async def relabel(self, kb_id: int, version: str, labels: Mapping[str, Any]) -> None:
        self._refuse("relabel")
        await super().relabel(kb_id, version, labels)

    async def flush(self) -> None:
        self._refuse("flush")
        await super().flush()

    def _refuse(self, what: str) -> None:
        if what in self.refuses:
            self.refused += 1
            raise Unavailable("away", retry_after=5)


class Labels(LabelStore):
    """Does not answer when it is told so, as a database that is away."""

    is_away = False

    async def outdated(self, kb_id: int, file_names: Sequence[str]) -> list[Outdated]:
        if self.is_away:
            raise OSError("away")
        return await super().outdated(kb_id, file_names)


class Service:
    """What indexes, with one knowledge base, and nothing in the background."""

    def __init__(self, database: Database, folder: Path) -> None:
        self.jobs, self.leases = JobStore(database), LeaseStore(database)
        self.files, self.labels = FileStore(database), Labels(database)
        rows, versions = ChunkStore(database), VersionStore(database)
        self._folder, self.content = folder / "content", ContentFolder(folder / "content")
        self.index = Index(folder / "qdrant")
        embedders, catalog = Embedders(), LiveCatalog()
        collections = CollectionSet(embedders, lambda _: self.index)
        self.indexer = Indexer(
            collections=collections,
            catalog=catalog,
            versions=versions,
            labelling=Labelling(self.labels, collections),
        )
        overlays = Overlays(chunks=rows, versions=versions, indexer=self.indexer, catalog=catalog)
        self.chunks = Chunks(rows, overlays)
        self.library = Library(
            knowledge_bases=KnowledgeBaseStore(database),
            files=self.files,
            content=self.content,
            indexer=self.indexer,
            embedders=embedders,
        )
        self.worker = Worker(
            jobs=self.jobs,
            files=self.files,
            pages=PageStore(database),
            versions=versions,
            content=self.content,
            parsers=PARSERS,
            indexer=self.indexer,
            overlays=overlays,
            placements=PlacementStore(database),
        )

    async def begin(self) -> None:
        await self.indexer.open()
        await self.indexer.recover()
        self.kb = await self.library.create(
            "kb1", zh_name="", info="", vector_store="default", owner_client="7"
        )

    async def put(self, text: str, name: str = "a.txt") -> Job:
        """What becomes of the job of a new content of a file."""
        content = await self.content.save(1, BytesIO(text.encode()))
        options = ChunkOptions(250, 50)
        job = NewJob(1, name, "upload", options, ParseOptions(), OWNER, content)
        (job_id,) = await self.jobs.add([job])
        claimed = await self.leases.claim()
        assert claimed
        with Board(self.jobs).bell(job_id) as bell:
            await self.worker.run(Claim(claimed, self.leases, bell, beat=60))
        ended = await self.jobs.find(job_id)
        assert ended
        return ended

    async def file(self) -> StoredFile:
        found = await self.files.find(1, "a.txt")
        assert found
        return found

    def contents(self) -> list[str]:
        return [path.read_text() for path in self._folder.glob("*/*")]


@pytest.fixture
async def service(
    make_settings: Callable[..., KbSettings], tmp_path: Path
) -> AsyncIterator[Service]:
    make_settings()
    database = Database(sqlite_url(tmp_path / "kb" / "kb.db"), package="kb_service")
    service = Service(database, tmp_path / "kb")
    try:
        await service.begin()
        yield service
    finally:
        await service.index.close()
        await database.close()


async def test_a_file_that_answers_is_done_whatever_is_left_to_clean(service: Service) -> None:
    await service.put("年假每年十天。")
    service.index.meanwhile = partial(service.labels.put_tags, 1, "a.txt", ("制度",))
    service.index.refuses = frozenset({"delete", "relabel"})
    assert (await service.put("年假每年二十天。")).state == "done"
    assert service.contents() == ["年假每年二十天。"]
    assert await service.index.count(1) == 2
    assert len(await service.labels.all_outdated()) == 1
    service.index.refuses = frozenset()
    await service.indexer.clean()
    assert await service.index.count(1) == 1
    assert await service.labels.all_outdated() == []


@pytest.mark.parametrize("lost", ["labels", "points"])
async def test_tags_are_noted_when_points_have_them_for_good(service: Service, lost: str) -> None:
    await service.put("年假每年十天。")
    await service.labels.put_tags(1, "a.txt", ("制度",))
    service.labels.is_away = lost == "labels"
    service.index.refuses = frozenset({"flush"} if lost == "points" else ())
    await service.indexer.catch_up(1, "a.txt")
    assert len(await service.labels.all_outdated()) == 1
    service.index.refuses = frozenset()
    await service.indexer.clean()
    assert await service.labels.all_outdated() == []


async def test_an_edit_that_failed_leaves_nothing_for_ever(
    service: Service, tmp_path: Path
) -> None:
    await service.put("年假每年十天。")
    file = await service.file()
    service.index.refuses = frozenset({"upsert", "delete"})
    chunk = f"{file.live_version}-0"
    with pytest.raises(Unavailable):
        await service.chunks.change(file, chunk, OWNER, content="年假三十天。", is_enabled=None)
    service.index.refuses = frozenset()
    await service.indexer.clean()
    assert count(tmp_path, "index_version") == 1


async def test_an_edit_that_answers_is_done_whatever_is_left_to_clean(service: Service) -> None:
    await service.put("年假每年十天。")
    file = await service.file()
    service.index.refuses = frozenset({"remove", "delete"})
    chunk = f"{file.live_version}-0"
    edited = await service.chunks.change(
        file, chunk, OWNER, content="年假三十天。", is_enabled=None
    )
    await service.chunks.change(file, edited.id, OWNER, content="年假四十天。", is_enabled=None)
    assert await service.index.count(1) == 3
    service.index.refuses = frozenset()
    await service.indexer.clean()
    assert await service.index.count(1) == 1


async def test_a_knowledge_base_that_is_gone_leaves_no_contents(service: Service) -> None:
    for number in range(3):
        await service.put("年假每年十天。", f"{number}.txt")
    service.index.refuses = frozenset({"delete"})
    await service.library.remove(service.kb)
    assert service.contents() == []
    assert service.index.refused == 1  # each takes half a minute when a server is away
    service.index.refuses = frozenset()
    await service.indexer.clean()
    assert await service.index.count(1) == 0


async def test_a_content_that_cannot_be_removed_fails_no_file(service: Service) -> None:
    await service.put("年假每年十天。")
    old = service.content.path(1, (await service.file()).content_id)
    old.unlink()
    old.mkdir()  # stands for whatever the disk may say
    assert (await service.put("年假每年二十天。")).state == "done"
