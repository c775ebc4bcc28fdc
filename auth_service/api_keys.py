"""API keys of programs and operators, as operators manage them."""

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypedDict, Unpack

from auth_service import validation
from auth_service.audit import Actor, AuditLog
from auth_service.bootstrap import API_KEY_PREFIX
from auth_service.errors import NoSuchClient, NoSuchKey
from auth_service.store.key_registry import KeyFilter, KeyRegistry, KeyRow
from auth_service.store.paging import Page, Paging
from auth_service.stored_keys import at_rest
from servicekit.errors import Conflict, Invalid

KEY_SCOPES = ("chat", "kb:read", "kb:write", "admin")
FIRST_OPERATOR = "admin"
_IDS = range(2**31)
_LATEST = 2**33  # about the year 2242


class KeyValues(TypedDict, total=False):
    """What an operator may change of a key."""

    name: str
    scopes: list[str]
    expires_at: float | None
    enable: bool
    knowledge_bases: list[str] | None


@dataclass(frozen=True, slots=True)
class IssuedKey:
    """A new key with its secret, which nobody sees again."""

    row: KeyRow
    key: str


class ApiKeys:
    """Issues, shows, changes and removes API keys."""

    def __init__(
        self, registry: KeyRegistry, audit: AuditLog, *, clock: Callable[[], float]
    ) -> None:
        self._registry, self._audit, self._clock = registry, audit, clock

    async def page(self, wanted: KeyFilter, paging: Paging) -> Page[KeyRow]:
        return await self._registry.page(wanted, paging)

    async def find(self, key_id: int) -> KeyRow:
        """Raises NoSuchKey."""
        if key_id not in _IDS:
            raise NoSuchKey(key_id)
        return await self._registry.find(key_id)

    async def issue(
        self,
        by: Actor,
        client_id: int | None,
        *,
        user_id: str | None = None,
        **values: Unpack[KeyValues],
    ) -> IssuedKey:
        """A key of a client's user, or of an operator. Raises Invalid, NoSuchClient."""
        if client_id is not None and client_id not in _IDS:
            raise NoSuchClient(client_id)
        if user_id is not None:
            user_id = validation.user_id_of(user_id)
        if client_id is None and user_id == FIRST_OPERATOR:
            raise Conflict("This name is the first admin key's. 此名称属于首个管理密钥。")
        defaults: KeyValues = {
            "name": "",
            "scopes": [],
            "expires_at": None,
            "enable": True,
            "knowledge_bases": None,
        }
        checked = self._checked({**defaults, **values})
        _check_scopes(client_id, checked["scopes"], checked["knowledge_bases"])
        secret = _make_secret()
        key_id = await self._registry.add(
            {**checked, "client_id": client_id, **at_rest(secret)},
            user_id,
            lambda made: self._audit.entry(
                by, "api-key.add", _target(made), detail=_told(client_id, checked)
            ),
        )
        return IssuedKey(await self._registry.find(key_id), secret)

    async def change(self, by: Actor, key_id: int, **values: Unpack[KeyValues]) -> KeyRow:
        """Only what is given. Raises NoSuchKey, Invalid."""
        key = await self.find(key_id)
        checked = self._checked(values)
        if checked:
            scopes = checked.get("scopes", key.scopes)
            confined = checked.get("knowledge_bases", key.knowledge_bases)
            _check_scopes(key.client_id, scopes, confined)
            action = "api-key.change"
            if checked.keys() == {"enable"}:
                action = "api-key.enable" if checked["enable"] else "api-key.disable"
            detail = {name: str(value) for name, value in checked.items()}
            entry = self._audit.entry(by, action, _target(key_id), detail=detail)
            await self._registry.change(key_id, checked, entry)
        return await self.find(key_id)

    async def rotate(self, by: Actor, key_id: int) -> IssuedKey:
        """A new secret; the one before ends now. Raises NoSuchKey, Conflict."""
        _refuse_first(await self.find(key_id))
        secret = _make_secret()
        entry = self._audit.entry(by, "api-key.rotate", _target(key_id))
        await self._registry.change(key_id, {**at_rest(secret), "last_used_at": None}, entry)
        return IssuedKey(await self.find(key_id), secret)

    async def delete(self, by: Actor, key_id: int) -> None:
        """Raises NoSuchKey, Conflict."""
        key = await self.find(key_id)
        _refuse_first(key)
        detail = _told(key.client_id, {"name": key.name, "scopes": key.scopes})
        entry = self._audit.entry(by, "api-key.delete", _target(key_id), detail=detail)
        await self._registry.delete(key_id, entry)

    def _checked(self, values: KeyValues) -> dict[str, Any]:
        checked: dict[str, Any] = {**values}
        if "name" in values:
            checked["name"] = validation.name_of(values["name"])
        if "scopes" in values:
            checked["scopes"] = _scopes(values["scopes"])
        if "knowledge_bases" in values:
            checked["knowledge_bases"] = validation.knowledge_bases_of(values["knowledge_bases"])
        end = values.get("expires_at")
        if end is not None and not self._clock() < end < _LATEST:
            raise Invalid(
                "A key ends in the future, in Unix seconds. 到期时间须为将来的 Unix 秒数。"
            )
        return checked


def _scopes(given: Sequence[str]) -> str:
    if not given or set(given) - set(KEY_SCOPES):
        raise Invalid(
            f"A key needs one or more of the scopes {' '.join(KEY_SCOPES)}."
            f" 密钥至少需要一项权限：{'、'.join(KEY_SCOPES)}。"
        )
    return " ".join(scope for scope in KEY_SCOPES if scope in given)


def _check_scopes(client_id: int | None, scopes: str, confined_to: list[str] | None) -> None:
    if "admin" not in scopes.split():
        return
    if client_id is not None:
        raise Invalid(
            "Only an operator's key, one without a client, may have the scope admin."
            " 只有不属于客户端的运维密钥才能拥有 admin 权限。"
        )
    if confined_to is not None:
        raise Invalid(
            "A key with the scope admin cannot be confined to knowledge bases."
            " 拥有 admin 权限的密钥不能限定知识库。"
        )


def _refuse_first(key: KeyRow) -> None:
    if key.client_id is None and key.user_id == FIRST_OPERATOR:
        raise Conflict(
            "The first admin key comes from CHAT2LLM_ADMIN_KEY or the file auth/admin.key: change"
            " it there and restart; here it can be disabled. 首个管理密钥来自 CHAT2LLM_ADMIN_KEY"
            " 或数据目录中的 auth/admin.key，请在那里更换并重启；此处只能停用。"
        )


def _make_secret() -> str:
    return f"{API_KEY_PREFIX}{secrets.token_urlsafe(32)}"


def _target(key_id: int) -> str:
    return f"api-key {key_id}"


def _told(client_id: int | None, values: dict[str, Any]) -> dict[str, str]:
    owner = "operator" if client_id is None else str(client_id)
    return {"client": owner, "name": values["name"], "scopes": values["scopes"]}
