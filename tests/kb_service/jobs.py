"""Jobs as rows, without a service around them: what tests of the queue share."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from kb_service.entities import ChunkOptions, Content, NewJob, Owner, ParseOptions
from kb_service.store import FileStore, JobStore, KnowledgeBaseStore, LeaseStore, VersionStore
from servicekit.database import Database, sqlite_url


class Clock:
    """A time that passes when a test says so."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


class Stores:
    """All stores over one database, with one knowledge base in it."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self.clock = clock
        self.bases = KnowledgeBaseStore(database)
        self.files, self.jobs = FileStore(database), JobStore(database)
        self.leases = LeaseStore(database, clock=clock)
        self.versions = VersionStore(database)

    async def add(self, *names: str, client: str = "7", content: str | None = None) -> list[int]:
        return await self.jobs.add([new_job(name, client, content) for name in names])

    async def state(self, job_id: int) -> str:
        job = await self.jobs.find(job_id)
        assert job
        return job.state


def new_job(name: str, client: str = "7", content: str | None = None) -> NewJob:
    """An upload when there is content, else an update."""
    return NewJob(
        kb_id=1,
        file_name=name,
        kind="upload" if content else "update",
        options=ChunkOptions(250, 50),
        parsing=ParseOptions(),
        owner=Owner(client, "u1"),
        content=Content(content, 10, 1.0) if content else None,
    )


@asynccontextmanager
async def stores_in(folder: Path) -> AsyncIterator[Stores]:
    """On the migrated database of the fixture `make_settings`."""
    database = Database(sqlite_url(folder / "kb" / "kb.db"), package="kb_service")
    try:
        stores = Stores(database, Clock())
        await stores.bases.add(
            "kb1",
            zh_name="",
            info="",
            vs_type="qdrant",
            embed_model="lexical",
            owner_client="7",
            questions=(),
        )
        yield stores
    finally:
        await database.close()
