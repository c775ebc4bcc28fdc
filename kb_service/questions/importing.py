"""Recommended questions from a table: each line is taken, or has its reason."""

import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal

from anyio import to_thread

from kb_service.entities import NewQuestion
from kb_service.errors import NotImported
from kb_service.loaders import LoadFault
from kb_service.names import extension_of, shown
from kb_service.parsers import ParserPool
from kb_service.question_keys import LONGEST
from kb_service.questions import Questions
from servicekit.identity import Caller

FORMATS = (".csv", ".xlsx", ".jsonl")
LONGEST_ANSWER = 4_000
_BYTES_MAX, _LINES_MAX = 10 << 20, 5_000
_COLUMNS = {
    "query": ("question", "query", "q", "问题", "推荐问题", "提问", "问"),
    "answer": ("answer", "a", "答案", "回答", "答"),
    "enable": ("enabled", "enable", "启用", "是否启用"),
}
_YES = {"", "1", "1.0", "true", "yes", "y", "on", "是", "启用"}
_NO = {"0", "0.0", "false", "no", "n", "off", "否", "停用", "禁用"}

Outcome = Literal["added", "duplicate", "invalid"]


@dataclass(frozen=True, slots=True)
class Line:
    """What became of a line; `reason` says why it is invalid."""

    number: int
    query: str
    outcome: Outcome
    reason: str = ""


class BadLine(ValueError):
    """Why a line is not taken, in the words of a sentence to its user."""


class QuestionImport:
    """Reads the table in a parser process, as any file from outside."""

    def __init__(self, questions: Questions, parsers: ParserPool) -> None:
        self._questions, self._parsers = questions, parsers

    async def run(
        self, caller: Caller, name: str, file: BinaryIO, kb_name: str | None
    ) -> list[Line]:
        """Raises NotImported, NoSuchKnowledgeBase or OutOfReach."""
        self._questions.place(caller, kb_name)  # before anything is read
        extension = extension_of(name)
        if extension not in FORMATS:
            raise NotImported(
                f"只支持 {' '.join(FORMATS)} 文件。Only {' '.join(FORMATS)} can be imported."
            )
        records = await self._read(file, extension)
        lines: list[Line] = []
        taken: list[tuple[int, NewQuestion]] = []
        for number, values in records:
            try:
                taken.append((number, question_of(values, kb_name)))
            except BadLine as bad:
                query = _value(values or {}, "query")
                lines.append(Line(number, shown(query), "invalid", str(bad)))
        added = await self._questions.add_all(caller, [one for _, one in taken], kb_name)
        for (number, one), is_new in zip(taken, added, strict=True):
            lines.append(Line(number, one.query, "added" if is_new else "duplicate"))
        return sorted(lines, key=lambda line: line.number)

    async def _read(
        self, file: BinaryIO, extension: str
    ) -> Sequence[tuple[int, dict[str, Any] | None]]:
        folder = Path(await to_thread.run_sync(tempfile.mkdtemp))
        try:
            path = folder / "table"
            if await to_thread.run_sync(_save, file, path) > _BYTES_MAX:
                raise NotImported("文件超过 10 MB。The file is larger than 10 MB.")
            records = await self._parsers.records(path, extension, _LINES_MAX)
        except LoadFault as fault:
            raise NotImported(str(fault)) from None
        finally:
            await to_thread.run_sync(shutil.rmtree, folder)
        if records and not any(_has(values or {}, "query") for _, values in records):
            raise NotImported(
                "缺少名为 question 或 问题 的列。There is no column named question or 问题."
            )
        return records


def question_of(values: Mapping[str, Any] | None, kb_name: str | None) -> NewQuestion:
    """A line by the names of its columns. Raises BadLine."""
    if values is None:
        raise BadLine("此行不是 JSON 对象。The line is not a JSON object.")
    query, answer = _value(values, "query"), _value(values, "answer")
    if not query:
        raise BadLine("没有问题。It has no question.")
    if len(query) > LONGEST:
        raise BadLine(f"问题超过 {LONGEST} 字。The question has more than {LONGEST} characters.")
    if len(answer) > LONGEST_ANSWER:
        raise BadLine(
            f"答案超过 {LONGEST_ANSWER} 字。The answer has more than {LONGEST_ANSWER} characters."
        )
    if "\0" in query + answer:
        raise BadLine("含有无法保存的字符。It has characters that cannot be stored.")
    enable = _value(values, "enable").casefold()
    if enable not in _YES | _NO:
        raise BadLine("“启用”只能是 true 或 false。Enabled must be true or false.")
    return NewQuestion(query, kb_name, answer or None, enable in _YES)


def _has(values: Mapping[str, Any], column: str) -> bool:
    return any(name.strip().casefold() in _COLUMNS[column] for name in values)


def _value(values: Mapping[str, Any], column: str) -> str:
    for name, value in values.items():
        if name.strip().casefold() in _COLUMNS[column] and isinstance(value, str | int | float):
            return str(value).strip()
    return ""


def _save(file: BinaryIO, path: Path) -> int:
    with path.open("wb") as target:
        shutil.copyfileobj(file, target, 1 << 20)
    return path.stat().st_size
