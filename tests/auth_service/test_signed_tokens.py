"""v2 tokens: what a host app may sign, and one test for each way to cheat."""

import asyncio
import base64
import hashlib
import hmac
import json
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from sqlalchemy import func, select, update

from auth_service.models import AUDIT, CLIENT_KEYS, CLIENTS, REPLAYS, SESSIONS, USERS
from tests.auth_service.conftest import EXPIRED, REFUSED, Gateway, Start
from tests.auth_service.host_keys import ALGORITHMS, HostKey, claims, make_key, raw

KeyPairs = list[tuple[str, bytes]]


@pytest.fixture
async def client_id(gateway: Gateway) -> str:
    """A host app without a v1 key."""
    return await gateway.add_keyless_client("portal")


@pytest.fixture
async def key(gateway: Gateway, client_id: str) -> HostKey:
    made = make_key()
    await made.register(gateway, client_id)
    return made


async def present(gateway: Gateway, token: str) -> dict[str, Any]:
    """As the landing page does."""
    return await gateway.introspect(token, "url", want_session=True)


async def count(gateway: Gateway, table: Any) -> int:
    [(rows,)] = await gateway.execute(select(func.count()).select_from(table))
    return int(rows)


async def causes(gateway: Gateway) -> list[str]:
    """Why the audit log says that something was refused."""
    await gateway.app.state.context.audit.flush()
    return [detail["reason"] for (detail,) in await gateway.execute(select(AUDIT.c.detail))]


class TestAccepted:
    @pytest.mark.parametrize("algorithm", ALGORITHMS)
    async def test_a_good_token_opens_a_session(
        self, gateway: Gateway, client_id: str, algorithm: str
    ) -> None:
        key = make_key(algorithm)
        await key.register(gateway, client_id)
        answer = await present(gateway, key.sign(claims(gateway, client_id)))
        assert answer["caller"] == {
            "client_id": client_id,
            "user_id": "u1",
            "username": "张三",
            "scopes": ["chat", "kb:read"],
            "groups": [],
            "confined_to": None,
        }
        assert answer["session_token"].startswith("c2s-")
        assert answer["session_expires_at"] == gateway.clock.now + 8 * 3600
        again = await gateway.introspect(answer["session_token"])
        assert again["caller"] == answer["caller"]
        [(method,)] = await gateway.execute(select(SESSIONS.c.method))
        assert method == "v2"

    async def test_groups_come_along_and_stay_until_the_next_exchange(
        self, gateway: Gateway, client_id: str, key: HostKey
    ) -> None:
        said = claims(gateway, client_id, groups=["sales", "部门", "sales"])
        first = await present(gateway, key.sign(said))
        assert first["caller"]["groups"] == ["sales", "部门"]
        assert (await gateway.introspect(first["session_token"]))["caller"]["groups"] == [
            "sales",
            "部门",
        ]
        await present(gateway, key.sign(claims(gateway, client_id)))
        assert (await gateway.introspect(first["session_token"]))["caller"]["groups"] == []

    async def test_without_a_name_the_name_stays(
        self, gateway: Gateway, client_id: str, key: HostKey
    ) -> None:
        nameless = await present(gateway, key.sign(claims(gateway, client_id, name=None)))
        assert nameless["caller"]["username"] == "u1"
        await present(gateway, key.sign(claims(gateway, client_id, name="Li")))
        again = await present(gateway, key.sign(claims(gateway, client_id, name=None)))
        assert again["caller"]["username"] == "Li"

    async def test_a_long_name_with_control_characters_is_tamed(
        self, gateway: Gateway, client_id: str, key: HostKey
    ) -> None:
        said = claims(gateway, client_id, name="a\nb\ud800" + "n" * 100)
        caller = (await present(gateway, key.sign(said)))["caller"]
        assert caller["username"] == "a b " + "n" * 46

    async def test_the_audience_may_be_one_of_several(
        self, gateway: Gateway, client_id: str, key: HostKey
    ) -> None:
        said = claims(gateway, client_id, aud=["someone", "chat2llm"])
        assert (await present(gateway, key.sign(said)))["active"] is True

    async def test_iat_nbf_and_kid_may_be_missing(
        self, gateway: Gateway, client_id: str, key: HostKey
    ) -> None:
        said = claims(gateway, client_id, iat=None)
        token = jwt.encode(said, key.private, key.algorithm)
        assert (await present(gateway, token))["active"] is True

    async def test_whole_seconds(self, gateway: Gateway, client_id: str, key: HostKey) -> None:
        now = int(gateway.clock.now)
        said = claims(gateway, client_id, iat=now, nbf=now, exp=now + 900)
        assert (await present(gateway, key.sign(said)))["active"] is True

    @pytest.mark.parametrize("algorithm", ["ES256", "RS256"], ids=["same", "other algorithm"])
    @pytest.mark.parametrize("named", [True, False], ids=["kid", "no kid"])
    async def test_two_keys_at_once_for_rotation(
        self, gateway: Gateway, client_id: str, key: HostKey, algorithm: str, named: bool
    ) -> None:
        new = make_key(algorithm, "k2")
        await new.register(gateway, client_id)
        for one in (key, new):
            said = claims(gateway, client_id)
            token = one.sign(said) if named else jwt.encode(said, one.private, one.algorithm)
            assert (await present(gateway, token))["active"] is True

    async def test_skew_of_a_minute_is_forgiven(
        self, gateway: Gateway, client_id: str, key: HostKey
    ) -> None:
        now = gateway.clock.now
        for times in (
            {"iat": now + 60, "exp": now + 900 + 60},
            {"nbf": now + 60},
            {"iat": now - 900, "exp": now - 59.9},
        ):
            token = key.sign(claims(gateway, client_id, **times))
            assert (await present(gateway, token))["active"] is True

    async def test_without_a_wanted_session_none_is_opened(
        self, gateway: Gateway, client_id: str, key: HostKey
    ) -> None:
        token = key.sign(claims(gateway, client_id))
        answer = await gateway.introspect(token, "url")
        assert (answer["active"], answer["session_token"]) == (True, None)
        assert await count(gateway, SESSIONS) == 0
        assert await present(gateway, token) == REFUSED


