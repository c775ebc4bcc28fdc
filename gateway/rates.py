"""How often something may happen, as people write it: `user 60/minute; address 1200/minute`."""

from collections.abc import Mapping
from typing import Literal, get_args

from limits import RateLimitItem, parse

LimitClass = Literal["chat", "search", "upload", "login"]
Subject = Literal["user", "key", "client", "address"]
Rates = Mapping[Subject, RateLimitItem]

_SUBJECTS: tuple[Subject, ...] = get_args(Subject)


def parse_rates(text: str) -> Rates:
    """One rate per subject; a subject that is not named, or is `off`, has none. `off` is all off.

    Raises ValueError.
    """
    rates: dict[Subject, RateLimitItem] = {}
    for part in text.split(";") if text.strip() != "off" else ():
        name, _, rate = part.strip().partition(" ")
        subject = next((subject for subject in _SUBJECTS if subject == name), None)
        if subject is None:
            raise ValueError(f"{name!r} is none of {', '.join(_SUBJECTS)}. 无法识别的限流对象")
        if rate.strip() != "off":
            rates[subject] = parse_rate(rate)
    return rates


def parse_rate(text: str) -> RateLimitItem:
    """`60/minute`, `10 per 30 seconds`. Raises ValueError."""
    try:
        rate = parse(text.strip())
    except ValueError:
        raise ValueError(f"{text.strip()!r} is no rate like 60/minute. 频率格式不正确") from None
    if rate.amount < 1:
        raise ValueError(f"{text.strip()!r} allows nothing. 频率必须大于零")
    return rate
