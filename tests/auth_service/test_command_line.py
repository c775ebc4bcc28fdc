"""`python -m auth_service client ...` and others as an operator types them."""

import asyncio
import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import jwt
import pytest
from Crypto.PublicKey import RSA
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from tests import programs
from tests.auth_service.conftest import REFUSED, Gateway, Start
from tests.warm_interpreter import WarmInterpreter, warm

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).resolve().parents[2]
SNIPPETS = {
    "python": ("mint_token.py", [sys.executable]),
    "javascript": ("mint_token.mjs", ["node"]),
    "java": ("MintToken.java", ["java"]),
}


class Operator:
    """Runs commands on one data folder."""

    def __init__(self, data: Path | str, interpreter: WarmInterpreter) -> None:
        self._environment = os.environ | {"CHAT2LLM_DATA": str(data), "PYTHONUTF8": "1"}
        self._interpreter = interpreter

    def run(self, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        return self._interpreter.run(*arguments, env=self._environment, stdin=stdin)

    def output(self, *arguments: str) -> str:
        done = self.run(*arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout

    async def output_meanwhile(self, *arguments: str) -> str:
        """The same, while the service of this process goes on."""
        return await asyncio.to_thread(self.output, *arguments)


@pytest.fixture(scope="module")
def interpreter() -> WarmInterpreter:
    return warm("auth_service")


@pytest.fixture
def operator(data: Path, interpreter: WarmInterpreter) -> Operator:
    return Operator(data, interpreter)


@pytest.fixture(scope="module")
def added(
    tmp_path_factory: pytest.TempPathFactory, migrated: Path, interpreter: WarmInterpreter
) -> tuple[Path, str]:
    """A data folder with one client, and what `client add` printed."""
    data = tmp_path_factory.mktemp("added")
    (data / "auth").mkdir()
    shutil.copy(migrated, data / "auth")
    return data, Operator(data, interpreter).output(
        "client", "add", "内网", "--description", "for tests"
    )


def test_it_works_before_the_first_start(tmp_path: Path) -> None:
    output = subprocess.check_output(
        [sys.executable, "-m", "auth_service", "client", "list"],
        cwd=ROOT,
        env=os.environ | {"CHAT2LLM_DATA": str(tmp_path / "new"), "PYTHONUTF8": "1"},
        encoding="utf-8",
        timeout=120,
    )
    lines = output.splitlines()
    assert [line.split()[:3] for line in lines[1:]] == [
        ["0", "enabled", "demo"],
        ["1", "enabled", "wecom"],
    ]
    assert (tmp_path / "new" / "auth" / "master.key").stat().st_mode & 0o777 == 0o600


def test_add_prints_what_a_host_app_needs(added: tuple[Path, str]) -> None:
    _, output = added
    assert re.match(r"client id: 2\b", output)
    pem = re.search(r"-----BEGIN PUBLIC KEY-----.*?-----END PUBLIC KEY-----", output, re.DOTALL)
    assert pem
    assert RSA.import_key(pem[0]).size_in_bits() == 3072
    assert "PRIVATE" not in output
    assert "can log in as any user" in output
    assert "可冒充该客户端的任何用户" in output


@pytest.mark.parametrize("language", SNIPPETS)
async def test_a_snippet_mints_a_good_token(
    added: tuple[Path, str], tmp_path: Path, language: str, start: Start
) -> None:
    name, command = SNIPPETS[language]
    programs.program(command[0])
    data, output = added
    program = re.search(rf"```{language}\n(.*?)```", output, re.DOTALL)
    assert program
    assert name in output
    (tmp_path / name).write_text(program[1], encoding="utf-8")
    minted = await asyncio.to_thread(
        subprocess.check_output, [*command, name], cwd=tmp_path, text=True, timeout=120
    )
    shutil.rmtree(tmp_path / "data")
    shutil.copytree(data, tmp_path / "data")
    async with start() as gateway:
        gateway.clock.now = (tmp_path / name).stat().st_mtime
        answer = await gateway.introspect(minted.strip())
    assert answer["caller"]["client_id"] == "2"
    assert answer["caller"]["user_id"] == "u-1001"
    assert answer["caller"]["username"] == "张三"


def test_list_shows_clients_and_no_keys(
    added: tuple[Path, str], interpreter: WarmInterpreter
) -> None:
    output = Operator(added[0], interpreter).output("client", "list")
    assert re.search(r"^2 +enabled +host +\S+ +内网 - for tests$", output, re.MULTILINE)
    assert "KEY" not in output


def test_rotate_key_prints_the_new_key_alone(operator: Operator) -> None:
    """Also for a client that had none, as the demo."""
    done = operator.run("client", "rotate-key", "0")
    assert done.returncode == 0
    assert done.stdout.startswith("-----BEGIN PUBLIC KEY-----\n")
    assert RSA.import_key(done.stdout).size_in_bits() == 3072
    assert "can log in as any user" in done.stderr


async def test_disable_and_enable_reach_the_running_service(
    gateway: Gateway, client_id: str, operator: Operator
) -> None:
    token = gateway.mint(client_id)
    session = (await gateway.introspect(token, want_session=True))["session_token"]
    told = await operator.output_meanwhile("client", "disable", client_id)
    assert "disabled 已停用" in told
    assert "30 s" in told
    listed = await operator.output_meanwhile("client", "list")
    assert "disabled" in listed.splitlines()[-1]
    assert await gateway.introspect(token) == REFUSED
    assert await gateway.introspect(session, "cookie") == REFUSED
    assert "enabled 已启用" in await operator.output_meanwhile("client", "enable", client_id)
    assert (await gateway.introspect(token))["active"] is True


async def test_a_client_added_while_the_service_runs_works_at_once(
    gateway: Gateway, operator: Operator
) -> None:
    output = await operator.output_meanwhile("client", "add", "late", "--bits", "2048")
    pem = re.search(r"-----BEGIN PUBLIC KEY-----.*?-----END PUBLIC KEY-----", output, re.DOTALL)
    assert pem
    token = gateway.mint("2", public_key=pem[0] + "\n")
    assert (await gateway.introspect(token))["active"] is True


@pytest.mark.parametrize("number", ["77", str(10**20)])
def test_an_unknown_client(operator: Operator, number: str) -> None:
    done = operator.run("client", "disable", number)
    assert done.returncode == 1
    assert done.stderr == f"There is no client {number}. 没有编号为 {number} 的客户端。\n"
    assert done.stdout == ""


def test_a_name_that_is_wrong(operator: Operator) -> None:
    done = operator.run("client", "add", "a\x1b[31mb")
    assert done.returncode == 1
    assert "名称须为" in done.stderr


@pytest.mark.parametrize(
    "arguments", [["client"], ["client", "disable", "two"], ["client", "add", "x", "--bits", "9"]]
)
def test_usage_errors(operator: Operator, arguments: list[str]) -> None:
    done = operator.run(*arguments)
    assert done.returncode == 2
    assert "usage:" in done.stderr


def test_a_damaged_database(operator: Operator, data: Path) -> None:
    with closing(sqlite3.connect(data / "auth" / "auth.db")) as connection:
        connection.execute("DROP TABLE client")
    done = operator.run("client", "list")
    assert done.returncode == 1
    assert "数据库无法使用" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("first", [True, False], ids=["before", "after"])
def test_a_configuration_file(
    tmp_path: Path, migrated: Path, interpreter: WarmInterpreter, first: bool
) -> None:
    (tmp_path / "elsewhere" / "auth").mkdir(parents=True)
    shutil.copy(migrated, tmp_path / "elsewhere" / "auth")
    config = tmp_path / "my.ini"
    config.write_text(f"[system_setting]\nCHAT2LLM_DATA = {tmp_path / 'elsewhere'}\n")
    option = ["--config", str(config)]
    arguments = [*option, "client", "list"] if first else ["client", "list", *option]
    empty = Operator("", interpreter)  # an empty environment value means unset
    assert "demo" in empty.output(*arguments)
    assert (tmp_path / "elsewhere" / "auth" / "master.key").exists()


def test_a_configuration_that_is_wrong(operator: Operator, tmp_path: Path) -> None:
    config = tmp_path / "my.ini"
    config.write_text("[auth]\nATUH_PORT = 1\n")
    done = operator.run("client", "list", "--config", str(config))
    assert done.returncode == 2
    assert "Unknown key ATUH_PORT in [auth]" in done.stderr
    assert "Traceback" not in done.stderr


def test_another_master_key(operator: Operator, data: Path) -> None:
    operator.output("client", "add", "intranet", "--bits", "2048")
    (data / "auth" / "master.key").write_text("another-master-key-0123456789-0123456789")
    done = operator.run("client", "add", "second", "--bits", "2048")
    assert done.returncode == 2
    assert "The master key does not open" in done.stderr
    assert "Traceback" not in done.stderr


async def test_a_client_that_signs_its_tokens_itself(
    gateway: Gateway, operator: Operator, tmp_path: Path
) -> None:
    private, public = tmp_path / "private.pem", tmp_path / "public.pem"
    key = Ed25519PrivateKey.generate()
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    public.write_bytes(
        key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    )
    add = ("client", "add", "signs", "--no-v1-key", "--kid", "k1", "--json", "--signing-key")
    refused = await asyncio.to_thread(operator.run, *add, str(private))
    assert refused.returncode == 1
    assert "leaked" in refused.stderr
    added = json.loads(await operator.output_meanwhile(*add, str(public)))
    assert (added["client_id"], added["v1_key"], added["has_v1_key"]) == ("2", None, False)
    assert [(key["kid"], key["algorithm"]) for key in added["signing_keys"]] == [("k1", "EdDSA")]
    claims = {"iss": "2", "aud": "chat2llm", "sub": "u1", "jti": "1", "exp": gateway.clock.now + 60}
    token = jwt.encode(claims, key, algorithm="EdDSA")
    answer = await gateway.introspect(token, "url", want_session=True)
    assert answer["caller"]["user_id"] == "u1"
    await operator.output_meanwhile("client", "remove-signing-key", "2", "k1")
    again = jwt.encode(claims | {"jti": "2"}, key, algorithm="EdDSA")
    assert await gateway.introspect(again, "url") == REFUSED


async def test_a_key_is_printed_alone_once_and_works(gateway: Gateway, operator: Operator) -> None:
    issue = ("key", "add", "robot", "--client", "0", "--scope", "chat", "--days", "1")
    done = await asyncio.to_thread(operator.run, *issue)
    key = done.stdout.strip()
    assert re.fullmatch(r"c2l-[\w-]{43}", key)
    assert "shown this once" in done.stderr
    gateway.clock.now = time.time()
    answer = await gateway.introspect(key, "bearer")
    assert answer["caller"]["scopes"] == ["chat"]
    assert answer["expires_at"] == pytest.approx(time.time() + 86400, abs=120)
    listed = await operator.output_meanwhile("key", "list")
    assert key not in listed
    assert f"{key[:10]}..." in listed
    number = json.loads(await operator.output_meanwhile("key", "list", "--json"))["items"][-1][
        "key_id"
    ]
    rotated = json.loads(await operator.output_meanwhile("key", "rotate", str(number), "--json"))
    assert await gateway.introspect(key, "bearer") == REFUSED
    assert (await gateway.introspect(rotated["key"], "bearer"))["active"] is True
    await operator.output_meanwhile("key", "disable", str(number))
    assert await gateway.introspect(rotated["key"], "bearer") == REFUSED


async def test_users_and_sessions(gateway: Gateway, client_id: str, operator: Operator) -> None:
    token = gateway.mint(client_id, "u 1", username="张三")
    session = (await gateway.introspect(token, want_session=True))["session_token"]
    listed = await operator.output_meanwhile("user", "list")
    assert re.search(rf"^{client_id} +enabled +\S+ +u 1 +- +张三$", listed, re.MULTILINE)
    await operator.output_meanwhile("user", "disable", client_id, "u 1")
    assert await gateway.introspect(session, "cookie") == REFUSED
    await operator.output_meanwhile("user", "enable", client_id, "u 1")
    sessions = json.loads(await operator.output_meanwhile("session", "list", "--all", "--json"))
    (found,) = sessions["items"]
    await operator.output_meanwhile("session", "revoke", found["session_id"])
    assert await gateway.introspect(session, "cookie") == REFUSED
    told = await operator.output_meanwhile("user", "delete", client_id, "u 1")
    assert "1 sessions" in told
    assert json.loads(await operator.output_meanwhile("user", "list", "--json"))["total"] == 0


async def test_an_admins_password_comes_from_standard_input_or_is_made(
    gateway: Gateway, operator: Operator
) -> None:
    async def logs_in(password: str) -> bool:
        body = {"username": "root", "password": password}
        return (await gateway.http.post("/admin/login", json=body)).status_code == 200

    made = (await operator.output_meanwhile("admin", "add", "root")).strip()
    assert await logs_in(made)
    set_password = ("admin", "password", "root", "--password-stdin")
    done = await asyncio.to_thread(operator.run, *set_password, stdin="from a pipe it comes\n")
    assert (done.returncode, done.stdout) == (0, "")
    assert await logs_in("from a pipe it comes")
    short = await asyncio.to_thread(operator.run, *set_password, stdin="short\n")
    assert short.returncode == 1
    assert "12" in short.stderr
    assert await logs_in("from a pipe it comes")


def test_commands_are_in_the_audit_log(operator: Operator) -> None:
    operator.output("client", "add", "内网", "--no-v1-key", "--limit", "chat=5/minute")
    operator.output("client", "disable", "2")
    lines = operator.output("audit", "list", "--days", "1").splitlines()
    assert [line.split()[1] for line in lines] == ["(UTC)", "client.disable", "client.add"]
    entries = json.loads(operator.output("audit", "list", "--action", "client.add", "--json"))
    (entry,) = entries["items"]
    assert (entry["actor"], entry["target"], entry["detail"]) == (
        "cli",
        "client 2",
        {"name": "内网"},
    )


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["client", "change", "0", "--limit", "chat"], "CLASS=RATE"),
        (["client", "change", "0", "--origin", "example.com"], "is not an origin"),
        (["client", "add-signing-key", "0", "/nowhere.pem"], "cannot be read"),
        (["client", "delete", "0"], "disable them instead"),
        (["key", "add", "x", "--client", "0", "--scope", "admin"], "Only an operator's key"),
        (["key", "add", "x", "--client", "0"], "one or more of the scopes"),
        (["key", "rotate", "1"], "no API key 1"),
        (["user", "disable", "0", "nobody"], "has no user nobody"),
        (["session", "revoke", "x"], "no such session"),
        (["admin", "disable", "nobody"], "no admin nobody"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(
    operator: Operator, arguments: list[str], told: str
) -> None:
    done = operator.run(*arguments)
    assert (done.returncode, done.stdout) == (1, "")
    assert told in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) == 1
