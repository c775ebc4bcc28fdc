"""From the embedded vector store to a Qdrant server: the vectors themselves, none computed anew.

The rows say what is to be there. A file version that is complete on the server is not sent again,
so that an interrupted migration goes on where it stopped.
"""

from collections import defaultdict
from contextlib import AsyncExitStack
from pathlib import Path

from kb_service.app import server_options
from kb_service.commands.progress import Progress
from kb_service.commands.remote import CommandFault
from kb_service.entities import LiveVersion
from kb_service.settings import KbSettings
from kb_service.store import VersionStore
from kb_service.vectors import CollectionMismatch, StoreInUse, VectorIndex, open_index
from kb_service.vectors.edge import EdgeIndex
from servicekit.database import Database, sqlite_url
from servicekit.errors import ServiceError

_BATCH = 500


async def migrate(settings: KbSettings, url: str) -> int:
    """The exit code: 1 when the numbers differ. Raises CommandFault."""
    try:
        return await _migrate(settings, url)
    except StoreInUse:
        raise CommandFault(
            "服务正在运行，请先停止 kb_service。The service is running: stop kb_service first."
        ) from None
    except (CollectionMismatch, ServiceError) as error:
        raise CommandFault(str(error)) from None


async def _migrate(settings: KbSettings, url: str) -> int:
    database_url = settings.kb_database_url or sqlite_url(settings.folder / "kb.db")
    differing = 0
    async with AsyncExitStack() as stack:
        database = Database(database_url, package="kb_service")
        stack.push_async_callback(database.close)
        versions = VersionStore(database)
        of_collection = defaultdict[str, list[LiveVersion]](list)
        for live in await versions.live():
            of_collection[live.collection].append(live)
        for name, wanted in sorted(of_collection.items()):
            size = await versions.dense_size(name)
            source = EdgeIndex(_existing(settings.folder / "qdrant" / name))
            stack.push_async_callback(source.close)
            await source.ensure(size)
            target = _server(settings, url, name)
            stack.push_async_callback(target.close)
            await target.ensure(size)
            await target.ping()
            differing += await _copy_all(name, wanted, source, target)
    print(
        "数目不一致，请重新运行。Numbers differ: run it again."
        if differing
        else f"完成：请设置 QDRANT_URL 后启动。Done: set QDRANT_URL={url} and start the service."
    )
    return 1 if differing else 0


async def _copy_all(
    name: str, wanted: list[LiveVersion], source: EdgeIndex, target: VectorIndex
) -> int:
    """How many knowledge bases have other numbers of vectors afterwards than before."""
    expected = defaultdict[int, int](int)
    with Progress(sum(live.chunks for live in wanted), name) as progress:
        for kb_id in sorted({live.kb_id for live in wanted}):
            mine = [live for live in wanted if live.kb_id == kb_id]
            for live in mine:
                expected[kb_id] += await _copy(live, source, target)
                progress.advance(live.chunks)
            if await target.count(kb_id) != expected[kb_id]:  # of an earlier migration
                await target.delete(kb_id)
                for live in mine:
                    await _copy(live, source, target)
    found = {kb_id: await target.count(kb_id) for kb_id in expected}
    for kb_id, number in sorted(expected.items()):
        print(f"{name}: {kb_id}: {found[kb_id]} / {number}")
    return sum(found[kb_id] != number for kb_id, number in expected.items())


async def _copy(live: LiveVersion, source: EdgeIndex, target: VectorIndex) -> int:
    """The number of its vectors."""
    number = await source.count(live.kb_id, live.id)
    there = await target.count(live.kb_id, live.id)
    if there > number:
        raise CommandFault(
            "服务器上的数据比本机的新，未作改动。"
            "The server has vectors that the embedded store has not: it is the newer one."
        )
    if there < number:
        async for points in source.pages(live.kb_id, live.id, _BATCH):
            await target.upsert(points)
    return number


def _existing(folder: Path) -> Path:
    if not folder.is_dir():
        raise CommandFault(f"没有向量库 {folder}。There is no vector store.")
    return folder


def _server(settings: KbSettings, url: str, name: str) -> VectorIndex:
    return open_index(
        url=url,
        api_key=settings.qdrant_api_key.get_secret_value() or None,
        folder=settings.folder,
        collection=name,
        options=server_options(settings),
    )
