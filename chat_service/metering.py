"""Counts the tokens of every call of a model, and refuses calls whose quota is used up.

What was counted is written down every second: a kill of the process loses what came since.
"""

import asyncio
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Protocol

from chat_service.errors import QuotaUsedUp
from chat_service.store import UsageStore
from chat_service.usage_entities import Account, Quota, Used
from chat_service.vendors import Vendor
from chat_service.write_behind import WriteBehind

_DAY = 86_400
_MOST_TOKENS = 2**31 - 1  # that the database takes: a row that it refuses would hold up all others

account: ContextVar[Account | None] = ContextVar("account", default=None)


def note_knowledge_base(name: str) -> None:
    """What follows in this request is about that knowledge base."""
    known = account.get()
    if known is not None:
        account.set(replace(known, knowledge_base=name))


class Prices(Protocol):
    """Where the prices of a model are."""

    def find(self, name: str) -> Vendor | None: ...


class Meter:
    """`client_daily` and `user_daily` hold where no quota of an operator does; 0 is no limit."""

    def __init__(
        self,
        store: UsageStore,
        prices: Prices,
        *,
        client_daily: int,
        user_daily: int,
        retention_days: int,
        clock: Callable[[], datetime] = lambda: datetime.now().astimezone(),
    ) -> None:
        self._store, self._prices, self._clock = store, prices, clock
        self._defaults = {"client": client_daily, "user": user_daily}
        self._retention_days = retention_days
        self._calls = WriteBehind(store.add)
        self._quotas: dict[tuple[str, str, str | None], int] = {}
        self._loading = asyncio.Lock()  # else an older state could come after a newer one

    async def load(self) -> None:
        """Take over the quotas that operators set; until it succeeds, the last known ones hold."""
        async with self._loading:
            quotas = await self._store.quotas()
            self._quotas = {_key(quota): quota.daily_tokens for quota in quotas}

    async def admit(self, who: Account) -> None:
        """Before a model is asked. Raises QuotaUsedUp.

        Answers that are being given count when they end, so that some tokens go beyond the quota.
        """
        for per in ("client", "user"):
            limit = self._limit(who, per)
            if limit and await self._used_today(who, per) >= limit:
                raise QuotaUsedUp(retry_after=self._seconds_to_midnight())

    def note(self, who: Account, model: str, tokens: tuple[int, int], *, estimated: bool) -> None:
        """Count a call by its tokens in and out."""
        now = self._clock()
        used = Used(
            account=who,
            model=model,
            day=now.strftime("%Y-%m-%d"),
            create_time=now.astimezone(UTC),
            prompt_tokens=_believable(tokens[0]),
            completion_tokens=_believable(tokens[1]),
            is_estimated=estimated,
        )
        self._calls.note(self._priced(used))

    async def used_today(self, client_id: str, user_id: str | None) -> int:
        """Tokens of a client, or of one of its users, up to this moment."""
        day = self._clock().strftime("%Y-%m-%d")
        pending = sum(
            used.tokens
            for used in self._calls.unwritten
            if used.day == day
            and used.account.client_id == client_id
            and user_id in (None, used.account.user_id)
        )
        return pending + await self._store.used(day, client_id, user_id)

    async def write(self) -> None:
        await self._calls.write()

    async def sweep(self) -> None:
        """Forget what is too old."""
        oldest = self._clock() - timedelta(days=self._retention_days)
        await self._store.forget(before=oldest.strftime("%Y-%m-%d"))

    def _limit(self, who: Account, per: str) -> int:
        own = (who.client_id, per, who.user_id if per == "user" else None)
        of_all = (who.client_id, per, None)
        return self._quotas.get(own, self._quotas.get(of_all, self._defaults[per]))

    async def _used_today(self, who: Account, per: str) -> int:
        return await self.used_today(who.client_id, who.user_id if per == "user" else None)

    def _seconds_to_midnight(self) -> int:
        now = self._clock()
        return _DAY - (now.hour * 3600 + now.minute * 60 + now.second)

    def _priced(self, used: Used) -> Used:
        vendor = self._prices.find(used.model)
        operation = vendor.operation if vendor else None
        if operation is None or operation.input_price is None is operation.output_price:
            return used
        cost = used.prompt_tokens * (operation.input_price or 0)
        cost += used.completion_tokens * (operation.output_price or 0)
        return replace(used, cost=cost / 1e6, currency=operation.currency)


def _believable(tokens: int) -> int:
    """What a vendor tells, whatever it is."""
    return min(max(tokens, 0), _MOST_TOKENS)


def _key(quota: Quota) -> tuple[str, str, str | None]:
    return quota.client_id, quota.per, quota.user_id
