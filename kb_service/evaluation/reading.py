"""Items from tables and JSON lines: tolerant about names, strict about sense."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from kb_service.evaluation_entities import Expectation, NewItem
from kb_service.loaders import FORMATS
from kb_service.names import extension_of
from kb_service.question_keys import same_question

LONGEST_QUESTION, LONGEST_TEXT, LONGEST_NAME, LONGEST_NOTE = 4_096, 10_000, 255, 2_000
TARGETS_MAX = 20
Record = tuple[int, Mapping[str, Any] | None]
_COLUMNS = {
    "id": ("_id", "id", "query-id", "query_id", "qid", "编号"),
    "question": ("question", "query", "text", "q", "问题", "提问", "问"),
    "files": ("file", "files", "file_name", "filename", "文件", "文件名"),
    "passages": (
        *("passage", "passages", "positive_passages", "context", "contexts"),
        *("段落", "原文", "片段"),
    ),
    # A file where it is called like one that can be uploaded, else a passage.
    "either": (
        *("doc", "docs", "document", "documents", "source", "positive", "positives", "pos"),
        *("文档", "来源"),
    ),
    "answer": ("answer", "answers", "a", "答案", "回答", "答"),
    "refuses": ("refuse", "refuses", "refusal", "unanswerable", "应拒答", "拒答", "无答案"),
    "note": ("note", "notes", "comment", "备注", "说明"),
}
_BY_NAME = {name: field for field, names in _COLUMNS.items() for name in names}
_QRELS = {
    "query": ("query-id", "query_id", "qid", "query"),
    "doc": ("corpus-id", "corpus_id", "doc-id", "doc_id", "docid", "doc"),
    "score": ("score", "relevance", "rel", "label"),
}
_YES = {"1", "1.0", "true", "yes", "y", "是", "√"}
_NO = {"", "0", "0.0", "false", "no", "n", "否"}
_GUARD = ("'=", "'+", "'-", "'@", "'\t", "'\r")  # what an export puts before a formula


class BadItem(ValueError):
    """Why a line is not taken, in the words of a sentence to its user."""


@dataclass(slots=True)
class Lines:
    """What was read: each question once, with the line that it was first in."""

    items: dict[str, tuple[int, NewItem]] = field(default_factory=dict)
    bad: list[tuple[int, str]] = field(default_factory=list)

    def add(self, number: int, item: NewItem) -> None:
        """Lines of the same question are one item with all their expectations."""
        key = same_question(item.question)
        first, known = self.items.get(key, (number, None))
        self.items[key] = first, merged(known, item) if known else item


def read_items(records: Iterable[Record], relevant: Mapping[str, Expectation] | None) -> Lines:
    """`relevant` has, by the ids of queries, what should be found for each."""
    lines = Lines()
    for number, values in records:
        try:
            lines.add(number, _item(values, relevant))
        except BadItem as bad:
            lines.bad.append((number, str(bad)))
    return lines


def checked(item: NewItem) -> NewItem:
    """Raises BadItem for what contradicts itself or is too long."""
    expected = item.expected
    if not item.question:
        raise BadItem("没有问题。It has no question.")
    texts = (item.question, item.note, expected.answer, *expected.files, *expected.passages)
    if any("\0" in text for text in texts):
        raise BadItem("含有无法保存的字符。It has characters that cannot be stored.")
    if expected.refuses and expected.targets:
        raise BadItem(
            "不应检索到内容的问题不能有期望的文件或段落。"
            "A question that must find nothing cannot have an expected file or passage."
        )
    _check_length("问题", "question", LONGEST_QUESTION, [item.question])
    _check_length("文件名", "file name", LONGEST_NAME, expected.files)
    _check_length("段落", "passage", LONGEST_TEXT, expected.passages)
    _check_length("答案", "answer", LONGEST_TEXT, [expected.answer])
    _check_length("备注", "note", LONGEST_NOTE, [item.note])
    if max(len(expected.files), len(expected.passages)) > TARGETS_MAX:
        raise BadItem(
            f"期望的文件或段落超过 {TARGETS_MAX} 个。"
            f"More than {TARGETS_MAX} expected files or passages."
        )
    return item


def merged(known: NewItem, item: NewItem) -> NewItem:
    """Raises BadItem when they contradict each other."""
    before, after = known.expected, item.expected
    expected = Expectation(
        files=_distinct((*before.files, *after.files)),
        passages=_distinct((*before.passages, *after.passages)),
        answer=before.answer or after.answer,
        refuses=before.refuses or after.refuses,
    )
    return checked(replace(known, expected=expected, note=known.note or item.note))


def has_questions(records: Iterable[Record]) -> bool:
    return any(
        _BY_NAME.get(name.strip().casefold()) == "question"
        for _, values in records
        for name in values or ()
    )


def read_relevance(
    records: Iterable[Record], corpus: Mapping[str, str] | None
) -> dict[str, Expectation]:
    """What BEIR's qrels say, by query; a document is its text when the corpus has it, else a file.

    Documents with a score of 0 or less are not relevant.
    """
    found: dict[str, Expectation] = {}
    for _, values in records:
        query, doc, score = (_text(_named(values or {}, name)) for name in _QRELS)
        if not query or not doc or not _is_relevant(score):
            continue
        known = found.get(query, Expectation())
        if corpus is not None and doc in corpus:
            known = replace(known, passages=_distinct((*known.passages, corpus[doc])))
        else:
            known = replace(known, files=_distinct((*known.files, doc)))
        found[query] = known
    return found


def read_corpus(records: Iterable[Record]) -> dict[str, str]:
    """Texts of BEIR's corpus by their ids; a title stands before its text."""
    corpus = {}
    for _, values in records:
        known = {name.strip().casefold(): value for name, value in (values or {}).items()}
        number = _text(known.get("_id", known.get("id")))
        text = "\n".join(filter(None, (_text(known.get("title")), _text(known.get("text")))))
        if number and text:
            corpus[number] = text
    return corpus


