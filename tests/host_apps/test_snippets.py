"""What `client add` prints for a host app mints the same tokens as the examples."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from auth_service.snippets import snippets
from auth_service.tokens import read_claims
from tests.host_apps.conftest import VECTORS
from tests.host_apps.test_vectors import opened
from tests.programs import program

KEY = "rsa-2048"


@pytest.mark.parametrize("language", ["python", "javascript", "java"])
async def test_a_snippet_agrees_with_the_examples(language: str, tmp_path: Path) -> None:
    plain = await opened(_minted(language, tmp_path), "2", KEY)
    assert plain.decode().rpartition("|")[0] == "2|u-1001|张三"
    claims = read_claims(plain, client_id=2, now=time.time() + 1)
    assert abs(claims.issued_at - time.time()) < 60


def _minted(language: str, folder: Path) -> str:
    printed = {one.language: one for one in snippets(2, VECTORS["keys"][KEY]["public_key"])}
    file = folder / printed[language].file_name
    file.write_text(printed[language].text, encoding="utf-8")
    name = {"javascript": "node", "java": "java"}.get(language)
    command = [program(name) if name else sys.executable, str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    return done.stdout.strip()