class TestPlaces:
    @pytest.mark.parametrize("place", ["header", "bearer", "cookie", "admin_cookie"])
    async def test_it_counts_in_an_address_only(
        self, gateway: Gateway, client_id: str, key: HostKey, place: str
    ) -> None:
        token = key.sign(claims(gateway, client_id))
        assert await gateway.introspect(token, place) == REFUSED
        assert (await present(gateway, token))["active"] is True  # and was not used up


class TestAlgorithms:
    """The registered key decides, never the token."""

    async def test_none(self, gateway: Gateway, client_id: str, key: HostKey) -> None:
        said = claims(gateway, client_id)
        for name in ("none", "None", "NONE", "nOnE", ""):
            for signature in (b"", b"x"):
                token = raw({"alg": name, "typ": "JWT"}, said, signature)
                assert await present(gateway, token) == REFUSED

    @pytest.mark.parametrize("algorithm", ALGORITHMS)
    @pytest.mark.parametrize("form", ["pem", "stripped", "der"])
    async def test_hs256_with_the_public_key_as_its_secret(
        self, gateway: Gateway, client_id: str, algorithm: str, form: str
    ) -> None:
        key = make_key(algorithm)
        await key.register(gateway, client_id)
        secret = key.public_pem.encode()
        if form == "stripped":
            secret = secret.strip()
        if form == "der":
            secret = base64.b64decode("".join(key.public_pem.splitlines()[1:-1]))
        token = hs256(secret, claims(gateway, client_id), {"kid": "k1"})
        assert await present(gateway, token) == REFUSED

    async def test_es256_under_an_rsa_key(self, gateway: Gateway, client_id: str) -> None:
        await make_key("RS256", "k1").register(gateway, client_id)
        token = make_key("ES256", "k1").sign(claims(gateway, client_id))
        assert await present(gateway, token) == REFUSED

    async def test_the_right_signature_under_the_name_of_another_algorithm(
        self, gateway: Gateway, client_id: str
    ) -> None:
        key = make_key("RS256")
        await key.register(gateway, client_id)
        said = claims(gateway, client_id)
        for name in ("RS384", "RS512", "PS256"):
            token = jwt.encode(said, key.private, name, {"kid": "k1"})
            assert await present(gateway, token) == REFUSED

    @pytest.mark.parametrize("algorithm", [1, None, [], {"a": 1}, "RS256 ", "rs256", "x" * 1000])
    async def test_an_algorithm_that_is_none_of_ours(
        self, gateway: Gateway, client_id: str, key: HostKey, algorithm: object
    ) -> None:
        token = raw({"alg": algorithm}, claims(gateway, client_id))
        assert await present(gateway, token) == REFUSED


