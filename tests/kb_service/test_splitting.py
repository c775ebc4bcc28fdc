"""How files are cut: chosen for a knowledge base or a file, seen before, kept over a rebuild."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.config import Config

from kb_service import models
from servicekit.database import sqlite_url
from tests.kb_service.conftest import OWNER, READER, STRANGER, Kb
from tests.kb_service.files.make import FOLDER
from tests.kb_service.test_jobs import add, over

BASE = "/admin/knowledge-bases/kb1"
TEXT = "请假须提前三天申请。年假每年十天，当年有效。病假须附医院证明。婚假为三天。".encode()
WINDOW = {"splitter": "sentence_window", "window": 1}


@pytest.fixture
async def owned(kb: Kb) -> Kb:
    await kb.create(who=OWNER)
    return kb


async def done(kb: Kb, answer: Any) -> dict[str, Any]:
    (job,) = answer["jobs"]
    ended = await over(kb, job["id"])
    assert ended["state"] == "done", ended
    return ended


def chunks(folder: Path) -> list[str]:
    """Of what is live."""
    query = "SELECT content FROM chunk JOIN index_version v ON v.id = version AND state = 'live'"
    with closing(sqlite3.connect(folder / "kb" / "kb.db")) as database:
        return [text for (text,) in database.execute(f"{query} ORDER BY version, position")]


async def split(kb: Kb, body: dict[str, Any], name: str = "a.txt") -> Any:
    answer = await kb.post(f"{BASE}/files/{name}/split", body, OWNER)
    assert answer.status_code == 202, answer.text
    return answer.json()


async def test_a_knowledge_base_has_a_splitter_for_its_uploads(owned: Kb, tmp_path: Path) -> None:
    default = {"splitter": "recursive", "chunk_size": 250, "chunk_overlap": 50}
    shown = (await owned.get(f"{BASE}/chunking", OWNER)).json()
    assert shown == default | {"zh_title_enhance": False}
    put = await owned.http.put(f"{BASE}/chunking", json=WINDOW, headers=OWNER)
    assert (put.status_code, put.json()) == (200, shown | WINDOW)
    assert (await owned.get(f"{BASE}/chunking", OWNER)).json() == shown | WINDOW
    await done(owned, await add(owned, ("a.txt", TEXT), who=OWNER))
    assert len(chunks(tmp_path)) == 4
    assert await owned.uploaded(("b.txt", TEXT)) == {}  # the old wire, which knows no splitters
    assert len(chunks(tmp_path)) == 8
    (found,) = await owned.search("医院证明", top_k=1)
    assert "年假" in found["page_content"]


async def test_a_file_has_a_splitter_of_its_own(owned: Kb, tmp_path: Path) -> None:
    fixed = {"splitter": "fixed", "chunk_size": "9", "chunk_overlap": "0"}
    await done(owned, await add(owned, ("a.txt", TEXT), who=OWNER, **fixed))
    assert {len(chunk) for chunk in chunks(tmp_path)[:-1]} == {9}
    await done(owned, await split(owned, WINDOW | {"chunk_size": 250}))
    assert len(chunks(tmp_path)) == 4
    await done(owned, await split(owned, {"window": 2}))
    assert len(chunks(tmp_path)) == 4


@pytest.mark.parametrize("route", ["recreate", "update"])
async def test_the_old_wire_cuts_a_file_as_it_was_cut_before(
    owned: Kb, tmp_path: Path, route: str
) -> None:
    await done(owned, await add(owned, ("a.txt", TEXT), who=OWNER, splitter="sentence_window"))
    before, answered = chunks(tmp_path), await owned.search("医院证明")
    body: dict[str, Any] = {"knowledge_base_name": "kb1", "file_names": ["a.txt"]}
    path = "recreate_vector_store" if route == "recreate" else "update_docs"
    await owned.post(f"/knowledge_base/{path}", body)
    assert chunks(tmp_path) == before
    assert await owned.search("医院证明") == answered  # the window among it


async def test_a_split_is_seen_before_it_is_applied(owned: Kb, tmp_path: Path) -> None:
    await owned.uploaded(("a.txt", TEXT))
    before = chunks(tmp_path)
    answer = await owned.post(f"{BASE}/files/a.txt/preview", WINDOW | {"first": 2}, OWNER)
    seen = answer.json()
    texts = [chunk["content"] for chunk in seen["chunks"]]
    assert texts == ["请假须提前三天申请。", "年假每年十天，当年有效。"]
    assert seen["chunks"][0]["context"] == "请假须提前三天申请。年假每年十天，当年有效。"
    assert (seen["total"], seen["splitter"]) == (4, "sentence_window")
    assert seen["chunking"]["window"] == 1
    assert chunks(tmp_path) == before


async def test_a_split_of_a_file_that_is_not_kept(owned: Kb, tmp_path: Path) -> None:
    answer = await owned.http.post(
        f"{BASE}/preview",
        data={"splitter": "fixed", "chunk_size": "10", "chunk_overlap": "0"},
        files={"file": ("a.txt", TEXT)},
        headers=OWNER,
    )
    seen = answer.json()
    assert seen["longest"] == 10
    assert seen["characters"] == len(TEXT.decode())
    assert await owned.files() == []
    assert list((tmp_path / "kb" / "content").glob("*/*")) == []


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("a.exe", b"MZ", "Not a supported format"),
        ("../a.txt", b"text", "not safe"),
        ("a.pdf", b"no pdf", "not what .pdf says"),
    ],
)
async def test_what_cannot_be_cut_says_why(owned: Kb, name: str, content: bytes, why: str) -> None:
    answer = await owned.http.post(
        f"{BASE}/preview", files={"file": (name, content)}, headers=OWNER
    )
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert why in answer.json()["detail"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"splitter": "unknown"},
        {"chunk_size": 10, "chunk_overlap": 10},
        {"splitter": "parent_child", "chunk_size": 300, "parent_size": 200},
        {"window": 11, "splitter": "sentence_window"},
    ],
)
async def test_options_that_contradict_are_refused(owned: Kb, wrong: dict[str, Any]) -> None:
    await owned.uploaded(("a.txt", TEXT))
    put = await owned.http.put(f"{BASE}/chunking", json=wrong, headers=OWNER)
    cut = await owned.post(f"{BASE}/files/a.txt/split", wrong, OWNER)
    seen = await owned.post(f"{BASE}/files/a.txt/preview", wrong, OWNER)
    assert [answer.status_code for answer in (put, cut, seen)] == [422, 422, 422]


async def test_what_may_not_be_seen_is_not_there(owned: Kb) -> None:
    await owned.uploaded(("a.txt", TEXT))
    for path in ("files/a.txt/split", "files/a.txt/preview"):
        assert (await owned.post(f"{BASE}/{path}", {}, STRANGER)).status_code == 404
        assert (await owned.post(f"{BASE}/{path}", {}, READER)).status_code == 403
        none = await owned.post(f"{BASE}/{path.replace('a.txt', 'none.txt')}", {}, OWNER)
        assert none.status_code == 404
    assert (await owned.get(f"{BASE}/chunking", STRANGER)).status_code == 404
    put = await owned.http.put(f"{BASE}/chunking", json={}, headers=STRANGER)
    assert put.status_code == 404


async def test_a_found_passage_says_where_it_stands(owned: Kb) -> None:
    """So that a citation can say: manual.pdf, page 1, 3.2 Leave."""
    files = [(name, (FOLDER / name).read_bytes()) for name in ("manual.pdf", "staff.xlsx")]
    assert await owned.uploaded(*files) == {}
    (found,) = await owned.search("3.2 年假", top_k=1)
    assert (found["metadata"]["source"], found["metadata"]["page"]) == ("manual.pdf", 1)
    assert found["metadata"]["title"] == "第三章 休假 > 3.2 年假"
    (found,) = await owned.search("张三 研发", top_k=1)
    assert (found["metadata"]["source"], found["metadata"]["sheet"]) == ("staff.xlsx", "员工")


def test_files_of_an_earlier_schema_keep_their_options(tmp_path: Path) -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(models.__file__).parent / "migrations"))
    config.attributes["url"] = sqlite_url(tmp_path / "kb.db")
    command.upgrade(config, "0003_jobs")
    kb = "1, 'kb1', '', '', 'qdrant', 'lexical', '7', '2026-01-01', 'all', '[]', '[]'"
    file = "'.txt', '', '', 1, 0, 0, 0, 1, '2026-01-01', 'c', 1"
    with closing(sqlite3.connect(tmp_path / "kb.db")) as database, database:
        database.execute(f"INSERT INTO knowledge_base VALUES ({kb})")
        for number, cut in enumerate(("300, 20, 1, 'v'", "NULL, NULL, 0, NULL")):
            database.execute(
                f"INSERT INTO knowledge_file VALUES ({number}, 1, '{number}.txt', {file}, {cut})"
            )
    command.upgrade(config, "head")
    with closing(sqlite3.connect(tmp_path / "kb.db")) as database:
        rows = database.execute("SELECT chunking FROM knowledge_file ORDER BY id").fetchall()
    kept = {"splitter": "recursive", "size": 300, "overlap": 20, "zh_title_enhance": True}
    assert [value and json.loads(value) for (value,) in rows] == [kept, None]
