"""A vendor that fails in every way, and every mode of chat, behind the five real processes."""

import httpx

from tests.chat_service.conftest import parse_read, until
from tests.e2e.conftest import Scripted
from tests.e2e.modes import check_unstored_modes
from tests.fakes.vendor import (
    END,
    VendorServer,
    chunks,
    cut_before_headers,
    data,
    event,
    hang,
    status,
    tokens,
)

TWO = [event("一"), event("二")]
FAILURES = {
    "401": status(401),
    "429 for long": status(429, Retry_After="120"),
    "500": status(500),
    "hang": hang(),
    "hang after tokens": hang(TWO),
    "error after tokens": chunks([*TWO, data({"error": {"message": "x"}})]),
    "empty stream": chunks(END),
    "cut connection": chunks(TWO, pace=0.1, cut=True),
    "cut before headers": cut_before_headers,
    "malformed chunk": chunks([*TWO, b"data: {\n\n"]),
    "no choices": chunks([data({"error_code": 50001, "text": "x"})]),
}


async def test_every_failure_is_a_sentence_and_stored(scripted: Scripted) -> None:
    client, vendor = scripted.client, scripted.vendor
    for number, (case, behaviour) in enumerate(FAILURES.items()):
        vendor.default = behaviour
        said = await _said(client, session=f"{number:032}")
        assert said, case
        assert "一二" in said or not case.endswith(("tokens", "chunk", "connection")), case
        assert await _stored(client, session=f"{number:032}") == said, case
        vendor.default = tokens(["好"])  # closes the circuit again
        assert await _said(client, session="f" * 32) == "好", case
    await _leave(client, vendor)


async def test_modes_that_nobody_stores(scripted: Scripted) -> None:
    await check_unstored_modes(scripted.client, scripted.vendor, scripted.internet)


async def _leave(client: httpx.AsyncClient, vendor: VendorServer) -> None:
    vendor.default = hang(TWO)
    asked = {"query": "q", "session_id": "d" * 32, "stream": True, "history": []}
    async with client.stream("POST", "/chat/chat", json=asked) as answer:
        await anext(answer.aiter_raw())
        left = vendor.requests[-1].left
    await until(left.is_set, within=1)
    async with httpx.AsyncClient(base_url=client.base_url, headers=client.headers) as another:
        kept = ""
        while not kept:
            kept = await _stored(another, session="d" * 32)
    assert kept in ("一", "一二")
    vendor.default = tokens(["好"])


async def _said(client: httpx.AsyncClient, *, session: str) -> str:
    asked = {"query": "q", "session_id": session, "stream": True, "history": []}
    said = ""
    async with client.stream("POST", "/chat/chat", json=asked) as answer:
        assert answer.status_code == 200
        async for read in answer.aiter_raw():
            said += "".join(chunk["text"] for chunk in parse_read(read))
    return said


async def _stored(client: httpx.AsyncClient, *, session: str) -> str:
    answer = await client.post("/history/latest", json={"session_id": session, "num": 1})
    text: str = answer.json()["data"][0]["response"]
    return text
