"""A question on its way through the real chat_service and kb_service: who may see what it asks."""

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from chat_service.app import create_app as create_chat
from chat_service.settings import ChatSettings
from kb_service.app import create_app as create_kb
from kb_service.settings import KbSettings
from session_service.app import create_app as create_sessions
from session_service.settings import SessionSettings
from tests.serving import Issuer, served

HIDDEN, NOBODY = "hidden", "nobody"  # of one length, so that the answers' headers are equal too
SESSION_ID = "5" * 32
SALES_OF_2 = {"visibility": "groups", "clients": ["2"], "groups": ["sales"]}
ALL = {"visibility": "all", "clients": [], "groups": []}


@dataclass(frozen=True)
class Services:
    chat: httpx.AsyncClient
    kb: httpx.AsyncClient
    sessions: httpx.AsyncClient

    async def ask(
        self, name: str, who: dict[str, str], session_id: str = SESSION_ID
    ) -> httpx.Response:
        body = {"query": "年假有几天？", "knowledge_base_name": name, "session_id": session_id}
        same_id = {"X-Request-ID": "the-same-for-both"}
        return await self.chat.post("/chat/knowledge_base_chat", json=body, headers=who | same_id)

    async def show_to(self, visibility: dict[str, Any]) -> None:
        path = f"/admin/knowledge-bases/{HIDDEN}/visibility"
        assert (await self.kb.put(path, json=visibility)).json() == visibility

    async def turns(self, who: dict[str, str]) -> Any:
        path = f"/internal/sessions/{SESSION_ID}/turns?limit=9"
        return (await self.sessions.get(path, headers=who)).json()


@pytest.fixture
async def services(data: Path, issuer: Issuer) -> AsyncIterator[Services]:
    """All three with client 7's knowledge base, which the sales people of client 2 may see."""
    owner = issuer.headers("editor", scopes=("kb:read", "kb:write"))
    async with AsyncExitStack() as stack:

        async def client(app: Any, headers: dict[str, str] | None = None) -> httpx.AsyncClient:
            url = await stack.enter_async_context(served(app))
            http = httpx.AsyncClient(base_url=url, headers=headers, timeout=60)
            return await stack.enter_async_context(http)

        kb = await client(create_kb(KbSettings(chat2llm_data=data, kb_sample=False)), owner)
        sessions = await client(create_sessions(SessionSettings(chat2llm_data=data)))
        urls: dict[str, Any] = {"kb_url": str(kb.base_url), "session_url": str(sessions.base_url)}
        chat = await client(create_chat(ChatSettings(chat2llm_data=data, **urls)))
        services = Services(chat, kb, sessions)
        await _fill(services)
        yield services


async def _fill(services: Services) -> None:
    body = {"knowledge_base_name": HIDDEN, "kb_zh_name": "手册", "kb_info": "制度"}
    await services.kb.post("/knowledge_base/create_knowledge_base", json=body)
    docs = {"a.txt": [{"page_content": "员工的年假有十天。"}]}
    await services.kb.post(
        "/knowledge_base/upload_docs",
        files={"files": ("a.txt", "员工的年假有十天。".encode())},
        data={"knowledge_base_name": HIDDEN, "docs": json.dumps(docs)},
    )
    await services.show_to(SALES_OF_2)


async def test_what_the_caller_may_not_see_answers_like_what_is_not_there(
    services: Services, issuer: Issuer
) -> None:
    for who in (
        issuer.headers("li", client_id="8"),
        issuer.headers("li", client_id="8", groups=("sales",)),
        issuer.headers("li", client_id="2", groups=("board",)),
        issuer.headers("li", client_id="2", groups=("sales",), confined_to=("other",)),
        issuer.headers("li", client_id="7", confined_to=()),
        issuer.headers("root", client_id="admin", scopes=("admin",), confined_to=("other",)),
    ):
        unknown, answer = await services.ask(NOBODY, who), await services.ask(HIDDEN, who)
        assert unknown.json() == {"code": 404, "msg": f"未找到知识库 {NOBODY}", "data": None}
        assert (answer.status_code, answer.headers.raw) == (200, unknown.headers.raw)
        assert answer.content.replace(HIDDEN.encode(), NOBODY.encode()) == unknown.content
        assert await services.turns(who) == []


async def test_groups_and_confinement_arrive_with_the_caller(
    services: Services, issuer: Issuer
) -> None:
    for number, who in enumerate(
        (
            issuer.headers("an", client_id="2", groups=("x", "sales")),
            issuer.headers("an", client_id="2", groups=("sales",), confined_to=(HIDDEN,)),
            issuer.headers("an", client_id="7"),
            issuer.headers("an", client_id="admin", scopes=("admin",)),
        )
    ):
        body = (await services.ask(HIDDEN, who, f"{number}" * 32)).text
        assert "十天" in body, (number, body)


async def test_a_change_counts_from_the_next_question_on(
    services: Services, issuer: Issuer
) -> None:
    li = issuer.headers("li", client_id="8")
    for visibility, is_answered in ((ALL, True), (SALES_OF_2, False), (ALL, True)):
        await services.show_to(visibility)
        assert ("十天" in (await services.ask(HIDDEN, li)).text) is is_answered
