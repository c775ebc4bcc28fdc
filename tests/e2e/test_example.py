"""examples/host_app.py, which the README shows, against the real product."""

import re
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.stack import ROOT, Stack
from tests.tokens import mint_token

pytestmark = pytest.mark.e2e


def _run(stack: Stack, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "examples/host_app.py", "--gateway", stack.url, *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_the_example_holds_a_whole_conversation(stack: Stack, tmp_path: Path) -> None:
    client = stack.add_client("the example's host app")
    key = tmp_path / "client.pem"
    key.write_text(client.public_key)
    done = _run(stack, "--client-id", client.id, "--client-key", str(key), "--user", "example")
    assert done.returncode == 0, done.stderr
    assert f"(example) of client {client.id}" in done.stdout

    # Every citation names a file of the knowledge base that was asked.
    token = mint_token(client_id=client.id, public_key=client.public_key, user_id="example")
    answer = httpx.get(
        f"{stack.url}/api/knowledge_base/list_files",
        params={"knowledge_base_name": re.findall(r"# Knowledge base (\S+):", done.stdout)[0]},
        headers={"Api-Token": token},
    )
    cited = re.findall(r"出处 \[\d\] \[(.+?)\] ", done.stdout)
    assert len(cited) >= 2
    assert set(cited) <= set(answer.json()["data"])

    # Asked three times, once of them again: two turns, both answered.
    history = re.findall(r"\((\d+) characters\)", done.stdout.partition("# History")[2])
    assert len(history) == 2
    assert all(int(length) > 0 for length in history)


def test_a_wrong_key_is_one_clear_line(stack: Stack, tmp_path: Path) -> None:
    clients = stack.add_client("one"), stack.add_client("another")
    key = tmp_path / "client.pem"
    key.write_text(clients[1].public_key)
    done = _run(stack, "--client-id", clients[0].id, "--client-key", str(key))
    assert done.returncode == 1
    assert re.fullmatch(r"Chat2LLM answered 401: .+\n", done.stderr)
