"""Another embedding model: everything is moved in the background while the old index answers."""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from kb_service.embeddings.available import Embedders
from kb_service.settings import KbSettings
from tests.kb_service.conftest import ADMIN, OWNER, STRANGER, Kb, connected
from tests.kb_service.gate import gated

Make = Callable[..., KbSettings]
FILES = [(f"{n}.txt", f"第{n}号员工每年享有{n}天带薪年假。".encode()) for n in range(1, 4)]
PATH = "/admin/knowledge-bases/kb1"


async def state(kb: Kb) -> dict[str, Any]:
    answer = await kb.get(f"{PATH}/embedding")
    assert answer.status_code == 200
    body: dict[str, Any] = answer.json()
    return body


async def until(look: Callable[[], Awaitable[Any]], is_right: Callable[[Any], bool]) -> None:
    async with asyncio.timeout(20):
        while True:
            if is_right(await look()):
                return
            await asyncio.sleep(0.05)


async def moved(kb: Kb) -> None:
    await until(lambda: state(kb), lambda now: not now["files_to_move"])


async def found(kb: Kb) -> list[str]:
    """The files of all passages, once each if there is nothing twice."""
    passages = await kb.search("带薪年假", top_k=20, score_threshold=2)
    return sorted(one["metadata"]["source"] for one in passages)


async def jobs(kb: Kb, kind: str) -> list[str]:
    items = (await kb.get("/admin/jobs", page_size=100)).json()["items"]
    return [job["state"] for job in items if job["kind"] == kind]


ALL = [name for name, _ in FILES]


async def test_a_new_default_moves_files_in_the_background_across_restarts(
    make_settings: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    async with connected(make_settings()) as kb:
        await kb.create()
        await kb.uploaded(*FILES)
        assert await state(kb) == {
            "embed_model": "lexical",
            "follows_default": True,
            "available": True,
            "files_to_move": 0,
        }
    async with gated() as gate:
        gate.shut()
        async with connected(gate.settings(make_settings)) as kb:
            await gate.asked.wait()  # a worker is in the middle of the first file
            assert (await state(kb))["files_to_move"] == 3
            assert await found(kb) == ALL, "the old index answers"
        gate.open()
        async with connected(gate.settings(make_settings)) as kb:
            await until(lambda: jobs(kb, "embed"), lambda states: states == ["done"] * 3)
            assert (await state(kb))["files_to_move"] == 0
            assert await found(kb) == ALL
            listed = (await kb.get("/knowledge_base/list_knowledge_bases_v2")).json()["data"]
            assert listed[0]["embed_model"] == "gate"
            assert all(one["score"] < 1 for one in await kb.search("xyz 年", top_k=3))
    capsys.readouterr()
    async with connected(make_settings()) as kb:  # no model any more: words, and no need to move
        assert await found(kb) == ALL
        assert (await state(kb))["files_to_move"] == 0
    assert "is searched by words alone" in capsys.readouterr().err


async def test_an_owner_chooses_the_model(make_settings: Make) -> None:
    async with gated() as gate, connected(gate.settings(make_settings)) as kb:
        await kb.create(who=OWNER)
        await kb.upload(*FILES, who=OWNER)
        items = (await kb.get("/admin/embedders", OWNER)).json()["items"]
        assert [(one["name"], one["kind"], one["size"], one["default"]) for one in items] == [
            ("gate", "endpoint", 2, True),
            ("lexical", "lexical", None, False),
        ]
        for body, status in (
            ({"embed_model": "nothing"}, 422),
            ({"embed_model": "lexical"}, 200),
        ):
            answer = await kb.http.patch(PATH, json=body, headers=OWNER)
            assert answer.status_code == status
        assert (
            "gate, lexical"
            in (await kb.http.patch(PATH, json={"embed_model": "x"}, headers=OWNER)).text
        )
        assert (await kb.http.patch(PATH, json=body, headers=STRANGER)).status_code == 404
        await moved(kb)
        assert (await state(kb))["embed_model"] == "lexical"
        assert await found(kb) == ALL
        asked = len(gate.texts)
        await kb.upload(("4.txt", "第4号员工也有带薪年假。".encode()), who=OWNER)
        assert len(gate.texts) == asked, "a new file is indexed by the chosen model"
        await kb.http.patch(PATH, json={"embed_model": ""}, headers=OWNER)
        await moved(kb)
        assert await found(kb) == [*ALL, "4.txt"]
        assert (await state(kb))["follows_default"]


async def test_the_old_wire_names_a_model_that_there_is(make_settings: Make) -> None:
    async with gated() as gate, connected(gate.settings(make_settings)) as kb:
        body = {"knowledge_base_name": "kb1", "kb_zh_name": "库", "kb_info": ""}
        await kb.post("/knowledge_base/create_knowledge_base", body | {"embed_model": "lexical"})
        await kb.uploaded(FILES[0])
        assert gate.texts == []
        recreate = {"knowledge_base_name": "kb1", "embed_model": "m3e-base"}
        await kb.post("/knowledge_base/recreate_vector_store", recreate)
        assert (await state(kb))["embed_model"] == "lexical", "an unknown name changes nothing"


async def test_without_its_model_a_knowledge_base_is_searched_by_words(
    make_settings: Make,
) -> None:
    async with gated() as gate:
        async with connected(gate.settings(make_settings)) as kb:
            await kb.create()
            await kb.http.patch(PATH, json={"embed_model": "gate"}, headers=ADMIN)
            await kb.uploaded(FILES[0])
        async with connected(make_settings()) as kb:
            assert (await state(kb))["available"] is False
            assert await found(kb) == ["1.txt"]
            assert await kb.uploaded(FILES[1]) == {}, "by words, until the model is back"
            assert await found(kb) == ["1.txt", "2.txt"]
        async with connected(gate.settings(make_settings)) as kb:
            await moved(kb)
            assert await found(kb) == ["1.txt", "2.txt"]
            assert len(await jobs(kb, "embed")) == 1


async def test_a_file_that_cannot_be_moved_is_left_alone_for_a_while(
    make_settings: Make,
) -> None:
    async with connected(make_settings()) as kb:
        await kb.create()
        await kb.uploaded(FILES[0])
    async with gated() as gate:
        gate.status = 401
        async with connected(gate.settings(make_settings)) as kb:
            await until(lambda: jobs(kb, "embed"), lambda states: states == ["failed"])
            await kb.http.patch(PATH, json={"embed_model": ""}, headers=ADMIN)
            assert await found(kb) == ["1.txt"]
            assert await jobs(kb, "embed") == ["failed"]
            gate.status = 200
            (job,) = (await kb.get("/admin/jobs")).json()["items"][:1]
            await kb.post(f"/admin/jobs/{job['id']}/retry", {})
            await moved(kb)
            assert await found(kb) == ["1.txt"]


async def test_a_move_that_fails_again_and_again_leaves_one_job(make_settings: Make) -> None:
    async with connected(make_settings()) as kb:
        await kb.create()
        await kb.uploaded(FILES[0])
    async with gated() as gate:
        gate.status = 401
        settings = gate.settings(make_settings)
        async with connected(settings) as kb:
            await until(lambda: jobs(kb, "embed"), lambda states: states == ["failed"])
            (first, _) = (await kb.get("/admin/jobs")).json()["items"]
        with closing(sqlite3.connect(settings.folder / "kb.db")) as database, database:
            database.execute("UPDATE ingest_job SET update_time = datetime('now', '-2 hours')")
        async with connected(settings) as kb:

            async def newest() -> dict[str, Any]:
                job: dict[str, Any] = (await kb.get("/admin/jobs")).json()["items"][0]
                return job

            await until(newest, lambda job: job["id"] != first["id"] and job["state"] == "failed")
            assert await jobs(kb, "embed") == ["failed"]


async def test_what_was_indexed_by_an_earlier_recipe_is_indexed_anew(
    make_settings: Make,
) -> None:
    async with connected(make_settings()) as kb:
        await kb.create()
        await kb.uploaded(*FILES)
    folder, now = make_settings().folder, Embedders().default.collection
    as_by_an_earlier_recipe(folder)
    async with connected(make_settings()) as kb:
        assert await found(kb) == ALL, "the old index answers"
        await moved(kb)
        assert await found(kb) == ALL
    assert collections_of(folder, "SELECT DISTINCT collection FROM index_version") == [(now,)]
    async with connected(make_settings()) as kb:
        assert await found(kb) == ALL
    assert [one.name for one in (folder / "qdrant").iterdir()] == [now]


def as_by_an_earlier_recipe(folder: Path) -> None:
    now = Embedders().default.collection
    (folder / "qdrant" / now).rename(folder / "qdrant" / "lexical")
    collections_of(folder, "UPDATE index_version SET collection = 'lexical'")


def collections_of(folder: Path, statement: str) -> list[tuple[str]]:
    with closing(sqlite3.connect(folder / "kb.db")) as rows:
        answer = rows.execute(statement).fetchall()
        rows.commit()
        return answer
