"""Every answer reaches session_service: at once, later, or from its last checkpoint."""

import asyncio
import json
import logging
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from chat_service.clients import SessionClient, Turn
from chat_service.store import OutboxStore, Parcel
from servicekit.errors import ServiceError

DONE, FAILED, INTERRUPTED = "done", "failed", "interrupted"
CHECKPOINT_SECONDS = 2.0
_LEASE = 10.0
_LONGEST_BACK_OFF = 60.0
_FINISH_TIMEOUT = 5.0

logger = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class Draft:
    """An answer while it is being produced; interrupted until somebody says otherwise."""

    turn: Turn
    pieces: list[str] = field(default_factory=list)
    docs: list[str] = field(default_factory=list)
    state: str = INTERRUPTED
    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    begun_at: float = field(default_factory=time.monotonic)
    kept: bool = False

    @classmethod
    def unstored(cls) -> "Draft":
        """Of an answer that somebody else keeps."""
        return cls(Turn("", ""))

    @property
    def text(self) -> str:
        return "".join(self.pieces)

    def parcel(self, *, due_at: float) -> Parcel:
        docs = json.dumps(self.docs, ensure_ascii=False)
        turn, text = self.turn, self.text
        return Parcel(self.id, turn.id, turn.capability, text, docs, self.state, 0, due_at)


class Outbox:
    """Stores answers; keeps checkpoints of the live ones and delivers what is due.

    Several processes may share one database: a row's `due_at` is its lease.
    """

    def __init__(self, store: OutboxStore, sessions: SessionClient) -> None:
        self._store, self._sessions = store, sessions
        self._live: set[Draft] = set()
        self._finishing = 0
        self._idle = asyncio.Event()
        self._writing = asyncio.Lock()  # a checkpoint must not land after the final answer

    def open(self, turn: Turn) -> Draft:
        draft = Draft(turn)
        self._live.add(draft)
        return draft

    async def finish(self, draft: Draft) -> None:
        """Store the final answer, now or, when that is not possible now, later."""
        self._live.discard(draft)
        self._finishing += 1
        try:
            await self._settle(draft)
        finally:
            self._finishing -= 1
            self._note_idle()

    async def idle(self, within: float) -> None:
        """Wait until every answer is stored, for the end of the process."""
        self._note_idle()
        with suppress(TimeoutError):
            async with asyncio.timeout(within):
                await self._idle.wait()

    async def checkpoint(self) -> None:
        """Keep what the streams that last longer have produced so far."""
        async with self._writing:
            begun_before = time.monotonic() - CHECKPOINT_SECONDS
            drafts = [draft for draft in self._live if draft.begun_at <= begun_before]
            if not drafts:
                return
            due_at = _now() + _LEASE
            for draft in drafts:
                draft.kept = True
            await self._store.write([draft.parcel(due_at=due_at) for draft in drafts])

    async def deliver(self) -> None:
        """Hand over what is due, until one fails: then session_service is likely away."""
        while parcel := await self._store.claim(now=_now(), until=_now() + _LEASE * 3):
            if not await self._hand_over(parcel):
                return

    def _note_idle(self) -> None:
        if self._live or self._finishing:
            self._idle.clear()
        else:
            self._idle.set()

    async def _settle(self, draft: Draft) -> None:
        if draft.kept:  # first here, so that a crash now delivers the end and not a checkpoint
            with _even_without_chat_db(draft):
                async with asyncio.timeout(_FINISH_TIMEOUT), self._writing:
                    await self._store.write([draft.parcel(due_at=_now() + _LEASE)])
        try:
            async with asyncio.timeout(_FINISH_TIMEOUT):
                await self._finish(draft.turn, draft.text, draft.docs, draft.state)
        except (ServiceError, TimeoutError) as error:
            logger.warning("turn %s will be stored later: %s", draft.turn.id, error)
            await self._store.write([draft.parcel(due_at=_now())])
        else:
            if draft.kept:
                with _even_without_chat_db(draft):
                    await self._store.remove(draft.id)

    async def _hand_over(self, parcel: Parcel) -> bool:
        turn = Turn(parcel.turn_id, parcel.capability)
        try:
            await self._finish(turn, parcel.response, json.loads(parcel.docs), parcel.state)
        except ServiceError as error:
            back_off = min(_LONGEST_BACK_OFF, 2.0 ** min(parcel.attempts, 6))
            logger.warning("turn %s waits %.0f s more: %s", turn.id, back_off, error)
            await self._store.postpone(parcel, until=_now() + back_off)
            return False
        await self._store.delivered(parcel)
        return True

    async def _finish(self, turn: Turn, response: str, docs: list[str], state: str) -> None:
        """Raises ServiceError when a later try may succeed."""
        try:
            await self._sessions.finish(turn, response=response, docs=docs, state=state)
        except ServiceError as error:
            if error.status >= 500:
                raise
            logger.warning("turn %s takes no answer any more: %s", turn.id, error)


@contextmanager
def _even_without_chat_db(draft: Draft) -> Iterator[None]:
    try:
        yield
    except Exception:  # whatever is wrong with it: session_service may take the answer
        logger.exception("turn %s: its checkpoint in chat.db stays as it is", draft.turn.id)


def _now() -> float:
    return time.time()  # of the clock on the wall: processes share it
