"""Which credential counts, what is remembered, and what a refusal says."""

import asyncio

import httpx
import pytest

from gateway.auth.identities import Identities
from gateway.clients import AuthClient, Principal, Rejection
from gateway.errors import CredentialRefused
from gateway.limits.counters import Counters
from gateway.limits.lanes import Lane, Lanes
from gateway.limits.limiter import Limiter
from gateway.rates import LimitClass, Rates
from servicekit.errors import ServiceError, Unavailable
from servicekit.identity import Caller
from tests.gateway.conftest import Start, Suite

SESSIONS = "/api/session/list"
CHAT = "/api/chat/chat"
COOKIE = "chat2llm_session="
MISSING = "Authentication required: 缺少Api-Token!"
INVALID = "Authentication required: Api-Token无效!"
EXPIRED = "Authentication required: token过期!"


def assert_missing(answer: httpx.Response) -> None:
    assert (answer.status_code, answer.json()) == (401, {"detail": MISSING})


def assert_plain(answer: httpx.Response, text: str) -> None:
    assert (answer.status_code, answer.text) == (401, text)
    assert "content-type" not in answer.headers


async def test_nothing_and_an_empty_token_are_missing(suite: Suite) -> None:
    for headers in ({}, {"Api-Token": ""}, {"Authorization": ""}):
        assert_missing(await suite.client.get(SESSIONS, headers=headers))
    assert not suite.session.requests
    assert suite.auth.questions == []


async def test_missing_on_a_chat_route_is_readable_in_the_chat(suite: Suite) -> None:
    answer = await suite.client.post(CHAT, json={})
    assert answer.status_code == 401
    assert answer.json() == {"detail": MISSING, "text": MISSING, "answer": MISSING}


async def test_refusals_have_the_contracts_texts(suite: Suite) -> None:
    suite.auth.expires("old")
    for path, method in ((SESSIONS, "GET"), (CHAT, "POST")):
        answer = await suite.client.request(method, path, headers={"Api-Token": "bad"})
        assert_plain(answer, INVALID)
        answer = await suite.client.request(method, path, headers={"Api-Token": "old"})
        assert_plain(answer, EXPIRED)
    assert not suite.session.requests


@pytest.mark.parametrize(
    ("headers", "status", "presented"),
    [
        ({"Api-Token": "good"}, 200, "header"),
        ({"api-token": "good"}, 200, "header"),
        ({"Authorization": "Bearer good"}, 200, "bearer"),
        ({"authorization": "bearer good"}, 200, "bearer"),
        ({"Authorization": "Bearer c2l-key"}, 200, "bearer"),
        ({"Api-Token": "c2l-key"}, 200, "header"),
        ({"Api-Token": "", "Authorization": "Bearer good"}, 200, "bearer"),
        ({"Authorization": "Bearer bad"}, 401, "bearer"),
        ({"Authorization": "Basic good"}, 401, None),
        ({"Authorization": "Bearer"}, 401, None),
        ({"Authorization": "good"}, 401, None),
        ({"Api-Token": "good", "Authorization": "Bearer good"}, 400, None),
        ({"Api-Token": "good", "Authorization": "Basic x"}, 400, None),
        ({"Api-Token": "bad", "Cookie": COOKIE + "c2s-good"}, 401, "header"),
        ({"Authorization": "Bearer bad", "Cookie": COOKIE + "c2s-good"}, 401, "bearer"),
    ],
)
async def test_precedence(
    suite: Suite, headers: dict[str, str], status: int, presented: str | None
) -> None:
    suite.auth.knows("c2l-key", "robot")
    answer = await suite.client.get("/api/knowledge_base/download_doc", headers=headers)
    assert answer.status_code == status
    asked = [question["presented_as"] for question in suite.auth.questions]
    assert asked == ([presented] if presented else [])


async def test_two_tokens_in_two_headers_are_400(suite: Suite) -> None:
    twice = [(b"Api-Token", b"good"), (b"Api-Token", b"other")]
    answer = await suite.client.get(SESSIONS, headers=twice)
    assert answer.status_code == 400
    assert "detail" in answer.json()
    empty_and_good = [(b"Api-Token", b""), (b"Api-Token", b"good")]
    assert (await suite.client.get(SESSIONS, headers=empty_and_good)).status_code == 200


