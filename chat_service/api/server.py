"""The server routes of the old wire."""

from typing import Annotated

from fastapi import APIRouter

from chat_service.api.dependencies import (
    PromptsDep,
    ServerAddress,
    VendorsDep,
    WebSearchDep,
    kept,
    may_chat,
)
from chat_service.prompt_registry import Prompts
from chat_service.schemas import PromptRequest, SearchEngines, ServerConfigs
from servicekit.errors import EnvelopeRoute, NotFound

router = APIRouter(route_class=EnvelopeRoute, dependencies=[may_chat])
ChunkingDep = Annotated[tuple[int, int], kept("chunking")]


@router.post("/server/configs", tags=["server"], summary="Values that clients may want to show")
async def server_configs(
    vendors: VendorsDep,
    search: WebSearchDep,
    prompts: PromptsDep,
    address: ServerAddress,
    chunking: ChunkingDep,
) -> ServerConfigs:
    chunk_size, overlap = chunking
    return ServerConfigs(
        api_address=address,
        LLM_MODELS=[vendors.default.name],
        CHUNK_SIZE=chunk_size,
        OVERLAP_SIZE=overlap,
        DEFAULT_SEARCH_ENGINE=search.default,
        PROMPT_TEMPLATES=_templates(prompts),
    )


@router.post(
    "/server/list_search_engines", tags=["server"], summary="Names for /chat/search_engine_chat"
)
async def list_search_engines(search: WebSearchDep) -> SearchEngines:
    return SearchEngines(data=search.names)


@router.post(
    "/server/get_prompt_template", tags=["server"], summary="A prompt template by type and name"
)
async def get_prompt_template(body: PromptRequest, prompts: PromptsDep) -> str:
    found = prompts.find(body.type, body.name)
    if found is None:
        raise NotFound(f"未找到提示词模板 {body.type}.{body.name}")
    return found.text


def _templates(prompts: Prompts) -> dict[str, dict[str, str]]:
    templates: dict[str, dict[str, str]] = {}
    for template in prompts.listed():
        if template.kind != "completion":  # the old server showed it nowhere
            templates.setdefault(template.kind, {})[template.name] = template.text
    return templates
