"""Hole 5: no secret that passes through ends in the audit log or in the log."""

import logging
from collections.abc import Iterator

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from sqlalchemy import text

from tests.auth_service.conftest import Gateway, Start
from tests.auth_service.console import Console

PASSWORD = "canary horse battery staple"


@pytest.fixture(autouse=True)
def _logs_as_before() -> Iterator[None]:
    handlers, level = logging.root.handlers, logging.root.level
    yield
    logging.root.handlers = handlers
    logging.root.setLevel(level)


async def administer(gateway: Gateway, console: Console) -> list[str]:
    """Do everything that makes or takes a secret; the secrets."""
    client = await console.add_client()
    v1 = (await console.do("POST", f"/clients/{client}/v1-key", status=201))["public_key"]
    token = gateway.mint(client, public_key=v1)
    session = (await gateway.introspect(token, want_session=True))["session_token"]
    rotated = (await console.do("POST", f"/clients/{client}/v1-key", status=201))["public_key"]
    body = {"name": "robot", "client_id": int(client), "scopes": ["chat"]}
    issued = await console.do("POST", "/api-keys", body, status=201)
    key, path = issued["key"], f"/api-keys/{issued['api_key']['key_id']}"
    again = (await console.do("POST", f"{path}/rotate"))["key"]
    made = (await console.do("POST", "/admins", {"username": "one"}, status=201))["password"]
    given = {"username": "two", "password": PASSWORD}
    await console.do("POST", "/admins", given, status=201)
    await console.do("PATCH", "/admins/one", {"password": f"{PASSWORD}!"})
    cookie = (await gateway.http.post("/admin/login", json=given)).cookies["chat2llm_admin"]
    private = Ed25519PrivateKey.generate()
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    signing = f"/clients/{client}/signing-keys"
    await console.do("POST", signing, {"public_key": pem}, status=422)
    await console.do("POST", signing, {"public_key": pem, "kid": key}, status=422)
    return [
        *(pem_text.splitlines()[1] for pem_text in (v1, rotated, pem)),
        *(token, session, key, again, made, PASSWORD, cookie),
    ]


async def mistype(gateway: Gateway, console: Console, secrets: list[str]) -> None:
    """Put every secret where it does not belong."""
    for secret in secrets:
        for place in ("header", "bearer", "cookie", "url", "admin_cookie"):
            await gateway.introspect(secret + "x", place)
        login = {"username": secret[:50], "password": secret}
        await gateway.http.post("/admin/login", json=login)
        await gateway.http.post("/auth/exchange", json={"token": secret})
        await gateway.http.get("/sso", params={"client": "0", "secret": secret})
        await console.send("PATCH", f"/clients/0/signing-keys/{secret[:60]}", {})


async def test_hole_5_no_secret_in_the_audit_log_nor_in_the_log(
    start: Start, capfd: pytest.CaptureFixture[str]
) -> None:
    async with start(log_level="debug", login_failures="10000/minute") as gateway:
        console = Console(gateway)
        secrets = await administer(gateway, console)
        mine = gateway.secrets
        secrets += [mine.admin_key, mine.demo_secret, mine.master_key, mine.introspection_key]
        await mistype(gateway, console, secrets)
        entries = await console.audit()
        rows = await gateway.execute(text("SELECT * FROM audit_log"))
    kept = [str(entries), str(rows), *capfd.readouterr()]
    assert len(entries) > 10
    assert {"done", "refused"} == {entry["outcome"] for entry in entries}
    for secret in secrets:
        for place in kept:
            assert secret[:30] not in place, secret
            assert secret[-20:] not in place, secret
