"""Rates per user, key, client and address: who is told to wait, how long, in which words."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from limits import parse

from gateway.clients import Principal
from gateway.errors import RateLimited
from gateway.limits.counters import BoundedMemory, Counters
from gateway.limits.limiter import Limiter, network_of
from gateway.rates import parse_rate, parse_rates
from servicekit.identity import Caller
from tests.gateway.conftest import Start, Suite
from tests.gateway.redis_server import RedisServer, redis_server

CHAT = "/api/chat/chat"
SEARCH = "/api/knowledge_base/search_docs"
GOOD = {"Api-Token": "good"}


def from_address(address: str) -> dict[str, str]:
    return {"X-Forwarded-For": address}


async def statuses(suite: Suite, times: int, **headers: str) -> list[int]:
    return [
        (await suite.client.post(SEARCH, headers=headers, json={})).status_code
        for _ in range(times)
    ]


async def test_a_user_who_asks_too_often_is_told_so_in_the_chat(start: Start) -> None:
    suite = await start(limit_chat="user 2/minute")
    suite.auth.knows("bob", "bob")
    for _ in range(2):
        assert (await suite.client.post(CHAT, headers=GOOD, json={})).status_code == 200
    answer = await suite.client.post(CHAT, headers=GOOD, json={})
    assert answer.status_code == 429
    body = answer.json()
    assert body["text"] == body["answer"] == body["detail"]
    assert "请求过于频繁" in body["text"]
    assert answer.headers["ratelimit-limit"] == "2"
    assert answer.headers["ratelimit-remaining"] == "0"
    assert answer.headers["ratelimit-reset"] == answer.headers["retry-after"]
    assert 55 <= int(answer.headers["retry-after"]) <= 60
    assert len(suite.chat.requests) == 2
    # Another user, another class and another route of no class are not concerned.
    assert (await suite.client.post(CHAT, headers={"Api-Token": "bob"}, json={})).is_success
    assert (await suite.client.post(SEARCH, headers=GOOD, json={})).is_success
    assert (await suite.client.get("/api/session/list", headers=GOOD)).is_success


async def test_the_session_cookie_and_the_header_are_one_user(start: Start) -> None:
    suite = await start(limit_chat="user 1/minute")
    assert (await suite.client.post(CHAT, headers=GOOD, json={})).is_success
    cookie = {"Cookie": "chat2llm_session=c2s-good", "Sec-Fetch-Site": "same-origin"}
    assert (await suite.client.post(CHAT, headers=cookie, json={})).status_code == 429


async def test_a_key_has_a_rate_of_its_own(start: Start) -> None:
    suite = await start(limit_search="user 1/minute; key 3/minute")
    suite.auth.knows("c2l-a", "robot", key_id="k1")
    suite.auth.knows("c2l-b", "robot", key_id="k2")
    assert await statuses(suite, 4, Authorization="Bearer c2l-a") == [200, 200, 200, 429]
    assert await statuses(suite, 1, Authorization="Bearer c2l-b") == [200]


async def test_a_clients_users_and_keys_share_its_rate(start: Start) -> None:
    suite = await start(limit_search="client 3/minute")
    suite.auth.knows("bob", "bob")
    suite.auth.knows("c2l-a", "robot", key_id="k1")
    suite.auth.knows("other", "eve", client="3")
    assert await statuses(suite, 1, **GOOD) == [200]
    assert await statuses(suite, 1, **{"Api-Token": "bob"}) == [200]
    assert await statuses(suite, 1, **{"Api-Token": "c2l-a"}) == [200]
    assert await statuses(suite, 1, **GOOD) == [429]
    assert await statuses(suite, 1, **{"Api-Token": "other"}) == [200]


@pytest.mark.parametrize(
    ("own", "allowed"),
    [({"search": "1/minute"}, 1), ({"search": "5/minute"}, 5), ({"chat": "1/minute"}, 3)],
)
async def test_a_clients_own_rate_replaces_that_of_clients(
    start: Start, own: dict[str, str], allowed: int
) -> None:
    suite = await start(limit_search="client 3/minute")
    suite.auth.knows("tuned", client="9", limits=own)
    assert await statuses(suite, 6, **{"Api-Token": "tuned"}) == [200] * allowed + [429] * (
        6 - allowed
    )


async def test_a_clients_own_rate_may_be_off(start: Start) -> None:
    suite = await start(limit_search="client 1/minute")
    suite.auth.knows("free", client="9", limits={"search": "off"})
    assert await statuses(suite, 3, **{"Api-Token": "free"}) == [200] * 3


async def test_a_rate_that_nobody_can_read_is_the_default_one(start: Start) -> None:
    suite = await start(limit_search="client 1/minute")
    suite.auth.knows("odd", client="9", limits={"search": "often"})
    assert await statuses(suite, 2, **{"Api-Token": "odd"}) == [200, 429]


async def test_who_is_over_the_own_rate_uses_up_nothing_of_others(start: Start) -> None:
    suite = await start(limit_search="user 2/minute; client 4/minute; address 4/minute")
    suite.auth.knows("bob", "bob")
    assert await statuses(suite, 20, **GOOD) == [200] * 2 + [429] * 18
    assert await statuses(suite, 2, **{"Api-Token": "bob"}) == [200] * 2


async def test_an_address_is_counted_whoever_comes_from_it(start: Start) -> None:
    suite = await start(limit_search="address 2/minute", trusted_proxies="127.0.0.1")
    suite.auth.knows("bob", "bob")
    near = from_address("203.0.113.7")
    assert await statuses(suite, 1, **(GOOD | near)) == [200]
    assert await statuses(suite, 2, **({"Api-Token": "bob"} | near)) == [200, 429]
    assert await statuses(suite, 1, **(GOOD | from_address("203.0.113.8"))) == [200]
    # Nobody gets a new address by claiming one.
    direct = await start(limit_search="address 1/minute")
    assert await statuses(direct, 1, **GOOD) == [200]
    assert await statuses(direct, 1, **(GOOD | from_address("203.0.113.9"))) == [429]


def test_an_ipv6_visitor_has_a_whole_network() -> None:
    assert network_of("2001:db8::1") == network_of("2001:db8::ffff:2") == "2001:db8::/64"
    assert network_of("2001:db8:0:1::1") != network_of("2001:db8::1")
    assert network_of("::ffff:203.0.113.7") == network_of("203.0.113.7") == "203.0.113.7"
    assert network_of("unix") == network_of("") == "unknown"


LOGINS = [
    ("POST", "/auth/exchange", "management"),
    ("POST", "/admin/login", "management"),
    ("GET", "/api/sso?client=0&secret=x", "page"),
    ("GET", "/ent-wechat-sso?code=a&state=b", "page"),
    ("GET", "/sso?token=bad", "landing"),
]


@pytest.mark.parametrize(("method", "path", "kind"), LOGINS)
async def test_sign_ins_are_counted_by_address(
    start: Start, method: str, path: str, kind: str
) -> None:
    suite = await start(limit_login="address 1/minute")
    await suite.client.request(method, path)
    asked = len(suite.auth.requests)
    answer = await suite.client.request(method, path)
    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) > 50
    assert answer.headers["ratelimit-limit"] == "1"
    assert "请求过于频繁" in (answer.json()["detail"] if kind == "management" else answer.text)
    if kind == "management":
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["code"] == "too_many_requests"
        assert answer.json()["request_id"] == answer.headers["x-request-id"]
    new = [question.path for question in suite.auth.requests[asked:]]
    assert [path for path in new if path != "/internal/origins"] == []


async def test_unknown_credentials_are_counted_before_anybody_is_asked(start: Start) -> None:
    suite = await start(limit_login="address 3/minute")
    await statuses(suite, 1, **GOOD)
    for number in range(10):
        answer = await suite.client.get(
            "/api/session/list", headers={"Api-Token": f"bogus {number}"}
        )
        assert answer.status_code == (401 if number < 2 else 429)
    assert len(suite.auth.questions) == 3
    assert await statuses(suite, 3, **GOOD) == [200] * 3  # who was good lately goes on


async def test_off_is_off(start: Start) -> None:
    suite = await start(limit_search="off", limit_login="off")
    assert await statuses(suite, 50, **GOOD) == [200] * 50


def test_rates_are_read_as_people_write_them() -> None:
    rates = parse_rates("user 60/minute;key 10 per 30 seconds ; client off; address 1/hour")
    assert {subject: (rate.amount, rate.get_expiry()) for subject, rate in rates.items()} == {
        "user": (60, 60),
        "key": (10, 30),
        "address": (1, 3600),
    }
    assert parse_rates("off") == parse_rates(" off ") == {}


@pytest.mark.parametrize(
    "text", ["60/minute", "users 60/minute", "user", "user 0/minute", "user -1/minute", "user x;"]
)
def test_a_rate_with_a_mistake_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"[一-鿿]"):
        parse_rates(text)


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


ALICE = Principal(Caller("2", "alice", "Alice", ("chat",)), "jws", 0, None, 0)


async def test_a_window_ends() -> None:
    clock = Clock()
    limiter = Limiter(
        {"chat": {"user": parse_rate("2/minute")}}, Counters("", clock=clock), clock=clock
    )
    for _ in range(2):
        await limiter.check("chat", ALICE, "x")
    clock.now += 59.5
    with pytest.raises(RateLimited) as refused:
        await limiter.check("chat", ALICE, "x")
    assert refused.value.retry_after == 1
    clock.now += 0.5
    await limiter.check("chat", ALICE, "x")


async def test_memory_has_a_bound_and_forgets_the_oldest() -> None:
    clock = Clock()
    memory = BoundedMemory(most=100, clock=clock)
    for number in range(1000):
        await memory.incr(f"address {number}", 60)
    assert await memory.get("address 999") == 1
    assert await memory.get("address 0") == 0
    assert await memory.reset() == 100


@pytest.fixture
async def redis() -> AsyncIterator[RedisServer]:
    async with redis_server() as server:
        yield server


async def test_copies_count_together_in_redis(start: Start, redis: RedisServer) -> None:
    one = await start(limit_search="user 3/minute", redis_url=redis.url)
    two = await start(limit_search="user 3/minute", redis_url=redis.url)
    assert await statuses(one, 2, **GOOD) == [200] * 2
    assert await statuses(two, 2, **GOOD) == [200, 429]
    answer = await one.client.post(SEARCH, headers=GOOD, json={})
    assert answer.status_code == 429
    assert 50 <= int(answer.headers["ratelimit-reset"]) <= 60


async def test_redis_that_goes_away_costs_one_line_and_no_request(
    start: Start, redis: RedisServer, capsys: pytest.CaptureFixture[str]
) -> None:
    suite = await start(limit_search="user 3/minute", redis_url=redis.url)
    assert await statuses(suite, 2, **GOOD) == [200] * 2
    await redis.stop()
    assert await statuses(suite, 5, **GOOD) == [200] * 3 + [429] * 2  # counted here from now on
    assert capsys.readouterr().err.count("Redis does not answer") == 1


async def test_redis_that_was_never_there_and_one_that_hangs(start: Start, free_port: int) -> None:
    async def say_nothing(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        silent.append(writer)

    silent: list[asyncio.StreamWriter] = []
    server = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
    hanging = server.sockets[0].getsockname()[1]
    for port in (free_port, hanging):
        suite = await start(limit_search="user 3/minute", redis_url=f"redis://127.0.0.1:{port}/0")
        async with asyncio.timeout(3):
            assert await statuses(suite, 5, **GOOD) == [200] * 3 + [429] * 2
    for writer in silent:
        writer.close()
    server.close()


async def test_one_request_looks_whether_redis_is_back(
    redis: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    clock, rate = Clock(), parse("2/minute")
    counters = Counters(redis.url, clock=clock)
    await redis.stop()
    assert [await counters.hit(rate, "a") for _ in range(3)][:2] == [None, None]
    clock.now += 6
    assert await counters.hit(rate, "a") is not None  # looked at, and still away
    await redis.run()
    assert await counters.hit(rate, "a") is not None  # not looked at yet: still counted here
    clock.now += 6
    assert await counters.hit(rate, "a") is None
    assert [record.getMessage()[:12] for record in caplog.records] == [
        "Redis does n",
        "Redis answer",
    ]
    await counters.close()


async def test_a_redis_that_hangs_holds_up_one_request_at_a_time() -> None:
    connections: list[asyncio.StreamWriter] = []

    async def say_nothing(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(writer)

    server = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
    clock, rate = Clock(), parse("9/minute")
    counters = Counters(f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}", clock=clock)
    await counters.hit(rate, "a")
    clock.now += 6
    assert await asyncio.gather(*(counters.hit(rate, "a") for _ in range(8))) == [None] * 8
    assert len(connections) == 2
    await counters.close()
    for writer in connections:
        writer.close()
    server.close()


async def test_problems_of_redis_itself_are_no_500(start: Start, redis: RedisServer) -> None:
    suite = await start(limit_search="user 3/minute", redis_url=redis.url)
    await redis.say("CONFIG", "SET", "maxmemory", "1")
    await redis.say("CONFIG", "SET", "maxmemory-policy", "noeviction")
    assert await statuses(suite, 4, **GOOD) == [200] * 3 + [429]
