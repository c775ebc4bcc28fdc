"""`make run` once everything is installed: what it checks, shows, restarts and keeps."""

import os
import re
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from pathlib import Path

import pytest

from tests.stack import (
    ROOT,
    SERVICES,
    Stack,
    free_ports,
    is_ready,
    running_stack,
    service_pids,
    stack_environment,
    started_launcher,
    wait_until_ready,
)

pytestmark = pytest.mark.e2e
_PATIENCE = 60


def _wait_for(log: Path, pattern: str) -> re.Match[str]:
    """The first match in the console. Fails with the console when it does not come."""
    until = time.monotonic() + _PATIENCE
    while True:
        text = log.read_text(errors="replace")
        if found := re.search(pattern, text):
            return found
        assert time.monotonic() < until, f"no {pattern!r} in\n{text}"
        time.sleep(0.05)


def _group_lives(pid: int) -> bool:
    try:
        os.killpg(pid, 0)
    except ProcessLookupError:
        return False
    return True


def _refused(environment: Mapping[str, str], *arguments: str) -> str:
    """What the launcher says when it must not start."""
    ended = subprocess.run(
        [sys.executable, "-m", "deploy.launcher", *arguments],
        cwd=ROOT,
        env=dict(environment),
        capture_output=True,
        text=True,
        check=False,
        timeout=_PATIENCE,
    )
    assert ended.returncode == 2, ended
    assert "Traceback" not in ended.stderr
    return ended.stderr


@pytest.fixture(scope="module")
def running(stack_folder: Callable[[], Path]) -> Iterator[Stack]:
    """One start for the tests that need no start of their own."""
    with running_stack(stack_folder()) as stack:
        yield stack


@pytest.fixture
def folder(stack_folder: Callable[[], Path]) -> Path:
    """Where a start need not migrate anything; others do."""
    return stack_folder()


def test_first_and_second_start(tmp_path: Path) -> None:
    """The key is shown once, secrets reach no log, and a second start keeps all data."""
    generated = {"H5_DEMO_SECRET": "", "CHAT2LLM_ADMIN_KEY": ""}
    with running_stack(tmp_path, **generated) as first:
        _wait_for(first.log, "Ctrl-C stops")
        console = first.log.read_text()
        client = first.add_client("kept")
    data = first.data
    key = (data / "auth" / "admin.key").read_text().strip()
    secret = (data / "auth" / "demo.secret").read_text().strip()
    assert console.count(key) == 1
    assert f"{first.url}/api/sso?client=0&secret={secret}" in console
    assert f"{first.url}/docs" in console
    for name in SERVICES:
        assert first.service_url(name) in console
    for file in (data / "run").iterdir():
        assert key not in file.read_text(), file
        assert secret not in file.read_text(), file
    for file in data.glob("*/*.*"):
        if file.suffix in (".key", ".secret"):
            assert stat.S_IMODE(file.stat().st_mode) == 0o600, file

    first.log.unlink()
    with running_stack(tmp_path, **generated) as second:
        _wait_for(second.log, "Ctrl-C stops")
        console = second.log.read_text()
        listed = second.run("auth_service", "client", "list")
    assert key not in console
    assert str(data / "auth" / "admin.key") in console
    assert secret in console
    assert re.search(rf"^{client.id} .*kept", listed, re.MULTILINE)


@pytest.mark.xdist_group("launcher")
def test_a_killed_service_is_restarted_and_said_so(running: Stack) -> None:
    before = service_pids(running.data)
    for name in SERVICES:
        os.kill(before[name], signal.SIGKILL)
        _wait_for(running.log, rf"{name} stopped unexpectedly \(killed by SIGKILL\); restarting")
    until = time.monotonic() + _PATIENCE
    while not all(is_ready(port) for port in running.ports.values()):
        assert time.monotonic() < until, running.log.read_text()
        time.sleep(0.05)
    after = service_pids(running.data)
    assert all(after[name] != before[name] for name in SERVICES)
    assert not any(_group_lives(pid) for pid in before.values())


def test_a_service_that_cannot_start_backs_off_and_the_others_stay(folder: Path) -> None:
    broken = f"sqlite+aiosqlite:///{folder}"  # a folder is no database
    ports, environment = stack_environment(folder, SESSION_DATABASE_URL=broken)
    log = folder / "console.log"
    with started_launcher(environment, log) as process:
        _wait_for(log, r"(?s)(session_service stopped unexpectedly \(exit status \d+\).*){3}")
        wait_until_ready([ports["auth_service"], ports["kb_service"]], process, log)
        manager = (folder / "data" / "run" / "supervisord.log").read_text()
        assert not is_ready(ports["gateway"])
    starts = re.findall(r"(\d\d:\d\d:\d\d),(\d+) INFO spawned: 'session_service'", manager)
    ends = re.findall(r"(\d\d:\d\d:\d\d),(\d+) WARN exited: session_service", manager)
    pauses = [_seconds(start) - _seconds(end) for start, end in zip(starts[1:], ends, strict=False)]
    assert pauses[1] > pauses[0] > 0.5
    assert "Chat2LLM is ready" not in log.read_text()


def _seconds(clock: tuple[str, str]) -> float:
    hours, minutes, seconds = clock[0].split(":")
    return int(hours) * 3600 + int(minutes) * 60 + int(seconds) + int(clock[1]) / 1000


def test_ctrl_c_ends_everything(folder: Path) -> None:
    """It reaches the whole foreground group."""
    ports, environment = stack_environment(folder)
    log = folder / "console.log"
    with started_launcher(environment, log) as process:
        wait_until_ready(ports.values(), process, log)
        pids = service_pids(folder / "data")
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(_PATIENCE) == 0, log.read_text()
    assert "All services have stopped" in log.read_text()
    assert not any(_group_lives(pid) for pid in pids.values())


