"""v1 tokens: what is accepted, and one test for each reason to refuse."""

import asyncio
import base64
from typing import Any

import pytest
from sqlalchemy import func, select

from auth_service.errors import CredentialRefused
from auth_service.keys import MasterKey
from auth_service.models import USERS
from auth_service.tokens import SealedToken, TokenOpener, parse_token, read_claims
from servicekit.errors import Unavailable
from tests.auth_service.conftest import EXPIRED, REFUSED, Gateway, make_key_pair, wrap

KeyPairs = list[tuple[str, bytes]]


class TestAccepted:
    async def test_a_good_token_names_its_user(self, gateway: Gateway, client_id: str) -> None:
        answer = await gateway.introspect(gateway.mint(client_id, "u1", username="张三"))
        assert answer["active"] is True
        assert answer["caller"] == {
            "client_id": client_id,
            "user_id": "u1",
            "username": "张三",
            "scopes": ["chat", "kb:read"],
            "groups": [],
            "confined_to": None,
        }
        assert answer["expires_at"] == gateway.clock.now + 8 * 3600
        assert answer["session_token"] is None
        assert answer["session_expires_at"] is None

    @pytest.mark.parametrize(
        ("user_id", "username"),
        [
            ("张" * 28, "名" * 50),
            ("fe80:0000:0000:0000:0202:b3ff:fe1e:8329%eth0", "2001:db8::1"),
            ("u" * 64, "a b\u3000c"),
            ("u-1", "Ops | Tom | 2"),
            ("u-1", "|"),
            ("o'brien\"; --", "😀<script>"),
            ("u-1", ""),
        ],
        ids=["chinese", "ipv6", "long", "pipes", "pipe", "odd", "nameless"],
    )
    async def test_bug_16_names_arrive_unchanged(
        self, gateway: Gateway, client_id: str, user_id: str, username: str
    ) -> None:
        token = gateway.mint(client_id, user_id, username=username)
        caller = (await gateway.introspect(token))["caller"]
        assert (caller["user_id"], caller["username"]) == (user_id, username)

    async def test_a_name_longer_than_its_column_is_cut(
        self, gateway: Gateway, client_id: str
    ) -> None:
        token = gateway.mint(client_id, username="n" * 51)
        assert (await gateway.introspect(token))["caller"]["username"] == "n" * 50

    async def test_control_characters_of_a_name_become_blanks(
        self, gateway: Gateway, client_id: str
    ) -> None:
        token = gateway.mint(client_id, username="a\nb\x00c")
        assert (await gateway.introspect(token))["caller"]["username"] == "a b c"

    @pytest.mark.parametrize("bits", [1024, 2048, 4096])
    async def test_other_key_sizes_work(self, gateway: Gateway, bits: int) -> None:
        """Clients of the old server have 1024 bits."""
        client = await gateway.add_client("old", make_key_pair(bits))
        answer = await gateway.introspect(gateway.mint(client, "u1", username="Tom"))
        assert answer["caller"]["client_id"] == client

    @pytest.mark.parametrize("ahead", [300, -8 * 3600], ids=["five minutes ahead", "eight hours"])
    async def test_the_ends_of_its_life_belong_to_it(
        self, gateway: Gateway, client_id: str, ahead: float
    ) -> None:
        token = gateway.mint(client_id, timestamp=gateway.clock.now + ahead)
        assert (await gateway.introspect(token))["active"] is True

    @pytest.mark.parametrize("text", ["1790000000", "1.79E9", "1790000000.1234567", "1.79e+9"])
    async def test_timestamps_as_languages_print_them(
        self, gateway: Gateway, client_id: str, text: str
    ) -> None:
        token = gateway.seal(client_id, f"{client_id}|u1|Tom|{text}".encode())
        assert (await gateway.introspect(token))["active"] is True

    async def test_a_new_name_replaces_the_old_one(self, gateway: Gateway, client_id: str) -> None:
        await gateway.introspect(gateway.mint(client_id, username="Old"))
        await gateway.introspect(gateway.mint(client_id, username="New"))
        names = await gateway.execute(select(USERS.c.username))
        assert [name for (name,) in names] == ["New"]

    async def test_the_same_user_id_of_two_clients_is_two_users(
        self, gateway: Gateway, client_id: str, key_pairs: KeyPairs
    ) -> None:
        other = await gateway.add_client("other", key_pairs[1])
        for client in (client_id, other):
            assert (await gateway.introspect(gateway.mint(client, "u1")))["active"] is True
        assert await gateway.execute(select(func.count()).select_from(USERS)) == [(2,)]

    async def test_bug_14_fifty_first_sights_at_once_make_one_row(
        self, gateway: Gateway, client_id: str
    ) -> None:
        tokens = [gateway.mint(client_id, "new") for _ in range(50)]
        answers = await asyncio.gather(*map(gateway.introspect, tokens))
        assert all(answer["active"] for answer in answers)
        assert await gateway.execute(select(func.count()).select_from(USERS)) == [(1,)]

    async def test_a_known_user_costs_no_write(self, gateway: Gateway, client_id: str) -> None:
        await gateway.introspect(gateway.mint(client_id))
        async with gateway.database.transaction():  # holds the one writer
            answer = await asyncio.wait_for(gateway.introspect(gateway.mint(client_id)), 5)
        assert answer["active"] is True


