"""A process that takes an upload and is killed at a named moment of its job.

`python -m tests.kb_service.dying FOLDER MOMENT NAME CONTENT` on the data of a stopped service.
"""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncGenerator, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

from kb_service.catalog import LiveCatalog
from kb_service.chunk_entities import NO_EDITS, EditPlan
from kb_service.collection_set import CollectionSet
from kb_service.content import ContentFolder
from kb_service.embeddings.available import Embedders
from kb_service.entities import ChunkOptions, Job, Lease, NewJob, NewVersion, Owner, Replaced
from kb_service.indexer import Indexer
from kb_service.ingest import Ingest, Upload, Wishes
from kb_service.jobs.broker import open_signals
from kb_service.jobs.progress import Board
from kb_service.jobs.queue import Queue
from kb_service.jobs.team import Team
from kb_service.jobs.worker import Worker
from kb_service.labelling import Labelling
from kb_service.overlays import Overlays
from kb_service.parsers import Batch, ParserPool
from kb_service.rebuild import Rebuild
from kb_service.store import (
    ChunkStore,
    FileStore,
    JobStore,
    KnowledgeBaseStore,
    LabelStore,
    LeaseStore,
    PageStore,
    PlacementStore,
    VersionStore,
)
from kb_service.vectors import Point
from kb_service.vectors.edge import EdgeIndex
from servicekit.database import Database, sqlite_url

MOMENTS = (
    *("accepted", "claimed", "parsing", "writing rows", "writing points"),
    *("before flip", "after flip", "removing old points", "done"),
)


class Moment:
    def __init__(self, name: str) -> None:
        assert name in MOMENTS
        self._name = name

    def is_now(self, name: str) -> None:
        if name == self._name:
            os.kill(os.getpid(), signal.SIGKILL)


class Jobs(JobStore):
    def __init__(self, database: Database, moment: Moment) -> None:
        super().__init__(database)
        self._moment = moment

    async def add(self, jobs: Sequence[NewJob]) -> list[int]:
        ids = await super().add(jobs)
        self._moment.is_now("accepted")
        return ids

    async def finish(self, lease: Lease, chunks: int, notes: str) -> None:
        await super().finish(lease, chunks, notes)
        self._moment.is_now("done")


class Leases(LeaseStore):
    def __init__(self, database: Database, moment: Moment) -> None:
        super().__init__(database)
        self._moment = moment

    async def claim(self) -> Job | None:
        job = await super().claim()
        if job:
            self._moment.is_now("claimed")
        return job


class Parsers(ParserPool):
    def __init__(self, moment: Moment) -> None:
        super().__init__(size=1)
        self._moment = moment

    async def parse(self, *what: Any, **more: Any) -> AsyncGenerator[Batch, None]:
        async for batch in super().parse(*what, **more):
            self._moment.is_now("parsing")
            yield batch


class Versions(VersionStore):
    def __init__(self, database: Database, moment: Moment) -> None:
        super().__init__(database)
        self._moment = moment

    async def add_chunks(self, *what: Any) -> None:
        await super().add_chunks(*what)
        self._moment.is_now("writing rows")


class Files(FileStore):
    def __init__(self, database: Database, moment: Moment) -> None:
        super().__init__(database)
        self._moment = moment

    async def go_live(self, new: NewVersion, lease: Lease, edits: EditPlan = NO_EDITS) -> Replaced:
        self._moment.is_now("before flip")
        replaced = await super().go_live(new, lease, edits)
        self._moment.is_now("after flip")
        return replaced


class Index(EdgeIndex):
    def __init__(self, folder: Path, moment: Moment) -> None:
        super().__init__(folder)
        self._moment = moment

    async def upsert(self, points: Sequence[Point]) -> None:
        await super().upsert(points)
        self._moment.is_now("writing points")

    async def delete(self, kb_id: int, version: str | None = None) -> None:
        self._moment.is_now("removing old points")
        await super().delete(kb_id, version)


async def main(folder: Path, moment: Moment, name: str, content: bytes) -> None:
    database = Database(sqlite_url(folder / "kb.db"), package="kb_service", synchronous="FULL")
    jobs, leases, files = Jobs(database, moment), Leases(database, moment), Files(database, moment)
    versions, parsers = Versions(database, moment), Parsers(moment)
    bytes_on_disk = ContentFolder(folder / "content")
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
    chunks = ChunkStore(database)
    overlays = Overlays(chunks=chunks, versions=versions, indexer=indexer, catalog=catalog)
    await overlays.recover()
    board = Board(jobs)
    worker = Worker(
        jobs=jobs,
        files=files,
        pages=PageStore(database),
        versions=versions,
        content=bytes_on_disk,
        parsers=parsers,
        indexer=indexer,
        placements=PlacementStore(database),
        overlays=overlays,
    )
    team = Team(leases, worker, board, size=1)
    signals = await open_signals(team.drain, redis_url=None, workers=1)
    queue = Queue(jobs, board, signals)
    if not name:
        await Rebuild(PlacementStore(database), queue, collections.embedders).once()
        raise AssertionError(f"it lived: {await board.ended([2], 60)}")
    ingest = Ingest(
        files=files,
        content=bytes_on_disk,
        parsers=parsers,
        indexer=indexer,
        queue=queue,
        upload_max_mb=1,
        patience=60,
    )
    kb = await KnowledgeBaseStore(database).find("kb1")
    assert kb
    upload = Upload(name, len(content), BytesIO(content))
    wishes = Wishes(ChunkOptions(250, 50), Owner("7", "u1"))
    accepted = await ingest.upload(kb, [upload], {}, wishes, override=True)
    raise AssertionError(f"it lived: {await ingest.outcome(accepted)}")


if __name__ == "__main__":
    given_folder, given_moment, given_name, given_content = sys.argv[1:]
    asyncio.run(main(Path(given_folder), Moment(given_moment), given_name, given_content.encode()))
