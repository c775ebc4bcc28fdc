"""A conversation with a real small model through the five real processes."""

from collections.abc import Callable

import httpx
import pytest

from tests.chat_service import local_model
from tests.chat_service.conftest import parse_read
from tests.stack import Stack

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(bool(local_model.missing()), reason=local_model.missing()),
]
SESSION = "e" * 32


def test_a_conversation_with_a_real_model(start_stack: Callable[..., Stack]) -> None:
    with local_model.running() as base_url:
        stack = start_stack(ENABLE_LLM_MODEL="local", LOCAL_BASE_URL=base_url)
        headers = {"Authorization": f"Bearer {stack.admin_key}"}
        with httpx.Client(base_url=stack.url, headers=headers, timeout=120) as client:
            said = _ask(client, "/chat/chat", "What is the capital of France?", history=[])
            assert len("".join(chunk["text"] for chunk in said).split()) > 3  # a small model
            kb = client.get("/knowledge_base/list_knowledge_bases").json()["data"][0]
            history = [
                {"role": "user", "content": "你好"},
                {"role": "assistant", "content": "<p>你好，请问。</p>"},
            ]
            *answer, docs = _ask(
                client,
                "/chat/knowledge_base_chat",
                "如何启动？",
                history=history,
                knowledge_base_name=kb,
                top_k=1,
            )
            asked = {"session_id": SESSION, "num": 5}
            turns = client.post("/history/latest", json=asked).json()["data"]
    assert "".join(chunk["answer"] for chunk in answer).strip()
    assert list(docs) == ["docs"]
    assert [turn["query"] for turn in turns] == ["如何启动？", "What is the capital of France?"]
    assert turns[0]["docs"]
    assert turns[1]["response"] == "".join(chunk["text"] for chunk in said)


def _ask(client: httpx.Client, path: str, query: str, **body: object) -> list[dict[str, str]]:
    asked = {"query": query, "session_id": SESSION, "stream": True, "temperature": 0}
    chunks: list[dict[str, str]] = []
    with client.stream("POST", path, json=asked | {"max_tokens": 16} | body) as answer:
        assert answer.status_code == 200
        for read in answer.iter_raw():
            chunks += parse_read(read)
    return chunks