class TestMalformed:
    """Refused by shape alone."""

    @pytest.mark.parametrize(
        "credential",
        [
            "",
            " ",
            "x",
            "A" * 199,
            "A" * 232,
            "A" * 1001,
            "A" * 100_000,
            "!" * 300,
            "令牌" * 150,
            "\ud800" * 300,
            "a\x00" * 150,
        ],
        ids=lambda text: f"{text[:1]!a}*{len(text)}",
    )
    async def test_what_is_no_token_at_all(self, gateway: Gateway, credential: str) -> None:
        assert await gateway.introspect(credential) == REFUSED

    @pytest.mark.parametrize(
        "outer",
        [
            "0",
            "|",
            "{ciphertext}",
            "|{ciphertext}",
            "x|{ciphertext}",
            "-2|{ciphertext}",
            "02|{ciphertext}",
            " 2|{ciphertext}",
            "+2|{ciphertext}",
            "2.0|{ciphertext}",
            "²|{ciphertext}",
            "٢|{ciphertext}",
            "9999999999999|{ciphertext}",
            "2|{ciphertext}|",
            "2|{ciphertext}|x",
            "2|2|{ciphertext}",
            "2|",
            "2|!{ciphertext}",
            "2|{ciphertext}\n",
            "2|{ciphertext}=",
            "2|{short}",
            "2|{long}",
        ],
    )
    def test_an_outer_part_that_is_wrong(self, outer: str) -> None:
        ciphertext = bytes(range(256)) + bytes(128)
        parts = {
            "ciphertext": base64.b64encode(ciphertext).decode(),
            "short": base64.b64encode(ciphertext[:-1]).decode(),
            "long": base64.b64encode(ciphertext + b"0").decode(),
        }
        good = wrap("2|{ciphertext}".format(**parts))
        assert parse_token(good) == SealedToken(2, ciphertext)
        assert parse_token(wrap(outer.format(**parts))) is None

    @pytest.mark.parametrize("spoil", ["{}\n", "{} ", " {}", "{}=", "\n{}"])
    async def test_another_spelling_of_a_good_token(
        self, gateway: Gateway, client_id: str, spoil: str
    ) -> None:
        assert await gateway.introspect(spoil.format(gateway.mint(client_id))) == REFUSED

    async def test_a_good_token_without_its_padding(self, gateway: Gateway, client_id: str) -> None:
        padded = wrap(f"{client_id}|" + base64.b64encode(bytes(384)).decode())
        assert padded.endswith("=")
        assert await gateway.introspect(padded.rstrip("=")) == REFUSED


