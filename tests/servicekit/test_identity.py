"""The caller header: what is believed, and what never."""

import base64
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from fastapi import FastAPI

from servicekit.app import build_app
from servicekit.errors import Unauthorized
from servicekit.identity import (
    CALLER_HEADER,
    Caller,
    CallerDep,
    CallerVerifier,
    require_scope,
    sign_caller,
)
from tests.servicekit.conftest import ClientOf

ANNA = Caller("7", "anna", "安娜", ("read",))
KEY = Ed25519PrivateKey.generate()
PUBLIC_PEM = KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
AUDIENCE = "chat2llm-services"


def _signed(caller: Caller = ANNA, *, key: Ed25519PrivateKey = KEY, seconds: float = 60) -> str:
    return sign_caller(caller, key, expires_at=time.time() + seconds)


def _claims(**changes: Any) -> dict[str, Any]:
    claims = asdict(ANNA) | {"aud": AUDIENCE, "exp": int(time.time()) + 60} | changes
    return {name: value for name, value in claims.items() if value is not None}


def _unsigned(header: dict[str, str], claims: dict[str, Any], signature: bytes = b"") -> str:
    parts = (json.dumps(header).encode(), json.dumps(claims).encode(), signature)
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)


@pytest.fixture
def verifier() -> CallerVerifier:
    return CallerVerifier(KEY.public_key())


def test_a_signed_caller_is_believed(verifier: CallerVerifier) -> None:
    assert verifier.verify(_signed()) == ANNA


FORGED: dict[str, Callable[[], str | None]] = {
    "absent": lambda: None,
    "empty": lambda: "",
    "no token": lambda: "anna",
    "not signed": lambda: _unsigned({"alg": "none", "typ": "JWT"}, _claims()),
    "none with a signature": lambda: _unsigned({"alg": "None"}, _claims(), b"x" * 64),
    "another key": lambda: _signed(key=Ed25519PrivateKey.generate()),
    "public key as shared secret": lambda: jwt.encode(
        _claims(), base64.b64encode(PUBLIC_PEM).decode(), algorithm="HS256"
    ),
    "another algorithm": lambda: jwt.encode(
        _claims(), generate_private_key(65537, 2048), algorithm="RS256"
    ),
    "expired": lambda: _signed(seconds=-1),
    "without expiry": lambda: jwt.encode(_claims(exp=None), KEY, algorithm="EdDSA"),
    "another audience": lambda: jwt.encode(_claims(aud="elsewhere"), KEY, algorithm="EdDSA"),
    "without audience": lambda: jwt.encode(_claims(aud=None), KEY, algorithm="EdDSA"),
    "without scopes": lambda: jwt.encode(_claims(scopes=None), KEY, algorithm="EdDSA"),
    "without user": lambda: jwt.encode(_claims(user_id=None), KEY, algorithm="EdDSA"),
    "scopes that are a number": lambda: jwt.encode(_claims(scopes=1), KEY, algorithm="EdDSA"),
}


@pytest.mark.parametrize("kind", FORGED)
def test_what_is_not_believed(verifier: CallerVerifier, kind: str) -> None:
    with pytest.raises(Unauthorized):
        verifier.verify(FORGED[kind]())


def test_a_changed_header_is_not_believed(verifier: CallerVerifier) -> None:
    head, _, signature = _signed().split(".")
    body = base64.urlsafe_b64encode(json.dumps(_claims(user_id="boss")).encode()).rstrip(b"=")

    with pytest.raises(Unauthorized):
        verifier.verify(f"{head}.{body.decode()}.{signature}")


def test_a_remembered_header_expires_all_the_same(verifier: CallerVerifier) -> None:
    header = _signed(seconds=1)
    assert verifier.verify(header) == ANNA

    until = time.monotonic() + 5
    while _believes(verifier, header):
        assert time.monotonic() < until
        time.sleep(0.02)


def _believes(verifier: CallerVerifier, header: str) -> bool:
    try:
        verifier.verify(header)
    except Unauthorized:
        return False
    return True


def test_the_public_key_is_read_from_its_file(tmp_path: Path) -> None:
    (tmp_path / "caller.pub").write_bytes(PUBLIC_PEM)

    assert CallerVerifier.from_file(tmp_path / "caller.pub").verify(_signed()) == ANNA


def test_a_key_of_another_kind_is_refused(tmp_path: Path) -> None:
    key = generate_private_key(65537, 2048).public_key()
    pem = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (tmp_path / "caller.pub").write_bytes(pem)

    with pytest.raises(TypeError, match=r"caller\.pub"):
        CallerVerifier.from_file(tmp_path / "caller.pub")


@pytest.mark.parametrize(
    ("scopes", "allowed"), [(("read",), True), (("write",), False), ((), False), (("admin",), True)]
)
def test_a_caller_may_what_its_scopes_say(scopes: tuple[str, ...], allowed: bool) -> None:
    assert Caller("7", "anna", "Anna", scopes).may("read") is allowed


@pytest.fixture
async def client(client_of: ClientOf) -> httpx.AsyncClient:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.caller_verifier = CallerVerifier(KEY.public_key())
        yield

    app = build_app(title="shop", lifespan=lifespan)

    @app.get("/me")
    async def me(caller: CallerDep) -> str:
        return caller.username

    @app.get("/write")
    async def write(caller: Annotated[Caller, require_scope("write")]) -> str:
        return caller.username

    return await client_of(app)


async def test_a_route_knows_its_caller(client: httpx.AsyncClient) -> None:
    answer = await client.get("/me", headers={CALLER_HEADER: _signed()})

    assert (answer.status_code, answer.json()) == (200, "安娜")


async def test_a_service_reached_around_the_gateway_answers_401(client: httpx.AsyncClient) -> None:
    answer = await client.get("/me")

    assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized")


async def test_a_missing_scope_is_403(client: httpx.AsyncClient) -> None:
    refused = await client.get("/write", headers={CALLER_HEADER: _signed()})
    writer = Caller("7", "anna", "Anna", ("write",))
    allowed = await client.get("/write", headers={CALLER_HEADER: _signed(writer)})

    assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
    assert allowed.status_code == 200
