"""The first start: the sample, the schema, what a process loads and what it waits for."""

import asyncio
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import create_engine, inspect
from sqlmodel import SQLModel

from kb_service import models
from kb_service.parsers import ParserPool
from kb_service.settings import KbSettings
from tests.kb_service.conftest import READER, Kb, connected, on_a_socket
from tests.kb_service.test_parsers import children

Make = Callable[..., KbSettings]
MANUAL = Path(models.__file__).parent / "sample"


async def filled(kb: Kb) -> list[str]:
    for _ in range(1_000):
        names = await kb.files("chat2llm")
        if len(names) == len(list(MANUAL.glob("*.md"))):
            return names
        await asyncio.sleep(0.02)
    raise AssertionError("the sample was never complete")


async def test_the_manual_is_there_and_answers(make_settings: Make) -> None:
    async with connected(make_settings(kb_sample=True)) as kb:
        await filled(kb)
        listed = (await kb.get("/knowledge_base/list_knowledge_bases_v2", READER)).json()["data"]
        assert [(one["kb_name"], one["kb_zh_name"]) for one in listed] == [
            ("chat2llm", "Chat2LLM 使用手册")
        ]
        offered = await kb.get("/recommend/question", READER, num=20, kb_name="chat2llm")
        questions = [one["query"] for one in offered.json()["data"]]
        assert len(questions) >= 4
        for question in questions:
            assert await kb.search(question, kb="chat2llm"), question


async def test_the_manual_is_made_once_and_stays_deleted(
    make_settings: Make, tmp_path: Path
) -> None:
    settings = make_settings(kb_sample=True)
    async with connected(settings) as kb:
        await filled(kb)
        await noted(tmp_path)
        await kb.post("/knowledge_base/delete_knowledge_base", "chat2llm")
    async with connected(settings) as kb:
        await asyncio.sleep(0.3)  # as long as making it would take
        assert (await kb.get("/knowledge_base/list_knowledge_bases")).json()["data"] == []


async def noted(folder: Path) -> None:
    for _ in range(1_000):
        with closing(sqlite3.connect(folder / "kb" / "kb.db")) as database:
            if database.execute("SELECT * FROM milestone").fetchall():
                return
        await asyncio.sleep(0.01)
    raise AssertionError("the first start was never complete")


async def test_the_service_is_ready_before_the_manual_is(make_settings: Make) -> None:
    begun = time.perf_counter()
    async with connected(make_settings(kb_sample=True)) as kb:
        assert (await kb.get("/readyz")).status_code == 200
        ready = time.perf_counter() - begun
        await filled(kb)
        assert ready < time.perf_counter() - begun


TABLES = {"knowledge_base", "knowledge_file", "index_version", "chunk", "question"}
TABLES |= {"vector_collection", "milestone", "ingest_job", "search_count", "missed_query"}
TABLES |= {"eval_set", "eval_item", "eval_run", "eval_result"}


def test_the_migrations_make_what_the_models_say(migrated: Path) -> None:
    def is_ours(item: Any, name: str, kind: str, *_: Any) -> bool:
        return getattr(item, "table", item).name in TABLES  # other services' models may be loaded

    engine = create_engine(f"sqlite:///{migrated}")
    with engine.connect() as connection:
        assert set(inspect(connection).get_table_names()) >= TABLES
        context = MigrationContext.configure(connection, opts={"include_object": is_ours})
        assert compare_metadata(context, SQLModel.metadata) == []
    engine.dispose()


@pytest.mark.parametrize(
    ("modules", "heavy"),
    [
        (
            "kb_service.app, kb_service.vectors.edge",
            "qdrant_client numpy langchain openpyxl docx pptx alembic pypdfium2 selectolax lxml",
        ),
        ("kb_service.parser_process", "fastapi pydantic sqlalchemy aiohttp httpx openpyxl docx"),
    ],
)
def test_a_process_loads_no_library_that_it_does_not_need(modules: str, heavy: str) -> None:
    code = f"import sys, {modules}; print([m for m in '{heavy}'.split() if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


async def test_a_warm_parser_waits_for_its_first_document() -> None:
    """Its start, which takes a busy machine many seconds, is no document's silence."""
    parsers, before = ParserPool(size=1), set(children())
    try:
        await parsers.warm()
        (pid,) = set(children()) - before
        assert "Stemmer" in _libraries(pid)
    finally:
        await parsers.close()


def _libraries(pid: int) -> str:
    return Path(f"/proc/{pid}/maps").read_text()


async def test_the_service_answers_while_a_megabyte_is_indexed(make_settings: Make) -> None:
    """By the processor's time that passes in between, so that a busy machine changes nothing."""
    text = "".join(f"第{n}条：员工每年享有带薪年假，按规定执行。\n" for n in range(17_000)).encode()
    assert len(text) > 1 << 20
    waited = []
    async with (
        on_a_socket(make_settings()) as url,
        httpx.AsyncClient(base_url=url, timeout=60) as http,
    ):
        kb = Kb(http)
        await kb.create()
        upload = asyncio.create_task(kb.uploaded(("large.txt", text)))
        while not upload.done():
            begun = time.thread_time()
            await http.get("/livez")
            waited.append(time.thread_time() - begun)
        assert await upload == {}
    waited.sort()
    assert len(waited) > 20
    assert waited[len(waited) // 2] < 0.05
    assert waited[len(waited) * 95 // 100] < 0.25


async def test_another_process_on_the_same_folder_is_refused(make_settings: Make) -> None:
    async with connected(make_settings()):
        with pytest.raises(Exception, match="Another process"):
            async with connected(make_settings()):
                pass


def test_a_misspelt_key_stops_the_start_with_its_name(tmp_path: Path) -> None:
    config = tmp_path / "config.ini"
    config.write_text("[kb]\nCHUNK_SIZ = 5\n")
    done = subprocess.run(
        [sys.executable, "-m", "kb_service", "--config", str(config)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert "CHUNK_SIZ" in done.stderr


async def test_every_public_route_is_in_the_openapi_document(kb: Kb) -> None:
    document = (await kb.http.get("/openapi.json")).json()
    upload = document["paths"]["/knowledge_base/upload_docs"]["post"]
    assert "multipart/form-data" in upload["requestBody"]["content"]
    for path, methods in document["paths"].items():
        for operation in methods.values():
            assert operation.get("summary"), path
            tag = operation["tags"][0]
            assert (tag == "internal") == path.startswith("/internal"), path
