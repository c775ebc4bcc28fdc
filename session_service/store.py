"""Every statement on session.db: Core statements, as the ORM would halve the turns per second."""

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    RowMapping,
    Table,
    and_,
    bindparam,
    delete,
    func,
    select,
    true,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from session_service.models import SESSIONS, TURNS, TurnState

# What every chat turn runs is built once; building a statement costs half as much as running it.
_INSERT_NEW = {
    (dialect, table): insert(table).on_conflict_do_nothing()
    for dialect, insert in (("sqlite", sqlite.insert), ("postgresql", postgresql.insert))
    for table in (SESSIONS, TURNS)
}
_OWNER = select(SESSIONS.c.client_id, SESSIONS.c.user_id).where(
    SESSIONS.c.id == bindparam("session_id")
)
_ANSWER_ASKING = (
    update(TURNS)
    .where(TURNS.c.id == bindparam("turn_id"), TURNS.c.capability_hash == bindparam("opened_by"))
    .where(TURNS.c.state == TurnState.ASKING, TURNS.c.begun_time > bindparam("begun_after"))
    .values({name: bindparam(name) for name in ("response", "docs", "state")})
)
_UNANSWERED: dict[str, Any] = {
    "response": "",
    "docs": [],
    "feedback_score": -1,
    "feedback_reason": "",
    "feedback_time": None,
}


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose a session or a turn is: a user of a client."""

    client_id: str
    user_id: str


@dataclass(frozen=True, slots=True)
class StoredSession:
    """A session as it was last saved."""

    session_id: str
    session_name: str
    mode: str
    param: str
    create_time: datetime


@dataclass(frozen=True, slots=True)
class Question:
    """What `begin` stores, whether the turn is new or asked again."""

    chat_type: str
    query: str
    capability_hash: str
    begun_time: datetime
    knowledge_base: str | None


@dataclass(frozen=True, slots=True)
class Answer:
    """What `finish` stores."""

    response: str
    docs: list[str]
    state: TurnState


@dataclass(frozen=True, slots=True)
class StoredTurn:
    """A question with its answer so far; a later turn has a higher `seq`."""

    seq: int
    id: str
    owner: Owner
    query: str
    response: str
    docs: list[str]
    state: TurnState
    begun_time: datetime
    create_time: datetime


@dataclass(frozen=True, slots=True)
class Rated:
    """A turn and what its owner thought of the answer."""

    id: str
    client_id: str
    knowledge_base: str | None
    query: str
    response: str
    docs: list[str]
    score: int
    reason: str
    time: datetime
    create_time: datetime


@dataclass(frozen=True, slots=True)
class RatedFilter:
    """Which ratings are meant; None and 0 to 100 leave nothing out. `until` is exclusive."""

    min_score: int = 0
    max_score: int = 100
    since: datetime | None = None
    until: datetime | None = None
    knowledge_base: str | None = None


class SessionStore:
    """Session ids with their owners, and what was saved under them."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def owner(self, session_id: str) -> Owner | None:
        row = (await self._connection.execute(_OWNER, {"session_id": session_id})).one_or_none()
        return Owner(*row) if row else None

    async def claim(self, session_id: str, owner: Owner, *, now: datetime) -> bool:
        """Make the id `owner`'s; False when it is another's."""
        known = await self.owner(session_id)
        if known is None:
            blank = {"saved": False, "mode": "", "session_name": "", "param": ""}
            values = blank | asdict(owner) | {"id": session_id, "create_time": now}
            if await _insert(self._connection, SESSIONS, values):
                return True
            known = await self.owner(session_id)  # somebody was faster
        return known == owner

    async def name(self, session_id: str) -> str:
        found = await self._connection.execute(
            select(SESSIONS.c.session_name).where(SESSIONS.c.id == session_id)
        )
        return str(found.scalar_one())

    async def saved_by(self, owner: Owner) -> list[StoredSession]:
        """Newest first."""
        shown = ("id", "session_name", "mode", "param", "create_time")
        found = await self._connection.execute(
            select(*(SESSIONS.c[name] for name in shown))
            .where(_is_owned(SESSIONS, owner), SESSIONS.c.saved)
            .order_by(SESSIONS.c.create_time.desc())
        )
        return [StoredSession(*row) for row in found]

    async def save(self, session_id: str, *, name: str, mode: str, param: str) -> None:
        await self._connection.execute(
            update(SESSIONS)
            .where(SESSIONS.c.id == session_id)
            .values(session_name=name, mode=mode, param=param, saved=True)
        )

    async def delete(self, session_id: str, owner: Owner) -> None:
        """The owner's session and turns under this id."""
        for table, key in ((TURNS, TURNS.c.session_id), (SESSIONS, SESSIONS.c.id)):
            await self._connection.execute(
                delete(table).where(key == session_id, _is_owned(table, owner))
            )