class TestKeys:
    @pytest.mark.parametrize("name", ["jwk", "x5c", "jku", "x5u"])
    async def test_a_key_that_the_token_brings_along(
        self, gateway: Gateway, client_id: str, key: HostKey, name: str
    ) -> None:
        """Refused though the signature is right: nobody needs it but who tries something."""
        own = ed25519.Ed25519PrivateKey.generate()
        public = json.loads(jwt.algorithms.OKPAlgorithm.to_jwk(own.public_key()))
        value = {"jwk": public, "x5c": ["MIIB"]}.get(name, "https://evil.example/keys")
        foreign = jwt.encode(claims(gateway, client_id), own, "EdDSA", {name: value})
        assert await present(gateway, foreign) == REFUSED
        assert await present(gateway, key.sign(claims(gateway, client_id), **{name: value})) == (
            REFUSED
        )

    async def test_unknown_kid(self, gateway: Gateway, client_id: str, key: HostKey) -> None:
        for kid in ("k2", "", "K1", "../k1", "k1'--"):
            assert await present(gateway, key.sign(claims(gateway, client_id), kid=kid)) == REFUSED

    @pytest.mark.parametrize("kid", [1, ["k1"], {"k1": 1}, True])
    async def test_a_kid_that_is_no_text(
        self, gateway: Gateway, client_id: str, key: HostKey, kid: object
    ) -> None:
        header = {"alg": key.algorithm, "kid": kid}
        assert await present(gateway, raw(header, claims(gateway, client_id))) == REFUSED

    async def test_kid_and_key_of_another_client(
        self, gateway: Gateway, client_id: str, key: HostKey
    ) -> None:
        other = await gateway.add_keyless_client("other")
        theirs = make_key("ES256", "theirs")
        await theirs.register(gateway, other)
        said = claims(gateway, client_id)
        assert await present(gateway, theirs.sign(said)) == REFUSED
        assert await present(gateway, theirs.sign(said, kid=key.kid)) == REFUSED
        assert await present(gateway, jwt.encode(said, theirs.private, "ES256")) == REFUSED
        assert await count(gateway, USERS) == 0

    async def test_a_removed_key(self, gateway: Gateway, client_id: str, key: HostKey) -> None:
        token = key.sign(claims(gateway, client_id))
        await gateway.execute(CLIENT_KEYS.delete())
        assert await present(gateway, token) == REFUSED

    async def test_a_replaced_key_of_the_same_name(
        self, gateway: Gateway, client_id: str, key: HostKey
    ) -> None:
        assert (await present(gateway, key.sign(claims(gateway, client_id))))["active"] is True
        await gateway.execute(CLIENT_KEYS.delete())
        await make_key("ES256", key.kid).register(gateway, client_id)
        assert await present(gateway, key.sign(claims(gateway, client_id))) == REFUSED

    async def test_a_client_that_never_had_a_key(self, gateway: Gateway, client_id: str) -> None:
        assert await present(gateway, make_key().sign(claims(gateway, client_id))) == REFUSED

    async def test_one_changed_letter(self, gateway: Gateway, client_id: str, key: HostKey) -> None:
        header, _, signature = key.sign(claims(gateway, client_id)).split(".")
        forged = raw({}, claims(gateway, client_id, sub="boss")).split(".")[1]
        assert await present(gateway, f"{header}.{forged}.{signature}") == REFUSED

    async def test_critical_extensions_that_we_do_not_know(
        self, gateway: Gateway, client_id: str, key: HostKey
    ) -> None:
        token = key.sign(claims(gateway, client_id), crit=["exp"], exp=1)
        assert await present(gateway, token) == REFUSED

    async def test_an_unencoded_payload(
        self, gateway: Gateway, client_id: str, key: HostKey
    ) -> None:
        header = {"alg": key.algorithm, "kid": key.kid, "b64": False, "crit": ["b64"]}
        assert await present(gateway, raw(header, claims(gateway, client_id))) == REFUSED


