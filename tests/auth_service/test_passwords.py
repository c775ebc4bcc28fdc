"""Operators' passwords at rest."""

import time

from auth_service.passwords import Passwords


async def test_only_the_right_password_matches() -> None:
    passwords = Passwords()
    kept = await passwords.hash("correct horse 密码")
    assert kept.startswith("$argon2id$")
    assert "correct" not in kept
    assert await passwords.verify("correct horse 密码", kept)
    assert not await passwords.verify("correct horse", kept)
    assert not await passwords.verify("correct horse 密码", None)
    assert not await passwords.verify("correct horse 密码", "not a hash")


async def test_nobodys_password_is_as_much_work() -> None:
    passwords = Passwords()
    kept = await passwords.hash("correct horse 密码")
    began = time.process_time()
    assert not await passwords.verify("a guess", kept)
    somebodys = time.process_time() - began
    assert not await passwords.verify("a guess", None)
    assert time.process_time() - began - somebodys > somebodys / 4
