"""What an acknowledged turn survives, and how the schema comes to be."""

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Literal

import httpx
import pytest

from session_service.app import create_app
from session_service.settings import SessionSettings
from tests.serving import Issuer, served
from tests.session_service.conftest import Turn, User, finish
from tests.stack import ROOT, free_ports, wait_until_ready

pytestmark = pytest.mark.e2e


@contextmanager
def _process(data: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    env = os.environ | {"CHAT2LLM_DATA": str(data), "SESSION_PORT": str(port)}
    with (data / "console.log").open("ab") as console:
        process = subprocess.Popen(
            [sys.executable, "-m", "session_service"], cwd=ROOT, env=env, stderr=console
        )
    try:
        wait_until_ready([port], process, data / "console.log")
        yield process
    finally:
        process.kill()
        process.wait()


async def _chat_until_it_dies(
    url: str, headers: dict[str, str], acknowledged: list[str], process: subprocess.Popen[bytes]
) -> None:
    """Kills the process in the middle of the load, after 60 acknowledged turns."""

    async def chat(number: int) -> None:
        async with httpx.AsyncClient(base_url=url, headers=headers) as http:
            user, session_id = User(http), uuid.uuid4().hex
            while True:
                turn: Turn = await user.begin(f"{number}", session_id=session_id)
                answer = await finish(http, turn, f"answer to {turn.id}")
                assert answer.status_code == 204
                acknowledged.append(turn.id)
                if len(acknowledged) == 60:
                    process.send_signal(signal.SIGKILL)

    ended = await asyncio.gather(*(chat(number) for number in range(6)), return_exceptions=True)
    assert all(isinstance(error, httpx.TransportError) for error in ended), ended


async def test_kill_9_under_load_loses_no_acknowledged_turn(tmp_path: Path, issuer: Issuer) -> None:
    data, headers = issuer.trusted_by(tmp_path), issuer.headers("li")
    [port], acknowledged = free_ports(1), list[str]()
    for _ in range(2):
        with _process(data, port) as process:
            lost: list[str] = []
            await _chat_until_it_dies(f"http://127.0.0.1:{port}", headers, lost, process)
            acknowledged += lost
    with _process(data, port), closing(sqlite3.connect(data / "session/session.db")) as database:
        stored = dict(
            database.execute("SELECT id, response FROM chat_history WHERE state = 'done'")
        )
    assert len(acknowledged) >= 120
    assert {turn_id: stored.get(turn_id) for turn_id in acknowledged} == {
        turn_id: f"answer to {turn_id}" for turn_id in acknowledged
    }


@pytest.mark.parametrize(("durability", "pragma"), [("normal", 1), ("full", 2)])
async def test_durability_is_sqlites_synchronous(
    data: Path, durability: Literal["normal", "full"], pragma: int
) -> None:
    app = create_app(SessionSettings(chat2llm_data=data, durability=durability))
    async with served(app), app.state.database.transaction() as session:
        connection = await session.connection()
        row = await connection.exec_driver_sql("PRAGMA synchronous")
        assert row.scalar() == pragma
        row = await connection.exec_driver_sql("PRAGMA journal_mode")
        assert row.scalar() == "wal"


_THEN = "2026-01-02 03:04:05.000000"


def _alembic(data: Path, command: str) -> str:
    code = (
        "import sys; from alembic import command; from alembic.config import Config; c = Config();"
        "c.set_main_option('script_location', 'session_service/migrations');"
        f"c.attributes['url'] = sys.argv[1]; {command}"
    )
    url = f"sqlite+aiosqlite:///{data / 'session' / 'session.db'}"
    arguments = [sys.executable, "-c", code, url]
    done = subprocess.run(arguments, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_migrations_make_the_models_tables(data: Path) -> None:
    assert "No new upgrade operations" in _alembic(data, "command.check(c)")


def test_the_migrations_go_down_again(data: Path) -> None:
    _alembic(data, "command.downgrade(c, 'base')")
    with closing(sqlite3.connect(data / "session" / "session.db")) as database:
        tables = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    assert tables == [("alembic_version",)]


async def test_ratings_of_an_older_schema_are_listed(data: Path, issuer: Issuer) -> None:
    _alembic(data, "command.downgrade(c, '0001_sessions_and_turns')")
    with closing(sqlite3.connect(data / "session" / "session.db")) as database, database:
        database.executemany(
            "INSERT INTO chat_history (id, client_id, user_id, chat_type, query, response, docs,"
            " state, capability_hash, begun_time, feedback_score, feedback_reason, create_time)"
            " VALUES (?, '7', 'li', 'llm_chat', 'q', 'a', '[]', 'done', '', ?, ?, '', ?)",
            [("rated", _THEN, 20, _THEN), ("not", _THEN, -1, _THEN)],
        )
    headers = issuer.headers("root", scopes=("admin",))
    async with (
        served(create_app(SessionSettings(chat2llm_data=data))) as url,
        httpx.AsyncClient(base_url=url, headers=headers) as http,
    ):
        [rated] = (await http.get("/admin/feedback")).json()["items"]
        assert (rated["turn_id"], rated["feedback_time"]) == ("rated", "2026-01-02T03:04:05Z")


async def test_sessions_outlive_the_process(data: Path, issuer: Issuer, session_id: str) -> None:
    for _ in range(2):
        async with (
            served(create_app(SessionSettings(chat2llm_data=data))) as url,
            httpx.AsyncClient(base_url=url, headers=issuer.headers("li")) as http,
        ):
            await User(http).ask("question", "answer", session_id)
    with closing(sqlite3.connect(data / "session" / "session.db")) as database:
        assert database.execute("SELECT count(*) FROM chat_history").fetchone() == (2,)


def _plan(data: Path, statement: str) -> str:
    with closing(sqlite3.connect(data / "session" / "session.db")) as database:
        return str(database.execute(f"EXPLAIN QUERY PLAN {statement}").fetchall())


@pytest.mark.parametrize(
    ("statement", "index"),
    [
        (
            "SELECT * FROM chat_session WHERE client_id='a' AND user_id='b' AND saved"
            " ORDER BY create_time DESC",
            "ix_chat_session_owner",
        ),
        (
            "SELECT * FROM chat_history WHERE session_id='a' AND client_id='b' AND user_id='c'"
            " AND seq < 9 ORDER BY seq DESC LIMIT 5",
            "ix_chat_history_session",
        ),
        ("DELETE FROM chat_history WHERE session_id='a'", "ix_chat_history_session"),
        ("UPDATE chat_history SET state='done' WHERE id='a'", "sqlite_autoindex_chat_history_1"),
    ],
)
def test_the_real_queries_use_an_index_and_sort_nothing(
    data: Path, statement: str, index: str
) -> None:
    plan = _plan(data, statement)
    assert index in plan
    assert "TEMP B-TREE" not in plan
    assert "SCAN" not in plan