def _item(values: Mapping[str, Any] | None, relevant: Mapping[str, Expectation] | None) -> NewItem:
    if values is None:
        raise BadItem("此行不是 JSON 对象。The line is not a JSON object.")
    fields = _fields(values)
    either = _texts(fields.get("either"))
    files = [text for text in either if extension_of(text) in FORMATS]
    expected = Expectation(
        files=_distinct((*_texts(fields.get("files")), *files)),
        passages=_distinct(
            (*_texts(fields.get("passages")), *(t for t in either if t not in files))
        ),
        answer="\n".join(_texts(fields.get("answer"))),
        refuses=_is_yes(fields.get("refuses", "")),
    )
    question = _text(fields.get("question"))
    item = checked(NewItem(question, expected, _text(fields.get("note"))))
    more = relevant.get(_text(fields.get("id"))) if relevant else None
    return merged(item, NewItem(question, more)) if more else item


def _fields(values: Mapping[str, Any]) -> dict[str, Any]:
    """By our names; where several columns mean the same, the first that has a value."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        ours = _BY_NAME.get(name.strip().casefold())
        if ours and value not in (None, "", []):
            found.setdefault(ours, value)
    return found


def _named(values: Mapping[str, Any], meaning: str) -> Any:
    return next((v for k, v in values.items() if k.strip().casefold() in _QRELS[meaning]), None)


def _texts(value: Any) -> tuple[str, ...]:
    """A text, several, or objects that have one: {"text": ...}, {"docid": ..., "text": ...}."""
    listed: Sequence[Any] = value if isinstance(value, list) else [value]
    return _distinct(_text(one.get("text") if isinstance(one, dict) else one) for one in listed)


def _text(value: Any) -> str:
    if not isinstance(value, str | int | float) or isinstance(value, bool):
        return ""
    text = str(value).strip()
    return text[1:] if text.startswith(_GUARD) else text


def _is_yes(value: Any) -> bool:
    plain = str(value).casefold() if isinstance(value, bool) else _text(value).casefold()
    if plain not in _YES | _NO:
        raise BadItem("“应拒答”只能是 true 或 false。Refuse must be true or false.")
    return plain in _YES


def _is_relevant(score: str) -> bool:
    try:
        return not score or float(score) > 0
    except ValueError:
        return False


def _distinct(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(text for text in texts if text))


def _check_length(zh: str, en: str, most: int, texts: Iterable[str]) -> None:
    if any(len(text) > most for text in texts):
        raise BadItem(f"{zh}超过 {most} 字。The {en} has more than {most} characters.")
