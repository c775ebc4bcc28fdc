"""Texts to dense vectors: by an endpoint of a vendor, or by a model on this machine."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from servicekit.errors import UpstreamError

EmbedderKind = Literal["lexical", "endpoint", "local"]


@dataclass(frozen=True, slots=True)
class Embedded:
    """One vector for each text, in order.

    `cut` has the positions of texts that were longer than the model reads: their ends are not in
    their vectors. `tokens` is what the model says that it read, 0 when it does not say.
    """

    vectors: list[list[float]]
    cut: frozenset[int] = frozenset()
    tokens: int = 0


@dataclass(frozen=True, slots=True)
class Prefixes:
    """What is put before texts, as a model was trained with."""

    query: str = ""
    passage: str = ""


class Embedder(Protocol):
    """One model. Vectors of one `fingerprint` can be compared; others never.

    `size` is the length of its vectors, None until it is known.
    """

    model: str
    kind: EmbedderKind
    fingerprint: str
    size: int | None

    async def embed(self, texts: Sequence[str]) -> Embedded:
        """Of passages. Raises UpstreamError with a sentence for the user."""

    async def embed_query(self, text: str) -> list[float]:
        """Of a question that somebody is waiting for: no long tries. Raises UpstreamError."""

    @property
    def is_ready(self) -> bool:
        """Whether it could answer now, as far as is known."""

    async def warm(self) -> None:
        """What takes time before the first text; nothing is raised."""

    async def close(self) -> None: ...


def failure(why: str) -> UpstreamError:
    return UpstreamError(f"The texts could not be embedded: {why}. 文本向量化过程中出现错误。")