class TurnStore:
    """Questions with their answers, and what their owners thought of them."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def insert(
        self, turn_id: str, owner: Owner, session_id: str | None, question: Question
    ) -> bool:
        """False when the id is taken."""
        values = _UNANSWERED | asdict(owner) | asdict(question)
        values |= {"id": turn_id, "session_id": session_id, "state": TurnState.ASKING}
        values |= {"create_time": question.begun_time}
        return await _insert(self._connection, TURNS, values)

    async def reopen(self, turn: StoredTurn, question: Question) -> None:
        """Ask again. The old answer stays until the new one comes, and its rating for good, unless
        the question changed.
        """
        values = asdict(question) | {"state": TurnState.ASKING}
        if turn.query != question.query:
            values |= _UNANSWERED
        await self._connection.execute(update(TURNS).where(TURNS.c.seq == turn.seq).values(values))

    async def answer_asking(
        self, turn_id: str, capability_hash: str, answer: Answer, *, begun_after: datetime
    ) -> bool:
        """Answer a turn that waits for it; False when there is none."""
        key = {"turn_id": turn_id, "opened_by": capability_hash, "begun_after": begun_after}
        return (await self._connection.execute(_ANSWER_ASKING, key | asdict(answer))).rowcount == 1

    async def answer_again(self, turn: StoredTurn, answer: Answer) -> None:
        await self._connection.execute(
            update(TURNS).where(TURNS.c.seq == turn.seq).values(asdict(answer))
        )

    async def find(self, turn_id: str) -> StoredTurn | None:
        return await self._first(TURNS.c.id == turn_id)

    async def find_open_to(self, capability_hash: str, turn_id: str) -> StoredTurn | None:
        return await self._first(TURNS.c.id == turn_id, TURNS.c.capability_hash == capability_hash)

    async def newest(self, session_id: str, owner: Owner) -> StoredTurn | None:
        return await self._first(TURNS.c.session_id == session_id, _is_owned(TURNS, owner))

    async def first_question(self, session_id: str, owner: Owner) -> str | None:
        found = await self._connection.execute(
            select(TURNS.c.query)
            .where(TURNS.c.session_id == session_id, _is_owned(TURNS, owner))
            .order_by(TURNS.c.seq)
            .limit(1)
        )
        return found.scalar_one_or_none()

    async def latest(
        self, session_id: str, owner: Owner, *, before: int | None, limit: int
    ) -> list[StoredTurn]:
        """Newest first; with `before`, only turns of a lower `seq`."""
        older = true() if before is None else TURNS.c.seq < before
        return await self._select(
            TURNS.c.session_id == session_id, _is_owned(TURNS, owner), older, limit=limit
        )

    async def rate(
        self, turn_id: str, owner: Owner, *, score: int, reason: str, now: datetime
    ) -> None:
        await self._connection.execute(
            update(TURNS)
            .where(TURNS.c.id == turn_id, _is_owned(TURNS, owner))
            .values(feedback_score=score, feedback_reason=reason, feedback_time=now)
        )

    async def rated(
        self, wanted: RatedFilter, *, start: int, limit: int
    ) -> tuple[list[Rated], int]:
        """The newest ratings first, and how many there are in all."""
        chosen: list[ColumnElement[bool]] = [
            TURNS.c.feedback_time.is_not(None),
            TURNS.c.feedback_score.between(wanted.min_score, wanted.max_score),
        ]
        if wanted.since:
            chosen.append(TURNS.c.feedback_time >= wanted.since)
        if wanted.until:
            chosen.append(TURNS.c.feedback_time < wanted.until)
        if wanted.knowledge_base is not None:
            chosen.append(TURNS.c.knowledge_base == wanted.knowledge_base)
        order = (TURNS.c.feedback_time.desc(), TURNS.c.seq.desc())
        columns = select(*(TURNS.c[name] for name in _RATED))
        found = await self._connection.execute(
            columns.where(*chosen).order_by(*order).offset(start).limit(limit)
        )
        total = await self._connection.execute(
            select(func.count()).select_from(TURNS).where(*chosen)
        )
        return [Rated(*row) for row in found], total.scalar_one()

    async def _first(self, *conditions: ColumnElement[bool]) -> StoredTurn | None:
        return next(iter(await self._select(*conditions, limit=1)), None)

    async def _select(self, *conditions: ColumnElement[bool], limit: int) -> list[StoredTurn]:
        found = await self._connection.execute(
            select(TURNS).where(*conditions).order_by(TURNS.c.seq.desc()).limit(limit)
        )
        return [_turn(row) for row in found.mappings()]


# In the order of Rated's fields.
_RATED = (
    *("id", "client_id", "knowledge_base", "query", "response", "docs"),
    *("feedback_score", "feedback_reason", "feedback_time", "create_time"),
)


def _turn(row: RowMapping) -> StoredTurn:
    return StoredTurn(
        seq=row["seq"],
        id=row["id"],
        owner=Owner(row["client_id"], row["user_id"]),
        query=row["query"],
        response=row["response"],
        docs=row["docs"],
        state=TurnState(row["state"]),
        begun_time=row["begun_time"],
        create_time=row["create_time"],
    )


def _is_owned(table: Table, owner: Owner) -> ColumnElement[bool]:
    return and_(table.c.client_id == owner.client_id, table.c.user_id == owner.user_id)


async def _insert(connection: AsyncConnection, table: Table, values: dict[str, Any]) -> bool:
    """False when the row is there already."""
    insert = _INSERT_NEW[connection.dialect.name, table]
    return (await connection.execute(insert, values)).rowcount == 1
