"""Every language mints every token of the vectors, and our own code opens each of them."""

import json
import time
from base64 import urlsafe_b64decode
from datetime import UTC, datetime
from typing import Any

import pytest

from auth_service.keys import MasterKey
from auth_service.signed_tokens import (
    SignatureVerifier,
    is_signed,
    read_signed_claims,
    read_unproven,
)
from auth_service.store.records import StoredClientKey
from auth_service.tokens import TokenOpener, parse_token, read_claims
from tests.host_apps.conftest import VECTORS, Program

MASTER_KEY = MasterKey("m" * 32)
ALGORITHMS = {"ed25519": "EdDSA", "p-256": "ES256", "rsa-2048": "RS256", "rsa-3072": "RS256"}


def vectors(kind: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("vector", VECTORS[kind], ids=lambda vector: vector["id"])


async def opened(token: str, client_id: str, key: str) -> bytes:
    """The plain text of a v1 token, as the service finds it."""
    pem = VECTORS["keys"][key]["private_key"].encode()
    parsed = parse_token(token)
    assert parsed is not None
    assert str(parsed.client_id) == client_id
    sealed = MASTER_KEY.seal(pem, client_id=parsed.client_id)
    return await TokenOpener(MASTER_KEY).open(parsed, sealed)


def verified(token: str, key: str, kid: str | None) -> dict[str, Any]:
    """The claims of a v2 token, as the service finds them."""
    registered = StoredClientKey(
        kid=kid or "any",
        algorithm=ALGORITHMS[key],
        public_key=VECTORS["keys"][key]["public_key"],
    )
    assert is_signed(token)
    unproven = read_unproven(token)
    assert unproven is not None
    return SignatureVerifier().verify(unproven, [registered])


def options(vector: dict[str, Any]) -> list[str]:
    given = ["--at", vector["at"], "--jti", vector["jti"]]
    if vector["groups"] is not None:
        given += ["--groups", ",".join(vector["groups"])]
    return given + (["--kid", vector["kid"]] if vector["kid"] else [])


def header(token: str) -> dict[str, Any]:
    part = token.partition(".")[0]
    read: dict[str, Any] = json.loads(urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return read


@vectors("v1")
async def test_v1(example: Program, vector: dict[str, Any]) -> None:
    who = vector["user_id"], vector["name"]
    key = example.key(vector["key"], "public_key")
    token = example.mint("v1", vector["client_id"], key, *who, "--at", vector["at"])
    plain = await opened(token, vector["client_id"], vector["key"])
    assert plain == vector["plain"].encode()
    claims = read_claims(plain, client_id=int(vector["client_id"]), now=float(vector["at"]))
    assert (claims.user_id, claims.username) == (vector["user_id"], vector["name"][:50])
    assert claims.issued_at == float(vector["at"])


@vectors("v2")
async def test_v2(example: Program, vector: dict[str, Any]) -> None:
    who = vector["user_id"], vector["name"]
    key = example.key(vector["key"], "private_key")
    token = example.mint("v2", vector["client_id"], key, *who, *options(vector))
    assert header(token) == vector["header"]
    claims = verified(token, vector["key"], vector["kid"])
    assert claims == vector["claims"]
    read = read_signed_claims(claims, now=float(vector["at"]))
    assert (read.user_id, read.username) == who
    assert read.groups == tuple(vector["groups"] or ())


async def test_without_options_the_time_is_now_and_each_token_is_another(example: Program) -> None:
    before = time.time()
    key = example.key("rsa-2048", "public_key")
    first, second = (example.mint("v1", "2", key, "u-1001", "张三") for _ in range(2))
    assert first != second
    claims = read_claims(await opened(first, "2", "rsa-2048"), client_id=2, now=time.time() + 1)
    assert before - 1 < claims.issued_at < time.time() + 1

    key = example.key("ed25519", "private_key")
    tokens = [example.mint("v2", "2", key, "u-1001", "张三") for _ in range(2)]
    read = [
        read_signed_claims(verified(token, "ed25519", None), now=time.time()) for token in tokens
    ]
    assert read[0].jti_hash != read[1].jti_hash
    assert before - 1 <= read[0].issued_at <= time.time()
    assert read[0].expires_at == read[0].issued_at + 300
    assert read[0].groups == ()
    assert datetime.fromtimestamp(read[0].issued_at, UTC).microsecond == 0


@vectors("refused")
def test_what_nobody_should_mint(example: Program, vector: dict[str, Any]) -> None:
    half = "public_key" if vector["version"] == "v1" else vector.get("half", "private_key")
    key = example.key(vector["key"], half)
    done = example.run(vector["version"], "2", key, vector["user_id"], vector["name"])
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr


def test_a_wrong_command_line_is_told(example: Program) -> None:
    for arguments in ([], ["v3", "2", "key.pem", "u", "n"], ["v1", "2"]):
        done = example.run(*arguments)
        assert done.returncode
        assert "usage" in done.stderr
    done = example.run("v1", "2", "no-such-file.pem", "u", "n")
    assert done.returncode
    assert "no-such-file.pem" in done.stderr
