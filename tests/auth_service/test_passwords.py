"""Operators' passwords at rest."""

from auth_service.passwords import Passwords


async def test_only_the_right_password_matches() -> None:
    passwords = Passwords()
    await passwords.warm_up()
    kept = await passwords.hash("correct horse 密码")
    assert kept.startswith("$argon2id$")
    assert "correct" not in kept
    assert await passwords.verify("correct horse 密码", kept)
    assert not await passwords.verify("correct horse", kept)
    assert not await passwords.verify("correct horse 密码", None)
    assert not await passwords.verify("correct horse 密码", "not a hash")
