"""Operators who log in to the console with a password, as operators manage them."""

import re
import secrets
from dataclasses import dataclass, field
from typing import Any

from auth_service.audit import Actor, AuditLog
from auth_service.passwords import MAX_PASSWORD_LENGTH, Passwords
from auth_service.store.operators import OperatorRegistry, OperatorRow
from auth_service.store.paging import Page, Paging
from servicekit.errors import Invalid

MIN_PASSWORD_LENGTH = 12
_PASSWORD = re.compile(
    rf"[^\ud800-\udfff]{{{MIN_PASSWORD_LENGTH},{MAX_PASSWORD_LENGTH}}}", re.DOTALL
)
_USERNAME = re.compile(r"[\w.@+-]{1,50}")


@dataclass(frozen=True, slots=True)
class NewOperator:
    """An operator, and the password when it was made here; nobody sees it again."""

    row: OperatorRow
    password: str | None = field(repr=False)


class Operators:
    """Adds, shows, changes and removes operators; the last may go, since admin keys exist."""

    def __init__(self, registry: OperatorRegistry, passwords: Passwords, audit: AuditLog) -> None:
        self._registry, self._passwords, self._audit = registry, passwords, audit

    async def page(self, paging: Paging) -> Page[OperatorRow]:
        return await self._registry.page(paging)

    async def add(self, by: Actor, username: str, password: str | None = None) -> NewOperator:
        """With a made password when none is given. Raises Invalid, Conflict."""
        if not _USERNAME.fullmatch(username):
            raise Invalid(
                "An admin's name has 1 to 50 letters, digits or . @ + - _ signs."
                " 管理员名称须为 1 至 50 个文字、数字或 . @ + - _ 符号。"
            )
        made = make_password() if password is None else None
        password_hash = await self._hash(made or password or "")
        entry = self._audit.entry(by, "admin.add", _target(username))
        await self._registry.add(username, password_hash, entry)
        return NewOperator(await self._registry.find(username), made)

    async def change(
        self,
        by: Actor,
        username: str,
        *,
        password: str | None = None,
        enable: bool | None = None,
    ) -> OperatorRow:
        """Only what is given; every session ends. Raises NoSuchAdmin, Invalid."""
        values: dict[str, Any] = {}
        actions = []
        await self._registry.find(username)
        if password is not None:
            values |= {"password_hash": await self._hash(password)}
            values |= {"failures": 0, "failing_since": None, "locked_until": None}
            actions.append("password")
        if enable is not None:
            values["enable"] = enable
            actions.append("enable" if enable else "disable")
        if values:
            entry = self._audit.entry(by, f"admin.{'+'.join(actions)}", _target(username))
            await self._registry.change(username, values, entry)
        return await self._registry.find(username)

    async def delete(self, by: Actor, username: str) -> None:
        """Raises NoSuchAdmin."""
        entry = self._audit.entry(by, "admin.delete", _target(username))
        await self._registry.delete(username, entry)

    async def _hash(self, password: str) -> str:
        if not _PASSWORD.fullmatch(password):
            raise Invalid(
                f"A password has {MIN_PASSWORD_LENGTH} to {MAX_PASSWORD_LENGTH} characters."
                f" 密码须为 {MIN_PASSWORD_LENGTH} 至 {MAX_PASSWORD_LENGTH} 个字符。"
            )
        return await self._passwords.hash(password)


def make_password() -> str:
    return secrets.token_urlsafe(18)


def _target(username: str) -> str:
    return f"admin {username}"