async def test_a_missing_scope_is_403(suite: Suite) -> None:
    answer = await suite.client.post(
        "/api/knowledge_base/create_knowledge_base", headers={"Api-Token": "good"}, json={}
    )
    assert answer.status_code == 403
    assert answer.json() == {"detail": "The scope kb:write is needed. 没有权限。"}
    assert not suite.kb.requests
    suite.auth.knows("admin", scopes=("admin",))
    answer = await suite.client.post(
        "/api/knowledge_base/create_knowledge_base", headers={"Api-Token": "admin"}, json={}
    )
    assert answer.status_code == 200


async def test_public_pages_ask_nobody(suite: Suite) -> None:
    for path in ("/livez", "/docs", "/401", "/welcome", "/sso?client=0"):
        answer = await suite.client.get(path, headers={"Api-Token": "bad"})
        assert answer.status_code == 200, path
    assert suite.auth.questions == []


async def test_one_call_for_a_burst_with_one_new_token(suite: Suite) -> None:
    suite.auth.pause = asyncio.Event()
    calls = [
        asyncio.create_task(suite.client.get(SESSIONS, headers={"Api-Token": "good"}))
        for _ in range(20)
    ]
    await suite.auth.asked.wait()
    suite.auth.pause.set()
    answers = await asyncio.gather(*calls)
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.headers["set-cookie"] for answer in answers}) == 1
    await suite.client.get(SESSIONS, headers={"Api-Token": "good"})
    assert len(suite.auth.questions) == 1


@pytest.mark.parametrize("status", [500, 503, 401, 404])
async def test_auth_in_trouble_is_503_and_never_401(suite: Suite, status: int) -> None:
    suite.auth.status = status
    answer = await suite.client.post(CHAT, headers={"Api-Token": "good"}, json={})
    assert answer.status_code == 503
    assert "retry-after" in answer.headers
    body = answer.json()
    assert body["text"] == body["answer"] == body["detail"]
    suite.auth.status = 200  # and it is not remembered
    assert (await suite.client.get(SESSIONS, headers={"Api-Token": "good"})).status_code == 200


async def test_auth_away_is_503(start: Start, free_port: int) -> None:
    suite = await start(auth_url=f"http://127.0.0.1:{free_port}")
    for headers in ({"Api-Token": "good"}, {"Authorization": "Bearer c2l-x"}):
        answer = await suite.client.get(SESSIONS, headers=headers)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")


async def test_too_many_failed_tries_are_429(suite: Suite) -> None:
    suite.auth.status = 429
    answer = await suite.client.get(SESSIONS, headers={"Api-Token": "guess"})
    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) > 0


async def test_the_key_comes_from_the_file_that_auth_makes(start: Start) -> None:
    suite = await start(introspection_key="")
    answer = await suite.client.get(SESSIONS, headers={"Api-Token": "good"})
    assert answer.status_code == 503
    file = suite.data / "gateway" / "introspection.key"
    file.parent.mkdir()
    file.write_text("an older key\n")
    assert (await suite.client.get(SESSIONS, headers={"Api-Token": "good"})).status_code == 503
    file.write_text("introspection-key-of-the-tests\n")
    assert (await suite.client.get(SESSIONS, headers={"Api-Token": "good"})).status_code == 200


class Answers(AuthClient):
    """A port without a wire: counts what it is asked, and waits until it may answer."""

    def __init__(self, answer: Principal | Rejection | ServiceError) -> None:
        self.answer = answer
        self.asked = 0
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    async def introspect(self, *_: object, **__: object) -> Principal | Rejection:
        self.asked += 1
        await self.may_answer.wait()
        if isinstance(self.answer, ServiceError):
            raise self.answer
        return self.answer


def principal(now: float, lasts: float = 300) -> Principal:
    return Principal(Caller("2", "alice", "Alice", ("chat",)), "jws", now + lasts, None, now)


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


def remembering(port: Answers, clock: Clock | None = None, **bounds: int) -> Identities:
    """Identities without limits."""
    lanes = Lanes(known=Lane(100, 100), strangers=Lane(100, 100))
    rates: dict[LimitClass, Rates] = {"login": {}}
    limiter = Limiter(rates, Counters(""))
    return Identities(port, limiter, lanes, clock=clock or Clock(), **bounds)


async def identify(identities: Identities, credential: str = "t", max_age: float = 30) -> Principal:
    return await identities.identify(
        credential, presented_as="header", address="1.2.3.4", max_age=max_age
    )


