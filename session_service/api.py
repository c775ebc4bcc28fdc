"""The routes: the old wire in `public`, what other services call in `internal`."""

from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, Query, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import AfterValidator, AwareDatetime

from servicekit.database import ReadSessionDep, SessionDep
from servicekit.errors import EnvelopeRoute, Unauthorized
from servicekit.identity import Caller, require_scope
from session_service.models import TurnState
from session_service.schemas import (
    Envelope,
    Feedback,
    HistoryItem,
    HistoryRequest,
    RatedTurn,
    RatedTurns,
    RecentTurn,
    SessionId,
    SessionItem,
    SessionSave,
    TurnBegin,
    TurnBegun,
    TurnFinish,
)
from session_service.sessions import Sessions
from session_service.store import Answer, Owner, RatedFilter, SessionStore, TurnStore
from session_service.turns import Turns

_IDENTITY: dict[int | str, dict[str, Any]] = {
    401: {"description": "No caller, or one that nobody vouches for 身份无效"},
    403: {"description": "The caller lacks a scope, or it is another's (code 403) 没有权限"},
}

public = APIRouter(route_class=EnvelopeRoute, tags=["sessions"], responses=_IDENTITY)
administration = APIRouter(prefix="/admin", tags=["administration"], responses=_IDENTITY)
internal = APIRouter(prefix="/internal", tags=["internal"], responses=_IDENTITY)


async def _owner(caller: Annotated[Caller, require_scope("chat")]) -> Owner:
    return Owner(caller.client_id, caller.user_id)


async def _capability(
    given: Annotated[HTTPAuthorizationCredentials | None, Depends(HTTPBearer(auto_error=False))],
) -> str:
    if given is None:
        raise Unauthorized("The turn's capability is missing. 缺少写入凭证。")
    return given.credentials


async def _sessions(request: Request, session: SessionDep) -> Sessions:
    connection = await session.connection()
    return Sessions(SessionStore(connection), TurnStore(connection), request.app.state.clock)


async def _read_sessions(request: Request, session: ReadSessionDep) -> Sessions:
    return await _sessions(request, session)


async def _turns(request: Request, session: SessionDep) -> Turns:
    connection = await session.connection()
    return Turns(TurnStore(connection), SessionStore(connection), request.app.state.clock)


async def _read_turns(request: Request, session: ReadSessionDep) -> Turns:
    return await _turns(request, session)


def _utc(time: datetime) -> datetime:
    try:
        return time.astimezone(UTC)
    except OverflowError:  # in the first or last hours of the calendar
        raise ValueError("out of range 超出范围") from None


# SQLite compares times as texts, so they must be of one zone.
Moment = Annotated[AwareDatetime, AfterValidator(_utc)]


async def _feedback_filter(
    min_score: Annotated[int, Query(ge=0, le=100)] = 0,
    max_score: Annotated[int, Query(ge=0, le=100)] = 100,
    since: Annotated[Moment | None, Query(description="rated then or later")] = None,
    until: Annotated[Moment | None, Query(description="rated before")] = None,
    kb: Annotated[str | None, Query(max_length=255, description="about this one")] = None,
) -> RatedFilter:
    return RatedFilter(min_score, max_score, since, until, kb)


FeedbackFilterDep = Annotated[RatedFilter, Depends(_feedback_filter)]
# The owner comes first in every handler, so that a stranger is refused before a transaction opens.
OwnerDep = Annotated[Owner, Depends(_owner)]
CapabilityDep = Annotated[str, Depends(_capability)]
SessionsDep = Annotated[Sessions, Depends(_sessions)]
ReadSessionsDep = Annotated[Sessions, Depends(_read_sessions)]
TurnsDep = Annotated[Turns, Depends(_turns)]
ReadTurnsDep = Annotated[Turns, Depends(_read_turns)]


@public.get("/session/list", summary="The caller's saved sessions, newest first")
async def list_sessions(owner: OwnerDep, sessions: ReadSessionsDep) -> Envelope[list[SessionItem]]:
    saved = await sessions.saved_by(owner)
    return Envelope(data=[SessionItem.model_validate(session) for session in saved])


@public.post("/session/save", summary="Store a session, or update it")
async def save_session(owner: OwnerDep, sessions: SessionsDep, body: SessionSave) -> Envelope[bool]:
    await sessions.save(
        owner,
        body.session_id,
        name=body.session_name,
        mode=body.mode,
        param=body.param.as_text(),
    )
    return Envelope(data=True)


@public.post("/session/delete", summary="Delete a session and its turns")
async def delete_session(
    owner: OwnerDep, sessions: SessionsDep, session_id: Annotated[SessionId, Body()]
) -> Envelope[bool]:
    await sessions.delete(owner, session_id)
    return Envelope(data=True)


@public.post("/history/latest", summary="A session's turns, newest first")
async def latest_history(
    owner: OwnerDep, turns: ReadTurnsDep, body: HistoryRequest
) -> Envelope[list[HistoryItem]]:
    page = await turns.page(owner, body.session_id, older_than=body.chat_id, size=body.num)
    return Envelope(data=[HistoryItem.model_validate(turn) for turn in page])


@public.post("/chat/feedback", summary="Rate an answer from 0 to 100")
async def give_feedback(owner: OwnerDep, turns: TurnsDep, body: Feedback) -> Envelope[None]:
    await turns.rate(owner, body.chat_history_id, score=body.score, reason=body.reason)
    return Envelope(msg=f"已反馈聊天记录 {body.chat_history_id}", data=None)


@administration.get("/feedback", summary="Rated answers of all users, the newest ratings first")
async def list_feedback(
    _: Annotated[Caller, require_scope("admin")],
    turns: ReadTurnsDep,
    wanted: FeedbackFilterDep,
    page: Annotated[int, Query(ge=1, le=1_000_000)] = 1,
    page_size: Annotated[int, Query(ge=1, le=200)] = 50,
) -> RatedTurns:
    found, total = await turns.rated(wanted, page=page, page_size=page_size)
    items = [RatedTurn.model_validate(turn) for turn in found]
    return RatedTurns(items=items, total=total, page=page, page_size=page_size)


@internal.post("/turns", summary="Store a question before it is asked")
async def begin_turn(owner: OwnerDep, turns: TurnsDep, body: TurnBegin) -> TurnBegun:
    begun = await turns.begin(
        owner,
        session_id=body.session_id,
        turn_id=body.turn_id or "",
        chat_type=body.chat_type,
        query=body.query,
        knowledge_base=body.knowledge_base,
    )
    return TurnBegun(turn_id=begun.turn_id, capability=begun.capability)


@internal.post(
    "/turns/{turn_id}/finish",
    status_code=204,
    summary="Store the answer to a begun turn",
    responses={404: {"description": "The turn is gone, or the capability does not open it"}},
)
async def finish_turn(
    capability: CapabilityDep, turns: TurnsDep, turn_id: str, body: TurnFinish
) -> None:
    answer = Answer(body.response, body.docs, TurnState(body.state))
    await turns.finish(turn_id, capability, answer)


@internal.get("/sessions/{session_id:path}/turns", summary="A session's newest turns, oldest first")
async def recent_turns(
    owner: OwnerDep,
    turns: ReadTurnsDep,
    session_id: str,
    limit: Annotated[int, Query(ge=1, le=100)] = 10,
) -> list[RecentTurn]:
    recent = await turns.recent(owner, session_id, limit=limit)
    return [RecentTurn.model_validate(turn) for turn in recent]
