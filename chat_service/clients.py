"""The other services as chat_service sees them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from chat_service.errors import NoSuchKnowledgeBase
from servicekit.errors import (
    Forbidden,
    Invalid,
    NotFound,
    Refused,
    ServiceError,
    Unauthorized,
    UpstreamError,
)
from servicekit.http import ServiceClient
from servicekit.identity import CALLER_HEADER

_BY_CODE: dict[str, type[ServiceError]] = {
    error.code: error for error in (Forbidden, Invalid, NotFound, Refused, Unauthorized)
}


@dataclass(frozen=True, slots=True)
class Turn:
    """A stored question; the capability lets whoever holds it store the answer."""

    id: str
    capability: str


@dataclass(frozen=True, slots=True)
class PastTurn:
    id: str
    query: str
    response: str
    state: str


@dataclass(frozen=True, slots=True)
class Passage:
    """`score` is a distance: 0 the same, 2 nothing in common.

    Metadata says where it stands, as far as that is known: `title`, `page` and `page_to`, `sheet`,
    `slide`; of a web page its `url` and `page_title`.
    """

    file_name: str
    content: str
    score: float
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class KnowledgeBase:
    """One that the caller may search."""

    name: str
    title: str
    info: str
    files: int


class SessionClient:
    """What was said: begins and finishes turns, reads recent ones."""

    def __init__(self, service: ServiceClient) -> None:
        self._service = service

    async def begin(
        self,
        *,
        caller: str,
        session_id: str | None,
        turn_id: str | None,
        chat_type: str,
        query: str,
        knowledge_base: str | None = None,
    ) -> Turn:
        """Store the question. Raises Refused for another's turn or session."""
        body = await _call(
            self._service,
            "POST",
            "/internal/turns",
            caller=caller,
            body={
                "session_id": session_id,
                "turn_id": turn_id,
                "chat_type": chat_type,
                "query": query,
                "knowledge_base": knowledge_base,
            },
        )
        return Turn(body["turn_id"], body["capability"])

    async def finish(self, turn: Turn, *, response: str, docs: Sequence[str], state: str) -> None:
        """Store the answer. Raises a ServiceError below 500 when that can never succeed."""
        status, body = await self._service.call(
            "POST",
            f"/internal/turns/{turn.id}/finish",
            headers={"Authorization": f"Bearer {turn.capability}"},
            body={"response": response, "docs": list(docs), "state": state},
        )
        if status >= 300:
            raise _error(status, body)

    async def recent(self, session_id: str, *, caller: str, limit: int) -> list[PastTurn]:
        """The caller's own turns of a session, oldest first."""
        body = await _call(
            self._service,
            "GET",
            f"/internal/sessions/{quote(session_id, safe='')}/turns?limit={limit}",
            caller=caller,
        )
        return [PastTurn(t["turn_id"], t["query"], t["response"], t["state"]) for t in body]


class KbClient:
    """What is known: knowledge bases and their passages."""

    def __init__(self, service: ServiceClient) -> None:
        self._service = service

    async def require(self, name: str, *, caller: str) -> None:
        """Raises NoSuchKnowledgeBase."""
        if not name.strip("."):  # would be a step in the path, not a name
            raise NoSuchKnowledgeBase(name)
        path = f"/internal/knowledge_bases/{quote(name, safe='')}"
        status, body = await self._service.call("GET", path, headers={CALLER_HEADER: caller})
        if status == 404:
            raise NoSuchKnowledgeBase(name)
        if status >= 300:
            raise _error(status, body)

    async def listed(self, *, caller: str) -> list[KnowledgeBase]:
        """What the caller may search."""
        path = "/knowledge_base/list_knowledge_bases_v2"
        body = await _call(self._service, "GET", path, caller=caller)
        return [
            KnowledgeBase(kb["kb_name"], kb["kb_zh_name"], kb["kb_info"], kb["file_count"])
            for kb in body["data"]
        ]

    async def read(
        self, name: str, file_name: str, *, caller: str, start: int, count: int
    ) -> tuple[str, int | None]:
        """The text of so many chunks, and where to read on, None at the end. Raises NotFound."""
        asked = {"knowledge_base_name": name, "file_name": file_name, "start": start}
        body = await _call(
            self._service, "POST", "/internal/read", caller=caller, body=asked | {"count": count}
        )
        return body["text"], body["next"]

    async def search(
        self,
        name: str,
        *,
        caller: str,
        query: str,
        top_k: int,
        score_threshold: float,
        filter: Mapping[str, Any] | None = None,
    ) -> list[Passage]:
        """`filter` as JSON has it, see PassageFilter."""
        asked: dict[str, Any] = {
            "knowledge_base_name": name,
            "query": query,
            "top_k": top_k,
            "score_threshold": score_threshold,
        }
        if filter:
            asked["filter"] = filter
        body = await _call(
            self._service, "POST", "/internal/search", caller=caller, body=asked, timeout=30
        )
        return [
            Passage(found["file_name"], found["content"], found["score"], found["metadata"])
            for found in body["passages"]
        ]


async def _call(
    service: ServiceClient, method: str, path: str, *, caller: str, **options: Any
) -> Any:
    status, body = await service.call(method, path, headers={CALLER_HEADER: caller}, **options)
    if status >= 300:
        raise _error(status, body)
    return body


def _error(status: int, body: Any) -> ServiceError:
    """The error that a problem document describes."""
    problem = body if isinstance(body, dict) else {}
    kind = _BY_CODE.get(str(problem.get("code")))
    if kind is None:
        return UpstreamError(f"A service answered {status}. 内部服务出错。")
    return kind(str(problem.get("detail", "")))
