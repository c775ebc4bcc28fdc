"""The integration guide: its commands run as they stand, in both languages the same."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.programs import program
from tests.stack import ROOT, Stack
from tests.warm_interpreter import warm

GUIDES = [ROOT / "docs" / name for name in ("host-app.md", "host-app.zh-CN.md")]
_PROGRAMS = ("openssl", ".venv/bin/python", "node", "java", "go", "php")


def commands(guide: Path) -> list[str]:
    """The command lines of its code blocks."""
    blocks = re.findall(r"```\n(.*?)```", guide.read_text(encoding="utf-8"), re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines()]
    return [line for line in lines if line.split()[:1] and line.split()[0] in _PROGRAMS]


def administration(guide: Path) -> set[str]:
    """What `python -m auth_service` is told to do in the text: topic, command, options."""
    quoted = re.findall(
        r"`((?:python -m auth_service )?(?:client|user|audit) [a-z][^`]*)`",
        guide.read_text("utf-8"),
    )
    return {text.removeprefix("python -m auth_service ") for text in quoted}


def test_both_languages_say_the_same() -> None:
    english, chinese = GUIDES
    assert commands(english) == commands(chinese)
    assert len(commands(english)) >= 9
    assert administration(english) == administration(chinese)
    for mark in ("\n## ", "\n|", "\n```"):
        counts = {guide.read_text("utf-8").count(mark) for guide in GUIDES}
        assert len(counts) == 1, mark


@pytest.mark.parametrize("guide", GUIDES, ids=lambda guide: guide.name)
def test_its_links_lead_somewhere(guide: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)\)", guide.read_text("utf-8"))
    assert links
    for link in links:
        assert (guide.parent / link).is_file(), link


def test_what_it_tells_operators_to_type_exists() -> None:
    for text in sorted(administration(GUIDES[0])):
        words = text.split()
        options = {word for word in words if word.startswith("--")}
        done = warm("auth_service").run(*words[:2], "--help", env=os.environ)
        assert done.returncode == 0, done.stderr
        assert options <= set(re.findall(r"--[a-z0-9-]+", done.stdout)), text


def test_its_commands_run(stack: Stack, tmp_path: Path) -> None:
    """All but the host app's server, which has a test of its own."""
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    environment = dict(stack.env) | {
        "PYTHONPATH": str(ROOT),
        "LC_ALL": "C.UTF-8",
        "GOTOOLCHAIN": "local",
        "CGO_ENABLED": "0",
    }
    client_id, minted = "2", []
    for line in commands(GUIDES[0]):
        name, *arguments = shlex.split(line)
        if "host-app.mjs" in line:
            assert (tmp_path / "private.pem").exists()
            continue
        given = [client_id if argument == "2" else argument for argument in arguments]
        interpreter = sys.executable if name == ".venv/bin/python" else program(name)
        done = subprocess.run(
            [interpreter, *given],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        assert done.returncode == 0, f"{line}\n{done.stderr}"
        if found := re.search(r"client id: (\d+)", done.stdout):
            client_id = found[1]
        if "mint" in line.lower():
            minted.append(done.stdout.strip())
    assert len(minted) == 5
    for token in minted:
        answer = httpx.post(f"{stack.url}/auth/exchange", json={"token": token})
        assert answer.status_code == 200, (answer.text, token)
        shown = answer.json()
        assert (shown["client_id"], shown["user_id"], shown["username"]) == (
            client_id,
            "zhang.san",
            "张三",
        )
