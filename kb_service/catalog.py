"""What answers: the live versions of files, and the chunks of them that were edited away."""

from array import array
from collections import Counter
from collections.abc import Mapping, Set
from dataclasses import dataclass, field

import anyio

from kb_service.chunk_entities import ChunkEdit, Hidden
from kb_service.embeddings.available import LEXICAL
from kb_service.scoring import idf
from kb_service.tokens import counted

_NEAR = 20  # chunks: the widest window reaches ten sentences to each side


@dataclass(slots=True)
class _Version:
    """`place` is where an edited chunk stands: the version of its file and the position there."""

    chunks: int
    terms: "array[int]"
    counts: "array[int]"
    collection: str
    hidden: dict[str, Hidden] = field(default_factory=dict)
    place: tuple[str, int] | None = None


@dataclass(slots=True)
class _Base:
    chunks: int = 0
    frequencies: dict[int, int] = field(default_factory=dict)
    versions: dict[str, _Version] = field(default_factory=dict)
    collections: Counter[str] = field(default_factory=Counter)


class LiveCatalog:
    """Per knowledge base: which chunks are live and in how many of them a term occurs.

    Only of characters and words of spaced scripts: of the rest the engine keeps count. `flips` is
    held from a flip in the database until it is told here, so that what is told last is what
    happened last.
    """

    def __init__(self) -> None:
        self.flips = anyio.Lock()
        self._bases: dict[int, _Base] = {}
        self._numbers: dict[str, int] = {}

    def publish(
        self,
        kb_id: int,
        version: str,
        *,
        term_counts: Mapping[str, int],
        chunks: int,
        collection: str = LEXICAL,
    ) -> None:
        base = self._bases.setdefault(kb_id, _Base())
        if version in base.versions:
            return
        kept = {self._number(term): term_counts[term] for term in counted(term_counts)}
        _add(base, kept, 1, chunks)
        terms, counts = array("I", kept), array("I", kept.values())
        base.versions[version] = _Version(chunks, terms, counts, collection)
        base.collections[collection] += 1

    def withdraw(self, kb_id: int, version: str) -> None:
        base = self._bases.get(kb_id)
        gone = base.versions.pop(version, None) if base else None
        if base is None or gone is None:
            return
        base.collections[gone.collection] -= 1
        for hidden in gone.hidden.values():
            _add(base, self._counts(hidden), 1, 1)
        _add(base, dict(zip(gone.terms, gone.counts, strict=True)), -1, gone.chunks)

    def hide(self, kb_id: int, version: str, hidden: Hidden) -> None:
        """The chunk answers no more; again, to change only what stands in its place."""
        base = self._bases.get(kb_id)
        shown = base.versions.get(version) if base else None
        if base is None or shown is None:
            return
        if hidden.doc_id not in shown.hidden:
            _add(base, self._counts(hidden), -1, 1)
        shown.hidden[hidden.doc_id] = hidden

    def place(self, kb_id: int, overlay: str, version: str, position: int) -> None:
        """Where the index of an edited chunk stands, so that its neighbours are known."""
        base = self._bases.get(kb_id)
        if base and overlay in base.versions:
            base.versions[overlay].place = version, position

    def show(self, version: str, edit: ChunkEdit, hidden: Hidden | None) -> None:
        """An edit of a chunk of a file that has this version; its own index is published."""
        if hidden:
            self.hide(edit.kb_id, version, hidden)
        if edit.version:
            self.place(edit.kb_id, edit.version, version, edit.position)

    def drop(self, kb_id: int) -> None:
        self._bases.pop(kb_id, None)

    def live(self, kb_id: int) -> Set[str]:
        base = self._bases.get(kb_id)
        return base.versions.keys() if base else frozenset()

    def collections(self, kb_id: int) -> list[str]:
        """Where its live versions are."""
        base = self._bases.get(kb_id) or _Base()
        return [name for name, versions in base.collections.items() if versions]

    def answers(self, kb_id: int, version: str, doc_id: str) -> bool:
        base = self._bases.get(kb_id)
        shown = base.versions.get(version) if base else None
        return shown is not None and doc_id not in shown.hidden

    def hidden(self, kb_id: int, version: str) -> int:
        """How many of its chunks answer no more."""
        base = self._bases.get(kb_id)
        shown = base.versions.get(version) if base else None
        return len(shown.hidden) if shown else 0

    def place_of(self, kb_id: int, version: str, position: int) -> tuple[str, int]:
        """Of a chunk, edited or not, in which version of its file it stands, and where there."""
        base = self._bases.get(kb_id)
        shown = base.versions.get(version) if base else None
        return shown.place if shown and shown.place else (version, position)

    def patched(self, kb_id: int, version: str, position: int, context: str) -> str:
        """The text around a chunk, with what stands there now in the place of hidden chunks."""
        base = self._bases.get(kb_id) or _Base()
        shown = base.versions.get(version)
        if shown and shown.place:
            version, position = shown.place
            shown = base.versions.get(version)
        text = context
        for hidden in shown.hidden.values() if shown else ():
            is_near = abs(hidden.position - position) <= _NEAR and hidden.context is not None
            if is_near or hidden.context == context:
                text = text.replace(hidden.text, hidden.replacement)
        return text

    def chunks(self, kb_id: int) -> int:
        """How many there are in a knowledge base."""
        base = self._bases.get(kb_id)
        return base.chunks if base else 0

    def idf(self, kb_id: int, term: str) -> float:
        base = self._bases.get(kb_id) or _Base()
        number = self._numbers.get(term, -1)
        return idf(base.chunks, base.frequencies.get(number, 0))

    def _number(self, term: str) -> int:
        return self._numbers.setdefault(term, len(self._numbers))

    def _counts(self, hidden: Hidden) -> dict[int, int]:
        return {self._number(term): 1 for term in counted(hidden.terms)}


def _add(base: _Base, counts: Mapping[int, int], sign: int, chunks: int) -> None:
    base.chunks += sign * chunks
    for number, count in counts.items():
        total = base.frequencies.get(number, 0) + sign * count
        if total:
            base.frequencies[number] = total
        else:
            base.frequencies.pop(number, None)
