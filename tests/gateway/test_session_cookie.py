"""The session cookie: when it is set, and how little it may do."""

import asyncio
import itertools

import pytest

from gateway.routing import ROUTES
from tests.gateway.conftest import Start, Suite, an_address_of

SESSIONS = "/api/session/list"
CHAT = "/api/chat/chat"
DOWNLOAD = "/api/knowledge_base/download_doc"
GOOD = {"Api-Token": "good"}
COOKIE = {"Cookie": "chat2llm_session=c2s-good"}
OWN = {"Sec-Fetch-Site": "same-origin"}


async def test_a_valid_token_sets_the_cookie(suite: Suite) -> None:
    answer = await suite.client.get(SESSIONS, headers=GOOD)
    name, _, rest = answer.headers["set-cookie"].partition("=")
    value, *attributes = rest.split("; ")
    assert (name, value) == ("chat2llm_session", "c2s-good")
    left = int(attributes.pop(1).removeprefix("Max-Age="))
    assert attributes == ["Path=/", "HttpOnly", "SameSite=Lax"]
    assert 8 * 3600 - 60 < left <= 8 * 3600


@pytest.mark.parametrize(
    ("cookie", "is_set"),
    [
        ("chat2llm_session=c2s-good", False),
        ("a=1; chat2llm_session=c2s-good; b=2", False),
        ("chat2llm_session=c2s-other-of-alice", False),
        ("chat2llm_session=c2s-bob", True),
        ("chat2llm_session=c2s-alice-of-another-client", True),
        ("chat2llm_session=nobody", True),
        ("chat2llm_session=", True),
        ("xchat2llm_session=c2s-good", True),
        ("chat2llm_session=c2s-good; chat2llm_session=c2s-bob", True),
    ],
)
async def test_it_is_set_when_absent_or_of_somebody_else(
    suite: Suite, cookie: str, is_set: bool
) -> None:
    suite.auth.knows("c2s-other-of-alice", session="c2s-other-of-alice")
    suite.auth.knows("c2s-bob", "bob", session="c2s-bob")
    suite.auth.knows("c2s-alice-of-another-client", client="3")
    answer = await suite.client.get(SESSIONS, headers=GOOD | {"Cookie": cookie})
    assert ("set-cookie" in answer.headers) == is_set


async def test_api_keys_and_refused_credentials_get_none(suite: Suite) -> None:
    suite.auth.knows("c2l-key", "robot", session="c2s-robot")
    for credential in ("c2l-key", "bad"):
        answer = await suite.client.get(SESSIONS, headers={"Api-Token": credential})
        assert "set-cookie" not in answer.headers
    assert suite.auth.questions[0]["want_session"] is False


async def test_a_burst_at_the_start_sets_one_and_the_same(suite: Suite) -> None:
    paths = ("/api/knowledge_base/list_knowledge_bases_v2", "/api/user/info", SESSIONS)
    answers = await asyncio.gather(*(suite.client.get(path, headers=GOOD) for path in paths))
    assert {answer.headers["set-cookie"].split(";")[0] for answer in answers} == {
        "chat2llm_session=c2s-good"
    }
    assert len(suite.auth.questions) == 1


async def test_the_h5_chats_and_downloads_by_cookie(suite: Suite) -> None:
    for path in (CHAT, "/chat/knowledge_base_chat"):
        answer = await suite.client.post(path, headers=COOKIE | OWN, json={})
        assert answer.status_code == 200
        headers = {name.lower(): value for name, value in answer.json()["headers"]}
        assert headers["x-chat2llm-caller"] == "signed-for-alice"
        assert "set-cookie" not in answer.headers
    assert (await suite.client.get(DOWNLOAD, headers=COOKIE)).status_code == 200
    assert (await suite.client.head(DOWNLOAD, headers=COOKIE)).status_code == 200


async def test_it_opens_nothing_else(suite: Suite) -> None:
    allowed = {
        "/auth/logout",
        "/chat/chat",
        "/chat/knowledge_base_chat",
        "/knowledge_base/download_doc",
    }
    assert {route.path for route in ROUTES if route.cookie} == allowed
    suite.auth.knows("c2s-good", scopes=("chat", "kb:read", "kb:write", "admin"))
    for route in ROUTES:
        if route.path not in allowed and not route.public:
            path = an_address_of(route)
            answer = await suite.client.request(route.method, path, headers=COOKIE | OWN)
            assert answer.status_code == 401, route
            told = answer.json()
            said = told["error"]["message"] if route.surface == "openai" else told["detail"]
            assert said == "Authentication required: 缺少Api-Token!"
    assert suite.auth.questions == []


