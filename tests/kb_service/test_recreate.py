"""Rebuilding the index: a stream of progress while the old vectors answer."""

import json
import re
from collections.abc import Callable
from typing import Any

import httpx

from kb_service.schemas import stream_chunk
from kb_service.settings import KbSettings
from tests.kb_service.conftest import ADMIN, Kb, on_a_socket

PATH = "/knowledge_base/recreate_vector_store"
FILES = [(f"{n}.txt", f"第{n}号员工每年享有{n}天带薪年假。".encode()) for n in range(1, 4)]


def objects(stream: str) -> list[dict[str, Any]]:
    """As the published page reads them: bare objects, one after the other."""
    parsed: list[dict[str, Any]] = json.loads(f"[{stream.replace('}{', '},{')}]")
    return parsed


async def test_progress_is_one_bare_object_a_file(kb: Kb) -> None:
    await kb.create()
    await kb.uploaded(*FILES)
    answer = await kb.post(PATH, {"knowledge_base_name": "kb1"})
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert answer.headers["x-accel-buffering"] == "no"
    assert answer.text == "".join(
        f'{{"code": 200, "msg": "({n} / 3): {n}.txt", '
        f'"total": 3, "finished": {n}, "doc": "{n}.txt"}}'
        for n in (1, 2, 3)
    )
    assert len(await kb.search("带薪年假", top_k=10)) == 3


async def test_bug_10_recreate_keeps_names(kb: Kb) -> None:
    await kb.create()
    await kb.uploaded(*FILES)
    before = (await kb.get("/knowledge_base/list_knowledge_bases_v2")).json()["data"]
    await kb.post(PATH, {"knowledge_base_name": "kb1"})
    assert (await kb.get("/knowledge_base/list_knowledge_bases_v2")).json()["data"] == before


async def test_bug_10_a_missing_one_is_an_answer(kb: Kb) -> None:
    for allow_empty in (True, False):
        body = {"knowledge_base_name": "none", "allow_empty_kb": allow_empty}
        answer = await kb.post(PATH, body)
        assert answer.text == '{"code": 404, "msg": "未找到知识库 ‘none’"}'
    assert (await kb.get("/knowledge_base/list_knowledge_bases")).json()["data"] == []


async def test_bug_10_a_failure_is_readable_and_counts_as_finished(kb: Kb) -> None:
    await kb.create()
    await kb.uploaded(*FILES)
    await kb.uploaded(("bad.jsonl", b'{"a": 1}\n{bad}'), to_vector_store="false")
    answer = await kb.post(PATH, {"knowledge_base_name": "kb1"})
    assert "添加文件‘bad.jsonl’到知识库‘kb1’时出错：" in answer.text
    chunks = objects(answer.text)
    assert [set(chunk) for chunk in chunks if chunk["code"] == 500] == [{"code", "msg"}]
    assert [chunk["finished"] for chunk in chunks if chunk["code"] == 200] == [1, 2, 3]
    assert {chunk["total"] for chunk in chunks if chunk["code"] == 200} == {4}


async def test_bug_10_progress_comes_after_the_work(
    make_settings: Callable[..., KbSettings],
) -> None:
    """On a socket: when a file is announced, its new chunks are what a search finds."""
    async with (
        on_a_socket(make_settings()) as url,
        httpx.AsyncClient(base_url=url, timeout=60) as http,
    ):
        kb = Kb(http)
        await kb.create()
        await kb.uploaded(*FILES)
        body = {"knowledge_base_name": "kb1", "chunk_size": 5, "chunk_overlap": 0}
        async with http.stream("POST", PATH, json=body, headers=ADMIN) as answer:
            async for read in answer.aiter_text():
                for chunk in objects(read):
                    found = await kb.search("带薪年假", top_k=50, score_threshold=2)
                    sources = {one["metadata"]["source"] for one in found}
                    assert sources == {"1.txt", "2.txt", "3.txt"}  # the old ones go on answering
                    lengths = [
                        len(one["page_content"])
                        for one in found
                        if one["metadata"]["source"] == chunk["doc"]
                    ]
                    assert max(lengths) <= 5


async def test_custom_passages_survive(kb: Kb) -> None:
    await kb.create()
    docs = json.dumps({"1.txt": [{"page_content": "自己切的年假段落"}]})
    await kb.uploaded(*FILES, docs=docs)
    for size in (250, 5):
        body = {"knowledge_base_name": "kb1", "chunk_size": size, "chunk_overlap": 0}
        await kb.post(PATH, body)
        assert (await kb.search("自己切的段落"))[0]["page_content"] == "自己切的年假段落"
    # ... and are still known as custom: update_docs leaves them alone.
    update = {"knowledge_base_name": "kb1", "file_names": ["1.txt"]}
    await kb.post("/knowledge_base/update_docs", update)
    assert (await kb.search("自己切的段落"))[0]["page_content"] == "自己切的年假段落"


async def test_old_request_values_are_accepted(kb: Kb) -> None:
    await kb.create()
    await kb.uploaded(FILES[0])
    body = {"knowledge_base_name": "kb1", "vs_type": "faiss", "embed_model": "m3e-base"}
    answer = await kb.post(PATH, body | {"not_refresh_vs_cache": True})
    assert re.findall(r'"code": (\d+)', answer.text) == ["200"]


async def test_an_empty_one_gives_an_empty_stream(kb: Kb) -> None:
    await kb.create()
    answer = await kb.post(PATH, {"knowledge_base_name": "kb1"})
    assert (answer.status_code, answer.text) == (200, "")


def test_a_brace_pair_inside_a_string_cannot_be_taken_for_a_border() -> None:
    chunk = stream_chunk({"msg": "a}{b", "doc": "x"})
    assert "}{" not in chunk
    assert json.loads(chunk) == {"msg": "a}{b", "doc": "x"}
