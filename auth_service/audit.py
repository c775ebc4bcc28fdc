"""The audit log: every change and every refused login; who, what, from where, and no secrets."""

import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import anyio

from auth_service.addresses import address_group
from auth_service.store.audit import AuditFilter, AuditStore, NewEntry, StoredEntry
from auth_service.store.paging import Page, Paging
from servicekit.logs import request_id

_FLUSH_SECONDS = 1
_PRUNE_SECONDS = 3600
_KINDS_A_MINUTE = 200
_NOTHING: Mapping[str, str] = {}
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
# Someone may type or paste a credential where a name belongs.
_CREDENTIAL = re.compile(r"(c2[las]-[\w-]{0,6})[\w-]*|[\w+/=.-]{100,}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Actor:
    """Who changes something, and from where."""

    name: str
    address: str


_Kind = tuple[int, str, str, str, str]  # minute, address group, action, target, reason


@dataclass(slots=True)
class _Refusals:
    """Equal refusals of one minute; the first `written` of them are in the row `number`."""

    entry: NewEntry
    count: int = 0
    written: int = 0
    number: int | None = None


class AuditLog:
    """Takes entries. Refusals are counted in memory and written every second by `run`."""

    def __init__(
        self, store: AuditStore, *, retention_days: float, clock: Callable[[], float]
    ) -> None:
        self._store, self._clock = store, clock
        self._retention_seconds = retention_days * 86400
        self._refusals: dict[_Kind, _Refusals] = {}
        self._flushing = anyio.Lock()

    def refused(self, *, action: str, target: str, address: str, reason: str) -> None:
        """Count a refused login. Never fails and costs no statement, however often it is called."""
        minute = int(self._clock() // 60)
        key = (minute, address_group(address), action, _clean(target, 120), reason)
        if key not in self._refusals and len(self._refusals) >= _KINDS_A_MINUTE:
            key = (minute, "many", "other", "", "more kinds than are told apart")
        if key not in self._refusals:
            self._refusals[key] = _Refusals(self._refusal(*key[1:]))
        self._refusals[key].count += 1

    async def record(
        self,
        *,
        actor: str,
        action: str,
        target: str,
        address: str,
        outcome: str = "done",
        detail: Mapping[str, str] = _NOTHING,
    ) -> None:
        """Write what happened, now."""
        by = Actor(actor, address)
        entry = self.entry(by, action, target, outcome=outcome, detail=detail)
        await self._store.write([entry], {})

    def entry(
        self,
        by: Actor,
        action: str,
        target: str,
        *,
        outcome: str = "done",
        detail: Mapping[str, str] = _NOTHING,
    ) -> NewEntry:
        """An entry to be written in the transaction of the change that it tells of."""
        return NewEntry(
            at=self._clock(),
            actor=_clean(by.name, 120),
            action=_clean(action, 50),
            target=_clean(target, 120),
            outcome=outcome,
            address=_clean(by.address, 50),
            request_id=request_id.get(),
            detail={key: _clean(value, 500) for key, value in detail.items()},
        )

    async def page(self, wanted: AuditFilter, paging: Paging) -> Page[StoredEntry]:
        """Newest first, refusals of this moment included."""
        await self.flush()
        return await self._store.page(wanted, paging)

    async def flush(self) -> None:
        """Write the refusals that are not written yet, all or none of them."""
        with anyio.CancelScope(shield=True):  # written but not marked would be counted twice
            async with self._flushing:
                await self._write_refusals()

    async def forget_old(self) -> None:
        with anyio.CancelScope(shield=True):  # the driver hangs when a statement is cancelled
            await self._store.delete_before(self._clock() - self._retention_seconds)

    async def run(self) -> None:
        """Write refusals and forget old entries until cancelled."""
        until_pruning = 0.0
        while True:
            try:
                await self.flush()
                if until_pruning <= 0:
                    await self.forget_old()
                    until_pruning = _PRUNE_SECONDS
            except Exception:  # the log waits and the service goes on; nothing of it is lost
                logging.getLogger(__name__).warning("the audit log has to wait", exc_info=True)
            await anyio.sleep(_FLUSH_SECONDS)
            until_pruning -= _FLUSH_SECONDS

    async def _write_refusals(self) -> None:
        minute = int(self._clock() // 60)
        due = [(one, one.count) for one in self._refusals.values() if one.count > one.written]
        if due:
            fresh = [one for one, _ in due if one.number is None]
            more = {one.number: now - one.written for one, now in due if one.number is not None}
            new = [replace(one.entry, count=now) for one, now in due if one.number is None]
            numbers = await self._store.write(new, more)
            for one, number in zip(fresh, numbers, strict=True):
                one.number = number
            for one, now in due:
                one.written = now
        for key, one in list(self._refusals.items()):
            if key[0] != minute and one.count == one.written:
                del self._refusals[key]

    def _refusal(self, group: str, action: str, target: str, reason: str) -> NewEntry:
        by = Actor("unknown", group)
        return self.entry(by, action, target, outcome="refused", detail={"reason": reason})


def _clean(text: str, length: int) -> str:
    """Printable, short and without credentials."""
    shown = _CREDENTIAL.sub(lambda match: f"{match[1] or ''}***", _UNPRINTABLE.sub(" ", text))
    return shown[:length]
