"""The real process: it keeps everything, starts clearly or not at all, and logs no secret."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from auth_service.bootstrap import ensure_secrets
from auth_service.keys import MasterKey
from auth_service.settings import AuthSettings
from tests.stack import free_ports, wait_until_ready
from tests.tokens import mint_token

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).resolve().parents[2]


class Service:
    """One process of auth_service, asked as the gateway asks."""

    def __init__(self, process: subprocess.Popen[bytes], url: str, key: str, log: Path) -> None:
        self.process, self.url, self._key, self.log = process, url, key, log

    def introspect(self, credential: str, place: str = "header") -> dict[str, Any]:
        answer = httpx.post(
            f"{self.url}/internal/introspect",
            json={"credential": credential, "presented_as": place, "want_session": True},
            headers={"Authorization": f"Bearer {self._key}"},
        )
        assert answer.status_code == 200
        body: dict[str, Any] = answer.json()
        return body


def spawn(data: Path, log: Path, **settings: str) -> subprocess.Popen[bytes]:
    with log.open("ab") as file:
        return subprocess.Popen(
            [sys.executable, "-m", "auth_service"],
            cwd=ROOT,
            env=os.environ | {"CHAT2LLM_DATA": str(data)} | settings,
            stdout=file,
            stderr=file,
        )


@contextmanager
def service(data: Path, **settings: str) -> Iterator[Service]:
    [port] = free_ports(1)
    log = data.parent / "log"
    process = spawn(data, log, AUTH_PORT=str(port), **settings)
    try:
        wait_until_ready([port], process, log)
        key = (data / "gateway" / "introspection.key").read_text().strip()
        yield Service(process, f"http://127.0.0.1:{port}", key, log)
    finally:
        process.terminate()
        process.wait(20)


@pytest.fixture
def public_key(data: Path) -> str:
    added = subprocess.run(
        [sys.executable, "-m", "auth_service", "client", "add", "intranet", "--bits", "2048"],
        cwd=ROOT,
        env=os.environ | {"CHAT2LLM_DATA": str(data)},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    ).stdout
    return added[added.index("-----BEGIN") : added.index("-----END") + 25]


def test_a_kill_loses_nothing(data: Path, public_key: str) -> None:
    token = mint_token(client_id="2", public_key=public_key, user_id="u1")
    with service(data) as first:
        before = first.introspect(token)
        demo = httpx.get(
            f"{first.url}/sso",
            params={"secret": (data / "auth" / "demo.secret").read_text().strip()},
        ).headers["Location"]
        first.process.send_signal(signal.SIGKILL)
        first.process.wait(20)
    with service(data) as second:
        after = second.introspect(token)
        assert after["active"] is True
        assert after["session_token"] == before["session_token"]
        assert second.introspect(before["session_token"], "cookie")["active"] is True
        assert second.introspect(demo.partition("token=")[2], "url")["active"] is True
        admin_key = (data / "auth" / "admin.key").read_text().strip()
        assert second.introspect(admin_key, "bearer")["active"] is True


def test_hole_5_no_secret_reaches_the_log(data: Path, public_key: str) -> None:
    """At the chattiest level."""
    token = mint_token(client_id="2", public_key=public_key, user_id="u1")
    with service(data, LOG_LEVEL="DEBUG") as running:
        session = running.introspect(token)["session_token"]
        running.introspect(session, "cookie")
        running.introspect(token[:-8] + "AAAAAAA=")
        secret = (data / "auth" / "demo.secret").read_text().strip()
        for given in (secret, "a-wrong-guess-of-someone"):
            target = httpx.get(f"{running.url}/sso", params={"secret": given}).headers["Location"]
        admin_key = (data / "auth" / "admin.key").read_text().strip()
        jws = running.introspect(admin_key, "bearer")["jws"]
        httpx.get(f"{running.url}/user/info", headers={"X-Chat2LLM-Caller": jws})
        httpx.post(
            f"{running.url}/internal/introspect", headers={"Authorization": "Bearer guessed"}
        )
    log = running.log.read_text()
    assert "auth_service" in log
    kept = [path.read_text().strip() for path in data.rglob("*.key")]
    for text in (token, session, secret, given, jws, target, *kept, public_key[30:90]):
        assert text not in log
    assert "-----BEGIN" not in log


def test_another_master_key_is_a_clear_error(data: Path, public_key: str) -> None:
    log = data.parent / "log"
    process = spawn(data, log, MASTER_KEY="n" * 40, AUTH_PORT=str(free_ports(1)[0]))
    assert process.wait(60) != 0
    assert "The master key does not open the clients' private keys" in log.read_text()
    assert "主密钥与已加密的客户端私钥不匹配" in log.read_text()


@pytest.mark.parametrize(
    ("setting", "value", "message"),
    [
        ("CHAT2LLM_DATA", "/dev/null/x", "data folder cannot be used"),
        ("MASTER_KEY", "short", "MASTER_KEY"),
        ("CHAT2LLM_ADMIN_KEY", "x", "CHAT2LLM_ADMIN_KEY"),
    ],
)
def test_a_setting_that_is_wrong_is_a_clear_error(
    tmp_path: Path, setting: str, value: str, message: str
) -> None:
    log = tmp_path / "log"
    process = spawn(tmp_path / "data", log, **{setting: value})
    assert process.wait(60) != 0
    assert message in log.read_text()
    assert "Traceback" not in log.read_text()


def test_hole_5_the_database_holds_no_secret(data: Path, public_key: str) -> None:
    token = mint_token(client_id="2", public_key=public_key, user_id="u1")
    with service(data) as running:
        session = running.introspect(token)["session_token"]
    stored = b"".join(path.read_bytes() for path in (data / "auth").glob("auth.db*"))
    secrets = ensure_secrets(AuthSettings(chat2llm_data=data))
    sealing = MasterKey(secrets.master_key).derive("seal")
    for secret in (session.encode(), token.encode(), secrets.admin_key.encode(), sealing):
        assert secret not in stored
    assert b"PRIVATE KEY" not in stored
    assert b"PUBLIC KEY" not in stored  # of v1: whoever has it logs in as anybody
