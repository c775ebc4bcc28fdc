"""Turns: a question is stored before a model is asked, its answer when there is one."""

import secrets
import uuid
from dataclasses import dataclass, replace
from datetime import timedelta
from hashlib import sha256

from session_service.errors import NoSuchTurn, NotYours
from session_service.models import Clock, TurnState
from session_service.store import (
    Answer,
    Owner,
    Question,
    Rated,
    RatedFilter,
    SessionStore,
    StoredTurn,
    TurnStore,
)

_STALE = timedelta(minutes=15)  # three times the longest answer
_CAPABILITY_LIFE = timedelta(hours=1)
_UNANSWERED_LIFE = timedelta(days=7)  # an answer may wait elsewhere while this service is away
_PAGE = 100


@dataclass(frozen=True, slots=True)
class Begun:
    """Where the answer goes, and the right to put it there."""

    turn_id: str
    capability: str


class Turns:
    """What is asked and answered, for the one who asked."""

    def __init__(self, turns: TurnStore, sessions: SessionStore, clock: Clock) -> None:
        self._turns, self._sessions, self._clock = turns, sessions, clock

    async def begin(
        self,
        owner: Owner,
        *,
        session_id: str | None,
        turn_id: str,
        chat_type: str,
        query: str,
        knowledge_base: str | None = None,
    ) -> Begun:
        """Store a question, under an id that the caller may choose. Raises NotYours.

        A known id is asked again; so is the session's newest turn when an unknown id comes with
        its question, because the published H5 regenerates under ids that only it knows.
        """
        now = self._clock()
        if session_id and not await self._sessions.claim(session_id, owner, now=now):
            raise NotYours
        known = await self._asked_before(owner, session_id, turn_id, query) if turn_id else None
        capability = secrets.token_urlsafe(32)
        question = Question(chat_type, query, _hash(capability), now, knowledge_base)
        if known:
            await self._turns.reopen(known, question)
            return Begun(known.id, capability)
        new_id = turn_id or uuid.uuid4().hex
        if await self._turns.insert(new_id, owner, session_id, question):
            return Begun(new_id, capability)
        # Somebody took the id since we looked.
        return await self.begin(
            owner,
            session_id=session_id,
            turn_id=turn_id,
            chat_type=chat_type,
            query=query,
            knowledge_base=knowledge_base,
        )

    async def finish(self, turn_id: str, capability: str, answer: Answer) -> None:
        """Store an answer; the same one any number of times. Raises NoSuchTurn."""
        now, opened_by = self._clock(), _hash(capability)
        since = now - _UNANSWERED_LIFE
        if await self._turns.answer_asking(turn_id, opened_by, answer, begun_after=since):
            return
        turn = await self._turns.find_open_to(opened_by, turn_id)
        if turn is None or turn.state == TurnState.ASKING:
            raise NoSuchTurn
        if answer == Answer(turn.response, turn.docs, turn.state):
            return
        if turn.begun_time <= now - _CAPABILITY_LIFE:
            raise NoSuchTurn
        # A checkpoint that arrives late knows less than the answer that is here.
        if answer.state != TurnState.INTERRUPTED or turn.state == TurnState.INTERRUPTED:
            await self._turns.answer_again(turn, answer)

    async def recent(self, owner: Owner, session_id: str, *, limit: int) -> list[StoredTurn]:
        """The newest turns of a session, oldest first."""
        turns = await self._turns.latest(session_id, owner, before=None, limit=limit)
        return [self._as_seen_now(turn) for turn in reversed(turns)]

    async def page(
        self, owner: Owner, session_id: str, *, older_than: str | None, size: int
    ) -> list[StoredTurn]:
        """Newest first, at most 100; nothing when `older_than` is no turn of the owner's."""
        before = None
        if older_than is not None:
            shown = await self._turns.find(older_than)
            if shown is None or shown.owner != owner:
                return []
            before = shown.seq
        return await self._turns.latest(session_id, owner, before=before, limit=min(size, _PAGE))

    async def rate(self, owner: Owner, turn_id: str, *, score: int, reason: str) -> None:
        """Keep the owner's opinion; of a turn that is not the owner's there is none to keep."""
        await self._turns.rate(turn_id, owner, score=score, reason=reason, now=self._clock())

    async def rated(
        self, wanted: RatedFilter, *, page: int, page_size: int
    ) -> tuple[list[Rated], int]:
        """Everybody's ratings, the newest first, and how many there are in all."""
        return await self._turns.rated(wanted, start=(page - 1) * page_size, limit=page_size)

    async def _asked_before(
        self, owner: Owner, session_id: str | None, turn_id: str, query: str
    ) -> StoredTurn | None:
        known = await self._turns.find(turn_id)
        if known and known.owner != owner:
            raise NotYours
        if known or not session_id:
            return known
        newest = await self._turns.newest(session_id, owner)
        return newest if newest and newest.query == query else None

    def _as_seen_now(self, turn: StoredTurn) -> StoredTurn:
        stale = turn.begun_time <= self._clock() - _STALE
        if stale and turn.state == TurnState.ASKING:
            return replace(turn, state=TurnState.INTERRUPTED)
        return turn


def _hash(capability: str) -> str:
    return sha256(capability.encode()).hexdigest()
