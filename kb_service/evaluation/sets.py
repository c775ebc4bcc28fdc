"""Evaluation sets of knowledge bases, as those see them who may write these."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import BinaryIO, Literal, TypeVar

from kb_service.entities import KnowledgeBase
from kb_service.errors import EvalInvalid, EvalRefused, NoSuchEvalItem, NoSuchEvalSet
from kb_service.evaluation.exporting import csv_head, csv_lines
from kb_service.evaluation.judging import names_of, plain_name
from kb_service.evaluation.reading import (
    BadItem,
    Lines,
    checked,
    has_questions,
    read_corpus,
    read_items,
    read_relevance,
)
from kb_service.evaluation.tables import Tables
from kb_service.evaluation_entities import EvalSet, Item, NewItem
from kb_service.question_keys import same_question
from kb_service.store import EvalSetStore

SETS_MAX, ITEMS_MAX = 100, 10_000
_AT_ONCE = 200
Existing = Literal["replace", "keep"]
Key = TypeVar("Key")


@dataclass(frozen=True, slots=True)
class Given:
    """A file that somebody sends."""

    name: str
    file: BinaryIO


@dataclass(slots=True)
class Imported:
    """What became of the questions; `unknown_files` are expected, but not in the knowledge base."""

    added: int = 0
    replaced: int = 0
    unchanged: int = 0
    bad: list[tuple[int, str]] = field(default_factory=list)
    unknown_files: list[str] = field(default_factory=list)


class Sets:
    def __init__(self, store: EvalSetStore, tables: Tables) -> None:
        self._store, self._tables = store, tables

    async def page(
        self, kb: KnowledgeBase, *, name: str | None, page: int, page_size: int
    ) -> tuple[list[EvalSet], int]:
        """By name, or the one that is called so, and how many there are."""
        if name is not None:
            found = await self._store.named(kb.id, name)
            return ([found], 1) if found else ([], 0)
        return await self._store.page(kb.id, start=(page - 1) * page_size, limit=page_size)

    async def find(self, kb: KnowledgeBase, set_id: int) -> EvalSet:
        """Raises NoSuchEvalSet."""
        found = await self._store.find(kb.id, set_id)
        if found is None:
            raise NoSuchEvalSet
        return found

    async def add(self, kb: KnowledgeBase, name: str, note: str) -> EvalSet:
        """Raises EvalNameTaken, EvalRefused."""
        _, there = await self._store.page(kb.id, start=0, limit=1)
        if there >= SETS_MAX:
            raise EvalRefused(
                f"一个知识库最多 {SETS_MAX} 个评测集。A knowledge base has at most {SETS_MAX} sets."
            )
        return await self.find(kb, await self._store.add(kb.id, name, note))

    async def change(self, kb: KnowledgeBase, set_id: int, changes: dict[str, str]) -> EvalSet:
        """Raises NoSuchEvalSet, EvalNameTaken."""
        known = await self.find(kb, set_id)
        if changes:
            await self._store.change(known.id, **changes)
        return await self.find(kb, set_id)

    async def remove(self, kb: KnowledgeBase, set_id: int) -> None:
        """With its runs. Raises NoSuchEvalSet."""
        await self._store.remove((await self.find(kb, set_id)).id)

    async def items(
        self, kb: KnowledgeBase, set_id: int, *, text: str, page: int, page_size: int
    ) -> tuple[list[Item], int]:
        """Raises NoSuchEvalSet."""
        known = await self.find(kb, set_id)
        start = (page - 1) * page_size
        return await self._store.items(known.id, text=text, start=start, limit=page_size)

    async def item(self, kb: KnowledgeBase, set_id: int, item_id: int) -> Item:
        """Raises NoSuchEvalSet, NoSuchEvalItem."""
        known = await self.find(kb, set_id)
        found = await self._store.item(known.id, item_id)
        if found is None:
            raise NoSuchEvalItem
        return found

    async def add_item(self, kb: KnowledgeBase, set_id: int, new: NewItem) -> Item:
        """Raises NoSuchEvalSet, EvalItemThere, EvalRefused, EvalInvalid."""
        known = await self.find(kb, set_id)
        if known.items >= ITEMS_MAX:
            raise _too_many()
        key = same_question(_valid(new).question)
        await self._store.put(known.id, {key: new}, {})
        return (await self._store.known(known.id, [key]))[key]

    async def change_item(
        self, kb: KnowledgeBase, set_id: int, item_id: int, changed: NewItem
    ) -> Item:
        """Raises NoSuchEvalSet, NoSuchEvalItem, EvalItemThere, EvalInvalid."""
        item = await self.item(kb, set_id, item_id)
        await self._store.change_item(item, same_question(_valid(changed).question), changed)
        return await self.item(kb, set_id, item_id)

    async def remove_item(self, kb: KnowledgeBase, set_id: int, item_id: int) -> None:
        """Raises NoSuchEvalSet, NoSuchEvalItem."""
        await self._store.remove_item((await self.item(kb, set_id, item_id)).id)

    async def take_in(
        self,
        kb: KnowledgeBase,
        set_id: int,
        table: Given,
        *,
        qrels: Given | None,
        corpus: Given | None,
        existing: Existing,
    ) -> Imported:
        """A question that the set has already is replaced or kept; again, nothing changes.

        Raises NoSuchEvalSet, EvalInvalid, EvalRefused.
        """
        known = await self.find(kb, set_id)
        lines = await self._read(table, qrels, corpus)
        done = Imported(bad=lines.bad)
        await self._put(known, lines, existing, done)
        there = await self._store.file_names(kb.id)
        names = {name for file_name in there for name in names_of(file_name)}
        expected = [name for _, item in lines.items.values() for name in item.expected.files]
        done.unknown_files = [
            name for name in dict.fromkeys(expected) if plain_name(name) not in names
        ]
        return done

    async def export(self, known: EvalSet) -> AsyncIterator[str]:
        """As a table."""
        yield csv_head()
        last = 0
        while items := await self._store.items_after(known.id, last):
            yield "".join(csv_lines(items))
            last = items[-1].id

    async def _read(self, table: Given, qrels: Given | None, corpus: Given | None) -> Lines:
        texts = None if corpus is None else read_corpus(await self._records(corpus))
        relevant = None if qrels is None else read_relevance(await self._records(qrels), texts)
        records = await self._records(table)
        if records and not has_questions(records):
            raise EvalInvalid(
                "缺少名为 question 或 问题 的列。There is no column named question or 问题."
            )
        return read_items(records, relevant)

    async def _records(self, given: Given) -> Sequence[tuple[int, dict[str, object] | None]]:
        return await self._tables.read(given.name, given.file)

    async def _put(self, known: EvalSet, lines: Lines, existing: Existing, done: Imported) -> None:
        there = await self._store.known(known.id, list(lines.items))
        added = {key: item for key, (_, item) in lines.items.items() if key not in there}
        if known.items + len(added) > ITEMS_MAX:
            raise _too_many()
        changed = {
            there[key].id: item
            for key, (_, item) in lines.items.items()
            if key in there and existing == "replace" and not _is_same(there[key], item)
        }
        for some in _some_at_once(list(added)):
            await self._store.put(known.id, {key: added[key] for key in some}, {})
        for few in _some_at_once(list(changed)):
            await self._store.put(known.id, {}, {number: changed[number] for number in few})
        done.added, done.replaced = len(added), len(changed)
        done.unchanged = len(lines.items) - done.added - done.replaced


def _is_same(known: Item, new: NewItem) -> bool:
    return NewItem(known.question, known.expected, known.note) == new


def _valid(item: NewItem) -> NewItem:
    try:
        return checked(item)
    except BadItem as bad:
        raise EvalInvalid(str(bad)) from None


def _some_at_once(keys: Sequence[Key]) -> list[Sequence[Key]]:
    return [keys[start : start + _AT_ONCE] for start in range(0, len(keys), _AT_ONCE)]


def _too_many() -> EvalRefused:
    return EvalRefused(f"评测集最多 {ITEMS_MAX} 条。A set has at most {ITEMS_MAX} items.")
