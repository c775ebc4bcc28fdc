"""Tokens that were used, and how many may be."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

Dimension = Literal["day", "model", "mode", "client_id", "user_id", "knowledge_base"]


@dataclass(frozen=True, slots=True)
class Account:
    """Whose request it is: what its tokens are counted for."""

    client_id: str
    user_id: str
    mode: str
    knowledge_base: str = ""


@dataclass(frozen=True, slots=True)
class Used:
    """What one call of a model used; estimated where the vendor counts nothing.

    `day` is the server's own, as YYYY-MM-DD.
    """

    account: Account
    model: str
    day: str
    create_time: datetime
    prompt_tokens: int
    completion_tokens: int
    is_estimated: bool
    cost: float = 0
    currency: str = ""

    @property
    def tokens(self) -> int:
        return self.prompt_tokens + self.completion_tokens


@dataclass(frozen=True, slots=True)
class Quota:
    """Daily tokens of a client in all, or of its users: one, or each (then without `user_id`)."""

    client_id: str
    per: Literal["client", "user"]
    daily_tokens: int
    user_id: str | None = None
    id: int | None = None


@dataclass(frozen=True, slots=True)
class UsageQuery:
    """Which days (both included) and whose usage, and what it is summed up by."""

    since: str
    until: str
    by: tuple[Dimension, ...] = ("day",)
    only: tuple[tuple[Dimension, str], ...] = ()


@dataclass(frozen=True, slots=True)
class UsageSum:
    """`key` has the values of what was summed up by."""

    key: dict[str, str]
    requests: int
    estimated_requests: int
    prompt_tokens: int
    completion_tokens: int
    cost: float
    currency: str