class TestClaims:
    @pytest.mark.parametrize(
        "changes",
        [
            {"iss": None},
            {"iss": "3"},
            {"iss": "02"},
            {"iss": " 2"},
            {"iss": "https://portal.example"},
            {"iss": "9" * 100},
            {"aud": None},
            {"aud": "chat2llm-services"},
            {"aud": "Chat2LLM"},
            {"aud": ["someone"]},
            {"aud": []},
            {"aud": {"chat2llm": True}},
            {"aud": ["chat2llm", 1]},
            {"sub": None},
            {"sub": ""},
            {"sub": "u" * 65},
            {"sub": "a\nb"},
            {"sub": "\ud800"},
            {"sub": 7},
            {"sub": ["u1"]},
            {"jti": None},
            {"jti": ""},
            {"jti": "j" * 201},
            {"jti": "\ud800"},
            {"jti": 7},
            {"exp": None},
            {"exp": "soon"},
            {"exp": "1790000300"},
            {"exp": True},
            {"exp": []},
            {"exp": 10**400},
            {"exp": -(10**400)},
            {"iat": "now"},
            {"iat": True},
            {"iat": 10**400},
            {"nbf": "now"},
            {"name": 7},
            {"name": ["Li"]},
            {"groups": "sales"},
            {"groups": {"sales": 1}},
            {"groups": [1]},
            {"groups": [["sales"]]},
            {"groups": [""]},
            {"groups": ["g" * 65]},
            {"groups": ["a\x00b"]},
            {"groups": ["\ud800"]},
            {"groups": [str(number) for number in range(51)]},
        ],
        ids=lambda changes: str(changes)[:40].encode("unicode_escape").decode(),
    )
    async def test_wrong_or_missing(
        self, gateway: Gateway, client_id: str, key: HostKey, changes: dict[str, Any]
    ) -> None:
        assert client_id == "2"
        token = sign_anything(key, claims(gateway, client_id, **changes))
        assert await present(gateway, token) == REFUSED
        assert await count(gateway, USERS) == 0
        assert await count(gateway, REPLAYS) == 0

    @pytest.mark.parametrize("iss", [2, 2.0, ["2"], {"2": 1}, True])
    async def test_an_issuer_that_is_no_text(
        self, gateway: Gateway, client_id: str, key: HostKey, iss: object
    ) -> None:
        token = sign_anything(key, claims(gateway, client_id, iss=iss))
        assert await present(gateway, token) == REFUSED

    async def test_huge_groups(self, gateway: Gateway, client_id: str, key: HostKey) -> None:
        groups = [f"group-{number:04}" for number in range(200)]
        token = key.sign(claims(gateway, client_id, groups=groups))
        assert len(token) <= 4096
        assert await present(gateway, token) == REFUSED

    async def test_the_longest_token_and_one_letter_more(
        self, gateway: Gateway, client_id: str, key: HostKey
    ) -> None:
        longest = [token_of(key, claims(gateway, client_id), length) for length in (4096, 4097)]
        assert (await present(gateway, longest[0]))["active"] is True
        assert await present(gateway, longest[1]) == REFUSED

    async def test_4097_characters(self, gateway: Gateway, client_id: str, key: HostKey) -> None:
        token = key.sign(claims(gateway, client_id))
        assert await present(gateway, token + "A" * (4097 - len(token))) == REFUSED
        assert await present(gateway, "a.b." + "A" * 4093) == REFUSED

    @pytest.mark.parametrize(
        "payload",
        [
            b"",
            b"{",
            b"null",
            b"[]",
            b'"2"',
            b"2",
            b"NaN",
            b"\xff\xfe",
            b"[" * 2000,
            b'{"iss":' * 300,
            b'{"a":' * 400 + b"1" + b"}" * 400,
            b'{"iss": "2", "exp": ' + b"9" * 2500 + b"}",
            b'{"iss": "2", "exp": NaN, "sub": "u1", "jti": "1", "aud": "chat2llm"}',
            b'{"iss": "2", "exp": Infinity, "sub": "u1", "jti": "1", "aud": "chat2llm"}',
            b'{"iss": "2", "exp": 1e999, "sub": "u1", "jti": "1", "aud": "chat2llm"}',
        ],
        ids=lambda payload: repr(payload[:20]),
    )
    async def test_nested_garbage(
        self, gateway: Gateway, client_id: str, key: HostKey, payload: bytes
    ) -> None:
        """Signed or not."""
        assert client_id == "2"
        assert await present(gateway, sign_bytes(key, payload)) == REFUSED
        assert await present(gateway, raw({"alg": "ES256"}, payload)) == REFUSED
        assert await present(gateway, raw(payload, {"iss": "2"})) == REFUSED

    @pytest.mark.parametrize(
        "token", ["..", "a..b", ".a.b", "a.b.", "a.b.c.d", "é.b.c", "a b.c.d", "eyJ.eyJ.x\n", "a.b"]
    )
    async def test_no_jwt_at_all(self, gateway: Gateway, client_id: str, token: str) -> None:
        assert await present(gateway, token) == REFUSED


