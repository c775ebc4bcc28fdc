"""What is on the wire about embedding models: of ours, and as OpenAI's clients know it."""

import struct
from base64 import b64encode
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from kb_service.embeddings import Embedded, EmbedderKind
from kb_service.embeddings.available import EmbeddingModel
from kb_service.rebuild import EmbeddingState
from kb_service.schemas import ListPage

_Text = Annotated[str, Field(min_length=1, max_length=32_000)]


class EmbedderItem(BaseModel):
    """A way to index; `size` is the length of its vectors, null until it is known or without any.

    `default` is for knowledge bases that name no model of their own.
    """

    name: str
    kind: EmbedderKind
    size: int | None
    ready: bool
    default: bool

    @classmethod
    def of(cls, model: EmbeddingModel, *, default: EmbeddingModel) -> "EmbedderItem":
        embedder = model.embedder
        return cls(
            name=model.name,
            kind=model.kind,
            size=embedder.size if embedder else None,
            ready=embedder is None or embedder.is_ready,
            default=model is default,
        )


class Embedders(ListPage):
    items: list[EmbedderItem]


class EmbeddingStateBody(BaseModel):
    """While there are files to move, each answers from its old index until its new one is there.

    A model that is not available is not configured: what it indexed is found by words alone.
    """

    embed_model: str
    follows_default: bool
    available: bool
    files_to_move: int

    @classmethod
    def of(cls, state: EmbeddingState) -> "EmbeddingStateBody":
        return cls(
            embed_model=state.model,
            follows_default=state.follows_default,
            available=state.is_available,
            files_to_move=state.files_to_move,
        )


class OpenAIEmbeddingRequest(BaseModel):
    input: _Text | Annotated[list[_Text], Field(min_length=1, max_length=256)]
    model: Annotated[str, Field(max_length=255)]
    encoding_format: Literal["float", "base64"] = "float"

    @property
    def texts(self) -> list[str]:
        return [self.input] if isinstance(self.input, str) else self.input


class OpenAIEmbedding(BaseModel):
    object: Literal["embedding"] = "embedding"
    index: int
    embedding: list[float] | str


class OpenAIUsage(BaseModel):
    prompt_tokens: int
    total_tokens: int


class OpenAIEmbeddings(BaseModel):
    object: Literal["list"] = "list"
    data: list[OpenAIEmbedding]
    model: str
    usage: OpenAIUsage

    @classmethod
    def of(cls, embedded: Embedded, model: str, *, in_base64: bool) -> "OpenAIEmbeddings":
        data = [
            OpenAIEmbedding(index=number, embedding=_packed(vector) if in_base64 else vector)
            for number, vector in enumerate(embedded.vectors)
        ]
        usage = OpenAIUsage(prompt_tokens=embedded.tokens, total_tokens=embedded.tokens)
        return cls(data=data, model=model, usage=usage)


def _packed(vector: list[float]) -> str:
    """As OpenAI's own clients ask for it: little-endian 32-bit floats."""
    return b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
