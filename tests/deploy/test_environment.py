"""What `make run` does before anything is installed, with stand-ins for the programs it calls."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.stack import ROOT

NEEDED = ("sh", "dirname", "uname", "cmp", "cp", "mkdir", "cat")
PYTHON = """#!/bin/sh
echo "$@" >>"{calls}"
case "$*" in
    *version_info*) exit {too_old} ;;
    *ensurepip*) exit {no_venv} ;;
    "-m venv"*) mkdir -p .venv/bin && cp "$0" .venv/bin/python ;;
    *locked.py*) cat requirements.lock ;;
    "-m pip"*) exit {pip_fails} ;;
    --version) echo "Python 3.9.6" ;;
esac
"""


class Machine:
    """A checkout on a machine with the given Python and little else."""

    def __init__(self, folder: Path, **python: int) -> None:
        self._folder, self._calls = folder / "checkout", folder / "calls"
        self._programs = folder / "programs"
        self._programs.mkdir()
        (self._folder / "deploy").mkdir(parents=True)
        shutil.copy(ROOT / "deploy" / "environment.sh", self._folder / "deploy")
        self.lock("first")
        for name in NEEDED:
            found = shutil.which(name)
            assert found
            (self._programs / name).symlink_to(found)
        behaviour = {"too_old": 0, "no_venv": 0, "pip_fails": 0} | python
        self.add("python3", PYTHON.format(calls=self._calls, **behaviour))

    def add(self, name: str, script: str) -> None:
        program = self._programs / name
        program.unlink(missing_ok=True)
        program.write_text(script)
        program.chmod(0o755)

    def lock(self, text: str) -> None:
        (self._folder / "requirements.lock").write_text(text)

    def install(self, **environment: str) -> subprocess.CompletedProcess[str]:
        self._calls.write_text("")
        return subprocess.run(
            [str(self._folder / "deploy" / "environment.sh"), "run"],
            env={"PATH": str(self._programs)} | environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    @property
    def installations(self) -> list[str]:
        return [line for line in self._calls.read_text().splitlines() if "pip" in line.split()]


def test_a_first_installation_and_the_next_start(tmp_path: Path) -> None:
    machine = Machine(tmp_path)

    assert machine.install().returncode == 0
    (first,) = machine.installations
    assert "--require-hashes -r .venv/wanted-run.txt" in first
    assert machine.install().returncode == 0
    assert machine.installations == []


def test_a_new_lock_is_installed(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    machine.install()
    machine.lock("second")

    assert machine.install().returncode == 0
    assert len(machine.installations) == 1


def test_an_installation_that_failed_is_tried_again(tmp_path: Path) -> None:
    machine = Machine(tmp_path, pip_fails=1)

    for _ in "12":
        done = machine.install()
        assert done.returncode == 1
        assert "could not be installed" in done.stderr
        assert "依赖安装失败" in done.stderr
        assert len(machine.installations) == 1


def test_an_old_python_is_told(tmp_path: Path) -> None:
    machine = Machine(tmp_path, too_old=1)
    done = machine.install()

    assert done.returncode == 1
    assert "Python 3.11 or newer is needed (found: Python 3.9.6)" in done.stderr
    assert "需要 Python 3.11" in done.stderr


def test_a_newer_python_beside_the_old_one_is_found(tmp_path: Path) -> None:
    machine = Machine(tmp_path, too_old=1)
    behaviour = {"too_old": 0, "no_venv": 0, "pip_fails": 0}
    machine.add("python3.12", PYTHON.format(calls=tmp_path / "calls", **behaviour))

    assert machine.install().returncode == 0


def test_the_python_that_was_named_is_the_only_one_tried(tmp_path: Path) -> None:
    machine = Machine(tmp_path)

    assert machine.install(PYTHON="/no/such/python").returncode == 1
    assert machine.install(PYTHON=str(tmp_path / "programs" / "python3")).returncode == 0


def test_a_missing_venv_module_is_told(tmp_path: Path) -> None:
    done = Machine(tmp_path, no_venv=1).install()

    assert done.returncode == 1
    assert "apt install python3-venv" in done.stderr
    assert "缺少 venv 模块" in done.stderr


@pytest.mark.parametrize("system", ["MINGW64_NT-10.0", "MSYS_NT-10.0", "CYGWIN_NT-10.0"])
def test_windows_is_sent_to_wsl_or_docker(tmp_path: Path, system: str) -> None:
    machine = Machine(tmp_path)
    machine.add("uname", f"#!/bin/sh\necho {system}\n")
    done = machine.install()

    assert done.returncode == 1
    assert "WSL" in done.stderr
    assert "docker compose up" in done.stderr


def test_the_script_is_executable() -> None:
    assert os.access(ROOT / "deploy" / "environment.sh", os.X_OK)
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
