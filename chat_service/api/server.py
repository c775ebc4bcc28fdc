"""The model and server routes of the old wire."""

from fastapi import APIRouter, Request

from chat_service import prompts
from chat_service.api.dependencies import VendorsDep, WebSearchDep, may_chat
from chat_service.schemas import (
    ModelConfig,
    ModelConfigRequest,
    ModelConfigs,
    OneModelConfig,
    PromptRequest,
    RunningModelsRequest,
    SearchEngines,
    ServerConfigs,
)
from chat_service.vendors import Vendor, Vendors
from servicekit.errors import EnvelopeRoute, NotFound

router = APIRouter(route_class=EnvelopeRoute, dependencies=[may_chat])


@router.post("/llm_model/list_config_models", tags=["models"], summary="Every model we know")
async def list_config_models(vendors: VendorsDep) -> ModelConfigs:
    known = vendors.known.values()
    return ModelConfigs(data={v.name: _shown(v, vendors) for v in known if v.online})


@router.post("/llm_model/list_running_models", tags=["models"], summary="Models that can answer")
async def list_running_models(
    vendors: VendorsDep, _: RunningModelsRequest | None = None
) -> ModelConfigs:
    return ModelConfigs(data={v.name: _shown(v, vendors) for v in vendors.usable.values()})


@router.post("/llm_model/get_model_config", tags=["models"], summary="One model")
async def get_model_config(body: ModelConfigRequest, vendors: VendorsDep) -> OneModelConfig:
    vendor = vendors.known.get(body.model_name)
    if vendor is None:
        raise NotFound(f"未找到模型 {body.model_name}")
    return OneModelConfig(data=_shown(vendor, vendors))


@router.post("/server/configs", tags=["server"], summary="Values that clients may want to show")
async def server_configs(request: Request, vendors: VendorsDep) -> ServerConfigs:
    return ServerConfigs(
        api_address=request.app.state.server_address,
        LLM_MODELS=[vendors.default.name],
        PROMPT_TEMPLATES=prompts.PROMPTS,
    )


@router.post(
    "/server/list_search_engines", tags=["server"], summary="Names for /chat/search_engine_chat"
)
async def list_search_engines(search: WebSearchDep) -> SearchEngines:
    return SearchEngines(data=search.names)


@router.post(
    "/server/get_prompt_template", tags=["server"], summary="A prompt template by type and name"
)
async def get_prompt_template(body: PromptRequest) -> str:
    template = prompts.find(body.type, body.name)
    if template is None:
        raise NotFound(f"未找到提示词模板 {body.type}.{body.name}")
    return template


def _shown(vendor: Vendor, vendors: Vendors) -> ModelConfig:
    return ModelConfig(
        provider=vendor.name,
        version=vendor.model,
        online_api=vendor.online,
        configured=vendor.name in vendors.usable,
        default=vendor == vendors.default,
    )
