"""A Qdrant server as far as we use one: its REST API over the client's own engine in memory.

What that engine leaves out, such as the settings of collections, is kept here as a server would.
"""

import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from pydantic import BaseModel
from qdrant_client import AsyncQdrantClient, models

_KEPT = ("hnsw_config", "quantization_config")
_PARAMS = ("shard_number", "replication_factor", "write_consistency_factor")


@dataclass
class QdrantServer:
    """`answer_with` statuses and it does nothing but that; `asked` and `bodies` are what came."""

    engine: AsyncQdrantClient = field(default_factory=lambda: AsyncQdrantClient(":memory:"))
    url: str = ""
    version: str = "1.19.1"
    answer_with: list[int] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    bodies: list[dict[str, Any]] = field(default_factory=list)
    api_key: str | None = None
    settings: dict[str, dict[str, Any]] = field(default_factory=dict)
    indexes: dict[str, dict[str, Any]] = field(default_factory=dict)
    changes: list[dict[str, Any]] = field(default_factory=list)

    async def handle(self, request: web.BaseRequest) -> web.Response:
        self.asked.append(f"{request.method} {request.path}")
        self.api_key = request.headers.get("api-key")
        if self.answer_with:
            return web.json_response({"status": {"error": "no"}}, status=self.answer_with.pop(0))
        if request.path == "/":
            return web.json_response({"title": "qdrant", "version": self.version})
        _, _, collection, *rest = request.path.split("/")
        body = await request.json() if request.can_read_body else {}
        self.bodies.append(body)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what the engine in memory does not do
            result = await self._result(request.method, collection, "/".join(rest), body)
        return web.json_response({"result": _plain(result), "status": "ok", "time": 0})

    async def _result(self, method: str, name: str, what: str, body: dict[str, Any]) -> Any:
        match method, what:
            case "GET", "exists":
                return {"exists": await self.engine.collection_exists(name)}
            case "GET", "":
                return await self._described(name)
            case "PUT", "":
                return await self._create(name, models.CreateCollection(**body))
            case "PATCH", "":
                return self._change(name, body)
            case "DELETE", "":
                return await self.engine.delete_collection(name)
            case "PUT", "index":
                self.indexes.setdefault(name, {})[body["field_name"]] = body["field_schema"]
                return _DONE
        return await self._points(name, what, body)

    async def _points(self, name: str, what: str, body: dict[str, Any]) -> Any:
        match what:
            case "points":
                points = models.PointsList(**body).points
                return await self.engine.upsert(name, points)
            case "points/delete":
                return await self.engine.delete(name, models.FilterSelector(**body))
            case "points/payload":
                chosen = models.FilterSelector(filter=body["filter"])
                return await self.engine.set_payload(name, body["payload"], chosen)
            case "points/count":
                asked = models.CountRequest(**body)
                return await self.engine.count(name, asked.filter, exact=True)
            case "points/scroll":
                return await self._scroll(name, models.ScrollRequest(**body))
            case "points/query":
                return await self._query(name, models.QueryRequest(**body))
        raise NotImplementedError(what)

    async def _create(self, name: str, asked: models.CreateCollection) -> bool:
        values = asked.model_dump(exclude_none=True)
        self.settings[name] = {key: values[key] for key in _KEPT if key in values}
        self.settings[name]["params"] = {key: values[key] for key in _PARAMS if key in values}
        return await self.engine.create_collection(
            name, vectors_config=asked.vectors, sparse_vectors_config=asked.sparse_vectors
        )

    def _change(self, name: str, body: dict[str, Any]) -> bool:
        self.changes.append(body)
        self.settings[name] |= {key: body[key] for key in _KEPT if key in body}
        self.settings[name]["params"] |= body.get("params", {})
        return True

    async def _described(self, name: str) -> dict[str, Any]:
        plain: dict[str, Any] = _plain(await self.engine.get_collection(name))
        kept = self.settings.get(name, {})
        plain["config"]["hnsw_config"] |= kept.get("hnsw_config", {})
        quantization = kept.get("quantization_config")
        plain["config"]["quantization_config"] = (
            None if quantization == "Disabled" else quantization
        )
        plain["config"]["params"] |= kept.get("params", {})
        plain["payload_schema"] = {
            key: {"data_type": "keyword", "points": 0} for key in self.indexes.get(name, {})
        }
        return plain

    async def _scroll(self, name: str, asked: models.ScrollRequest) -> Any:
        records, following = await self.engine.scroll(
            name,
            scroll_filter=asked.filter,
            limit=asked.limit or 10,
            offset=asked.offset,
            with_payload=asked.with_payload or False,
            with_vectors=asked.with_vector or False,
        )
        return {"points": _plain(records), "next_page_offset": following}

    async def _query(self, name: str, asked: models.QueryRequest) -> Any:
        return await self.engine.query_points(
            name,
            query=asked.query,
            using=asked.using,
            prefetch=asked.prefetch,
            query_filter=asked.filter,
            search_params=asked.params,
            limit=asked.limit or 10,
            with_payload=asked.with_payload or False,
        )


_DONE = {"operation_id": 0, "status": "completed"}


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", exclude_none=True)
    return [_plain(one) for one in value] if isinstance(value, list) else value


@asynccontextmanager
async def qdrant_server(port: int = 0) -> AsyncIterator[QdrantServer]:
    server = QdrantServer()
    runner = web.ServerRunner(web.Server(server.handle))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    host, bound = runner.addresses[0][:2]
    server.url = f"http://{host}:{bound}"
    try:
        yield server
    finally:
        await runner.cleanup()
        await server.engine.close()
