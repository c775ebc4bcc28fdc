"""chat_service's KbClient against the real kb_service."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from chat_service.clients import KbClient
from chat_service.passage_filter import PassageFilter
from kb_service.app import create_app
from kb_service.settings import KbSettings
from servicekit.errors import Forbidden, NotFound, Refused, Unauthorized
from servicekit.identity import CALLER_HEADER
from tests.contract.conftest import ClientOf
from tests.parsers import PARSERS
from tests.serving import Issuer, served

NAME = "员工 手册(2026)"
TEXTS = ["年假一共有十天。", "病假需要医院的证明。", "加班可以调休。"]


@pytest.fixture
async def knowledge(data: Path, issuer: Issuer, client_of: ClientOf) -> AsyncIterator[KbClient]:
    """The client of a service that knows one knowledge base, of the three texts."""
    editor = issuer.headers("editor", scopes=("kb:read", "kb:write"))
    app = create_app(KbSettings(chat2llm_data=data, kb_sample=False), parsers=PARSERS)
    async with served(app) as url, httpx.AsyncClient(base_url=url, headers=editor) as http:
        body = {"knowledge_base_name": NAME, "kb_zh_name": "手册", "kb_info": "制度"}
        answer = await http.post("/knowledge_base/create_knowledge_base", json=body)
        assert answer.json()["code"] == 200, answer.text
        chunks = [{"page_content": text, "metadata": {}} for text in TEXTS]
        answer = await http.post(
            "/knowledge_base/upload_docs",
            files={"files": ("制度.txt", "\n".join(TEXTS).encode())},
            data={"knowledge_base_name": NAME, "docs": json.dumps({"制度.txt": chunks})},
            timeout=60,
        )
        assert answer.json()["data"] == {"failed_files": {}}, answer.text
        yield KbClient(client_of(url))


@pytest.fixture
def li(issuer: Issuer) -> str:
    return issuer.headers("li")[CALLER_HEADER]


async def test_a_knowledge_base_is_found_and_searched(knowledge: KbClient, li: str) -> None:
    await knowledge.require(NAME, caller=li)
    found = await knowledge.search(
        NAME, caller=li, query="年假一共有几天", top_k=2, score_threshold=1
    )
    assert 1 <= len(found) <= 2
    assert (found[0].file_name, found[0].content) == ("制度.txt", TEXTS[0])


async def test_only_passages_that_are_wanted_are_found(knowledge: KbClient, li: str) -> None:
    every = {
        "files": ["制度.txt"],
        "tags": ["人事"],
        "uploaded_after": "2026-01-01T00:00:00Z",
        "uploaded_before": "2126-01-01T00:00:00+08:00",
        "page_from": 1,
        "page_to": 9,
    }
    body = PassageFilter.model_validate(every)
    assert len(body.to_json()) == len(every) == len(PassageFilter.model_fields)
    for wanted, is_there in (
        (PassageFilter(), True),
        (PassageFilter(files=["制度.txt"]), True),
        (PassageFilter(files=["其他.txt"]), False),
        (PassageFilter(uploaded_before=body.uploaded_after), False),
        (body, False),
    ):
        found = await knowledge.search(
            NAME,
            caller=li,
            query="年假一共有几天",
            top_k=2,
            score_threshold=1,
            filter=wanted.to_json(),
        )
        assert bool(found) == is_there, wanted


async def test_a_document_is_listed_and_read(knowledge: KbClient, li: str) -> None:
    (kb,) = await knowledge.listed(caller=li)
    assert (kb.name, kb.title, kb.info, kb.files) == (NAME, "手册", "制度", 1)
    first = await knowledge.read(NAME, "制度.txt", caller=li, start=0, count=2)
    assert first == ("\n".join(TEXTS[:2]), 2)
    assert await knowledge.read(NAME, "制度.txt", caller=li, start=2, count=2) == (TEXTS[2], None)
    with pytest.raises(NotFound):
        await knowledge.read(NAME, "其他.txt", caller=li, start=0, count=1)


async def test_nothing_similar_is_no_passage(knowledge: KbClient, li: str) -> None:
    query = "quantum chromodynamics"
    assert await knowledge.search(NAME, caller=li, query=query, top_k=3, score_threshold=1) == []


@pytest.mark.parametrize("name", ["nobody knows", "?x=1#y", "名" * 60])
async def test_an_unknown_name_is_answered_in_the_contracts_words(
    knowledge: KbClient, li: str, name: str
) -> None:
    with pytest.raises(NotFound) as raised:
        await knowledge.require(name, caller=li)
    assert str(raised.value) == f"未找到知识库 {name}"
    with pytest.raises(NotFound):
        await knowledge.search(name, caller=li, query="q", top_k=3, score_threshold=1)


@pytest.mark.parametrize("name", ["a/b", "..", "../../etc"])
async def test_a_hostile_name_is_found_nowhere(knowledge: KbClient, li: str, name: str) -> None:
    with pytest.raises(NotFound):
        await knowledge.require(name, caller=li)
    with pytest.raises(Refused):
        await knowledge.search(name, caller=li, query="q", top_k=3, score_threshold=1)


async def test_callers_without_proof_or_scope(knowledge: KbClient, issuer: Issuer) -> None:
    with pytest.raises(Unauthorized):
        await knowledge.require(NAME, caller="forged")
    with pytest.raises(Forbidden):
        await knowledge.require(
            NAME, caller=issuer.headers("chatter", scopes=("chat",))[CALLER_HEADER]
        )
