"""Who may see and change what: the first writer of an id owns it, everything else is refused."""

from typing import Any

import httpx
import pytest

from tests.serving import Issuer
from tests.session_service.conftest import Turn, User, UserOf, finish

REFUSED = {"code": 403, "msg": "无权操作!", "data": None}
REQUESTS: list[tuple[str, str, Any]] = [
    ("GET", "/session/list", None),
    ("POST", "/session/save", {"session_id": "a" * 32, "session_name": "n", "mode": "LLM"}),
    ("POST", "/session/delete", "a" * 32),
    ("POST", "/history/latest", {"session_id": "a" * 32, "num": 1}),
    ("POST", "/chat/feedback", {}),
    ("POST", "/internal/turns", {"chat_type": "llm_chat", "query": "q"}),
    ("GET", f"/internal/sessions/{'a' * 32}/turns", None),
]


@pytest.fixture(params=["wang", "the other client's li"])
def other(request: pytest.FixtureRequest, user: UserOf) -> User:
    return user("wang") if request.param == "wang" else user("li", client_id="8")


async def _refused(answer: httpx.Response) -> None:
    assert (answer.status_code, answer.json()) == (200, REFUSED)


async def test_a_saved_session_is_closed_to_others(li: User, other: User, session_id: str) -> None:
    await li.save(session_id, session_name="of li")
    await li.ask("secret", "answer", session_id)
    body = {"session_id": session_id, "session_name": "mine", "mode": "LLM", "param": {}}
    await _refused(await other.http.post("/session/save", json=body))
    await _refused(await other.http.post("/session/delete", json=session_id))
    assert await other.sessions() == []
    assert await other.history(session_id) == []
    assert await other.recent(session_id) == []
    assert [item["session_name"] for item in await li.sessions()] == ["of li"]
    assert len(await li.history(session_id)) == 1


async def test_the_first_question_claims_the_session(
    li: User, other: User, session_id: str
) -> None:
    await li.begin("question", session_id=session_id)
    body = {"session_id": session_id, "session_name": "mine", "mode": "LLM", "param": {}}
    await _refused(await other.http.post("/session/save", json=body))
    await _refused(await other.http.post("/session/delete", json=session_id))
    await li.save(session_id)
    assert len(await li.history(session_id)) == 1


@pytest.mark.parametrize("claimed_by", ["save", "chat"])
async def test_nobody_chats_in_another_users_session(
    li: User, other: User, session_id: str, claimed_by: str
) -> None:
    if claimed_by == "save":
        await li.save(session_id)
    else:
        await li.begin(session_id=session_id)
    answer = await other.try_begin("intrusion", session_id=session_id)
    assert answer.status_code == 403
    assert (answer.json()["code"], answer.json()["detail"]) == ("refused", "无权操作!")
    assert "intrusion" not in [turn["query"] for turn in await li.recent(session_id)]


async def test_nobody_asks_another_users_turn_again(li: User, other: User, session_id: str) -> None:
    turn = await li.ask("question", "answer", session_id)
    answer = await other.try_begin("question", session_id="b" * 32, turn_id=turn.id)
    assert (answer.status_code, answer.json()["code"]) == (403, "refused")
    assert await other.recent("b" * 32) == []
    [stored] = await li.recent(session_id)
    assert (stored["response"], stored["state"]) == ("answer", "done")


async def test_a_refused_begin_claims_nothing(li: User, other: User, session_id: str) -> None:
    turn = await li.begin(session_id="b" * 32)
    await other.try_begin(session_id=session_id, turn_id=turn.id)
    await li.save(session_id)
    assert len(await li.sessions()) == 1


async def test_a_foreign_chat_id_says_nothing_about_its_time(
    li: User, other: User, session_id: str
) -> None:
    await other.ask("question", "answer", session_id)
    foreign = await li.ask("question", "answer", "b" * 32)
    assert await other.history(session_id, chat_id=foreign.id) == []


async def test_an_answer_needs_no_caller(li: User, stranger: httpx.AsyncClient) -> None:
    # The capability is the right: it outlives the caller header, which lives five minutes.
    turn = await li.begin()
    assert (await finish(stranger, turn)).status_code == 204


async def test_a_caller_header_is_no_capability(li: User, session_id: str) -> None:
    turn = await li.begin(session_id=session_id)
    header = li.http.headers["X-Chat2LLM-Caller"]
    assert (await finish(li.http, Turn(turn.id, header))).status_code == 404


@pytest.mark.parametrize(("method", "path", "body"), REQUESTS)
@pytest.mark.parametrize("kind", ["none", "empty", "garbage", "forged", "expired"])
async def test_every_route_needs_a_true_caller(
    stranger: httpx.AsyncClient, issuer: Issuer, method: str, path: str, body: Any, kind: str
) -> None:
    headers = {
        "none": {},
        "empty": {"X-Chat2LLM-Caller": ""},
        "garbage": {"X-Chat2LLM-Caller": "a.b.c"},
        "forged": Issuer().headers("li"),
        "expired": issuer.headers("li", lifetime=-1),
    }[kind]
    answer = await stranger.request(method, path, json=body, headers=headers)
    assert answer.status_code == 401
    if path.startswith("/internal"):
        assert answer.json()["code"] == "unauthorized"
    else:
        assert list(answer.json()) == ["detail"]


@pytest.mark.parametrize(("method", "path", "body"), REQUESTS)
async def test_every_route_needs_the_scope(user: UserOf, method: str, path: str, body: Any) -> None:
    reader = user("reader", scopes=("kb:read", "kb:write"))
    assert (await reader.http.request(method, path, json=body)).status_code == 403


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/openapi.json"])
async def test_health_and_documents_are_open(stranger: httpx.AsyncClient, path: str) -> None:
    assert (await stranger.get(path)).status_code == 200
