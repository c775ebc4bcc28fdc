"""Guesses in numbers: bounded, shed with 429, and good users go on."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from gateway.clients import Rejection
from gateway.errors import CredentialRefused
from gateway.limits.lanes import Lane, Lanes
from servicekit.errors import TooManyRequests
from tests.gateway.conftest import Start, Suite
from tests.gateway.test_identity import Answers, Clock, identify, principal, remembering

SESSIONS = "/api/session/list"
GOOD = {"Api-Token": "good"}


def from_address(address: str) -> dict[str, str]:
    return {"X-Forwarded-For": address}


async def ask(client: aiohttp.ClientSession, path: str, **options: Any) -> tuple[int, str]:
    """Status and Retry-After."""
    async with client.request("POST" if "json" in options else "GET", path, **options) as answer:
        await answer.read()
        return answer.status, answer.headers.get("Retry-After", "")


async def finished(tasks: Collection[asyncio.Task[Any]], count: int) -> list[asyncio.Task[Any]]:
    """The first so many that end."""
    ended = asyncio.Semaphore(0)
    for task in tasks:
        task.add_done_callback(lambda _: ended.release())
    async with asyncio.timeout(30):
        for _ in range(count):
            await ended.acquire()
    return [task for task in tasks if task.done()]


@asynccontextmanager
async def crowd(suite: Suite) -> AsyncIterator[aiohttp.ClientSession]:
    """A client that opens as many connections as it likes."""
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(suite.url, connector=connector) as client:
        yield client


async def test_a_thousand_bogus_tokens_from_many_addresses_shut_nobody_out(start: Start) -> None:
    suite = await start(trusted_proxies="127.0.0.1")
    for name in ("cold", "colder"):
        suite.auth.knows(name, name)
    office = from_address("198.51.100.1")
    assert (await suite.client.get(SESSIONS, headers=GOOD | office)).is_success
    suite.auth.pause = asyncio.Event()  # as slow as can be
    async with crowd(suite) as strangers:
        flood = [
            asyncio.create_task(
                ask(
                    strangers,
                    SESSIONS,
                    headers={"Api-Token": f"bogus-{number}"}
                    | from_address(f"203.0.{number // 250}.{number % 250}"),
                )
            )
            for number in range(1000)
        ]
        shed = await finished(flood, 1000 - 72)  # 8 are asked about, 64 wait
        assert {task.result() for task in shed} == {(429, "2")}
        await suite.auth.was_asked(1 + 8)
        # Whom we know is not even asked about, whoever else comes.
        assert (await suite.client.get(SESSIONS, headers=GOOD | office)).is_success
        # A new credential from an address that we know is asked about at once.
        cold = asyncio.create_task(
            suite.client.get(SESSIONS, headers={"Api-Token": "cold"} | office)
        )
        await suite.auth.was_asked(1 + 8 + 1)
        assert suite.auth.questions[-1]["credential"] == "cold"
        suite.auth.pause.set()
        assert (await cold).is_success
        answers = Counter(status for status, _ in await asyncio.gather(*flood))
        assert answers == {429: 1000 - 72, 401: 72}
    # And when the flood is over, so is everything.
    stranger = {"Api-Token": "colder"} | from_address("192.0.2.1")
    assert (await suite.client.get(SESSIONS, headers=stranger)).is_success


async def test_a_limited_address_is_not_asked_about_until_its_time_is_over() -> None:
    clock = Clock()
    port = Answers(Rejection("limited", 40))
    identities = remembering(port, clock)
    for wait, asked, left in ((0, 1, 40), (10, 1, 30), (29.5, 1, 1), (0.5, 2, 40)):
        clock.now += wait
        with pytest.raises(TooManyRequests) as refused:
            await identify(identities, f"guess at {clock.now}")
        assert port.asked == asked
        assert refused.value.retry_after == left


async def test_who_was_good_lately_goes_on_from_a_limited_address() -> None:
    clock = Clock()
    port = Answers(principal(clock.now, lasts=3600))
    identities = remembering(port, clock)
    await identify(identities, "good")
    port.answer = Rejection("limited", 600)
    with pytest.raises(TooManyRequests):
        await identify(identities, "guess")
    port.answer = principal(clock.now, lasts=3600)
    clock.now += 300  # forgotten as an answer, remembered as a good one
    await identify(identities, "good")
    assert port.asked == 3
    with pytest.raises(TooManyRequests):
        await identify(identities, "another")
    for known in ("c2s-session", "c2l-key", "c2a-console"):  # found or not: there is no guessing
        await identify(identities, known)
    clock.now += 299
    with pytest.raises(TooManyRequests):
        await identify(identities, "another")
    clock.now += 1
    await identify(identities, "another")


async def test_limited_says_nothing_about_the_credential() -> None:
    clock = Clock()
    port = Answers(principal(clock.now, lasts=3600))
    identities = remembering(port, clock)
    await identify(identities, "good")
    clock.now += 31
    port.answer = Rejection("limited", 60)
    with pytest.raises(TooManyRequests):
        await identify(identities, "good")
    port.answer = principal(clock.now)
    await identify(identities, "good")  # asked all the same
    port.answer = Rejection("invalid")
    clock.now += 31
    with pytest.raises(CredentialRefused):
        await identify(identities, "good")


async def test_a_limited_address_is_429_on_the_wire(suite: Suite) -> None:
    suite.auth.limits("guess", 33)
    answer = await suite.client.get(SESSIONS, headers={"Api-Token": "guess"})
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "33")
    answer = await suite.client.get(f"/sso?token=other&x={'1' * 10}")
    assert answer.status_code == 429
    assert 30 <= int(answer.headers["retry-after"]) <= 33
    assert "失败次数过多" in answer.text
    assert len(suite.auth.questions) == 1


async def test_limited_addresses_are_remembered_up_to_a_bound() -> None:
    clock = Clock()
    port = Answers(Rejection("limited", 60))
    identities = remembering(port, clock, rejections=10)
    for number in range(50):
        with pytest.raises(TooManyRequests):
            await identities.identify("guess", presented_as="header", address=f"203.0.113.{number}")
    assert port.asked == 50
    for number in (49, 0):  # the newest is remembered, the oldest was forgotten
        with pytest.raises(TooManyRequests):
            await identities.identify("guess", presented_as="header", address=f"203.0.113.{number}")
    assert port.asked == 51


async def test_a_lane_has_places_and_a_queue_and_no_more() -> None:
    lane, leave = Lane(places=2, waiting=3), asyncio.Event()
    inside: list[int] = []

    async def visit(number: int) -> None:
        async with lane.place():
            inside.append(number)
            await leave.wait()

    visits = [asyncio.create_task(visit(number)) for number in range(8)]
    done, _ = await asyncio.wait(visits, return_when="FIRST_COMPLETED")
    assert len(done) == 3
    for task in done:
        with pytest.raises(TooManyRequests):
            task.result()
    assert inside == [0, 1]
    visits[2].cancel()  # who leaves the queue makes room in it
    await asyncio.wait([visits[2]])
    late = asyncio.create_task(visit(9))
    leave.set()
    await asyncio.gather(late, *(visits[number] for number in (0, 1, 3, 4)))
    assert inside == [0, 1, 3, 4, 9]


def test_an_address_is_known_for_half_an_hour_and_with_its_network() -> None:
    clock = Clock()
    known, strangers = Lane(1, 1), Lane(1, 1)
    lanes = Lanes(known=known, strangers=strangers, clock=clock)
    lanes.remember("2001:db8::1")
    assert lanes.of("2001:db8::2") is known
    assert lanes.of("2001:db8:0:1::2") is strangers
    clock.now += 1801
    assert lanes.of("2001:db8::2") is strangers


async def test_forwarded_sign_ins_are_bounded_too(suite: Suite) -> None:
    leave, seen = asyncio.Event(), asyncio.Semaphore(0)

    async def exchange(_: web.Request) -> web.Response:
        seen.release()
        await leave.wait()
        return web.json_response({}, status=401)

    suite.auth.answers["/auth/exchange"] = exchange
    async with crowd(suite) as strangers:
        flood = [
            asyncio.create_task(ask(strangers, "/auth/exchange", json={"token": "bogus"}))
            for _ in range(400)
        ]
        shed = await finished(flood, 400 - 64 - 256)
        assert {task.result() for task in shed} == {(429, "2")}
        for _ in range(64):
            await seen.acquire()
        assert seen.locked()
        assert (await suite.client.get(SESSIONS, headers=GOOD)).is_success
        leave.set()
        answers = Counter(status for status, _ in await asyncio.gather(*flood))
        assert answers == {429: 80, 401: 320}


async def test_bodies_that_never_end_take_no_place_of_a_sign_in(suite: Suite) -> None:
    head = "POST /auth/exchange HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n{"
    writers = []
    try:
        for _ in range(70):  # more than there are places
            _, writer = await asyncio.open_connection(*suite.address)
            writers.append(writer)
            writer.write(head.encode())
            await writer.drain()
        answer = await suite.client.post("/auth/exchange", json={"token": "x"})
        assert answer.status_code == 200
        assert answer.json()["body"] == '{"token":"x"}'
    finally:
        for writer in writers:
            writer.close()


async def test_a_sign_in_that_comes_in_parts_arrives_whole(suite: Suite) -> None:
    reader, writer = await asyncio.open_connection(*suite.address)
    writer.write(b"POST /auth/exchange HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
    for part in (b"3\r\nabc\r\n", b"2\r\nde\r\n", b"0\r\n\r\n"):
        writer.write(part)
        await writer.drain()
        await asyncio.sleep(0)
    answer = await asyncio.wait_for(reader.readuntil(b'"body": "abcde"'), 10)
    assert answer.startswith(b"HTTP/1.1 200")
    writer.close()


async def test_a_sign_in_is_small(suite: Suite) -> None:
    answer = await suite.client.post("/auth/exchange", content=b"x" * (1 << 20 | 1))
    assert answer.status_code == 413
