"""The images without an engine: each service by its image's own files, environment and command.

The layout is the compose file's: a data folder for each service, in which its volumes appear.
"""

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import httpx
import pytest
from ruamel.yaml import YAML

from deploy.healthcheck import PORTS
from deploy.launcher import SETTINGS
from deploy.locked import locked
from tests.front import nginx_in_front
from tests.stack import ROOT, SERVICES, free_ports

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("images")]
COMPOSE: dict[str, Any] = YAML(typ="safe").load(ROOT / "docker-compose.yml")
IMAGE = (ROOT / "deploy" / "Dockerfile").read_text(encoding="utf-8").rpartition("\nFROM ")[2]
SECRET = "a-demo-secret-for-images"


def _environment(service: str) -> dict[str, str]:
    """What the image and the compose file set."""
    block = IMAGE.partition("\nENV ")[2].partition("\nUSER ")[0]
    made: dict[str, str] = dict(re.findall(r"(\w+)=(\S+)", block))
    made = {name: value.replace("${SERVICE}", service) for name, value in made.items()}
    given: dict[str, str] = COMPOSE["services"][service].get("environment", {})
    return made | {name: re.sub(r"\$\{\w+:-(.*)\}", r"\1", value) for name, value in given.items()}


def _commands(service: str) -> tuple[list[str], list[str]]:
    """Of the health check, and of the container."""
    check, main = map(json.loads, re.findall(r"^ *CMD (\[.*\])$", IMAGE, re.MULTILINE))
    return check, COMPOSE["services"][service].get("command", main)


# Read at the start of each Python process that finds it: hides what the image does not install.
_HIDE = """
import sys

class Hidden:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name.partition(".")[0] in {hidden!r}:
            raise ModuleNotFoundError(f"not in the image: {{name}}", name=name)

sys.meta_path.insert(0, Hidden)
"""


def _hidden_packages(service: str) -> set[str]:
    available = set(re.findall(r"^([a-z0-9-]+)==", locked([service]), re.MULTILINE))
    return {
        package
        for package, owners in packages_distributions().items()
        if not {re.sub(r"[-_.]+", "-", owner).lower() for owner in owners} & available
    }


class Container:
    """A service in the files and the environment of its container."""

    def __init__(self, service: str, folder: Path, ports: Mapping[str, int]) -> None:
        self.service, self.port = service, ports[service]
        self.app, self.volumes = folder / service / "app", folder / "volumes"
        self._data, self._log = folder / service / "data", folder / f"{service}.log"
        self._copy_files()
        self._mount_volumes()
        self.environment = self._mapped(_environment(service), ports)
        self._hide_other_packages(folder / service / "start")

    def start(self) -> subprocess.Popen[bytes]:
        with self._log.open("wb") as log:
            return subprocess.Popen(
                _commands(self.service)[1],
                cwd=self.app,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def wait_until_healthy(self, process: subprocess.Popen[bytes]) -> None:
        check = _commands(self.service)[0]
        until = time.monotonic() + 60
        while subprocess.run(check, cwd=self.app, env=self.environment, check=False).returncode:
            text = self._log.read_text(errors="replace")
            assert process.poll() is None, text
            assert time.monotonic() < until, text
            time.sleep(0.2)

    def _copy_files(self) -> None:
        self.app.mkdir(parents=True)
        for source, target in re.findall(r"^COPY (?!--from)(\S+) (\S+)$", IMAGE, re.MULTILINE):
            source, target = (text.replace("${SERVICE}", self.service) for text in (source, target))
            into = self.app / target if target.endswith("/") else (self.app / target).parent
            into.mkdir(parents=True, exist_ok=True)
            subprocess.run(["cp", "-r", ROOT / source, into], check=True)

    def _mount_volumes(self) -> None:
        self._data.mkdir()
        for mount in COMPOSE["services"][self.service]["volumes"]:
            source, target = mount.split(":")[:2]
            if source.startswith("./"):
                (self.app / Path(target).relative_to("/app")).symlink_to(ROOT / source)
                continue
            assert source in COMPOSE["volumes"]
            (self.volumes / source).mkdir(parents=True, exist_ok=True)
            (self._data / Path(target).relative_to("/data")).symlink_to(self.volumes / source)

    def _hide_other_packages(self, folder: Path) -> None:
        folder.mkdir()
        text = _HIDE.format(hidden=_hidden_packages(self.service))
        (folder / "sitecustomize.py").write_text(text)
        self.environment["PYTHONPATH"] = str(folder)

    def _mapped(self, environment: dict[str, str], ports: Mapping[str, int]) -> dict[str, str]:
        """Paths, hosts and ports of a container network become those of this machine."""
        mapped: dict[str, str] = {}
        for name, value in environment.items():
            for service, port in ports.items():
                value = value.replace(f"//{service}:{PORTS[service]}", f"//127.0.0.1:{port}")
                value = str(port) if value == str(PORTS[service]) else value
            value = value.replace("/venv/bin:$PATH", f"{Path(sys.executable).parent}:/usr/bin:/bin")
            mapped[name] = str(self._data) if value == "/data" else value
        mapped.pop("QDRANT_URL", None)  # no server here; its adapter has its own tests
        return mapped


@pytest.fixture(scope="module")
def containers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Container]]:
    """All five, started as the compose file gates them."""
    folder = tmp_path_factory.mktemp("images")
    ports = dict(zip(SERVICES, free_ports(len(SERVICES)), strict=True))
    made = {service: Container(service, folder, ports) for service in SERVICES}
    made["auth_service"].environment["H5_DEMO_SECRET"] = SECRET
    with ExitStack() as running:
        for service in _in_order():
            process = made[service].start()
            running.callback(process.wait, 30)
            running.callback(process.terminate)
            made[service].wait_until_healthy(process)
        yield made


