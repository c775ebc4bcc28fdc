"""`make run`: checks, makes the secrets of a first start, then runs the five services."""

import argparse
import fcntl
import os
import resource
import shlex
import socket
import sys
from collections.abc import Mapping
from pathlib import Path

from auth_service import bootstrap
from auth_service.settings import AuthSettings
from chat_service.settings import ChatSettings
from deploy.banner import Banner, announce_when_ready
from gateway.settings import GatewaySettings
from kb_service.settings import KbSettings
from servicekit.settings import CONFIG_VARIABLE, ConfigurationError, ServiceSettings
from session_service.settings import SessionSettings

# In the order of their start; they stop in the opposite order, so that answers are still stored.
SETTINGS: Mapping[str, type[ServiceSettings]] = {
    "auth_service": AuthSettings,
    "session_service": SessionSettings,
    "kb_service": KbSettings,
    "chat_service": ChatSettings,
    "gateway": GatewaySettings,
}
_OPEN_FILES = 10_240  # a stream needs two in the gateway; many systems start with 1024 or 256


class CannotStart(Exception):
    """Something that the person who starts must change; the message says what."""


def main() -> None:
    if sys.platform == "win32":
        sys.exit("Use WSL or Docker on Windows. Windows 请使用 WSL 或 Docker。")
    parser = argparse.ArgumentParser(prog="python -m deploy.launcher", description=__doc__)
    parser.add_argument("--config", metavar="FILE", help="config.ini to read 配置文件")
    if config := parser.parse_args().config:
        os.environ[CONFIG_VARIABLE] = str(Path(config).absolute())
    try:
        _start()
    except (ConfigurationError, CannotStart, OSError) as error:
        print(f"Chat2LLM cannot start. 无法启动\n{error}", file=sys.stderr)
        sys.exit(2)


def _start() -> None:
    settings = {name: kind.load() for name, kind in SETTINGS.items()}
    addresses = {name: _address(name, values) for name, values in settings.items()}
    _check_ports(addresses)
    auth = settings["auth_service"]
    assert isinstance(auth, AuthSettings)
    run = auth.chat2llm_data.absolute() / "run"
    run.mkdir(parents=True, exist_ok=True)
    _claim(run / "lock")
    first_start = not bootstrap.admin_key_file(auth).exists()
    bootstrap.ensure_secrets(auth)
    configuration = _write_configuration(run)
    _raise_open_files()
    announce_when_ready(Banner(addresses, auth, first_start))
    os.execv(sys.executable, [sys.executable, "-m", "deploy.supervise", str(configuration)])


def _address(name: str, settings: ServiceSettings) -> tuple[str, int]:
    prefix = name.removesuffix("_service")
    return getattr(settings, f"{prefix}_host"), getattr(settings, f"{prefix}_port")


def _check_ports(addresses: Mapping[str, tuple[str, int]]) -> None:
    taken: dict[int, str] = {}
    for name, (host, port) in addresses.items():
        key = f"{name.removesuffix('_service').upper()}_PORT"
        if other := taken.get(port):
            raise CannotStart(f"{other} and {key} are both {port}. 两个服务的端口相同。")
        taken[port] = key
        if problem := _bind_problem(host, port):
            raise CannotStart(
                f"{name}: {host}:{port} is not free ({problem}). Stop what uses it (perhaps "
                f"another Chat2LLM), or set another {key} in config.ini or the environment.\n"
                f"{name} 的端口 {port} 无法使用：请停止占用它的程序（可能是另一个 Chat2LLM），"
                f"或在 config.ini 或环境变量中修改 {key}。"
            )


def _bind_problem(host: str, port: int) -> str | None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            return os.strerror(error.errno) if error.errno and error.errno > 0 else str(error)
    return None


def _claim(lock: Path) -> None:
    """Keep the data folder to ourselves: the lock lives as long as the process manager."""
    file = os.open(lock, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise CannotStart(
            f"Another Chat2LLM uses the data folder {lock.parent.parent}. Stop it, or set another "
            "CHAT2LLM_DATA.\n另一个 Chat2LLM 正在使用该数据目录，请先停止它，或修改 CHAT2LLM_DATA。"
        ) from None
    os.set_inheritable(file, True)


def _write_configuration(run: Path) -> Path:
    sections = [
        "[supervisord]\n"
        f"logfile={_value(run / 'supervisord.log')}\n"
        f"pidfile={_value(run / 'supervisord.pid')}\n"
        "logfile_maxbytes=1MB\nlogfile_backups=1\n"
    ]
    for priority, name in enumerate(SETTINGS):
        sections.append(
            f"[program:{name}]\n"
            f"command={_value(shlex.quote(sys.executable))} -m {name}\n"
            f"priority={priority}\n"
            "autorestart=true\n"
            "startsecs=30\n"  # when it dies sooner, each pause is a second longer than the last
            "startretries=1000\n"
            "stopasgroup=true\nkillasgroup=true\nstopwaitsecs=15\n"
            "redirect_stderr=true\nstdout_logfile=NONE\nstdout_events_enabled=true\n"
        )
    path = run / "supervisord.conf"
    path.write_text("\n".join(sections), encoding="utf-8")
    return path


def _value(text: object) -> str:
    return str(text).replace("%", "%%")


def _raise_open_files() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _OPEN_FILES if hard == resource.RLIM_INFINITY else min(_OPEN_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


if __name__ == "__main__":
    main()
