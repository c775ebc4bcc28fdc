"""How files are cut, on the wire of the management surface."""

from dataclasses import asdict
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from kb_service.entities import ChunkOptions, ParseOptions, SplitPreview

SplitterName = Literal[
    "recursive", "markdown", "fixed", "sentence_window", "table", "parent_child", "qa"
]
_OPTION_NAMES = {"chunk_size": "size", "chunk_overlap": "overlap"}


class ChunkingItem(BaseModel):
    """How files are cut; what is null or left out is not said."""

    splitter: SplitterName | None = None
    chunk_size: Annotated[int | None, Field(ge=1, le=10_000)] = None
    chunk_overlap: Annotated[int | None, Field(ge=0, le=10_000)] = None
    zh_title_enhance: bool | None = None
    heading_prefix: bool | None = None
    window: Annotated[int | None, Field(ge=1, le=10)] = None
    parent_size: Annotated[int | None, Field(ge=2, le=20_000)] = None
    header_row: bool | None = None

    def asked(self) -> dict[str, Any]:
        """By the names of the options."""
        given = self.model_dump(include=set(ChunkingItem.model_fields), exclude_none=True)
        return {_OPTION_NAMES.get(name, name): value for name, value in given.items()}

    @classmethod
    def of(cls, options: ChunkOptions) -> "ChunkingItem":
        values = options.to_json()
        return cls(chunk_size=values.pop("size"), chunk_overlap=values.pop("overlap"), **values)


class SplitBody(ChunkingItem):
    """How one file is read and cut."""

    ocr: bool = True
    ocr_pages_max: Annotated[int, Field(ge=0, le=10_000)] = 50

    def parsing(self) -> ParseOptions:
        return ParseOptions(self.ocr, self.ocr_pages_max)


class RecutBody(SplitBody):
    """What users made of its chunks is kept unless it shall go."""

    discard_edits: bool = False


class PreviewBody(SplitBody):
    """How many of the chunks are shown; few pages are read by OCR meanwhile."""

    ocr_pages_max: Annotated[int, Field(ge=0, le=10_000)] = 3
    first: Annotated[int, Field(ge=1, le=200)] = 20


class PreviewedChunk(BaseModel):
    """`context` is the text for the answer, where that is another one."""

    content: str
    context: str | None
    metadata: dict[str, Any]


class Preview(BaseModel):
    """The first chunks, and how many and how long (in characters) all of them are."""

    chunks: list[PreviewedChunk]
    total: int
    characters: int
    shortest: int
    median: int
    longest: int
    loader: str
    splitter: str
    notes: list[str]
    chunking: ChunkingItem

    @classmethod
    def of(cls, preview: SplitPreview, options: ChunkOptions) -> "Preview":
        return cls(**asdict(preview), chunking=ChunkingItem.of(options))
