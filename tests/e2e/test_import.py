"""A folder of real files, imported through the gateway with an API key, and read by its chunks."""

import os
import subprocess
import sys
from pathlib import Path

import httpx

from tests.stack import ROOT, Stack

FILES = ROOT / "tests" / "kb_service" / "files"


def _import(stack: Stack, folder: Path, kb: str) -> subprocess.CompletedProcess[str]:
    environment = {**stack.env, "CHAT2LLM_API_KEY": stack.admin_key, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [
            *(sys.executable, "-m", "kb_service", "import", str(folder)),
            *("--kb", kb, "--create", "--url", stack.url),
        ],
        cwd=os.sep,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_a_folder_of_real_files(stack: Stack, tmp_path: Path) -> None:
    for name in ("manual.pdf", "staff.xlsx"):
        (tmp_path / name).write_bytes((FILES / name).read_bytes())
    (tmp_path / "film.mp4").write_bytes(b"film")
    first = _import(stack, tmp_path, "imported")
    assert first.returncode == 1, first.stderr
    assert "imported 2 · 已存在 there already 0 · 未导入 refused 1" in first.stdout
    assert "there already 2" in _import(stack, tmp_path, "imported").stdout
    with httpx.Client(base_url=stack.url) as client:
        client.headers["Authorization"] = f"Bearer {stack.admin_key}"
        body = {"knowledge_base_name": "imported", "query": "年假多少天", "top_k": 5}
        found = client.post("/knowledge_base/search_docs", json=body).json()
        assert {hit["metadata"]["source"] for hit in found} == {"manual.pdf", "staff.xlsx"}
        inside = {"kind": "page", "url": stack.service_url("auth_service")}
        refused = client.post("/admin/knowledge-bases/imported/sources", json=inside)
        assert (refused.status_code, "CRAWL_ALLOWED_HOSTS" in refused.text) == (422, True)