def test_ending_while_services_start(tmp_path: Path) -> None:
    _, environment = stack_environment(tmp_path)
    log = tmp_path / "console.log"
    with started_launcher(environment, log) as process:
        until = time.monotonic() + _PATIENCE
        while not (tmp_path / "data" / "run" / "supervisord.pid").exists():
            assert time.monotonic() < until
            time.sleep(0.01)
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(_PATIENCE) == 0, log.read_text()
    assert not any(_group_lives(pid) for pid in service_pids(tmp_path / "data").values())


@pytest.mark.parametrize("service", SERVICES)
def test_a_port_in_use_is_told_with_the_key_that_changes_it(tmp_path: Path, service: str) -> None:
    ports, environment = stack_environment(tmp_path)
    with closing(socket.create_server(("127.0.0.1", ports[service]))):
        said = _refused(environment)
    key = f"{service.removesuffix('_service').upper()}_PORT"
    assert re.search(rf"{service}: 127\.0\.0\.1:{ports[service]} is not free", said)
    assert f"set another {key}" in said
    assert not (tmp_path / "data").exists()


def test_two_services_on_one_port(tmp_path: Path) -> None:
    ports, environment = stack_environment(tmp_path)
    said = _refused(environment | {"KB_PORT": str(ports["auth_service"])})
    assert f"AUTH_PORT and KB_PORT are both {ports['auth_service']}" in said


def test_an_address_that_is_not_ours(tmp_path: Path) -> None:
    _, environment = stack_environment(tmp_path, GATEWAY_HOST="203.0.113.9")
    assert "gateway: 203.0.113.9" in _refused(environment)


@pytest.mark.xdist_group("launcher")
def test_a_second_start_on_the_same_data_is_refused(running: Stack) -> None:
    same = _refused(running.env)
    _, elsewhere = stack_environment(running.data.parent)
    other_ports = _refused(elsewhere)
    assert all(is_ready(port) for port in running.ports.values())
    assert "perhaps another Chat2LLM" in same
    assert f"Another Chat2LLM uses the data folder {running.data}" in other_ports


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[chat]\nCHAT_PROT = 1", r"CHAT_PROT in \[chat\]"),
        ("[model_setting]\nZHIPU-API.API_KYE = x", r"ZHIPU_API_API_KYE in \[model_setting\]"),
        ("[session]\nDURABLE = 1", r"DURABLE in \[session\]"),
        ("[kb]\nQDRANT = 1", r"QDRANT in \[kb\]"),
        ("[gateway]\nPORT = 1", r"PORT in \[gateway\]"),
        ("[auth]\nPORT = 1", r"PORT in \[auth\]"),
        ("[system_setting]\nTOKENS = 1", r"TOKENS in \[system_setting\]"),
        ("[gatewy]\nGATEWAY_PORT = 1", r"\[gatewy\]"),
        ("[session]\nDURABILITY = none", "DURABILITY"),
    ],
)
def test_a_mistake_in_the_configuration_stops_the_start(
    tmp_path: Path, text: str, said: str
) -> None:
    _, environment = stack_environment(tmp_path)
    (tmp_path / "my.ini").write_text(text)
    assert re.search(said, _refused(environment, "--config", str(tmp_path / "my.ini")))


def test_a_named_configuration_that_is_missing(tmp_path: Path) -> None:
    _, environment = stack_environment(tmp_path)
    assert "nowhere.ini" in _refused(environment, "--config", "nowhere.ini")


def test_a_data_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file")
    _, environment = stack_environment(tmp_path)
    assert str(tmp_path / "data") in _refused(environment)


def test_the_named_configuration_reaches_all_five(tmp_path: Path) -> None:
    ports = dict(zip(SERVICES, free_ports(len(SERVICES)), strict=True))
    keys = [f"{name.removesuffix('_service').upper()}_PORT={port}" for name, port in ports.items()]
    data = tmp_path / "my 100% data"
    file = tmp_path / "my config.ini"
    file.write_text("\n".join(["[system_setting]", f"CHAT2LLM_DATA={data}", "[gateway]", *keys]))
    log = tmp_path / "console.log"
    with started_launcher(os.environ, log, "--config", os.path.relpath(file, ROOT)) as process:
        wait_until_ready(ports.values(), process, log)
        pids = service_pids(data)
        process.terminate()
        assert process.wait(_PATIENCE) == 0, log.read_text()
    assert (data / "session" / "session.db").is_file()
    assert not any(_group_lives(pid) for pid in pids.values())


def test_services_outlive_a_console_that_nobody_reads_and_end_with_its_terminal(
    folder: Path,
) -> None:
    """`make run | head` must not end them one by one with broken pipes; SIGHUP ends all."""
    ports, environment = stack_environment(folder)
    process = subprocess.Popen(
        [sys.executable, "-m", "deploy.launcher"],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    assert process.stdout
    process.stdout.close()
    try:
        wait_until_ready(ports.values(), process)
        pids = service_pids(folder / "data")
        os.killpg(process.pid, signal.SIGHUP)
        assert process.wait(_PATIENCE) == 0
    finally:
        process.kill()
        process.wait()
    assert not any(_group_lives(pid) for pid in pids.values())


@pytest.mark.xdist_group("launcher")
def test_services_may_open_many_files(running: Stack) -> None:
    """A stream takes two descriptors in the gateway; 1,000 of them need more than the usual."""
    limits = Path(f"/proc/{service_pids(running.data)['gateway']}/limits")
    if not limits.exists():
        pytest.skip("no /proc here")
    found = re.search(r"Max open files +(\d+)", limits.read_text())
    assert found
    assert int(found[1]) >= 4096