async def test_two_different_cookies_speak_for_nobody(suite: Suite) -> None:
    suite.auth.knows("c2s-bob", "bob", session="c2s-bob")
    planted = {"Cookie": "chat2llm_session=c2s-bob; chat2llm_session=c2s-good"}
    answer = await suite.client.get(DOWNLOAD, headers=planted)
    assert answer.status_code == 401
    assert suite.auth.questions == []
    twice = {"Cookie": "chat2llm_session=c2s-good; chat2llm_session=c2s-good"}
    assert (await suite.client.get(DOWNLOAD, headers=twice)).status_code == 200


async def test_only_sessions_count_as_cookie(suite: Suite) -> None:
    """auth_service is told that it came as a cookie, and it alone decides."""
    await suite.client.get(DOWNLOAD, headers={"Cookie": "chat2llm_session=good"})
    question = suite.auth.questions[0]
    assert (question["presented_as"], question["want_session"]) == ("cookie", False)


async def test_a_dead_cookie_is_401_and_readable_in_the_chat(suite: Suite) -> None:
    suite.auth.expires("c2s-old")
    for value, text in (
        ("c2s-gone", "Authentication required: Api-Token无效!"),
        ("c2s-old", "Authentication required: token过期!"),
    ):
        cookie = {"Cookie": f"chat2llm_session={value}"}
        answer = await suite.client.post(CHAT, headers=cookie | OWN, json={})
        assert answer.status_code == 401
        assert answer.json() == {"detail": text, "text": text, "answer": text}


ORIGINS = (None, "own", "https://app.example", "https://evil.example", "null", "nonsense")
SITES = (None, "same-origin", "same-site", "cross-site", "none")


async def test_unsafe_methods_by_cookie_need_our_own_page(start: Start) -> None:
    suite = await start(cors_origins="https://app.example")
    for origin, site in itertools.product(ORIGINS, SITES):
        headers = dict(COOKIE)
        if origin:
            headers["Origin"] = suite.url if origin == "own" else origin
        if site:
            headers["Sec-Fetch-Site"] = site
        allowed = (
            origin == "https://app.example"
            or site == "same-origin"
            or (site is None and origin == "own")
        )
        suite.chat.requests.clear()
        answer = await suite.client.post(CHAT, headers=headers, json={})
        assert answer.status_code == (200 if allowed else 403), (origin, site)
        if not allowed:
            body = answer.json()
            assert body["text"] == body["answer"] == body["detail"]
            assert not suite.chat.requests
        # A safe method needs no proof, but a page of another origin may not read the answer.
        answer = await suite.client.get(DOWNLOAD, headers=headers)
        assert answer.status_code == (200 if allowed or origin is None else 403), (origin, site)
        # Requests that bring a credential themselves need no such proof.
        answer = await suite.client.post(CHAT, headers=headers | GOOD, json={})
        assert answer.status_code == 200


async def test_another_port_is_another_origin(suite: Suite) -> None:
    host, _, port = suite.url.rpartition(":")
    for origin in (host, f"{host}:{int(port) + 1}", suite.url + ".evil.example"):
        answer = await suite.client.post(CHAT, headers=COOKIE | {"Origin": origin}, json={})
        assert answer.status_code == 403, origin


async def test_behind_a_trusted_proxy_the_host_is_the_one_outside(start: Start) -> None:
    suite = await start(trusted_proxies="127.0.0.1")
    outside = {"X-Forwarded-Host": "chat.example", "X-Forwarded-Proto": "https"}
    answer = await suite.client.post(
        CHAT, headers=COOKIE | outside | {"Origin": "https://chat.example"}, json={}
    )
    assert answer.status_code == 200
    answer = await suite.client.post(
        CHAT, headers=COOKIE | outside | {"Origin": suite.url}, json={}
    )
    assert answer.status_code == 403


async def test_a_cookie_that_nobody_can_judge_now_stays(suite: Suite) -> None:
    await suite.client.get(SESSIONS, headers=GOOD)
    suite.auth.status = 503
    other = {"Cookie": "chat2llm_session=c2s-unknown"}
    answer = await suite.client.get(SESSIONS, headers=GOOD | other)
    assert answer.status_code == 200
    assert "set-cookie" not in answer.headers
    answer = await suite.client.post(CHAT, headers=other | OWN, json={})
    assert answer.status_code == 503
