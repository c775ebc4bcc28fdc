"""Private keys at rest."""

import pytest
from Crypto.PublicKey import RSA
from sqlalchemy import select

from auth_service.audit import Actor
from auth_service.errors import MasterKeyMismatch
from auth_service.keys import MasterKey, make_key_pair
from auth_service.models import CLIENTS
from tests.auth_service.conftest import Gateway, Start


def test_what_is_sealed_opens_again() -> None:
    key = MasterKey("m" * 32)
    sealed = key.seal(b"private", client_id=2)
    assert b"private" not in sealed
    assert sealed != key.seal(b"private", client_id=2)
    assert MasterKey("m" * 32).open(sealed, client_id=2) == b"private"


def test_another_master_key_does_not_open_it() -> None:
    sealed = MasterKey("m" * 32).seal(b"private", client_id=2)
    with pytest.raises(MasterKeyMismatch, match=r"auth/master\.key.*恢复"):
        MasterKey("n" * 32).open(sealed, client_id=2)


def test_another_clients_key_does_not_pass_for_this_ones() -> None:
    key = MasterKey("m" * 32)
    with pytest.raises(MasterKeyMismatch):
        key.open(key.seal(b"private", client_id=2), client_id=3)


@pytest.mark.parametrize("length", [0, 1, 11, 12, 27, 28, 30])
def test_a_sealed_key_that_was_cut(length: int) -> None:
    key = MasterKey("m" * 32)
    with pytest.raises(MasterKeyMismatch):
        key.open(key.seal(b"private", client_id=2)[:length], client_id=2)


def test_purposes_have_keys_of_their_own() -> None:
    key = MasterKey("m" * 32)
    assert len({key.derive("seal"), key.derive("session"), MasterKey("n" * 32).derive("seal")}) == 3
    assert len(key.derive("session")) == 32


def test_the_pair_has_the_documented_forms() -> None:
    public, private = make_key_pair(1024)
    assert public.startswith("-----BEGIN PUBLIC KEY-----\n")
    assert public.endswith("\n-----END PUBLIC KEY-----\n")
    assert private.startswith(b"-----BEGIN RSA PRIVATE KEY-----\n")
    key = RSA.import_key(private)
    assert key.public_key() == RSA.import_key(public)
    assert key.e == 65537


async def test_hole_5_keys_are_3072_bit_and_sealed(gateway: Gateway) -> None:
    clients = gateway.app.state.administration.clients
    made = await clients.make_v1_key(Actor("test", ""), 0)
    assert RSA.import_key(made.public_key).size_in_bits() == 3072
    [(sealed,)] = await gateway.execute(select(CLIENTS.c.private_key).where(CLIENTS.c.id == 0))
    assert b"PRIVATE KEY" not in sealed


async def test_the_service_does_not_start_with_another_master_key(
    start: Start, key_pairs: list[tuple[str, bytes]]
) -> None:
    async with start() as gateway:
        client = await gateway.add_client("intranet", key_pairs[0])
        token = gateway.mint(client)
    with pytest.raises(MasterKeyMismatch, match="MASTER_KEY"):
        async with start(master_key="n" * 32):
            pass
    async with start() as gateway:
        assert (await gateway.introspect(token))["active"] is True
