"""Users that clients vouched for, and their sessions, as operators manage them."""

from collections.abc import Callable
from typing import Any, TypedDict, Unpack

from auth_service import validation
from auth_service.audit import Actor, AuditLog
from auth_service.errors import NoSuchClient
from auth_service.store.audit import NewEntry
from auth_service.store.paging import Page, Paging
from auth_service.store.user_registry import (
    RemovedWithUser,
    SessionFilter,
    SessionRow,
    UserFilter,
    UserRegistry,
    UserRow,
)

_CLIENT_IDS = range(2**31)


class UserValues(TypedDict, total=False):
    """What an operator may change of a user; the next login may change name and groups again."""

    username: str
    enable: bool
    groups: list[str]


class Users:
    """Adds, shows, changes and removes users, and ends what they have open."""

    def __init__(
        self, registry: UserRegistry, audit: AuditLog, *, clock: Callable[[], float]
    ) -> None:
        self._registry, self._audit, self._clock = registry, audit, clock

    async def page(self, wanted: UserFilter, paging: Paging) -> Page[UserRow]:
        return await self._registry.page(wanted, paging)

    async def find(self, client_id: int, user_id: str) -> UserRow:
        """Raises NoSuchUser."""
        return await self._registry.find(client_id, user_id)

    async def add(
        self, by: Actor, client_id: int, user_id: str, **values: Unpack[UserValues]
    ) -> UserRow:
        """Before the first login, or after a deletion. Raises Invalid, NoSuchClient, Conflict."""
        if client_id not in _CLIENT_IDS:
            raise NoSuchClient(client_id)
        user_id = validation.user_id_of(user_id)
        defaults: UserValues = {"username": user_id[:50], "enable": True, "groups": []}
        checked = _checked({**defaults, **values})
        entry = self._audit.entry(by, "user.add", _target(client_id, user_id))
        await self._registry.add(client_id, user_id, checked, entry)
        return await self.find(client_id, user_id)

    async def change(
        self, by: Actor, client_id: int, user_id: str, **values: Unpack[UserValues]
    ) -> UserRow:
        """Only what is given. Raises NoSuchUser, Invalid."""
        checked = _checked(values)
        if checked:
            action = "user.change"
            if checked.keys() == {"enable"}:
                action = "user.enable" if checked["enable"] else "user.disable"
            detail = {name: str(value) for name, value in checked.items()}
            entry = self._audit.entry(by, action, _target(client_id, user_id), detail=detail)
            await self._registry.change(client_id, user_id, checked, entry)
        return await self.find(client_id, user_id)

    async def delete(self, by: Actor, client_id: int, user_id: str) -> RemovedWithUser:
        """With sessions and API keys; a token made later lets the user in again, as a new one.

        Raises NoSuchUser.
        """

        def told(removed: RemovedWithUser) -> NewEntry:
            counts = {"sessions": str(removed.sessions), "api_keys": str(removed.api_keys)}
            return self._audit.entry(by, "user.delete", _target(client_id, user_id), detail=counts)

        return await self._registry.delete(client_id, user_id, self._clock(), told)

    async def revoke(self, by: Actor, client_id: int, user_id: str) -> int:
        """End all sessions and the tokens made until now. Raises NoSuchUser."""

        def told(sessions: int) -> NewEntry:
            detail = {"sessions": str(sessions)}
            return self._audit.entry(by, "user.revoke", _target(client_id, user_id), detail=detail)

        return await self._registry.revoke(client_id, user_id, self._clock(), told)

    async def sessions(
        self, paging: Paging, *, client_id: int | None, user_id: str | None, live: bool
    ) -> Page[SessionRow]:
        live_at = self._clock() if live else None
        return await self._registry.sessions(SessionFilter(client_id, user_id, live_at), paging)

    async def revoke_session(self, by: Actor, session_id: str) -> None:
        """Raises NoSuchSession."""

        def told(session: SessionRow) -> NewEntry:
            target = _target(session.client_id, session.user_id)
            detail = {"session": session_id[:12], "method": session.method}
            return self._audit.entry(by, "session.revoke", target, detail=detail)

        await self._registry.revoke_session(session_id, told)


def _target(client_id: int, user_id: str) -> str:
    return f"user {client_id}/{user_id}"


def _checked(values: UserValues) -> dict[str, Any]:
    checked: dict[str, Any] = {**values}
    if "username" in values:
        checked["username"] = validation.name_of(values["username"])
    if "groups" in values:
        checked["groups"] = validation.groups_of(values["groups"])
    return checked
