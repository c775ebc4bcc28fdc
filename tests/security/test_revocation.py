"""Rotation, revocation and disabling, end to end: what an operator takes back ends within 30 s."""

import asyncio
import json
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass

import httpx

from tests.fakes.vendor import VendorServer, tokens
from tests.stack import Client, Stack
from tests.tokens import mint_token

_WORDS = tuple(f"词{number} " for number in range(400))
_PACE = 0.2  # so that a stream would last 80 s
_LIMIT = 30


@dataclass(frozen=True, slots=True)
class Stream:
    """An answer that is still being given, by the credential that asked for it."""

    name: str
    headers: dict[str, str]
    session_id: str
    take_back: Callable[[], httpx.Response]


async def test_streams_end_when_their_right_is_taken_back(
    start_stack: Callable[..., Stack],
) -> None:
    async with VendorServer() as vendor:
        vendor.default = tokens(_WORDS, pace=_PACE)
        stack = await asyncio.to_thread(start_stack, CUSTOM_API_BASE_URL=vendor.base_url)
        streams = await asyncio.to_thread(_streams, stack)
        kept = _stream("nothing is taken back", _bearer(stack.admin_key))
        async with httpx.AsyncClient(base_url=stack.url, timeout=_LIMIT) as client:
            begun = [asyncio.Event() for _ in streams]
            async with asyncio.TaskGroup() as tasks:
                followed = [
                    tasks.create_task(_follow(client, stream, event))
                    for stream, event in zip(streams, begun, strict=True)
                ]
                kept_begun = asyncio.Event()
                going_on = tasks.create_task(_follow(client, kept, kept_begun))
                for event in (*begun, kept_begun):
                    await event.wait()
                for stream in streams:
                    answer = await asyncio.to_thread(stream.take_back)
                    assert answer.is_success, (stream.name, answer.text)
                taken_back = time.monotonic()
                for stream, task in zip(streams, followed, strict=True):
                    ended, _ = await task
                    assert ended - taken_back < _LIMIT, stream.name
                assert not going_on.done()
                going_on.cancel()
            for stream in streams:
                refused = await client.post(
                    "/chat/chat", json=_body(stream), headers=stream.headers
                )
                assert refused.status_code == 401, stream.name


def _bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def _operate(stack: Stack, method: str, path: str, body: object) -> httpx.Response:
    return httpx.request(
        method, stack.url + path, json=body, headers=_bearer(stack.admin_key), timeout=30
    )


def _streams(stack: Stack) -> list[Stream]:
    of_client, of_user = stack.add_client("disabled"), stack.add_client("its users")
    key = _operate(
        stack,
        "POST",
        "/admin/api-keys",
        {"name": "key", "scopes": ["chat"], "client_id": int(of_user.id)},
    ).json()
    session = _session(stack, of_user, "leaves")
    revoked = _session(stack, of_user, "revoked")
    by_cookie = {
        "Cookie": f"chat2llm_session={_session(stack, of_user, 'in the browser')}",
        "Sec-Fetch-Site": "same-origin",
    }
    no = {"enable": False}
    return [
        _stream(
            "a disabled client's token",
            {"Api-Token": _token(of_client, "li")},
            lambda: _operate(stack, "PATCH", f"/admin/clients/{of_client.id}", no),
        ),
        _stream(
            "a disabled user's token",
            {"Api-Token": _token(of_user, "li")},
            lambda: _operate(stack, "PATCH", f"/admin/users/{of_user.id}/li", no),
        ),
        _stream(
            "a disabled user's cookie",
            by_cookie,
            lambda: _operate(stack, "PATCH", f"/admin/users/{of_user.id}/in%20the%20browser", no),
        ),
        _stream(
            "a disabled key",
            _bearer(key["key"]),
            lambda: _operate(stack, "PATCH", f"/admin/api-keys/{key['api_key']['key_id']}", no),
        ),
        _stream(
            "a session that logs out",
            {"Api-Token": session},
            lambda: httpx.post(f"{stack.url}/auth/logout", headers={"Api-Token": session}),
        ),
        _stream(
            "a revoked user's session",
            {"Api-Token": revoked},
            lambda: _operate(
                stack,
                "POST",
                "/admin/users/revoke",
                {"client_id": int(of_user.id), "user_id": "revoked"},
            ),
        ),
    ]


async def _follow(
    client: httpx.AsyncClient, stream: Stream, begun: asyncio.Event
) -> tuple[float, str]:
    """When the stream ended, however it did, and what it had said."""
    said = ""
    try:
        async with client.stream(
            "POST", "/chat/chat", json=_body(stream), headers=stream.headers
        ) as answer:
            assert answer.status_code == 200, (stream.name, await answer.aread())
            async for chunk in answer.aiter_raw():
                said += json.loads(chunk)["text"]
                begun.set()
    except httpx.RemoteProtocolError:
        pass  # cut: the answer is not complete, and a client can tell
    else:
        assert said.count("词") < len(_WORDS), stream.name
    return time.monotonic(), said


def _body(stream: Stream) -> dict[str, object]:
    return {"session_id": stream.session_id, "query": "数一数", "stream": True}


def _stream(
    name: str, headers: dict[str, str], take_back: Callable[[], httpx.Response] | None = None
) -> Stream:
    return Stream(name, headers, uuid.uuid4().hex, take_back or (lambda: httpx.Response(200)))


def _session(stack: Stack, client: Client, user_id: str) -> str:
    answer = httpx.post(f"{stack.url}/auth/exchange", json={"token": _token(client, user_id)})
    return str(answer.json()["session_token"])


def _token(client: Client, user_id: str) -> str:
    return mint_token(client_id=client.id, public_key=client.public_key, user_id=user_id)
