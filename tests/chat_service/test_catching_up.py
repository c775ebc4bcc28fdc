"""What operators change in one process acts in all of them, whatever goes wrong meanwhile."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from sqlalchemy.exc import DBAPIError

from chat_service.prompt_registry import Prompts
from chat_service.screening import Screen
from chat_service.store import PromptStore, WordStore
from chat_service.word_entities import WordList
from chat_service.word_lists import WordLists
from servicekit.database import Database, sqlite_url


@pytest.fixture
async def database(data: Path) -> AsyncIterator[Database]:
    database = Database(sqlite_url(data / "chat" / "chat.db"), package="chat_service")
    yield database
    await database.close()


def rename(data: Path, table: str, name: str) -> None:
    with sqlite3.connect(data / "chat" / "chat.db") as database:
        database.execute(f"ALTER TABLE {table} RENAME TO {name}")
    database.close()


async def test_word_lists_that_could_not_be_read(data: Path, database: Database) -> None:
    store = WordStore(database)
    screen = Screen(store, None, retention_days=1)
    await screen.load()
    await store.add(WordList("表", "mask", words=("机密",)))
    rename(data, "word_list", "away")
    with pytest.raises(DBAPIError):
        await screen.catch_up()
    rename(data, "away", "word_list")
    await screen.catch_up()
    assert await screen.question("机密") == "**"


class SlowWordStore(WordStore):
    """Gives what the first one to ask was to get only when it is told to."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.read, self.may_give = asyncio.Event(), asyncio.Event()

    async def load(self) -> list[WordList]:
        lists = await super().load()
        if not self.read.is_set():
            self.read.set()
            await self.may_give.wait()
        return lists


async def test_an_older_state_does_not_come_after_a_newer_one(database: Database) -> None:
    store = SlowWordStore(database)
    screen = Screen(store, None, retention_days=1)
    older = asyncio.create_task(screen.load())
    await store.read.wait()
    await store.add(WordList("表", "mask", words=("机密",)))
    newer = asyncio.create_task(screen.load())
    await asyncio.wait([newer], timeout=0.05)
    store.may_give.set()
    await asyncio.gather(older, newer)
    assert await screen.question("机密") == "**"


class LateWordStore(WordStore):
    """Another process is always a little faster."""

    other: WordLists

    async def change(self, list_id: int, edit: Callable[[WordList], WordList]) -> bool:
        await self.other.import_text("B", list_id, "乙")
        return await super().change(list_id, edit)


async def test_what_two_processes_add_to_a_list_is_all_there(database: Database) -> None:
    stores = LateWordStore(database), WordStore(database)
    late, other = (WordLists(store, Screen(store, None, retention_days=1)) for store in stores)
    stores[0].other = other
    list_id = (await late.add("A", WordList("表", "mask"))).id
    assert (await late.import_text("A", list_id, "甲")).words == ("乙", "甲")


async def test_prompts_that_could_not_be_read(
    database: Database, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "prompts"
    prompts = Prompts(PromptStore(database), folder)
    await prompts.load()
    (folder / "llm_chat").mkdir(parents=True)
    (folder / "llm_chat" / "default.txt").write_text("改：{{ input }}", "utf-8")
    (folder / "llm_chat" / ".#default.txt").symlink_to("nowhere")  # as editors make them
    await prompts.catch_up()
    assert prompts.choose("llm_chat", "default", "你好") == "改：{{ input }}"
    assert ".#default.txt is not used" in caplog.text
