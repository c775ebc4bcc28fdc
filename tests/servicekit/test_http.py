"""Calls to another service: what they carry, and what every failure becomes."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, NoReturn

import aiohttp
import httpx
import pytest
from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from servicekit.errors import Unavailable, UpstreamError
from servicekit.http import REQUEST_ID_HEADER, ServiceClient, open_session, outside_client
from servicekit.logs import request_id
from tests.servicekit.conftest import Serve
from tests.stack import free_ports

TEXT = [(b"content-type", b"text/plain")]


class Till:
    """Another service, which answers `/<status>` with that status and what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[dict[str, str], bytes]] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        request = Request(scope, receive)
        self.asked.append((dict(request.headers), await request.body()))
        what = scope["path"].strip("/")
        if what == "hang":
            await asyncio.sleep(60)
        status = int(what) if what.isdigit() else 200
        body = {"cut": b'{"a":', "text": b"<html>", "empty": b""}.get(
            what, b'{"total": "\xe4\xb8\x89"}'
        )
        length = len(body) + (5 if what == "cut" else 0)
        headers = [*TEXT, (b"content-length", str(length).encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body, "more_body": what == "cut"})


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with open_session() as opened:
        yield opened


@pytest.fixture
def till() -> Till:
    return Till()


@pytest.fixture
async def client(serve: Serve, till: Till, session: aiohttp.ClientSession) -> ServiceClient:
    return ServiceClient(session, f"{await serve(till)}/", name="till_service")


async def test_a_call_carries_body_headers_and_the_request_id(
    client: ServiceClient, till: Till
) -> None:
    token = request_id.set("request-12345")
    try:
        answer = await client.call("POST", "/200", body={"名": 1}, headers={"X-More": "yes"})
    finally:
        request_id.reset(token)

    assert answer == (200, {"total": "三"})
    headers, body = till.asked[0]
    assert body == '{"名":1}'.encode()
    assert headers["content-type"] == "application/json"
    assert headers["x-more"] == "yes"
    assert headers[REQUEST_ID_HEADER.lower()] == "request-12345"


@pytest.mark.parametrize("status", [201, 401, 403, 404, 409, 422, 429])
async def test_answers_below_500_are_the_caller_s_to_judge(
    client: ServiceClient, status: int
) -> None:
    assert await client.call("GET", f"/{status}") == (status, {"total": "三"})


async def test_an_empty_body_is_none(client: ServiceClient) -> None:
    assert await client.call("GET", "/empty") == (200, None)


@pytest.mark.parametrize("what", ["500", "502", "504", "text"])
async def test_a_failure_over_there_is_an_upstream_error(client: ServiceClient, what: str) -> None:
    with pytest.raises(UpstreamError, match="till_service failed"):
        await client.call("GET", f"/{what}")


async def test_503_means_not_available(client: ServiceClient) -> None:
    with pytest.raises(Unavailable, match="till_service"):
        await client.call("GET", "/503")


async def test_a_cut_answer_means_not_available(client: ServiceClient) -> None:
    with pytest.raises(Unavailable):
        await client.call("GET", "/cut", timeout=5)


class _NoWayThere(aiohttp.BaseConnector):
    """A network that swallows every attempt to connect."""

    async def _create_connection(self, *_: Any) -> NoReturn:
        raise aiohttp.ConnectionTimeoutError


async def test_no_way_there_means_not_available() -> None:
    async with aiohttp.ClientSession(connector=_NoWayThere()) as session:
        client = ServiceClient(session, "http://192.0.2.1", name="till_service")
        with pytest.raises(Unavailable, match="till_service"):
            await client.call("GET", "/200")


async def test_too_slow_means_not_available(client: ServiceClient) -> None:
    with pytest.raises(Unavailable, match="in time") as raised:
        await client.call("GET", "/hang", timeout=0.2)
    assert raised.value.retry_after == 2


async def test_nobody_there_means_not_available(session: aiohttp.ClientSession) -> None:
    (port,) = free_ports(1)
    client = ServiceClient(session, f"http://127.0.0.1:{port}", name="till_service")

    with pytest.raises(Unavailable) as failed:
        await client.call("GET", "/")
    assert failed.value.headers == {"Retry-After": "2"}


async def test_cookies_of_one_call_never_reach_another(
    serve: Serve, session: aiohttp.ClientSession
) -> None:
    seen: list[bytes | None] = []

    async def baker(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            seen.append(dict(scope["headers"]).get(b"cookie"))
            headers = [(b"set-cookie", b"who=anna"), (b"content-length", b"2")]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": b"{}"})

    client = ServiceClient(session, await serve(baker), name="baker")
    await client.call("GET", "/")
    await client.call("GET", "/")

    assert seen == [None, None]


async def test_the_outside_client_follows_no_redirect(serve: Serve) -> None:
    async def moved(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            headers = [(b"location", b"http://127.0.0.1/secret"), (b"content-length", b"0")]
            await send({"type": "http.response.start", "status": 302, "headers": headers})
            await send({"type": "http.response.body", "body": b""})

    async with outside_client() as client:
        answer = await client.get(await serve(moved))

    assert answer.status_code == 302
    assert client.timeout == httpx.Timeout(30, connect=5)
