"""Knowledge through the whole product: uploaded, found and cited over HTTP."""

import json
import time
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest

from kb_service.commands import parser, run
from tests.kb_service.test_retrieval import EVAL_DATA, own_pairs, squad
from tests.stack import Stack

pytestmark = pytest.mark.e2e
SAMPLE = "chat2llm"


@pytest.fixture
def operator(stack: Stack) -> Iterator[httpx.Client]:
    key = {"Authorization": f"Bearer {stack.admin_key}"}
    with httpx.Client(base_url=f"{stack.url}/api", headers=key, timeout=120) as client:
        yield client


@pytest.fixture
def user(stack: Stack) -> Iterator[httpx.Client]:
    token = httpx.URL(httpx.get(stack.demo_link).headers["Location"]).params["token"]
    headers = {"Api-Token": token}
    with httpx.Client(base_url=f"{stack.url}/api", headers=headers, timeout=60) as client:
        yield client


@pytest.mark.parametrize(
    ("question", "file_name"),
    [
        ("恢复备份的时候要做什么？", "运维与备份.md"),
        ("怀疑客户端公钥泄露了怎么办？", "接入宿主应用.md"),
        ("按 Ctrl-C 之后数据还在吗？", "快速开始.md"),
        ("智谱的 API_KEY 填在哪里？", "模型配置.md"),
    ],
)
def test_an_answer_cites_the_file_that_holds_it(
    user: httpx.Client, question: str, file_name: str
) -> None:
    _wait_for_the_sample(user)
    body = {"query": question, "knowledge_base_name": SAMPLE, "stream": False}
    answer = user.post("/chat/knowledge_base_chat", json=body).json()
    assert any(f"[{file_name}](" in doc for doc in answer["docs"]), answer


def test_our_own_questions_find_their_passages(operator: httpx.Client) -> None:
    pairs = own_pairs()
    _upload(operator, "own_pairs", [passage for _, passage in pairs])
    assert _hit_rate(operator, "own_pairs", pairs) >= 0.80


@pytest.mark.skipif(EVAL_DATA is None, reason="CHAT2LLM_EVAL_DATA is not set")
def test_cmrc2018_at_the_default_threshold(operator: httpx.Client) -> None:
    paragraphs, pairs = squad("cmrc2018_dev.json")
    assert (len(paragraphs), len(pairs)) == (848, 500)
    _upload(operator, "cmrc2018", paragraphs)
    assert _hit_rate(operator, "cmrc2018", pairs) >= 0.98


def test_another_splitter_is_compared_question_by_question(
    stack: Stack,
    operator: httpx.Client,
    user: httpx.Client,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def evaluated(*arguments: str) -> Any:
        """What the command line prints for a program; its exit code tells whether it is worse."""
        where = ["--kb", "evaluated", "--url", stack.url, "--json"]
        code = run(parser().parse_args(["eval", *arguments, *where]), stack.admin_key)
        found = json.loads(capsys.readouterr().out)
        assert code == (found.get("direction") == "worse")
        return found

    chosen = own_pairs()[:20]
    operator.post("/admin/knowledge-bases", json={"name": "evaluated"}).raise_for_status()
    text = "\n\n".join(passage for _, passage in chosen)
    files = [("files", ("rules.txt", text.encode()))]
    _await_jobs(operator, operator.post("/admin/knowledge-bases/evaluated/files", files=files))
    lines = (json.dumps({"question": asked, "passage": right}) for asked, right in chosen)
    (tmp_path / "set.jsonl").write_text("\n".join(lines))
    evaluated("import", str(tmp_path / "set.jsonl"), "--set", "rules")
    before = evaluated("run", "--set", "rules", "--label", "250/50")
    cut = {"splitter": "fixed", "chunk_size": 60, "chunk_overlap": 0}
    base = "/admin/knowledge-bases/evaluated"
    operator.put(f"{base}/chunking", json=cut).raise_for_status()
    _await_jobs(operator, operator.post(f"{base}/files/rules.txt/split", json=cut))
    after = evaluated("run", "--set", "rules", "--label", "60/0")
    assert after["circumstances"]["chunks"] > before["circumstances"]["chunks"]
    found = evaluated("compare", "--set", "rules", "--all")
    assert (found["before"]["id"], found["after"]["id"]) == (before["id"], after["id"])
    assert {"chunking", "chunkings", "chunks", "content"} <= set(found["changed"])
    assert sum(found["counts"].values()) == len(found["items"]) == len(chosen)
    assert found["counts"]["better"] + found["counts"]["worse"] > 0
    assert all(one["before"]["found"] and one["after"]["found"] for one in found["items"])

    asked = {"query": chosen[0][0], "knowledge_base_name": "evaluated", "stream": False}
    asked |= {"session_id": uuid.uuid4().hex}
    user.post("/chat/knowledge_base_chat", json=asked).raise_for_status()
    [turn] = user.post("/history/latest", json=asked | {"num": 1}).json()["data"]
    rated = {"chat_history_id": turn["id"], "score": 10, "reason": "答非所问"}
    user.post("/chat/feedback", json=rated).raise_for_status()
    assert evaluated("pull-feedback", "--set", "complaints") == {"found": 1, "added": 1}
    operator.delete(base).raise_for_status()


def _await_jobs(operator: httpx.Client, answer: httpx.Response) -> None:
    for job in answer.raise_for_status().json()["jobs"]:
        while (state := operator.get(f"/admin/jobs/{job['id']}").json()["state"]) != "done":
            assert state in {"queued", "running"}
            time.sleep(0.05)


def _upload(operator: httpx.Client, name: str, passages: Sequence[str]) -> None:
    """One file whose passages come cut, through the `docs` field."""
    made = {"knowledge_base_name": name, "kb_zh_name": name, "kb_info": "测试"}
    operator.post("/knowledge_base/create_knowledge_base", json=made).raise_for_status()
    docs = {"passages.txt": [{"page_content": text, "metadata": {}} for text in passages]}
    answer = operator.post(
        "/knowledge_base/upload_docs",
        data={"knowledge_base_name": name, "docs": json.dumps(docs)},
        files=[("files", ("passages.txt", "\n".join(passages).encode()))],
    ).json()
    assert (answer["code"], answer["data"]) == (200, {"failed_files": {}}), answer


def _hit_rate(asking: httpx.Client, name: str, pairs: Sequence[tuple[str, str]]) -> float:
    """By a key: a user may not search as often as that."""
    hits = 0
    for question, right in pairs:
        body = {"query": question, "knowledge_base_name": name, "top_k": 5}
        found = asking.post("/knowledge_base/search_docs", json=body).json()
        hits += right in [document["page_content"] for document in found]
    return hits / len(pairs)


def _wait_for_the_sample(user: httpx.Client) -> None:
    """It is indexed in the background of the first start."""
    until = time.monotonic() + 60
    listing = {"knowledge_base_name": SAMPLE}
    while len(user.get("/knowledge_base/list_files", params=listing).json()["data"]) < 7:
        assert time.monotonic() < until, "the sample knowledge base is not there"
        time.sleep(0.1)
