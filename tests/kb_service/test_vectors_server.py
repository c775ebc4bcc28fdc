"""A Qdrant server: collections as the settings say, patience while it is away, errors of ours."""

import inspect
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from kb_service.vectors import (
    CollectionMismatch,
    Point,
    ServerOptions,
    SparseVector,
    VectorIndex,
    open_index,
)
from kb_service.vectors.patience import Patience
from kb_service.vectors.server import QdrantIndex, connect
from servicekit.errors import Unavailable, UpstreamError
from tests.kb_service.qdrant_server import QdrantServer, qdrant_server

ONE_TERM = SparseVector([1], [1.0])
QUICK = Patience(reading=0.2, writing=0.2)
TUNED = ServerOptions(
    payload_m=32,
    ef_construct=200,
    quantization="scalar",
    on_disk=True,
    shard_number=4,
    replication_factor=2,
    write_consistency_factor=2,
)


@pytest.fixture
async def server() -> AsyncIterator[QdrantServer]:
    async with qdrant_server() as running:
        yield running


def index_on(url: str, options: ServerOptions | None = None) -> QdrantIndex:
    return QdrantIndex(connect(url, None), "c", options, QUICK)


def a_point(kb_id: int = 1) -> Point:
    return Point(str(uuid.UUID(int=kb_id)), kb_id, "v", ONE_TERM, None, {"content": "x"})


async def test_a_server_that_is_away_is_unavailable(unused_tcp_port: int) -> None:
    index = index_on(f"http://127.0.0.1:{unused_tcp_port}")
    await index.ensure(None)  # no reason not to start
    with pytest.raises(Unavailable):
        await index.ping()
    with pytest.raises(Unavailable):
        await index.query(1, ONE_TERM, None, 5)
    await index.close()


async def test_a_server_that_comes_later_is_opened_then(unused_tcp_port: int) -> None:
    index = index_on(f"http://127.0.0.1:{unused_tcp_port}")
    await index.ensure(None)
    async with qdrant_server(unused_tcp_port) as server:
        await index.ping()
        await index.upsert([a_point()])
        assert await index.count(1) == 1
        assert server.asked.count("PUT /collections/c") == 1
    await index.close()


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_what_passes_is_tried_again(server: QdrantServer, status: int) -> None:
    index = index_on(server.url)
    await index.ensure(None)
    server.answer_with = [status]
    await index.upsert([a_point()])
    server.answer_with = [status]
    assert len(await index.query(1, ONE_TERM, None, 5)) == 1
    server.answer_with = [status]
    assert await index.count(1) == 1
    await index.close()


async def test_what_does_not_pass_is_our_error(server: QdrantServer) -> None:
    index = index_on(server.url)
    await index.ensure(None)
    server.answer_with, server.asked = [400], []
    with pytest.raises(UpstreamError, match="400"):
        await index.count(1)
    assert len(server.asked) == 1
    server.answer_with = [500] * 99
    with pytest.raises(UpstreamError, match="500"):
        await index.count(1)
    server.answer_with = [503] * 99
    with pytest.raises(Unavailable):
        await index.ping()
    await index.close()


async def test_an_old_server_is_refused_because_it_ignores_the_idf_corpus(
    server: QdrantServer,
) -> None:
    server.version = "1.18.4"
    index = index_on(server.url)
    with pytest.raises(CollectionMismatch, match=r"1\.18\.4 is too old"):
        await index.ensure(None)
    await index.close()


async def test_a_collection_is_made_as_the_settings_say(server: QdrantServer) -> None:
    index = index_on(server.url, TUNED)
    await index.ensure(3)
    assert server.settings["c"]["params"] == {
        "shard_number": 4,
        "replication_factor": 2,
        "write_consistency_factor": 2,
    }
    dense = (await server.engine.get_collection("c")).config.params.vectors
    assert isinstance(dense, dict)
    assert dense["dense"].on_disk
    assert server.settings["c"]["hnsw_config"] == {
        "m": 0,
        "payload_m": 32,
        "ef_construct": 200,
        "on_disk": True,
    }
    assert server.settings["c"]["quantization_config"]["scalar"]["type"] == "int8"
    assert server.indexes["c"]["kb_id"] == {"type": "keyword", "is_tenant": True}
    assert {key: kind for key, kind in server.indexes["c"].items() if key != "kb_id"} == {
        "version": "keyword",
        "file_name": "keyword",
        "tags": "keyword",
        "uploaded": "float",
        "metadata.page": "integer",
    }
    await index.close()


async def test_a_collection_follows_the_settings(
    server: QdrantServer, caplog: pytest.LogCaptureFixture
) -> None:
    for options in (ServerOptions(), ServerOptions()):
        await (first := index_on(server.url, options)).ensure(3)
        await first.close()
    assert server.changes == []
    assert server.asked.count("PUT /collections/c/index") == 6
    await (second := index_on(server.url, TUNED)).ensure(3)
    (changed,) = server.changes
    assert changed["hnsw_config"]["payload_m"] == 32
    assert changed["quantization_config"]["scalar"]["always_ram"]
    assert changed["params"] == {"replication_factor": 2, "write_consistency_factor": 2}
    assert changed["vectors"] == {"dense": {"on_disk": True}}
    assert "QDRANT_SHARD_NUMBER counts for new collections alone" in caplog.text
    await (third := index_on(server.url)).ensure(3)
    assert server.changes[1]["quantization_config"] == "Disabled"
    for index in (second, third):
        await index.close()


@pytest.mark.filterwarnings("ignore:Api key is used with an insecure connection")
async def test_the_api_key_goes_with_the_requests(server: QdrantServer) -> None:
    folder = Path("never-made")
    index = open_index(url=server.url, api_key="k1", folder=folder, collection="c")
    await index.ping()
    assert server.api_key == "k1"
    await index.close()


def test_no_method_is_about_all_knowledge_bases() -> None:
    """Of each the first argument is the one that it is about, or points that name theirs."""
    about_none = {"ensure", "ping", "flush", "close"}
    methods = {name: method for name, method in vars(VectorIndex).items() if name[0] != "_"}
    for name in methods.keys() - about_none:
        _, first, *_ = inspect.signature(methods[name]).parameters.values()
        assert first.default is inspect.Parameter.empty, name
        assert first.name == "kb_id" or (name, first.name) == ("upsert", "points"), name


async def test_the_server_is_asked_about_one_knowledge_base_at_a_time(
    server: QdrantServer,
) -> None:
    """A filter that names none would see all of them."""
    index = index_on(server.url)
    await index.ensure(3)
    await index.upsert([Point("1" * 32, 7, "v", ONE_TERM, [1.0, 0, 0], {})])
    server.bodies.clear()
    await index.query(7, ONE_TERM, [1.0, 0, 0], 5)
    await index.query(7, ONE_TERM, None, 5)
    await index.count(7)
    await index.relabel(7, "v", {"tags": ["a"]})
    await index.remove(7, ["1" * 32])
    await index.delete(7)
    assert len(server.bodies) == 7
    for body in server.bodies:
        filters = [
            body.get("filter"),
            *(part["filter"] for part in body.get("prefetch", [])),
            (body.get("params") or {}).get("idf", {}).get("corpus"),
        ]
        named = [one["must"][0] for one in filters if one]
        assert named, body
        assert all((one["key"], one["match"]) == ("kb_id", {"value": "7"}) for one in named)
    await index.close()
