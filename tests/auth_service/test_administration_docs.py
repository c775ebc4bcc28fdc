"""Every command of docs/administration.md, typed one after the other on a new product."""

import re
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path

from tests.programs import program
from tests.stack import ROOT, Stack
from tests.warm_interpreter import warm

PAGES = [ROOT / "docs" / name for name in ("administration.md", "administration.zh-CN.md")]


def blocks(page: Path) -> tuple[str, list[str]]:
    """The block that defines the two functions, and those that use them."""
    found = re.findall(r"```(sh)?\n(.*?)```", page.read_text("utf-8"), re.DOTALL)
    (definitions,) = [text for kind, text in found if not kind]
    return definitions, [text for kind, text in found if kind]


def test_both_languages_have_the_same_commands() -> None:
    english, chinese = (blocks(page) for page in PAGES)
    assert english == chinese
    assert len(english[1]) > 5


def test_every_command_works(start_stack: Callable[..., Stack], tmp_path: Path) -> None:
    for name in ("curl", "jq", "openssl"):
        program(name)
    stack = start_stack()
    definitions, commands = blocks(PAGES[0])
    admin = next(line for line in definitions.splitlines() if line.startswith("admin()"))
    where = f"CHAT2LLM={stack.url}\nADMIN_KEY={stack.admin_key}\n"
    files = re.sub(r"\b(public(?:-b)?\.pem)", rf"{tmp_path}/\1", "\n".join(commands))
    command = shlex.join(warm("auth_service").command)
    auth = f'auth() {{ (cd {ROOT} && {command} "$@"); }}'
    script = f"set -euo pipefail\n{auth}\n{where}\n{admin}\nset -x\n{files}"
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=tmp_path,
        env=dict(stack.env),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert (tmp_path / "client-2-v1-key.pem").read_text().startswith("-----BEGIN PUBLIC KEY")
    assert (tmp_path / "bot.key").read_text().startswith("c2l-")
    assert "client.disable" in done.stdout
