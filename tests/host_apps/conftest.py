"""The example programs of all languages, built once, and the keys of their test vectors."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.programs import program
from tests.stack import ROOT

EXAMPLES = ROOT / "examples" / "host_apps"
VECTORS: dict[str, Any] = json.loads((EXAMPLES / "vectors.json").read_text("utf-8"))
LANGUAGES = ("python", "node", "java", "go", "php")


@dataclass(frozen=True, slots=True)
class Program:
    """An example as a host app's developer runs it."""

    command: Sequence[str]
    keys: Path

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*self.command, *arguments],
            # Arguments are UTF-8 for all of them; Java asks the locale.
            env=os.environ | {"LC_ALL": "C.UTF-8"},
            capture_output=True,
            encoding="utf-8",
            check=False,
            timeout=60,
        )

    def mint(self, *arguments: str) -> str:
        done = self.run(*arguments)
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""
        return done.stdout.removesuffix("\n")

    def key(self, name: str, half: str) -> str:
        """The file with this key of the vectors."""
        path = self.keys / f"{name}.{half}.pem"
        path.write_text(VECTORS["keys"][name][half])
        return str(path)


@pytest.fixture(scope="session", params=LANGUAGES)
def example(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Program:
    folder = tmp_path_factory.mktemp(f"host-app-{request.param}")
    return Program(command(request.param, folder), folder)


def command(language: str, folder: Path) -> list[str]:
    """How to run it; what has to be compiled is compiled into the folder."""
    if language == "python":
        return [sys.executable, str(EXAMPLES / "python" / "mint_token.py")]
    if language == "node":
        return [program("node"), str(EXAMPLES / "node" / "mint-token.mjs")]
    if language == "php":
        return [program("php"), str(EXAMPLES / "php" / "mint_token.php")]
    if language == "java":
        source = EXAMPLES / "java" / "MintToken.java"
        _build([program("javac"), "-Werror", "-Xlint:all", "-d", str(folder), str(source)])
        return [program("java"), "-XX:TieredStopAtLevel=1", "-cp", str(folder), "MintToken"]
    built, source = folder / "mint_token", EXAMPLES / "go" / "mint_token.go"
    _build([program("go"), "build", "-o", str(built), str(source)])
    return [str(built)]


def _build(arguments: list[str]) -> None:
    # The machine's own Go, never a newer one from elsewhere.
    environment = os.environ | {"GOTOOLCHAIN": "local", "CGO_ENABLED": "0"}
    done = subprocess.run(
        arguments, env=environment, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr
