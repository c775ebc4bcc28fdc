"""A kill -9 at each moment of a job's life: nothing is lost, nothing is there twice, no orphan."""

import asyncio
import signal
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from kb_service.embeddings.available import Embedders
from kb_service.settings import KbSettings
from tests.kb_service.conftest import connected
from tests.kb_service.dying import MOMENTS
from tests.kb_service.test_durability import points
from tests.kb_service.test_rebuild import as_by_an_earlier_recipe
from tests.stack import ROOT

pytestmark = pytest.mark.e2e

Make = Callable[..., KbSettings]
OLD = "员工每年享有十天带薪年假。".encode()
NEW = "".join(
    f"第{n}条：员工每年享有{n}天带薪年假。\n" for n in range(2_000)
)  # rows are written twice


async def killed(folder: Path, moment: str, name: str) -> None:
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.kb_service.dying", str(folder), moment, name, NEW),
        cwd=ROOT,
        stderr=asyncio.subprocess.PIPE,
    )
    _, log = await child.communicate()
    assert child.returncode == -signal.SIGKILL, log.decode()


def asked(folder: Path, query: str) -> list[Any]:
    with closing(sqlite3.connect(folder / "kb.db", timeout=20)) as database:
        return database.execute(query).fetchall()


async def until_over(folder: Path) -> None:
    for _ in range(3_000):
        if asked(folder, "SELECT DISTINCT state FROM ingest_job") == [("done",)]:
            return
        await asyncio.sleep(0.01)
    raise AssertionError(asked(folder, "SELECT id, state, step, reason FROM ingest_job"))


@pytest.mark.parametrize(
    ("moment", "name"),
    [
        *((moment, "old.txt") for moment in MOMENTS),
        *((moment, "new.txt") for moment in ("accepted", "writing points", "after flip")),
    ],
)
async def test_a_kill_loses_nothing_and_leaves_nothing(
    make_settings: Make, tmp_path: Path, moment: str, name: str
) -> None:
    async with connected(make_settings()) as kb:
        await kb.create()
        await kb.uploaded(("old.txt", OLD))
    folder = tmp_path / "kb"
    await killed(folder, moment, name)
    names = ["old.txt"] if name == "old.txt" else ["old.txt", "new.txt"]
    is_live = moment in {"after flip", "removing old points", "done"}
    async with connected(make_settings()) as kb:
        await until_over(folder)
        assert await kb.files() == names
        (found,) = await kb.search("第1999条", top_k=1)
        assert found["metadata"]["source"] == name
        old = [
            one
            for one in await kb.search("十天带薪年假", top_k=50)
            if "十天" in one["page_content"]
        ]
        assert len(old) == (name == "new.txt")
        content = await kb.get(
            "/knowledge_base/download_doc", knowledge_base_name="kb1", file_name=name
        )
        assert content.text == NEW
    attempts = asked(folder, "SELECT attempts FROM ingest_job ORDER BY id")
    assert attempts == [(1,), (1 if is_live or moment == "accepted" else 2,)]
    (chunks,) = asked(folder, "SELECT sum(docs_count) FROM knowledge_file")[0]
    assert asked(folder, "SELECT count(*) FROM chunk") == [(chunks,)]
    assert asked(folder, "SELECT state FROM index_version") == [("live",)] * len(names)
    assert await points(tmp_path, 1) == chunks
    assert len(list((folder / "content").glob("*/*"))) == len(names)


@pytest.mark.parametrize("moment", ["writing points", "after flip", "removing old points"])
async def test_a_kill_while_a_file_is_moved_to_another_collection(
    make_settings: Make, tmp_path: Path, moment: str
) -> None:
    async with connected(make_settings()) as kb:
        await kb.create()
        await kb.uploaded(("old.txt", OLD))
    folder, now = tmp_path / "kb", Embedders().default.collection
    as_by_an_earlier_recipe(folder)
    await killed(folder, moment, "")
    async with connected(make_settings()) as kb:
        assert len(await kb.search("十天带薪年假", top_k=50)) == 1, "one of them answers"
        await until_over(folder)
        assert len(await kb.search("十天带薪年假", top_k=50)) == 1
    assert asked(folder, "SELECT state, collection FROM index_version") == [("live", now)]
    assert await points(tmp_path, 1, collection=now) == 1
    assert await points(tmp_path, 1, collection="lexical") == 0
