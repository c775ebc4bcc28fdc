"""`python -m PACKAGE ...` in a process of its own, without importing the package each time.

One process has imported it; each run is a fork of that one, with its own arguments, environment and
streams. Importing takes a second, and command lines are tested by the dozen.
"""

import json
import os
import runpy
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from threading import Lock
from typing import IO, Any

from tests.stack import ROOT


class WarmInterpreter:
    """Runs one package; also from several threads."""

    def __init__(self, parent: subprocess.Popen[str], package: str) -> None:
        self._parent, self._package = parent, package
        self._one_at_a_time = Lock()

    def run(
        self, *arguments: str, env: Mapping[str, str], stdin: str = ""
    ) -> subprocess.CompletedProcess[str]:
        with tempfile.TemporaryDirectory() as folder:
            streams = {name: str(Path(folder) / name) for name in ("stdin", "stdout", "stderr")}
            Path(streams["stdin"]).write_text(stdin, encoding="utf-8")
            order = {"arguments": arguments, "env": dict(env), "streams": streams}
            with self._one_at_a_time:
                _pipe(self._parent.stdin).write(json.dumps(order) + "\n")
                _pipe(self._parent.stdin).flush()
                code = int(_pipe(self._parent.stdout).readline())
            out, err = (Path(streams[name]).read_text("utf-8") for name in ("stdout", "stderr"))
        return subprocess.CompletedProcess([self._package, *arguments], code, out, err)


@contextmanager
def warm_interpreter(package: str) -> Iterator[WarmInterpreter]:
    command = [sys.executable, "-m", "tests.warm_interpreter", package]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8"
    ) as parent:
        try:
            yield WarmInterpreter(parent, package)
        finally:
            _pipe(parent.stdin).close()


def _pipe(pipe: IO[str] | None) -> IO[str]:
    assert pipe is not None
    return pipe


def _serve(package: str) -> None:
    main = f"{package}.__main__"
    import_module(main)
    del sys.modules[main]  # each run is its first one
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            _become(package, json.loads(line))
        _, status = os.waitpid(child, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


def _become(package: str, order: dict[str, Any]) -> None:
    """Never returns: the end of the program is the end of the process."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        flags = os.O_RDONLY if number == 0 else os.O_WRONLY | os.O_CREAT
        os.dup2(os.open(order["streams"][name], flags, 0o600), number)
    for stream in ("stdin", "stdout", "stderr"):
        setattr(sys, stream, getattr(sys, f"__{stream}__"))
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115  # as long as the process
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
    os._exit(code if isinstance(code, int) else int(code is not None))


if __name__ == "__main__":
    _serve(sys.argv[1])
