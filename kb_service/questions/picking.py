"""Which questions are offered: by chance, those that are asked more often more likely."""

import math
from collections.abc import Sequence
from datetime import datetime, timedelta
from random import Random

from kb_service.entities import Candidate

_NEW_FOR = timedelta(days=7)


def pick(
    candidates: Sequence[Candidate], number: int, chance: Random, now: datetime
) -> list[Candidate]:
    """At most `number` of them, in the order in which they were drawn, none twice.

    The largest u^(1/weight) are a weighted draw without replacement (Efraimidis and Spirakis).
    """
    drawn = [
        (math.log(1 - chance.random()) / weight, place)
        for place, weight in enumerate(weights(candidates, now))
    ]
    drawn.sort(reverse=True)
    return [candidates[place] for _, place in drawn[: max(number, 0)]]


def weights(candidates: Sequence[Candidate], now: datetime) -> list[float]:
    """Taps weigh by their logarithm, or what is offered first would stay first for ever.

    A new question weighs no less than the average one.
    """
    by_taps = [1 + math.log1p(max(one.tap_count, 0)) for one in candidates]
    average = sum(by_taps) / len(by_taps) if by_taps else 0
    return [
        max(weight, average) if now - one.create_time < _NEW_FOR else weight
        for one, weight in zip(candidates, by_taps, strict=True)
    ]
