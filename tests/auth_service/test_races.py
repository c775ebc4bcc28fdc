"""What an operator ends in the moment in which somebody logs in stays ended."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from sqlalchemy import delete, select, update

from auth_service.admins import LOCK, Admins, Strangers
from auth_service.attempts import FailedAttempts
from auth_service.errors import CredentialRefused, InvalidLogin
from auth_service.hosts import HostApps
from auth_service.keys import MasterKey
from auth_service.models import ADMIN_SESSIONS, ADMINS, CLIENTS, USERS
from auth_service.passwords import Passwords
from auth_service.sessions import Sessions
from auth_service.signed_tokens import UnprovenToken, read_unproven
from auth_service.store.admins import AdminStore
from auth_service.store.records import NewSession, StoredUser
from auth_service.store.replays import Replays, Use
from auth_service.tokens import SealedToken, TokenOpener, parse_token
from auth_service.watch import Watch
from tests.auth_service.conftest import Gateway
from tests.auth_service.host_keys import claims, make_key

Event = Callable[[], Awaitable[Any]]
PASSWORD = "correct horse battery"


class InterruptedOpener(TokenOpener):
    """Something happens while it computes."""

    def __init__(self, master_key: MasterKey, event: Event) -> None:
        super().__init__(master_key)
        self._event = event

    async def open(self, token: SealedToken, sealed_key: bytes | None) -> bytes:
        plain = await super().open(token, sealed_key)
        await self._event()
        return plain


class InterruptedReplays(Replays):
    """Something happens before it takes a token in."""

    def __init__(self, gateway: Gateway, event: Event) -> None:
        super().__init__(gateway.database)
        self._event = event

    async def use(self, use: Use, session: NewSession | None) -> StoredUser | None:
        await self._event()
        return await super().use(use, session)


class InterruptedPasswords(Passwords):
    """Something happens while it computes."""

    def __init__(self, event: Event) -> None:
        super().__init__()
        self._event = event

    async def verify(self, password: str, password_hash: str | None) -> bool:
        verified = await super().verify(password, password_hash)
        await self._event()
        return verified


def host_apps(gateway: Gateway, event: Event) -> HostApps:
    master_key = MasterKey(gateway.secrets.master_key)
    return HostApps(
        gateway.store,
        InterruptedReplays(gateway, event),
        Sessions(gateway.store, b"k" * 32, gateway.clock),
        InterruptedOpener(master_key, event),
        token_seconds=3600,
        clock=gateway.clock,
    )


def ended(gateway: Gateway, how: str) -> Event:
    """A revocation in this moment, or a client that is disabled."""
    table = USERS if how == "user revoked" else CLIENTS
    values = {"enable": False} if how == "client disabled" else {}
    changed = update(table).values(values or {"tokens_not_before": gateway.clock.now})

    async def event() -> None:
        gateway.clock.now += 0.5  # what is opened from now on is younger than the revocation
        await gateway.execute(changed)

    return event


HOW = pytest.mark.parametrize("how", ["user revoked", "client revoked", "client disabled"])


@HOW
async def test_a_v1_token_that_is_revoked_meanwhile_opens_no_session(
    gateway: Gateway, key_pairs: list[tuple[str, bytes]], how: str
) -> None:
    client_id = await gateway.add_client("intranet", key_pairs[0])
    await gateway.introspect(gateway.mint(client_id))
    text = gateway.mint(client_id, timestamp=gateway.clock.now - 1)
    token = parse_token(text)
    assert token
    with pytest.raises(CredentialRefused):
        await host_apps(gateway, ended(gateway, how)).open(text, token, want_session=True)


@HOW
async def test_a_v2_token_that_is_revoked_meanwhile_opens_no_session(
    gateway: Gateway, how: str
) -> None:
    client_id = await gateway.add_keyless_client("portal")
    key = make_key()
    await key.register(gateway, client_id)

    async def unproven() -> UnprovenToken:
        token = read_unproven(key.sign(claims(gateway, client_id)))
        assert token
        return token

    async def nothing() -> None:
        pass

    apps = host_apps(gateway, nothing)
    assert (await apps.exchange(await unproven(), want_session=True)).session
    token = await unproven()
    gateway.clock.now += 1
    with pytest.raises(CredentialRefused):
        await host_apps(gateway, ended(gateway, how)).exchange(token, want_session=True)


async def test_a_session_of_nobody_is_refused(gateway: Gateway) -> None:
    """Its user went with the client after it had been written."""
    session = NewSession("h" * 64, 1, "gone", gateway.clock.now, gateway.clock.now + 60, "wecom")
    with pytest.raises(CredentialRefused):
        await gateway.store.open_session(session)


@pytest.mark.parametrize("how", ["password", "disabled", "deleted"])
async def test_an_operator_who_is_changed_meanwhile_does_not_log_in(
    gateway: Gateway, how: str
) -> None:
    passwords = Passwords()
    await gateway.execute(
        ADMINS.insert().values(
            username="ops",
            password_hash=await passwords.hash(PASSWORD),
            enable=True,
            failures=0,
            create_time=(await gateway.execute(select(CLIENTS.c.create_time)))[0][0],
        )
    )
    changes = {
        "password": update(ADMINS).values(password_hash=await passwords.hash("another one")),
        "disabled": update(ADMINS).values(enable=False),
        "deleted": delete(ADMINS),
    }

    async def event() -> None:
        await gateway.execute(changes[how])

    admins = Admins(
        AdminStore(gateway.database, LOCK),
        Strangers(gateway.clock, None),
        InterruptedPasswords(event),
        Watch(FailedAttempts("20/minute", gateway.clock), gateway.app.state.context.audit),
        csrf_key=b"c" * 32,
        clock=gateway.clock,
    )
    with pytest.raises(InvalidLogin):
        await admins.log_in("ops", PASSWORD, address="192.0.2.1")
    assert await gateway.execute(select(ADMIN_SESSIONS)) == []
