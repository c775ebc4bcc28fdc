"""What the handlers need, by name."""

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import Depends, Form, Path, Query, Request
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError

from kb_service.context import Context
from kb_service.entities import ChunkOptions, CustomDoc, InvalidOptions, KnowledgeBase, Owner
from kb_service.errors import not_customised
from kb_service.names import shown
from kb_service.schemas import custom_docs
from kb_service.split_schemas import SplitBody, SplitterName
from servicekit.errors import ServiceError
from servicekit.identity import Caller, require_scope


async def _context(request: Request) -> Context:
    context: Context = request.app.state.context
    return context


ContextDep = Annotated[Context, Depends(_context)]
ReaderDep = Annotated[Caller, require_scope("kb:read")]
WriterDep = Annotated[Caller, require_scope("kb:write")]


async def _listed_knowledge_base(
    context: ContextDep,
    caller: ReaderDep,
    knowledge_base_name: Annotated[str, Query(max_length=1_000)],
) -> KnowledgeBase:
    try:
        return context.library.readable(knowledge_base_name, caller)
    except ServiceError as error:
        error.data = []  # where the answer is a list, the old wire's refusal has one too
        raise


KnowledgeBaseName = Annotated[str, Path(max_length=1_000)]
FileName = Annotated[str, Path(max_length=1_000)]
RowId = Annotated[int, Path(ge=1, lt=2**63)]
PageNumber = Annotated[int, Query(ge=1, le=1_000_000)]
PageSize = Annotated[int, Query(ge=1, le=200)]


async def _writable_knowledge_base(
    kb_name: KnowledgeBaseName, context: ContextDep, caller: WriterDep
) -> KnowledgeBase:
    return context.library.writable(kb_name, caller)


async def _split_form(
    splitter: Annotated[SplitterName | None, Form()] = None,
    chunk_size: Annotated[int | None, Form(ge=1, le=10_000)] = None,
    chunk_overlap: Annotated[int | None, Form(ge=0, le=10_000)] = None,
    zh_title_enhance: Annotated[bool | None, Form()] = None,
    heading_prefix: Annotated[bool | None, Form()] = None,
    window: Annotated[int | None, Form(ge=1, le=10)] = None,
    parent_size: Annotated[int | None, Form(ge=2, le=20_000)] = None,
    header_row: Annotated[bool | None, Form()] = None,
    ocr: Annotated[bool, Form()] = True,
    ocr_pages_max: Annotated[int, Form(ge=0, le=10_000)] = 50,
) -> SplitBody:
    return SplitBody(
        splitter=splitter,
        chunk_size=chunk_size,
        chunk_overlap=chunk_overlap,
        zh_title_enhance=zh_title_enhance,
        heading_prefix=heading_prefix,
        window=window,
        parent_size=parent_size,
        header_row=header_row,
        ocr=ocr,
        ocr_pages_max=ocr_pages_max,
    )


SplitFormDep = Annotated[SplitBody, Depends(_split_form)]
WritableKbDep = Annotated[KnowledgeBase, Depends(_writable_knowledge_base)]
ListedKnowledgeBaseDep = Annotated[KnowledgeBase, Depends(_listed_knowledge_base)]


def owner_of(caller: Caller) -> Owner:
    return Owner(caller.client_id, caller.user_id)


def chunking_of(context: Context, kb: KnowledgeBase | None) -> ChunkOptions:
    return (kb and kb.chunking) or context.chunking


def chunk_options(default: ChunkOptions, asked: Mapping[str, Any]) -> ChunkOptions:
    """What was asked, and the rest by default. Raises RequestValidationError."""
    values = {**default.to_json(), **asked}
    if values["overlap"] >= values["size"]:
        message = "chunk_overlap must be smaller than chunk_size. 分块重叠长度必须小于分块长度。"
        place = ("body", "chunk_overlap")
        raise RequestValidationError([{"loc": place, "msg": message, "type": "less_than"}])
    try:
        return ChunkOptions.from_json(values)
    except InvalidOptions as error:
        wrong = {"loc": ("body",), "msg": str(error), "type": "value_error"}
        raise RequestValidationError([wrong]) from None


def wire_chunking(
    context: Context, kb: KnowledgeBase | None, size: int | None, overlap: int | None, zh: bool
) -> ChunkOptions:
    """As the old wire asks, which knows no splitters. Raises RequestValidationError."""
    asked = {"size": size, "overlap": overlap, "zh_title_enhance": zh or None}
    given = {name: value for name, value in asked.items() if value is not None}
    return chunk_options(chunking_of(context, kb), given)


def given_docs(docs: dict[str, Any]) -> tuple[dict[str, list[CustomDoc]], dict[str, str]]:
    """Passages that users cut themselves, and for the malformed ones the reason."""
    good: dict[str, list[CustomDoc]] = {}
    bad: dict[str, str] = {}
    for name, value in docs.items():
        try:
            good[name] = custom_docs(value)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"]))
            bad[shown(name)] = str(not_customised(shown(name), f"{where} {first['msg']}".strip()))
    return good, bad
