"""What is known: the caller's knowledge bases, and the web."""

import logging

from pydantic import BaseModel, Field

from chat_service.agent.entities import Tool, ToolFailed
from chat_service.clients import KbClient
from chat_service.errors import SearchFailed
from chat_service.web_search.choice import WebSearch
from servicekit.errors import ServiceError

_MOST_BASES = 30
_LONGEST_NAME = 50
_EXCERPT = 1_200
_HITS = 4

logger = logging.getLogger(__name__)


class _KnowledgeQuestion(BaseModel):
    knowledge_base: str = Field(max_length=200, description="Name of one of the knowledge bases")
    query: str = Field(min_length=1, max_length=500, description="A complete question")


class _WebQuestion(BaseModel):
    query: str = Field(min_length=1, max_length=300, description="Words to search the web for")


async def knowledge(kb: KbClient, *, caller: str) -> Tool | None:
    """With the rights of the caller; None when there is nothing that the caller may search."""
    try:
        listed = await kb.listed(caller=caller)
    except ServiceError:  # also without the right to read any
        return None
    names = {base.name: base.title for base in listed[:_MOST_BASES]}
    if not names:
        return None

    async def run(knowledge_base: str, query: str) -> str:
        if knowledge_base not in names:
            raise ToolFailed(f"no such knowledge base 没有这个知识库; {', '.join(names)}")
        try:
            passages = await kb.search(
                knowledge_base, caller=caller, query=query, top_k=_HITS, score_threshold=1
            )
        except ServiceError as error:
            raise ToolFailed(str(error)) from None
        found = [f"{passage.file_name}\n{passage.content[:_EXCERPT]}" for passage in passages]
        return "\n\n".join(found) or "未找到相关文档 nothing found"

    shown = "; ".join(f"{name} ({title[:_LONGEST_NAME]})" for name, title in names.items())
    return Tool(
        name="search_knowledge",
        label="知识库查询工具",
        description=f"Searches the company's documents. Knowledge bases: {shown}",
        arguments=_KnowledgeQuestion,
        run=run,
        reads_private=True,
    )


def web_search(search: WebSearch) -> Tool:
    async def run(query: str) -> str:
        try:
            found = await search.search(search.default, query, limit=_HITS)
        except ServiceError as error:
            logger.warning("%s", error.detail if isinstance(error, SearchFailed) else error)
            raise ToolFailed(str(error)) from None
        pages = [f"{page.title}\n{page.url}\n{page.snippet[:_EXCERPT]}" for page in found]
        return "\n\n".join(pages) or "未找到相关网页 nothing found"

    return Tool(
        name="search_internet",
        label="互联网查询工具",
        description="Searches the web.",
        arguments=_WebQuestion,
        run=run,
        sends_out=True,
    )
