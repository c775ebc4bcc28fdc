"""Knowledge through the whole product: uploaded, found and cited over HTTP."""

import json
import time
from collections.abc import Iterator, Sequence

import httpx
import pytest

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
