"""The stream formats of the old wire: bare JSON objects, whole objects in every write.

The published client parses every network read alone and splits merged objects at `}{`, so that pair
never occurs inside a string, and objects stay small enough to arrive in one piece.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import quote, urlencode

from chat_service.images import defused
from chat_service.places import place_of
from servicekit.errors import ServiceError

NO_DOCS = "<span style='color:red'>未找到相关文档,该回答为大模型自身能力解答！</span>"
_DOCS_BYTES = 8 * 1024 - 1
_WRITE_BYTES = 4 * 1024
_PIECE_CHARS = 1000  # at most six bytes each once escaped
_ELLIPSIS = "…"
_MARKS, _ESCAPED = re.compile(r"[\\`*_\[\]<>!]"), r"\\\g<0>"
_ENCODE = json.JSONEncoder(ensure_ascii=False).encode


class Source(Protocol):
    """What the document list names and quotes; `reference` is a link in markdown.

    `place` is where in the document that is, a line of its own before the quotation.
    """

    @property
    def reference(self) -> str: ...
    @property
    def place(self) -> str: ...
    @property
    def content(self) -> str: ...


class Reader(Protocol):
    """Whoever reads the answer; None for `docs` when nothing could be searched.

    `unanswered` is what went wrong before any text; a reader that raises it hears no more.
    """

    async def text(self, tokens: list[str]) -> None: ...
    async def docs(self, citations: Sequence[Source] | None) -> None: ...
    async def unanswered(self, failure: ServiceError) -> None: ...


class AgentReader(Protocol):
    """Whoever reads what an agent says and does; `final` is its answer once more, at the end."""

    async def text(self, tokens: list[str]) -> None: ...
    async def tool(self, lines: list[str]) -> None: ...
    async def final(self, answer: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Citation:
    """One retrieved passage as the document list shows it.

    Of a web page people want the page, not our copy of it.
    """

    knowledge_base: str
    file_name: str
    content: str
    metadata: Mapping[str, Any] = field(default_factory=dict)

    @property
    def reference(self) -> str:
        url = str(self.metadata.get("url", ""))
        if url.startswith(("http://", "https://")):
            title = " ".join(str(self.metadata.get("page_title", "")).split())
            return f"[{_MARKS.sub(_ESCAPED, title) or self.file_name}]({_quoted(url)})"
        query = urlencode({"knowledge_base_name": self.knowledge_base, "file_name": self.file_name})
        return f"[{defused(self.file_name)}](/api/knowledge_base/download_doc?{query})"

    @property
    def place(self) -> str:
        return place_of(self.metadata, self.content)


@dataclass(frozen=True, slots=True)
class WebPage:
    """One web page that a search engine found; nothing in its URL ends the link."""

    url: str
    content: str
    place: str = ""

    @property
    def reference(self) -> str:
        url = _quoted(self.url)
        return f"[{url}]({url})"


@dataclass(frozen=True, slots=True)
class Format:
    """How one mode writes: its key, and what follows the text in every object."""

    key: bytes
    tail: bytes = b"}"
    with_docs: bool = False
    with_final: bool = False

    @classmethod
    def llm(cls, turn_id: str) -> "Format":
        return cls(b"text", b', "chat_history_id": ' + dump(turn_id) + b"}")

    @classmethod
    def with_sources(cls) -> "Format":
        """Of a knowledge base or of the web."""
        return cls(b"answer", with_docs=True)

    @classmethod
    def agent(cls) -> "Format":
        return cls(b"answer", with_final=True)

    @property
    def keep_alive(self) -> bytes:
        """Clients drop an empty text, and every proxy sees that the stream lives."""
        return b'{"%s": ""}' % self.key

    def text(self, tokens: Iterable[str]) -> Iterator[bytes]:
        """Writes for tokens that are ready together: whole objects, merged up to a few KiB."""
        write = b""
        for token in tokens:
            for start in range(0, len(token), _PIECE_CHARS):
                piece = b'{"%s": %s%s' % (
                    self.key,
                    dump(token[start : start + _PIECE_CHARS]),
                    self.tail,
                )
                if write and len(write) + len(piece) > _WRITE_BYTES:
                    yield write
                    write = b""
                write += piece
        if write:
            yield write

    def whole(self, text: str, docs: Sequence[str], final: str) -> bytes:
        """The one object of `stream=false`."""
        tail = b', "docs": ' + dump(list(docs)) + b"}" if self.with_docs else self.tail
        if self.with_final:
            tail = b', "final_answer": ' + dump(final) + b"}"
        return b'{"%s": %s%s' % (self.key, dump(text), tail)


class RawText:
    """The modes that stream the text itself, without any JSON."""

    keep_alive = b""

    def text(self, tokens: Iterable[str]) -> Iterator[bytes]:
        yield "".join(tokens).encode("utf-8", "replace")

    def whole(self, text: str, docs: Sequence[str], final: str) -> bytes:
        return text.encode("utf-8", "replace")


def tool_chunk(lines: list[str]) -> bytes:
    """What an agent did with a tool."""
    return b'{"tools": ' + dump(lines) + b"}"


def final_chunk(answer: str) -> bytes:
    """The last object of an agent's stream."""
    return b'{"final_answer": ' + dump(answer) + b"}"


def docs_chunk(citations: Sequence[Source] | None) -> bytes:
    """The last object of a stream with sources, passages trimmed so that it stays small."""
    chunk = _docs(document_list(citations))
    if not citations or len(chunk) <= _DOCS_BYTES:
        return chunk
    fits, too_long = -1, max(len(citation.content) for citation in citations)
    while too_long - fits > 1:
        middle = (fits + too_long) // 2
        if len(_docs(document_list(citations, passage=middle))) <= _DOCS_BYTES:
            fits = middle
        else:
            too_long = middle
    docs = document_list(citations, passage=max(fits, 0))
    while len(_docs(docs)) > _DOCS_BYTES:  # file names alone can be too long together
        docs = [*docs[:-2], _ELLIPSIS]
    return _docs(docs)


def document_list(citations: Sequence[Source] | None, *, passage: int | None = None) -> list[str]:
    """The lines that name and quote the sources; `passage` is the longest quotation.

    None means that nothing was searched, which is not the same as that nothing was found.
    """
    if citations is None:
        return []
    if not citations:
        return [NO_DOCS]
    return [_line(n, citation, passage) for n, citation in enumerate(citations, 1)]


def dump(value: Any) -> bytes:
    """JSON as Python writes it by default, but with non-ASCII raw and never with `}{`."""
    return _ENCODE(value).replace("}{", "}\\u007b").encode("utf-8", "replace")


def _docs(docs: list[str]) -> bytes:
    return b'{"docs": ' + dump(docs) + b"}"


def _line(number: int, citation: Source, passage: int | None) -> str:
    content = citation.content
    if passage is not None and len(content) > passage:
        content = content[:passage] + _ELLIPSIS
    place = f"{citation.place}\n\n" if citation.place else ""
    return f"出处 [{number}] {citation.reference} \n\n{place}{content}\n\n"


def _quoted(url: str) -> str:
    return quote(url, safe="%/:?#@!$&'*+,;=~")