class TestNotProven:
    """Of the right shape, and refused after the same RSA work."""

    async def test_unknown_client(self, gateway: Gateway, client_id: str) -> None:
        token = gateway.mint("4711", public_key=gateway.keys[client_id])
        assert await gateway.introspect(token) == REFUSED

    async def test_a_client_that_never_had_a_key(self, gateway: Gateway, client_id: str) -> None:
        token = gateway.mint("0", public_key=gateway.keys[client_id])
        assert await gateway.introspect(token) == REFUSED

    async def test_another_clients_key(
        self, gateway: Gateway, client_id: str, key_pairs: KeyPairs
    ) -> None:
        token = gateway.mint(client_id, public_key=key_pairs[1][0])
        assert await gateway.introspect(token) == REFUSED

    async def test_one_changed_bit(self, gateway: Gateway, client_id: str) -> None:
        _, ciphertext = base64.b64decode(gateway.mint(client_id)).decode().split("|")
        raw = bytearray(base64.b64decode(ciphertext))
        raw[200] ^= 1
        token = wrap(f"{client_id}|{base64.b64encode(raw).decode()}")
        assert await gateway.introspect(token) == REFUSED

    async def test_random_bytes(self, gateway: Gateway, client_id: str) -> None:
        for sealed in (b"\x00" * 384, b"\xff" * 384, b"\x5a" * 128, b"\x5a" * 512):
            token = wrap(f"{client_id}|{base64.b64encode(sealed).decode()}")
            assert await gateway.introspect(token) == REFUSED

    @pytest.mark.parametrize(
        "plain",
        [
            b"",
            b"|||",
            b"{id}",
            b"{id}|u1",
            b"{id}|u1|1790000000",
            b"{id}||Tom|1790000000",
            b"{id}|u1|Tom|",
            b"{id}|u1|Tom|soon",
            b"{id}|u1|Tom|nan",
            b"{id}|u1|Tom|-inf",
            b"{id}|u1|Tom|inf",
            b"{id}|u1|Tom|-1790000000",
            b"{id}|u1|Tom|1_790_000_000",
            b"{id}|u1|Tom| 1790000000",
            b"{id}|u1|Tom|1790000000\n",
            b"{id}|u1|Tom|1e99",
            b"{id}|u1|Tom|0x6ab1cf80",
            "{id}|u1|Tom|１７９０００００００".encode(),
            b"{id}|" + b"u" * 65 + b"|Tom|1790000000",
            b"{id}|u\x001|Tom|1790000000",
            b"{id}|u\n1|Tom|1790000000",
            b"{id}|u1|\xff\xfe|1790000000",
            "{id}|u1|Tom|1790000000".encode("utf-16"),
        ],
    )
    def test_plain_text_that_is_wrong(self, plain: bytes) -> None:
        now = 1_790_000_000
        assert read_claims(b"2|u1|Tom|1790000000", client_id=2, now=now).user_id == "u1"
        with pytest.raises(CredentialRefused, match="invalid"):
            read_claims(plain.replace(b"{id}", b"2"), client_id=2, now=now)

    async def test_wrong_plain_text_makes_no_user(self, gateway: Gateway, client_id: str) -> None:
        token = gateway.seal(client_id, f"{client_id}|u1|Tom|soon".encode())
        assert await gateway.introspect(token) == REFUSED
        assert await gateway.execute(select(USERS)) == []

    async def test_hole_2_a_foreign_client_inside(
        self, gateway: Gateway, client_id: str, key_pairs: KeyPairs
    ) -> None:
        other = await gateway.add_client("other", key_pairs[1])
        token = gateway.mint(client_id, inner_client_id=other)
        assert await gateway.introspect(token) == REFUSED

    async def test_the_same_client_spelt_differently_inside(
        self, gateway: Gateway, client_id: str
    ) -> None:
        token = gateway.mint(client_id, inner_client_id=f"0{client_id}")
        assert await gateway.introspect(token) == REFUSED

    async def test_unknown_clients_take_as_long_as_bad_tokens(self, key_pairs: KeyPairs) -> None:
        """Medians of many; without the decoy's decryption one would be ten times the other."""
        master_key = MasterKey("m" * 32)
        opener = TokenOpener(master_key)
        await opener.warm_up()
        sealed_key = master_key.seal(key_pairs[0][1], client_id=2)
        seconds: dict[bytes | None, list[float]] = {sealed_key: [], None: []}
        loop = asyncio.get_running_loop()
        for key in [sealed_key, None] * 41:
            began = loop.time()
            with pytest.raises(CredentialRefused):
                await opener.open(SealedToken(2, bytes(383) + b"\x05"), key)
            seconds[key].append(loop.time() - began)
        medians = [sorted(taken)[20] for taken in seconds.values()]
        assert 0.4 < medians[0] / medians[1] < 2.5


