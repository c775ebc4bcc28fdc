"""Host apps and their keys, as operators manage them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, TypedDict, Unpack

from anyio import CapacityLimiter
from anyio.to_thread import run_sync

from auth_service import validation
from auth_service.audit import Actor, AuditLog
from auth_service.errors import NoSuchClient
from auth_service.keys import DEFAULT_BITS, MasterKey, make_key_pair
from auth_service.models import utc_now
from auth_service.signing_keys import read_kid, read_public_key
from auth_service.store.audit import NewEntry
from auth_service.store.paging import Page, Paging
from auth_service.store.registry import (
    ClientFilter,
    ClientRow,
    Registry,
    Removed,
    SigningKey,
)
from servicekit.errors import Conflict, Invalid

_IDS = range(2**31)  # what the column holds; beyond it a driver fails instead of finding nothing
_FIXED = {0: "demo", 1: "wecom"}


class ClientValues(TypedDict, total=False):
    """What an operator may change of a client."""

    name: str
    description: str
    enable: bool
    allowed_origins: list[str]
    embeddable: bool
    limits: dict[str, str]
    knowledge_bases: list[str] | None


@dataclass(frozen=True, slots=True)
class V1Key:
    """A new key, which nobody sees again."""

    client_id: int
    public_key: str
    replaced: bool


class Clients:
    """Adds, shows, changes and removes clients."""

    def __init__(
        self,
        registry: Registry,
        master_key: MasterKey,
        audit: AuditLog,
        *,
        clock: Callable[[], float],
    ) -> None:
        self._registry, self._master_key = registry, master_key
        self._audit, self._clock = audit, clock
        self._making = CapacityLimiter(1)  # a key pair takes seconds of CPU

    async def page(self, wanted: ClientFilter, paging: Paging) -> Page[ClientRow]:
        return await self._registry.page(wanted, paging)

    async def find(self, client_id: int) -> ClientRow:
        """Raises NoSuchClient."""
        return await self._registry.find(_known(client_id))

    async def add(
        self, by: Actor, *, kind: str = "host", **values: Unpack[ClientValues]
    ) -> ClientRow:
        """A client without keys. Raises Invalid."""
        if kind in _FIXED.values():
            raise Invalid(f"There is one client of the kind {kind}. 类型 {kind} 的客户端只有一个。")
        defaults: ClientValues = {
            "name": "",
            "description": "",
            "enable": True,
            "allowed_origins": [],
            "embeddable": False,
            "limits": {},
            "knowledge_bases": None,
        }
        checked = _checked({**defaults, **values}) | {"kind": validation.kind_of(kind)}
        client_id = await self._registry.add(
            checked,
            lambda made: self._audit.entry(
                by, "client.add", _target(made), detail={"name": checked["name"]}
            ),
        )
        return await self._registry.find(client_id)

    async def change(self, by: Actor, client_id: int, **values: Unpack[ClientValues]) -> ClientRow:
        """Only what is given. Raises NoSuchClient, Invalid."""
        checked = _checked(values)
        if checked:
            action = "client.change"
            if checked.keys() == {"enable"}:
                action = "client.enable" if checked["enable"] else "client.disable"
            detail = {name: str(value) for name, value in checked.items()}
            entry = self._audit.entry(by, action, _target(client_id), detail=detail)
            await self._registry.change(_known(client_id), checked, entry)
        return await self.find(client_id)

    async def delete(self, by: Actor, client_id: int) -> Removed:
        """With its users, sessions and keys. Raises NoSuchClient, Conflict."""
        if client_id in _FIXED:
            raise Conflict(
                "The clients demo and wecom belong to the system; disable them instead."
                " demo 与 wecom 为系统自带客户端，不能删除，可以停用。"
            )
        client = await self.find(client_id)

        def told(removed: Removed) -> NewEntry:
            counts = {
                "name": client.name,
                "users": str(removed.users),
                "sessions": str(removed.sessions),
                "api_keys": str(removed.api_keys),
                "signing_keys": str(removed.signing_keys),
            }
            return self._audit.entry(by, "client.delete", _target(client_id), detail=counts)

        return await self._registry.delete(client_id, told)

    async def revoke(self, by: Actor, client_id: int) -> int:
        """End all its users' sessions and the tokens made until now. Raises NoSuchClient."""
        return await self._registry.revoke(
            _known(client_id),
            self._clock(),
            lambda sessions: self._audit.entry(
                by, "client.revoke", _target(client_id), detail={"sessions": str(sessions)}
            ),
        )

    async def make_v1_key(self, by: Actor, client_id: int, *, bits: int = DEFAULT_BITS) -> V1Key:
        """A new key; tokens made with the one before are refused. Raises NoSuchClient."""
        before = await self.find(client_id)
        public_key, private_key = await run_sync(partial(make_key_pair, bits), limiter=self._making)
        sealed = self._master_key.seal(private_key, client_id=client_id)
        action = "client.v1-key.rotate" if before.has_v1_key else "client.v1-key.make"
        entry = self._audit.entry(by, action, _target(client_id), detail={"bits": str(bits)})
        await self._registry.change(client_id, {"private_key": sealed}, entry)
        return V1Key(client_id, public_key, before.has_v1_key)

    async def remove_v1_key(self, by: Actor, client_id: int) -> None:
        """The client accepts no v1 token any more. Raises NoSuchClient."""
        entry = self._audit.entry(by, "client.v1-key.remove", _target(client_id))
        await self._registry.change(_known(client_id), {"private_key": None}, entry)

    async def add_signing_key(
        self, by: Actor, client_id: int, public_key: str, *, kid: str | None = None
    ) -> SigningKey:
        """Raises NoSuchClient, Invalid, Conflict."""
        parsed = read_public_key(public_key)
        named = parsed.thumbprint if kid is None else read_kid(kid)
        key = SigningKey(named, parsed.algorithm, parsed.pem, utc_now())
        detail = {"kid": named, "algorithm": key.algorithm, "thumbprint": parsed.thumbprint}
        entry = self._audit.entry(by, "client.signing-key.add", _target(client_id), detail=detail)
        await self._registry.add_signing_key(_known(client_id), key, entry)
        return key

    async def remove_signing_key(self, by: Actor, client_id: int, kid: str) -> None:
        """Raises NoSuchClient, NoSuchSigningKey."""
        await self.find(client_id)
        entry = self._audit.entry(
            by, "client.signing-key.remove", _target(client_id), detail={"kid": kid}
        )
        await self._registry.remove_signing_key(client_id, kid, entry)

    async def check_keys(self) -> None:
        """Every sealed key opens. Raises MasterKeyMismatch."""
        for client_id, sealed in await self._registry.sealed_keys():
            self._master_key.open(sealed, client_id=client_id)


def _known(client_id: int) -> int:
    if client_id not in _IDS:
        raise NoSuchClient(client_id)
    return client_id


def _target(client_id: int) -> str:
    return f"client {client_id}"


_CHECKS: Mapping[str, Callable[[Any], Any]] = {
    "name": validation.name_of,
    "description": validation.description_of,
    "allowed_origins": validation.origins_of,
    "limits": validation.limits_of,
    "knowledge_bases": validation.knowledge_bases_of,
}


def _checked(values: ClientValues) -> dict[str, Any]:
    return {name: _CHECKS.get(name, lambda value: value)(value) for name, value in values.items()}
