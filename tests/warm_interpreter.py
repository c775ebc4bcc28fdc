"""`python -m PACKAGE ...` in a process of its own, without importing the package each time.

One process has imported it; each run is a fork of that one, with its own arguments, environment,
folder and streams. Importing takes a second, and command lines are tested by the dozen.
"""

import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import cache
from importlib import import_module
from pathlib import Path
from select import select
from typing import Any

_ROOT = Path(__file__).resolve().parent.parent
_CLIENT = Path(__file__).with_name("warm_client.py")
_running = ExitStack()


class WarmInterpreter:
    """Runs one package; also several at once."""

    def __init__(self, package: str, address: Path) -> None:
        self._package = package
        self.command = [sys.executable, "-S", "-E", str(_CLIENT), str(address)]

    def run(
        self, *arguments: str, env: Mapping[str, str], stdin: str = "", cwd: Path = _ROOT
    ) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [*self.command, *arguments],
            cwd=cwd,
            env=dict(env),
            input=stdin,
            capture_output=True,
            encoding="utf-8",
            check=False,
            timeout=120,
        )
        done.args = [self._package, *arguments]
        return done


@cache
def warm(package: str) -> WarmInterpreter:
    """One for all tests of this process."""
    return _running.enter_context(_started(package))


def end_all() -> None:
    _running.close()


@contextmanager
def _started(package: str) -> Iterator[WarmInterpreter]:
    with tempfile.TemporaryDirectory() as folder:
        address = Path(folder) / "socket"
        command = [sys.executable, "-m", "tests.warm_interpreter", package, str(address)]
        with subprocess.Popen(
            command,
            cwd=_ROOT,
            env=os.environ | {"PYTHONUTF8": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        ) as parent:
            assert parent.stdin
            assert parent.stdout
            assert parent.stdout.readline() == b"ready\n"
            yield WarmInterpreter(package, address)
            parent.stdin.close()


def _serve(package: str, address: str) -> None:
    """Until its standard input ends, with the process of the tests at the latest."""
    main = f"{package}.__main__"
    import_module(main)
    del sys.modules[main]  # each run is its first one
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody asks how runs ended
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(address)
        listening.listen()
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        while select([listening, sys.stdin], [], [])[0] == [listening]:
            connection, _ = listening.accept()
            if os.fork() == 0:
                _become(package, connection)
            connection.close()


def _become(package: str, connection: socket.socket) -> None:
    """Never returns: the end of the program is the end of the process."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    data, streams, _, _ = socket.recv_fds(connection, 1 << 16, 3)
    while not data.endswith(b"\n"):
        data += connection.recv(1 << 16)
    order: dict[str, Any] = json.loads(data)
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.chdir(order["cwd"])
    os.environ.clear()
    os.environ.update(order["env"])
    sys.argv = [package, *order["arguments"]]
    code: object = 0
    try:
        runpy.run_module(package, run_name="__main__", alter_sys=True)
    except SystemExit as end:
        code = end.code
    if isinstance(code, str):
        sys.stderr.write(f"{code}\n")
    sys.stdout.flush()
    sys.stderr.flush()
    connection.sendall(b"%d" % (code if isinstance(code, int) else code is not None))
    os._exit(0)


if __name__ == "__main__":
    _serve(sys.argv[1], sys.argv[2])