class TestNoLongerGood:
    async def test_expired(self, gateway: Gateway, client_id: str) -> None:
        token = gateway.mint(client_id, timestamp=gateway.clock.now - 8 * 3600 - 1)
        assert await gateway.introspect(token) == EXPIRED

    async def test_expired_makes_no_user(self, gateway: Gateway, client_id: str) -> None:
        await gateway.introspect(gateway.mint(client_id, timestamp=1))
        assert await gateway.execute(select(USERS)) == []

    async def test_its_life_is_a_setting(self, start: Any, key_pairs: KeyPairs) -> None:
        async with start(token_expired_hours=0.5) as gateway:
            client = await gateway.add_client("intranet", key_pairs[0])
            token = gateway.mint(client)
            assert (await gateway.introspect(token))["expires_at"] == gateway.clock.now + 1800
            gateway.clock.now += 1801
            assert await gateway.introspect(token) == EXPIRED

    async def test_hole_3_more_than_five_minutes_ahead(
        self, gateway: Gateway, client_id: str
    ) -> None:
        token = gateway.mint(client_id, timestamp=gateway.clock.now + 301)
        assert await gateway.introspect(token) == REFUSED

    async def test_hole_3_disabled_client(self, gateway: Gateway, client_id: str) -> None:
        token = gateway.mint(client_id)
        await gateway.introspect(token)
        await gateway.disable(client_id)
        assert await gateway.introspect(token) == REFUSED
        await gateway.update_client(client_id, enable=True)
        assert (await gateway.introspect(token))["active"] is True

    async def test_hole_3_disabled_user(self, gateway: Gateway, client_id: str) -> None:
        await gateway.introspect(gateway.mint(client_id, "u1"))
        await gateway.update_user("u1", enable=False)
        assert await gateway.introspect(gateway.mint(client_id, "u1")) == REFUSED
        assert await gateway.introspect(gateway.mint(client_id, "u1", username="X")) == REFUSED
        assert (await gateway.introspect(gateway.mint(client_id, "u2")))["active"] is True

    async def test_hole_3_older_than_what_the_user_revoked(
        self, gateway: Gateway, client_id: str
    ) -> None:
        old = gateway.mint(client_id, "u1")
        await gateway.introspect(old)
        await gateway.update_user("u1", tokens_not_before=gateway.clock.now + 1)
        assert await gateway.introspect(old) == REFUSED
        new = gateway.mint(client_id, "u1", timestamp=gateway.clock.now + 2)
        assert (await gateway.introspect(new))["active"] is True

    async def test_a_changed_key_ends_the_tokens_of_the_old_one(
        self, gateway: Gateway, client_id: str, key_pairs: KeyPairs
    ) -> None:
        old = gateway.mint(client_id)
        assert (await gateway.introspect(old))["active"] is True
        await gateway.replace_keys(client_id, key_pairs[1])
        assert await gateway.introspect(old) == REFUSED
        assert (await gateway.introspect(gateway.mint(client_id)))["active"] is True

    @pytest.mark.parametrize("place", ["cookie", "bearer"])
    async def test_in_a_place_where_no_token_belongs(
        self, gateway: Gateway, client_id: str, place: str
    ) -> None:
        assert await gateway.introspect(gateway.mint(client_id), place) == REFUSED

    async def test_in_the_address_of_the_landing_page(
        self, gateway: Gateway, client_id: str
    ) -> None:
        assert (await gateway.introspect(gateway.mint(client_id), "url"))["active"] is True


async def test_more_logins_than_can_wait_are_told_to_come_back() -> None:
    master_key = MasterKey("m" * 32)
    sealed = master_key.seal(make_key_pair(1024)[1], client_id=2)
    opener, token = TokenOpener(master_key), SealedToken(2, bytes(128))
    outcomes = await asyncio.gather(
        *(opener.open(token, sealed) for _ in range(300)), return_exceptions=True
    )
    refused = [outcome for outcome in outcomes if isinstance(outcome, Unavailable)]
    assert len(refused) == 100
    assert {error.retry_after for error in refused} == {1}
    assert all(isinstance(outcome, Unavailable | CredentialRefused) for outcome in outcomes)
    with pytest.raises(CredentialRefused):  # and then it goes on
        await opener.open(token, sealed)
