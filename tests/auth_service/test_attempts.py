"""The memory of failed tries."""

import pytest

from auth_service.attempts import FailedAttempts
from servicekit.errors import TooManyRequests
from tests.auth_service.conftest import Clock


def test_what_is_remembered_is_bounded(clock: Clock) -> None:
    failures = FailedAttempts(clock)
    for _ in range(10):
        failures.record("192.0.2.7")
    with pytest.raises(TooManyRequests):
        failures.check("192.0.2.7")
    for number in range(10_000):
        failures.record(f"10.0.{number >> 8}.{number & 255}")
    failures.check("192.0.2.7")  # forgotten, as the oldest


@pytest.mark.parametrize("address", ["", "unknown", "not-an-address", "x" * 1000])
def test_what_is_no_address_counts_together(clock: Clock, address: str) -> None:
    failures = FailedAttempts(clock)
    for number in range(10):
        failures.record(f"nobody-{number}")
    with pytest.raises(TooManyRequests) as refused:
        failures.check(address)
    assert refused.value.headers == {"Retry-After": "300"}


def test_old_failures_do_not_add_up(clock: Clock) -> None:
    failures = FailedAttempts(clock)
    for _ in range(30):
        failures.record("192.0.2.7")
        failures.check("192.0.2.7")
        clock.now += 60