class TestTimes:
    @pytest.mark.parametrize(
        "times",
        [
            {"exp": 900 + 60 + 1},
            {"exp": 8 * 3600},
            {"exp": 1e15},
            {"iat": 61},
            {"nbf": 61},
            {"nbf": 1e15},
        ],
        ids=str,
    )
    async def test_too_far_in_the_future(
        self, gateway: Gateway, client_id: str, key: HostKey, times: dict[str, float]
    ) -> None:
        ahead = {name: gateway.clock.now + seconds for name, seconds in times.items()}
        token = key.sign(claims(gateway, client_id, **ahead))
        assert await present(gateway, token) == REFUSED

    @pytest.mark.parametrize("ago", [60, 61, 3600, 1.79e9])
    async def test_expired(
        self, gateway: Gateway, client_id: str, key: HostKey, ago: float
    ) -> None:
        end = gateway.clock.now - ago
        token = key.sign(claims(gateway, client_id, iat=end - 60, exp=end))
        assert await present(gateway, token) == EXPIRED
        assert await count(gateway, USERS) == 0

    async def test_expired_is_said_to_the_signer_only(
        self, gateway: Gateway, client_id: str, key: HostKey
    ) -> None:
        said = claims(gateway, client_id, exp=gateway.clock.now - 3600)
        assert await present(gateway, make_key("ES256", key.kid).sign(said)) == REFUSED

    async def test_expired_is_no_failed_try(
        self, gateway: Gateway, client_id: str, key: HostKey
    ) -> None:
        said = claims(gateway, client_id, exp=gateway.clock.now - 3600)
        for _ in range(30):
            assert await present(gateway, key.sign(said)) == EXPIRED


class TestReplay:
    async def test_a_token_is_good_once(
        self, gateway: Gateway, client_id: str, key: HostKey
    ) -> None:
        token = key.sign(claims(gateway, client_id))
        assert (await present(gateway, token))["active"] is True
        assert await present(gateway, token) == REFUSED
        assert await count(gateway, SESSIONS) == 1
        assert await causes(gateway) == ["replayed"]

    async def test_the_same_jti_in_another_token(
        self, gateway: Gateway, client_id: str, key: HostKey
    ) -> None:
        for user, active in (("u1", True), ("u2", False)):
            token = key.sign(claims(gateway, client_id, sub=user, jti="once"))
            assert (await present(gateway, token))["active"] is active

    async def test_another_spelling_of_the_same_token(
        self, gateway: Gateway, client_id: str, key: HostKey
    ) -> None:
        token = key.sign(claims(gateway, client_id))
        assert (await present(gateway, token))["active"] is True
        for spelling in (token + "=", token + "==", token.replace(".", "=.", 1)):
            assert await present(gateway, spelling) == REFUSED

    async def test_jtis_of_two_clients_do_not_meet(
        self, gateway: Gateway, client_id: str, key: HostKey
    ) -> None:
        other = await gateway.add_keyless_client("other")
        await key.register(gateway, other)
        for client in (client_id, other):
            token = key.sign(claims(gateway, client, jti="once"))
            assert (await present(gateway, token))["active"] is True

    async def test_fifty_at_once_are_one(
        self, gateway: Gateway, client_id: str, key: HostKey
    ) -> None:
        token = key.sign(claims(gateway, client_id))
        answers = await asyncio.gather(*(present(gateway, token) for _ in range(15)))
        assert [answer["active"] for answer in answers].count(True) == 1
        assert await count(gateway, SESSIONS) == 1

    async def test_at_a_second_copy_of_the_service(self, start: Start) -> None:
        async with start() as one, start() as other:
            client = await one.add_keyless_client("portal")
            key = make_key()
            await key.register(one, client)
            token = key.sign(claims(one, client))
            answers = await asyncio.gather(present(one, token), present(other, token))
            assert sorted(answer["active"] for answer in answers) == [False, True]
            for copy in (one, other):
                assert await present(copy, token) == REFUSED

    async def test_the_id_is_kept_until_the_token_is_expired_for_good(
        self, gateway: Gateway, client_id: str, key: HostKey
    ) -> None:
        said = claims(gateway, client_id)
        await present(gateway, key.sign(said))
        [(row,)] = await gateway.execute(select(REPLAYS.c.expires_at))
        assert row == said["exp"] + 60

    async def test_a_refused_token_is_not_used_up(
        self, gateway: Gateway, client_id: str, key: HostKey
    ) -> None:
        token = key.sign(claims(gateway, client_id))
        await gateway.disable(client_id)
        assert await present(gateway, token) == REFUSED
        await gateway.update_client(client_id, enable=True)
        assert (await present(gateway, token))["active"] is True


