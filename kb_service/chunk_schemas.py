"""Single chunks on the wire of the management surface."""

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, Field

from kb_service.chunk_entities import Chunk, ChunkAction, ChunkPage, ChunkState, Revision
from kb_service.entities import ChunkOptions
from kb_service.schemas import ListPage, UtcTime
from kb_service.split_schemas import ChunkingItem


def _storable(text: str) -> str:
    if not text.strip():
        raise ValueError("is empty. 内容为空。")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("has half characters. 含有不完整的字符。") from None
    if "\0" in text:
        raise ValueError("has a null character. 含有空字符。")
    return text


Content = Annotated[str, Field(max_length=20_000), AfterValidator(_storable)]
GivenId = Annotated[str, Field(max_length=100)]


class ChangeChunk(BaseModel):
    """What is left out stays as it is."""

    content: Content | None = None
    enabled: bool | None = None


class AddChunk(BaseModel):
    """Behind the chunk `after`; without one at the beginning of the file."""

    content: Content
    after: GivenId | None = None


class RestoreChunk(BaseModel):
    """The number of a revision; 0 is the chunk as its file has it."""

    number: Annotated[int, Field(ge=0, lt=2**31)]


class ChunkItem(BaseModel):
    """`original` is the file's own text of an edited chunk.

    `context`, where there is one, is what its splitter gives to the answer, as the file has it.
    """

    id: str
    position: int
    content: str
    context: str | None
    metadata: dict[str, Any]
    state: ChunkState
    original: str | None

    @classmethod
    def of(cls, chunk: Chunk) -> "ChunkItem":
        return cls.model_validate(chunk, from_attributes=True)


class ChunkItems(ListPage):
    """One page, and how the file is cut."""

    items: list[ChunkItem]
    chunking: ChunkingItem | None

    @classmethod
    def of(
        cls, found: ChunkPage, options: ChunkOptions | None, *, page: int, page_size: int
    ) -> "ChunkItems":
        return cls(
            items=[ChunkItem.of(chunk) for chunk in found.chunks],
            total=found.total,
            page=page,
            page_size=page_size,
            chunking=ChunkingItem.of(options) if options else None,
        )


class RevisionItem(BaseModel):
    """One change: who made it, when, and the text before and after."""

    number: int
    action: ChunkAction
    before: str | None
    after: str
    enabled: bool
    client_id: str
    user_id: str
    time: UtcTime

    @classmethod
    def of(cls, revision: Revision) -> "RevisionItem":
        return cls(
            number=revision.number,
            action=revision.action,
            before=revision.before,
            after=revision.after,
            enabled=revision.is_enabled,
            client_id=revision.author.client_id,
            user_id=revision.author.user_id,
            time=revision.time,
        )


class Revisions(BaseModel):
    """The first first."""

    items: list[RevisionItem]
