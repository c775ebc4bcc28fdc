"""What the handlers need, by name."""

from typing import Annotated, Any

from fastapi import Depends, Query, Request
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError

from kb_service.context import Context
from kb_service.entities import ChunkOptions, CustomDoc, KnowledgeBase, Owner
from kb_service.errors import not_customised
from kb_service.names import shown
from kb_service.schemas import custom_docs
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


ListedKnowledgeBaseDep = Annotated[KnowledgeBase, Depends(_listed_knowledge_base)]


def owner_of(caller: Caller) -> Owner:
    return Owner(caller.client_id, caller.user_id)


def chunk_options(
    context: Context, size: int | None, overlap: int | None, zh_title_enhance: bool
) -> ChunkOptions:
    """What was asked, else what is configured. Raises RequestValidationError."""
    default = context.chunking
    options = ChunkOptions(
        default.size if size is None else size,
        default.overlap if overlap is None else overlap,
        zh_title_enhance,
    )
    if options.overlap >= options.size:
        message = "chunk_overlap must be smaller than chunk_size. 分块重叠长度必须小于分块长度。"
        place = ("body", "chunk_overlap")
        raise RequestValidationError([{"loc": place, "msg": message, "type": "less_than"}])
    return options


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
