"""Operators' passwords at rest."""

import pytest

from auth_service.passwords import Passwords, make_password
from servicekit.errors import Invalid


async def test_only_the_right_password_matches() -> None:
    passwords = Passwords()
    kept = await passwords.hash("correct horse 密码")
    assert kept.startswith("$argon2id$")
    assert "correct" not in kept
    assert await passwords.matches("correct horse 密码", kept)
    assert not await passwords.matches("correct horse", kept)
    assert not await passwords.matches("correct horse 密码", None)
    assert not await passwords.matches("correct horse 密码", "not a hash")


@pytest.mark.parametrize("password", ["", "eleven char", "x" * 201, "twelve chars\ud800"])
async def test_a_password_that_is_too_short_too_long_or_no_text(password: str) -> None:
    passwords = Passwords()
    with pytest.raises(Invalid, match="密码须为"):
        await passwords.hash(password)
    assert not await passwords.matches(password, None)


async def test_a_made_password_is_good_and_new() -> None:
    made = {make_password() for _ in range(100)}
    assert len(made) == 100
    assert await Passwords().hash(made.pop())