def _in_order() -> list[str]:
    ordered: list[str] = []
    while len(ordered) < len(SERVICES):
        for service in SERVICES:
            needs = COMPOSE["services"][service].get("depends_on", {}).keys() - {"qdrant"}
            if service not in ordered and needs <= set(ordered):
                ordered.append(service)
    return ordered


def test_each_is_ready_and_a_conversation_passes_nginx(
    containers: dict[str, Container], tmp_path: Path
) -> None:
    gateway = f"http://127.0.0.1:{containers['gateway'].port}"
    with (
        nginx_in_front(gateway, tmp_path / "nginx") as front,
        httpx.Client(base_url=front, timeout=30) as client,
    ):
        assert client.get("/readyz").json() == {"status": "ok"}
        landing = client.get("/api/sso", params={"client": "0", "secret": SECRET})
        assert landing.status_code == 307
        landed = client.get(landing.headers["location"])
        assert "chat2llm_session" in client.cookies, landed
        answer = client.post(
            "/api/chat/chat",
            json={"query": "你好", "stream": True},
            headers={"Origin": front, "Sec-Fetch-Site": "same-origin"},
        )
    assert answer.status_code == 200
    assert json.loads(answer.text.partition("}{")[0].removesuffix("}") + "}")["text"]


def test_data_is_where_the_volumes_are(containers: dict[str, Container]) -> None:
    volumes = next(iter(containers.values())).volumes
    kept = {path.relative_to(volumes).as_posix() for path in volumes.rglob("*") if path.is_file()}
    assert {
        "auth/auth.db",
        "auth/master.key",
        "keys/caller.pub",
        "gateway/introspection.key",
        "session/session.db",
        "kb/kb.db",
        "chat/chat.db",
    } <= kept


@pytest.mark.parametrize("service", SERVICES)
def test_an_image_has_every_package_that_its_service_imports(service: str, tmp_path: Path) -> None:
    container = Container(service, tmp_path, dict(PORTS))
    done = subprocess.run(
        [sys.executable, "-c", _IMPORT_ALL, service],
        cwd=container.app,
        env=container.environment,
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr


_IMPORT_ALL = """
import importlib, pkgutil, sys
package = importlib.import_module(sys.argv[1])
for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
try:
    import pytest
except ModuleNotFoundError:
    sys.exit(0)
sys.exit("nothing was hidden")
"""


def test_the_health_check_knows_the_default_ports() -> None:
    for service, settings in SETTINGS.items():
        field = settings.model_fields[f"{service.removesuffix('_service')}_port"]
        assert field.default == PORTS[service]


def test_compose_publishes_only_nginx_and_holds_no_secret() -> None:
    services = COMPOSE["services"]
    assert set(services) == {*SERVICES, "qdrant", "nginx"}
    assert [name for name, service in services.items() if "ports" in service] == ["nginx"]
    text = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
    assert not re.search(r"(KEY|SECRET|PASSWORD|TOKEN)\w*\s*[:=]", text)


def test_both_that_count_limits_are_told_of_a_redis() -> None:
    told = {name for name in SERVICES if "REDIS_URL" in _environment(name)}
    assert told == {"auth_service", "gateway"}
    assert _environment("gateway")["REDIS_URL"] == ""


@pytest.mark.parametrize(("has_h5", "told"), [(True, "h5"), (False, "")])
def test_the_gateway_serves_an_h5_when_there_is_one(
    has_h5: bool, told: str, tmp_path: Path
) -> None:
    python = tmp_path / "bin" / "python"
    python.parent.mkdir()
    python.write_text('#!/bin/sh\necho "$H5_DIST|$@"\n')
    python.chmod(0o755)
    (tmp_path / "h5").mkdir()
    if has_h5:
        (tmp_path / "h5" / "index.html").write_text("the page")
    done = subprocess.run(
        _commands("gateway")[1],
        cwd=tmp_path,
        env={"PATH": f"{python.parent}:/usr/bin:/bin"},
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stdout == f"{told}|-m gateway\n"
    assert "./h5/dist:/app/h5:ro" in COMPOSE["services"]["gateway"]["volumes"]


def test_only_the_owner_of_a_volume_writes_it() -> None:
    writers: dict[str, list[str]] = {}
    for name, service in COMPOSE["services"].items():
        for mount in service.get("volumes", []):
            source, _, mode = (
                mount.split(":") if mount.count(":") == 2 else (*mount.split(":"), "rw")
            )
            if mode != "ro":
                writers.setdefault(source, []).append(name)
    assert writers == {
        "auth": ["auth_service"],
        "keys": ["auth_service"],
        "gateway": ["auth_service"],
        "session": ["session_service"],
        "kb": ["kb_service"],
        "chat": ["chat_service"],
        "qdrant": ["qdrant"],
    }


def test_each_image_gets_what_the_build_copies() -> None:
    """.dockerignore keeps everything else, such as data and secrets, away from the builder."""
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert "*" in ignored
    copied = re.findall(
        r"^COPY (?!--from)(.+) \S+$", (ROOT / "deploy" / "Dockerfile").read_text(), re.MULTILINE
    )
    for source in {part for line in copied for part in line.split()}:
        for service in SERVICES:
            assert f"!{source.replace('${SERVICE}', service)}" in ignored


def test_every_service_is_watched_and_restarted() -> None:
    for name, service in COMPOSE["services"].items():
        assert service["restart"] == "unless-stopped", name
        assert "no-new-privileges:true" in service["security_opt"], name
        waits = service.get("depends_on", {}).values()
        assert all(wait["condition"] == "service_healthy" for wait in waits), name
    assert "HEALTHCHECK" in IMAGE
    assert "QDRANT_URL" in COMPOSE["services"]["kb_service"]["environment"]