async def test_whoever_asked_first_may_leave_and_the_others_get_their_answer() -> None:
    port = Answers(principal(Clock()()))
    port.may_answer.clear()
    identities = remembering(port)
    waiting = [asyncio.create_task(identify(identities)) for _ in range(3)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    await asyncio.wait(waiting[:1])
    port.may_answer.set()
    assert await asyncio.gather(*waiting[1:]) == [port.answer] * 2
    assert port.asked == 1


async def test_everybody_may_leave_and_the_answer_is_kept() -> None:
    port = Answers(principal(Clock()()))
    port.may_answer.clear()
    identities = remembering(port)
    waiting = asyncio.create_task(identify(identities))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait([waiting])
    port.may_answer.set()
    assert await identify(identities) == port.answer
    assert port.asked == 1


async def test_closing_ends_the_open_questions() -> None:
    port = Answers(principal(Clock()()))
    port.may_answer.clear()
    identities = remembering(port)
    waiting = asyncio.create_task(identify(identities))
    await asyncio.sleep(0)
    await identities.close()
    with pytest.raises(asyncio.CancelledError):
        await waiting


async def test_the_time_that_an_answer_takes_counts() -> None:
    clock = Clock()
    port = Answers(principal(clock.now))
    port.may_answer.clear()
    identities = remembering(port, clock)
    waiting = asyncio.create_task(identify(identities))
    while not port.asked:  # noqa: ASYNC110 - a turn of the loop or two
        await asyncio.sleep(0)
    clock.now += 5
    port.may_answer.set()
    await waiting
    clock.now += 25.1
    await identify(identities)
    assert port.asked == 2


async def test_a_principal_is_kept_for_thirty_seconds() -> None:
    clock = Clock()
    port = Answers(principal(clock.now))
    identities = remembering(port, clock)
    for wait, asked in ((0, 1), (29.9, 1), (0.2, 2)):
        clock.now += wait
        await identify(identities)
        assert port.asked == asked
    clock.now += 16
    await identify(identities, max_age=15)
    assert port.asked == 3


async def test_a_principal_is_never_kept_past_its_end() -> None:
    clock = Clock()
    port = Answers(principal(clock.now, lasts=5))
    identities = remembering(port, clock)
    await identify(identities)
    clock.now += 5
    assert identities.remembered("t", "header") is None
    port.answer = Rejection("expired")
    with pytest.raises(CredentialRefused, match="过期"):
        await identify(identities)


async def test_a_refusal_is_kept_for_ten_seconds() -> None:
    clock = Clock()
    port = Answers(Rejection("invalid"))
    identities = remembering(port, clock)
    for wait, asked in ((0, 1), (9.9, 1), (0.2, 2)):
        clock.now += wait
        with pytest.raises(CredentialRefused):
            await identify(identities)
        assert port.asked == asked
    port.answer = principal(clock.now)
    clock.now += 10.1
    assert await identify(identities) == port.answer


async def test_no_answer_is_not_kept() -> None:
    port = Answers(Unavailable("away"))
    identities = remembering(port)
    for asked in (1, 2):
        with pytest.raises(Unavailable):
            await identify(identities)
        assert port.asked == asked


async def test_guesses_push_no_people_out_and_memory_is_bounded() -> None:
    clock = Clock()
    port = Answers(principal(clock.now))
    identities = remembering(port, clock, principals=3, rejections=5)
    await identify(identities, "mine")
    port.answer = Rejection("invalid")
    for number in range(100):
        with pytest.raises(CredentialRefused):
            await identify(identities, f"guess {number}")
    assert identities.remembered("mine", "header") is not None
    with pytest.raises(CredentialRefused):  # the first guess was forgotten: asked again
        await identify(identities, "guess 0")
    assert port.asked == 102
    port.answer = principal(clock.now)
    for number in range(3):
        await identify(identities, f"other {number}")
    assert identities.remembered("mine", "header") is None


async def test_openais_clients_read_refusals_in_their_own_body(suite: Suite) -> None:
    answer = await suite.client.get("/v1/models", headers={"Authorization": "Bearer c2l-bad"})
    assert answer.status_code == 401
    told = {"message": INVALID, "type": "authentication_error", "param": None}
    assert answer.json() == {"error": told | {"code": "unauthorized"}}
    assert answer.headers["x-request-id"]
