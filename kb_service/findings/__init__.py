"""What a search found, before it becomes passages for an answer."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from kb_service.folding import folded
from kb_service.vectors import Hit


@dataclass(frozen=True, slots=True)
class Found:
    """A live hit, the text that is given for it, and its place in which version of its file."""

    hit: Hit
    text: str
    file_version: str
    position: int

    @property
    def has_context(self) -> bool:
        return bool(self.hit.payload.get("context"))

    @property
    def is_edited(self) -> bool:
        return self.hit.version != self.file_version

    @property
    def chunk_id(self) -> str:
        chunk_id: str = self.hit.payload["chunk_id"]
        return chunk_id


@dataclass(frozen=True, slots=True)
class Finding:
    """A text with the chunks that led to it, the best first.

    Distances are from 0 to 2, lower is better; `relevance` is a reranker's, higher is better.
    """

    chunks: Sequence[Found]
    by_words: float
    by_meaning: float | None
    relevance: float | None = None

    @property
    def text(self) -> str:
        return self.chunks[0].text

    @property
    def score(self) -> float:
        return self.by_words if self.by_meaning is None else min(self.by_words, self.by_meaning)

    @property
    def pages(self) -> Iterator[int]:
        if isinstance(page := self.metadata.get("page"), int):
            yield page

    @property
    def file_name(self) -> str:
        name: str = self.chunks[0].hit.payload["file_name"]
        return name

    @property
    def metadata(self) -> dict[str, Any]:
        metadata: dict[str, Any] = self.chunks[0].hit.payload["metadata"]
        return metadata


def by_answer(found: Iterable[Found]) -> list[list[Found]]:
    """Chunks with the same text for the answer together, and with one that is in its context."""
    answers: dict[str, list[Found]] = {}
    contexts: dict[str, list[str]] = {}
    for one in found:
        text = one.text
        if one.has_context and text not in answers:
            known = contexts.setdefault(one.file_version, [])
            content = one.hit.payload["content"]
            if wider := next((context for context in known if content in context), None):
                text = wider
            else:
                known.append(text)
        answers.setdefault(text, []).append(one)
    return list(answers.values())


def without_copies(findings: Iterable[Finding]) -> list[Finding]:
    """Without those that say nothing that a better one has not said, in whatever file.

    Only spaces, marks and forms of characters may differ: a number that does is a difference.
    """
    kept: list[Finding] = []
    said: list[str] = []
    for finding in findings:
        words = "".join(filter(str.isalnum, folded(finding.text)))
        if not any(words in other for other in said):
            kept.append(finding)
            said.append(words)
    return kept
