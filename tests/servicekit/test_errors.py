"""Every error of the tree, as each of the two surfaces shows it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from fastapi import APIRouter, FastAPI
from pydantic import BaseModel, Field

from servicekit import errors
from servicekit.app import build_app
from tests.servicekit.conftest import ClientOf

KINDS: dict[str, tuple[type[errors.ServiceError], int]] = {
    "internal_error": (errors.ServiceError, 500),
    "unauthorized": (errors.Unauthorized, 401),
    "forbidden": (errors.Forbidden, 403),
    "refused": (errors.Refused, 403),
    "not_found": (errors.NotFound, 404),
    "conflict": (errors.Conflict, 409),
    "invalid": (errors.Invalid, 422),
    "too_many_requests": (errors.TooManyRequests, 429),
    "upstream_error": (errors.UpstreamError, 502),
    "unavailable": (errors.Unavailable, 503),
}
ALWAYS_TRUE = {"unauthorized", "forbidden", "too_many_requests", "unavailable"}
SENTENCE = "Nothing there. 没有找到"


class Order(BaseModel):
    count: int = Field(ge=1)
    word: str = ""
    stock: dict[str, int] = {}


def _app() -> FastAPI:
    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield

    app = build_app(title="shop", lifespan=lifespan)
    old = APIRouter(prefix="/old", route_class=errors.EnvelopeRoute)
    new = APIRouter(prefix="/new")
    for router in (old, new):

        @router.get("/raise/{code}")
        async def raise_error(code: str) -> None:
            kind, _ = KINDS[code]
            raise kind(SENTENCE, data=["left"], retry_after=7)

        @router.post("/order")
        async def order(order: Order) -> Order:
            return order

        @router.get("/crash")
        async def crash() -> None:
            raise RuntimeError("the cause, for the log only")

        @router.get("/surrogate")
        async def surrogate() -> None:
            raise errors.NotFound("half \ud83d a character")

    app.include_router(old)
    app.include_router(new)
    return app


@pytest.fixture
async def client(client_of: ClientOf) -> httpx.AsyncClient:
    return await client_of(_app())


@pytest.mark.parametrize("code", KINDS)
async def test_new_surface_shows_problem_details(client: httpx.AsyncClient, code: str) -> None:
    answer = await client.get(f"/new/raise/{code}", headers={"X-Request-ID": "request-12345"})

    assert answer.status_code == KINDS[code][1]
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["retry-after"] == "7"
    assert answer.json() == {
        "type": "about:blank",
        "title": code,
        "status": KINDS[code][1],
        "detail": SENTENCE,
        "code": code,
        "request_id": "request-12345",
    }


@pytest.mark.parametrize("code", KINDS)
async def test_old_surface_shows_an_envelope_or_a_true_status(
    client: httpx.AsyncClient, code: str
) -> None:
    answer = await client.get(f"/old/raise/{code}")

    if code in ALWAYS_TRUE:
        assert answer.status_code == KINDS[code][1]
        assert answer.json() == {"detail": SENTENCE}
        assert answer.headers["retry-after"] == "7"
    else:
        assert answer.status_code == 200
        assert answer.json() == {"code": KINDS[code][1], "msg": SENTENCE, "data": ["left"]}


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"count": 0}, {"loc": ["body", "count"], "type": "greater_than_equal"}),
        ({}, {"loc": ["body", "count"], "type": "missing"}),
        ({"count": 1, "word": 5}, {"loc": ["body", "word"], "type": "string_type"}),
    ],
)
async def test_validation_errors_have_the_same_items_on_both_surfaces(
    client: httpx.AsyncClient, body: Any, expected: dict[str, Any]
) -> None:
    old = await client.post("/old/order", json=body)
    new = await client.post("/new/order", json=body)

    assert (old.status_code, new.status_code) == (422, 422)
    assert old.json().keys() == {"detail"}
    assert old.json()["detail"] == new.json()["errors"]
    item = old.json()["detail"][0]
    assert item.keys() == {"loc", "msg", "type"}
    assert item | expected == item


async def test_bad_json_keeps_the_contract_s_shape(client: httpx.AsyncClient) -> None:
    answer = await client.post(
        "/old/order", content=b"{", headers={"Content-Type": "application/json"}
    )

    assert answer.status_code == 422
    item = answer.json()["detail"][0]
    assert (item["type"], item["msg"], item["input"]) == ("json_invalid", "JSON decode error", {})
    assert item["ctx"]["error"]


async def test_the_input_is_never_echoed(client: httpx.AsyncClient) -> None:
    answer = await client.post("/new/order", json={"count": "a-secret-value"})

    assert answer.status_code == 422
    assert "a-secret-value" not in answer.text


@pytest.mark.parametrize("surface", ["old", "new"])
async def test_a_crash_is_a_500_that_tells_nothing_but_the_request(
    client: httpx.AsyncClient, surface: str
) -> None:
    answer = await client.get(f"/{surface}/crash", headers={"X-Request-ID": "request-12345"})

    assert answer.status_code == 500
    assert answer.json()["code"] == "internal_error"
    assert answer.json()["request_id"] == "request-12345"
    assert "the cause" not in answer.text


async def test_an_unknown_path_answers_as_the_contract_says(client: httpx.AsyncClient) -> None:
    answer = await client.get("/nowhere")

    assert (answer.status_code, answer.json()) == (404, {"detail": "Not Found"})


@pytest.mark.parametrize("surface", ["old", "new"])
async def test_lone_surrogates_do_not_break_the_answer(
    client: httpx.AsyncClient, surface: str
) -> None:
    answer = await client.get(f"/{surface}/surrogate")

    assert answer.status_code == (200 if surface == "old" else 404)
    assert "half ? a character" in answer.text


@pytest.mark.parametrize("surface", ["old", "new"])
async def test_lone_surrogates_in_a_key_do_not_break_the_answer(
    client: httpx.AsyncClient, surface: str
) -> None:
    answer = await client.post(
        f"/{surface}/order",
        content=rb'{"count": 1, "stock": {"\ud83d": "many"}}',
        headers={"Content-Type": "application/json"},
    )

    assert answer.status_code == 422
