"""Clients as operators add them."""

import pytest

from auth_service.errors import NoSuchClient
from auth_service.keys import MasterKey
from auth_service.registration import Registration
from servicekit.errors import Invalid
from tests.auth_service.conftest import Gateway


@pytest.fixture
def registration(gateway: Gateway) -> Registration:
    return Registration(gateway.store, MasterKey(gateway.secrets.master_key))


@pytest.mark.parametrize("name", ["", "   ", "n" * 51, "a\nb", "a\x1b[31mb", "a\x00"])
async def test_a_name_that_is_wrong(registration: Registration, name: str) -> None:
    with pytest.raises(Invalid, match="名称须为"):
        await registration.add(name, bits=1024)
    assert len(await registration.clients()) == 2


@pytest.mark.parametrize("description", ["d" * 201, "a\nb"])
async def test_a_description_that_is_wrong(registration: Registration, description: str) -> None:
    with pytest.raises(Invalid, match="描述最多"):
        await registration.add("intranet", description=description, bits=1024)
    assert len(await registration.clients()) == 2


async def test_names_are_trimmed_and_need_not_differ(registration: Registration) -> None:
    for number in (2, 3):
        added = await registration.add("  内网 <App>  ", description=" for all ", bits=1024)
        assert added.client_id == number
    last = (await registration.clients())[-1]
    assert (last.name, last.description, last.kind) == ("内网 <App>", "for all", "host")


@pytest.mark.parametrize("client_id", [-1, 77, 10**9])
async def test_an_unknown_client(registration: Registration, client_id: int) -> None:
    with pytest.raises(NoSuchClient, match=str(client_id)):
        await registration.rotate_key(client_id)
    with pytest.raises(NoSuchClient):
        await registration.enable(client_id, enable=False)


async def test_a_client_whose_adding_was_interrupted_gets_its_key_later(
    gateway: Gateway, registration: Registration
) -> None:
    number = await gateway.store.add_client(name="half", kind="host", description="")
    shown = await registration.rotate_key(number)
    token = gateway.mint(str(number), public_key=shown.public_key)
    assert (await gateway.introspect(token))["active"] is True
