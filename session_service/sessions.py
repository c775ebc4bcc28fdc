"""Sessions: saved under ids that the clients make; the first who writes one owns it."""

from session_service.errors import NotYours
from session_service.models import Clock
from session_service.store import Owner, SessionStore, StoredSession, TurnStore

_NAME_LENGTH = 20


class Sessions:
    """The sessions of one owner."""

    def __init__(self, sessions: SessionStore, turns: TurnStore, clock: Clock) -> None:
        self._sessions, self._turns, self._clock = sessions, turns, clock

    async def saved_by(self, owner: Owner) -> list[StoredSession]:
        return await self._sessions.saved_by(owner)

    async def save(
        self, owner: Owner, session_id: str, *, name: str, mode: str, param: str
    ) -> None:
        """Store or update. Raises NotYours."""
        if not await self._sessions.claim(session_id, owner, now=self._clock()):
            raise NotYours
        if name == session_id:
            name = await self._name_of_unnamed(session_id, owner)
        await self._sessions.save(session_id, name=name, mode=mode, param=param)

    async def delete(self, owner: Owner, session_id: str) -> None:
        """Delete a session with its turns, if it exists. Raises NotYours."""
        if await self._sessions.owner(session_id) not in (None, owner):
            raise NotYours
        await self._sessions.delete(session_id, owner)

    async def _name_of_unnamed(self, session_id: str, owner: Owner) -> str:
        # The published H5 sends the id as the name of a session that it never named itself.
        name = await self._sessions.name(session_id)
        name = name or await self._turns.first_question(session_id, owner) or session_id
        return name[:_NAME_LENGTH]
