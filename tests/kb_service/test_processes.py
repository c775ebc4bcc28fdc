"""Two processes of the service on one database and one Qdrant server: they agree all the time."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from kb_service.catalog import LiveCatalog
from kb_service.embeddings.available import Embedders
from kb_service.following import Follower
from kb_service.library import Library
from kb_service.models import ChangeRow, VersionRow
from kb_service.settings import KbSettings
from kb_service.sharing import TOGETHER
from kb_service.store import ChangeStore, VersionStore
from servicekit.database import Database, sqlite_url
from tests.kb_service.conftest import OWNER, READER, Kb, connected, on_a_socket
from tests.kb_service.jobs import Clock, stores_in
from tests.kb_service.qdrant_server import QdrantServer, qdrant_server
from tests.kb_service.test_chunks import edit
from tests.kb_service.test_signals import free_port, redis

Make = Callable[..., KbSettings]
ROUNDS = 4


@dataclass
class Pair:
    """What is done through the first one is looked at through the second one."""

    first: Kb
    second: Kb
    server: QdrantServer


@pytest.fixture
async def pair(make_settings: Make) -> AsyncIterator[Pair]:
    async with qdrant_server() as server, redis(free_port()) as redis_url:
        settings = make_settings(qdrant_url=server.url, redis_url=redis_url, kb_workers=1)
        async with over_http(settings) as first, over_http(settings) as second:
            yield Pair(first, second, server)


@asynccontextmanager
async def over_http(settings: KbSettings) -> AsyncIterator[Kb]:
    async with (
        on_a_socket(settings) as url,
        httpx.AsyncClient(base_url=url, timeout=60) as client,
    ):
        yield Kb(client)


async def answers(kb: Kb, query: str, who: dict[str, str] = OWNER) -> list[str]:
    body = {"query": query, "knowledge_base_name": "kb1", "score_threshold": 2}
    found = (await kb.post("/knowledge_base/search_docs", body, who)).json()
    return [one["page_content"] for one in found] if isinstance(found, list) else [found["msg"]]


async def test_what_one_has_acknowledged_the_other_one_knows(pair: Pair) -> None:
    first, second = pair.first, pair.second
    await first.create(who=OWNER)
    await second.upload(("a.txt", "年假每年十天。".encode()), who=OWNER)
    assert await answers(first, "年假") == ["年假每年十天。"]
    await first.upload(("a.txt", "年假每年二十天。".encode()), who=OWNER, override="true")
    assert await answers(second, "年假") == ["年假每年二十天。"]
    await edit(first, "年假", "年假每年三十天。")
    assert await answers(second, "年假") == ["年假每年三十天。"]
    await edit(second, "年假", "年假每年四十天。")
    assert await answers(first, "年假") == ["年假每年四十天。"]
    assert await answers(second, "年假", READER) == ["年假每年四十天。"]
    visibility = {"visibility": "clients", "clients": [], "groups": []}
    path = "/admin/knowledge-bases/kb1/visibility"
    assert (await first.http.put(path, json=visibility, headers=OWNER)).status_code == 200
    assert await answers(second, "年假", READER) != ["年假每年四十天。"]
    body = {"knowledge_base_name": "kb1", "file_names": ["a.txt"], "delete_content": True}
    await first.post("/knowledge_base/delete_docs", body, OWNER)
    assert await answers(second, "年假") == []
    await first.post("/knowledge_base/delete_knowledge_base", "kb1", OWNER)
    listed = await second.get("/knowledge_base/list_knowledge_bases")
    assert listed.json()["data"] == []


async def test_a_file_that_changes_is_never_absent_and_never_there_twice(pair: Pair) -> None:
    first, second = pair.first, pair.second
    await first.create(who=OWNER)
    await first.upload(("a.txt", "年假每年 0 天。".encode()), who=OWNER)
    seen: list[list[str]] = []
    done = asyncio.Event()

    async def look(kb: Kb) -> None:
        while not done.is_set():
            seen.append(await answers(kb, "年假"))
            await asyncio.sleep(0.005)

    looking = [asyncio.create_task(look(kb)) for kb in (first, second)]
    for number in range(1, ROUNDS + 1):
        text = f"年假每年 {number} 天。".encode()
        await pair.first.upload(("a.txt", text), who=OWNER, override="true")
    await edit(second, "年假", "年假每年很多天。")
    before = len(seen)
    body = {"knowledge_base_name": "kb1", "file_names": ["a.txt"], "delete_content": True}
    await first.post("/knowledge_base/delete_docs", body, OWNER)
    done.set()
    await asyncio.gather(*looking)
    assert {len(found) for found in seen[:before]} == {1}, "never none, never two"
    wordings = [f"年假每年 {n} 天。" for n in range(ROUNDS + 1)] + ["年假每年很多天。"]
    assert {found[0] for found in seen[:before]} == set(wordings)
    assert all(found in ([], wordings[-1:]) for found in seen[before:])
    assert await answers(first, "年假") == await answers(second, "年假") == []
    # What one of them may still answer with is there until all of them know better.
    collection = Embedders().default.collection
    assert (await pair.server.engine.count(collection)).count > 1


async def test_qdrant_may_start_later_and_be_away(
    make_settings: Make, unused_tcp_port: int
) -> None:
    async with connected(make_settings(qdrant_url=f"http://127.0.0.1:{unused_tcp_port}")) as kb:
        for _ in range(2):
            ready = await kb.get("/readyz")
            assert ready.status_code == 503
            assert "The vector store cannot be reached" in ready.json()["reason"]
            async with qdrant_server(unused_tcp_port):
                assert (await kb.get("/readyz")).status_code == 200


async def test_what_answered_until_just_now_is_kept(make_settings: Make, tmp_path: Path) -> None:
    make_settings()
    async with stores_in(tmp_path) as stores:
        database = Database(sqlite_url(tmp_path / "kb" / "kb.db"), package="kb_service")
        ages = {"retired": (1, 10), "building": (1, 10, 1_000), "live": (1_000,)}
        async with database.transaction() as session:
            for state, seconds in ages.items():
                for age in seconds:
                    since = time.time() - age
                    row = VersionRow(id=f"{state} {age}", kb_id=1, collection="c", state=state)
                    row.state_since = since
                    session.add(row)
        await database.close()
        assert await _leftovers(stores.versions, 0, 0) == {
            *("retired 1", "retired 10", "building 1", "building 10", "building 1000"),
        }
        assert await _leftovers(stores.versions, 5, 600) == {"retired 10", "building 1000"}


async def _leftovers(versions: VersionStore, kept: float, building: float) -> set[str]:
    return {
        version for version, _ in await versions.leftovers(kept_for=kept, building_for=building)
    }


async def test_changes_are_read_whatever_order_they_are_committed_in(
    make_settings: Make, tmp_path: Path
) -> None:
    make_settings()
    database, clock = (
        Database(sqlite_url(tmp_path / "kb" / "kb.db"), package="kb_service"),
        Clock(),
    )

    async def commit(number: int, kb_id: int) -> None:
        async with database.transaction() as session:
            session.add(ChangeRow(id=number, kb_id=kb_id))

    await commit(7, 1)
    changes = ChangeStore(database, clock=clock)
    await changes.begin()
    assert await changes.news() == set()
    await commit(5, 2)  # its transaction began before the other one's
    assert await changes.news() == {2}
    await commit(10, 3)
    assert await changes.news() == {3}
    await commit(9, 4)
    await commit(8, 5)
    assert await changes.news() == {4, 5}
    await commit(20, 6)
    assert await changes.news() == {6}
    clock.now += 61  # what is not there by now was rolled back
    assert await changes.news() == set()
    await commit(15, 7)
    assert await changes.news() == set()
    clock.now += 3_000  # asleep for so long that changes may have been trimmed
    assert await changes.news() is None
    await database.close()


class FailingLibrary(Library):
    """Of three knowledge bases that are read again while nothing is broken."""

    def __init__(self) -> None:
        self.broken, self.read = True, list[int]()

    async def ids(self) -> set[int]:
        if self.broken:
            raise OSError("the database is away")
        return {1, 2, 3}

    async def read_again(self, kb_id: int) -> bool:
        if self.broken:
            raise OSError("the database is away")
        self.read.append(kb_id)
        return False


async def test_what_could_not_be_caught_up_with_is_tried_again(
    make_settings: Make, tmp_path: Path
) -> None:
    make_settings()
    database, clock = (
        Database(sqlite_url(tmp_path / "kb" / "kb.db"), package="kb_service"),
        Clock(),
    )
    library = FailingLibrary()
    follower = Follower(ChangeStore(database, clock=clock), LiveCatalog(), library, TOGETHER)
    await follower.begin()
    async with database.transaction() as session:
        session.add_all([ChangeRow(kb_id=1), ChangeRow(kb_id=2)])
    for asleep, expected in ((0, [1, 2]), (3_000, [1, 2, 3])):
        clock.now += asleep
        library.broken, library.read = True, []
        for _ in range(2):
            with pytest.raises(OSError, match="away"):
                await follower.once()
        library.broken = False
        await follower.once()
        await follower.once()
        assert sorted(library.read) == expected
    await database.close()