class TestRevoked:
    async def test_disabled_client(self, gateway: Gateway, client_id: str, key: HostKey) -> None:
        session = await present(gateway, key.sign(claims(gateway, client_id)))
        await gateway.disable(client_id)
        assert await present(gateway, key.sign(claims(gateway, client_id))) == REFUSED
        assert await gateway.introspect(session["session_token"]) == REFUSED

    async def test_disabled_user(self, gateway: Gateway, client_id: str, key: HostKey) -> None:
        session = await present(gateway, key.sign(claims(gateway, client_id)))
        await gateway.update_user("u1", enable=False)
        assert await present(gateway, key.sign(claims(gateway, client_id))) == REFUSED
        assert await gateway.introspect(session["session_token"]) == REFUSED
        assert await causes(gateway) == ["disabled", "disabled"]  # by token and by session

    @pytest.mark.parametrize("whose", ["user", "client"])
    @pytest.mark.parametrize("with_iat", [True, False], ids=["iat", "no iat"])
    async def test_older_than_what_was_revoked(
        self, gateway: Gateway, client_id: str, key: HostKey, whose: str, with_iat: bool
    ) -> None:
        now = gateway.clock.now
        session = await present(gateway, key.sign(claims(gateway, client_id)))
        table = USERS if whose == "user" else CLIENTS
        await gateway.execute(update(table).values(tokens_not_before=now + 10))
        gateway.clock.now += 20

        def token(issued: float) -> str:
            times = {"iat": issued if with_iat else None, "exp": issued + 900}
            return key.sign(claims(gateway, client_id, **times))

        assert await present(gateway, token(now + 9)) == REFUSED
        assert await gateway.introspect(session["session_token"]) == REFUSED
        new = await present(gateway, token(now + 10))
        assert (await gateway.introspect(new["session_token"]))["active"] is True

    async def test_a_deleted_user_comes_back_by_a_later_token_only(
        self, gateway: Gateway, client_id: str, key: HostKey
    ) -> None:
        now = gateway.clock.now
        old = key.sign(claims(gateway, client_id, iat=now - 1))
        session = await present(gateway, key.sign(claims(gateway, client_id, groups=["sales"])))
        await gateway.update_user("u1", username="", groups=[], deleted=True, tokens_not_before=now)
        assert await present(gateway, old) == REFUSED
        gateway.clock.now += 1
        assert await gateway.introspect(session["session_token"]) == REFUSED
        back = await present(gateway, key.sign(claims(gateway, client_id, name=None)))
        assert back["caller"]["username"] == "u1"
        assert back["caller"]["groups"] == []


def hs256(secret: bytes, said: dict[str, Any], header: dict[str, Any]) -> str:
    """No library signs with a public key, so by hand."""
    unsigned = raw({"alg": "HS256", "typ": "JWT"} | header, said).rpartition(".")[0]
    signature = hmac.digest(secret, unsigned.encode(), hashlib.sha256)
    return f"{unsigned}.{base64.urlsafe_b64encode(signature).decode().rstrip('=')}"


def token_of(key: HostKey, said: dict[str, Any], length: int) -> str:
    """One of exactly this length; not every length can be had by the payload alone."""
    for in_header in ("", "p", "pp", "ppp"):
        shortest = len(key.sign(said | {"pad": ""}, pad=in_header))
        for in_payload in range((length - shortest) * 3 // 4 - 3, length):
            token = key.sign(said | {"pad": "p" * in_payload}, pad=in_header)
            if len(token) >= length:
                break
        if len(token) == length:
            return token
    raise AssertionError(length)


def sign_anything(key: HostKey, said: dict[str, Any]) -> str:
    """PyJWT checks the issuer's type; an attacker does not."""
    return sign_bytes(key, json.dumps(said).encode())


def sign_bytes(key: HostKey, payload: bytes) -> str:
    return jwt.api_jws.PyJWS().encode(payload, key.private, key.algorithm, {"kid": key.kid})
