"""chat_service's SessionClient against the real session_service."""

import uuid
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from chat_service.clients import PastTurn, SessionClient, Turn
from servicekit.errors import Forbidden, Invalid, NotFound, Refused, Unauthorized, Unavailable
from servicekit.identity import CALLER_HEADER
from session_service.app import create_app
from session_service.settings import SessionSettings
from tests.contract.conftest import ClientOf
from tests.serving import Issuer, served
from tests.stack import free_ports

SESSION_ID = uuid.uuid4().hex


@pytest.fixture
async def url(data: Path) -> AsyncIterator[str]:
    async with served(create_app(SessionSettings(chat2llm_data=data))) as address:
        yield address


@pytest.fixture
def sessions(url: str, client_of: ClientOf) -> SessionClient:
    return SessionClient(client_of(url))


@pytest.fixture
def li(issuer: Issuer) -> str:
    return issuer.headers("li")[CALLER_HEADER]


@pytest.fixture
def wang(issuer: Issuer) -> str:
    return issuer.headers("wang")[CALLER_HEADER]


async def _begin(
    sessions: SessionClient,
    caller: str,
    query: str = "年假？",
    *,
    turn_id: str | None = None,
    chat_type: str = "llm_chat",
) -> Turn:
    return await sessions.begin(
        caller=caller, session_id=SESSION_ID, turn_id=turn_id, chat_type=chat_type, query=query
    )


@pytest.mark.parametrize("chat_type", ["llm_chat", "knowledge_base_chat"])
async def test_a_turn_is_begun_finished_and_read(
    sessions: SessionClient, li: str, chat_type: str
) -> None:
    turn = await _begin(sessions, li, chat_type=chat_type)
    assert await sessions.recent(SESSION_ID, caller=li, limit=5) == [
        PastTurn(turn.id, "年假？", "", "asking")
    ]
    await sessions.finish(turn, response="十天", docs=["出处"], state="done")
    await sessions.finish(turn, response="十天", docs=["出处"], state="done")
    assert await sessions.recent(SESSION_ID, caller=li, limit=5) == [
        PastTurn(turn.id, "年假？", "十天", "done")
    ]


@pytest.mark.parametrize("state", ["done", "failed", "interrupted"])
async def test_every_state_is_understood(sessions: SessionClient, li: str, state: str) -> None:
    turn = await _begin(sessions, li)
    await sessions.finish(turn, response="", docs=(), state=state)
    [stored] = await sessions.recent(SESSION_ID, caller=li, limit=1)
    assert stored.state == state


async def test_regenerating_gives_the_turn_that_is_stored(sessions: SessionClient, li: str) -> None:
    first = await _begin(sessions, li)
    again = await _begin(sessions, li, turn_id=uuid.uuid4().hex)
    assert (again.id, again.capability != first.capability) == (first.id, True)


async def test_anothers_session_and_turn_are_refused_in_the_contracts_words(
    sessions: SessionClient, li: str, wang: str
) -> None:
    turn = await _begin(sessions, li)
    with pytest.raises(Refused, match="无权操作!"):
        await _begin(sessions, wang)
    with pytest.raises(Refused, match="无权操作!"):
        await sessions.begin(
            caller=wang, session_id=None, turn_id=turn.id, chat_type="llm_chat", query="q"
        )
    assert await sessions.recent(SESSION_ID, caller=wang, limit=5) == []


async def test_an_answer_that_can_never_land_is_told_from_one_that_must_wait(
    sessions: SessionClient, li: str, url: str, client_of: ClientOf
) -> None:
    turn = await _begin(sessions, li)
    with pytest.raises(NotFound):
        await sessions.finish(replace(turn, capability="no"), response="", docs=[], state="done")
    async with httpx.AsyncClient(headers={CALLER_HEADER: li}) as http:
        await http.post(f"{url}/session/delete", json=SESSION_ID)
    with pytest.raises(NotFound):
        await sessions.finish(turn, response="", docs=[], state="done")
    away = SessionClient(client_of(f"http://127.0.0.1:{free_ports(1)[0]}"))
    with pytest.raises(Unavailable):
        await away.finish(turn, response="", docs=[], state="done")


async def test_ids_that_cannot_be_stored_are_invalid(sessions: SessionClient, li: str) -> None:
    with pytest.raises(Invalid):
        await _begin(sessions, li, turn_id="../../livez")


async def test_callers_without_proof_or_scope(sessions: SessionClient, issuer: Issuer) -> None:
    with pytest.raises(Unauthorized):
        await _begin(sessions, "forged")
    with pytest.raises(Forbidden):
        await _begin(sessions, issuer.headers("reader", scopes=("kb:read",))[CALLER_HEADER])


async def test_an_odd_session_id_is_one_that_nobody_knows(sessions: SessionClient, li: str) -> None:
    assert await sessions.recent("a/b?c#d 你", caller=li, limit=3) == []
