"""The model routes of the old wire; stopping and changing act on our own registry."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

from fastapi import APIRouter

from chat_service.api.dependencies import ActorDep, VendorsDep, may_chat
from chat_service.api.models import RegistryDep
from chat_service.schemas import (
    ChangeModelRequest,
    Done,
    ModelConfig,
    ModelConfigRequest,
    ModelConfigs,
    OneModelConfig,
    RunningModelsRequest,
    StopModelRequest,
)
from chat_service.vendors import Vendor, Vendors
from servicekit.errors import EnvelopeRoute, NotFound, ServiceError
from servicekit.identity import Caller, require_scope

router = APIRouter(route_class=EnvelopeRoute)
MayChat = Annotated[Caller, may_chat]
Operator = Annotated[Caller, require_scope("admin")]


@router.post("/llm_model/list_config_models", tags=["models"], summary="Every model we know")
async def list_config_models(_: MayChat, vendors: VendorsDep) -> ModelConfigs:
    known = vendors.known.values()
    return ModelConfigs(data={v.name: _shown(v, vendors) for v in known if v.online})


@router.post("/llm_model/list_running_models", tags=["models"], summary="Models that can answer")
async def list_running_models(
    _: MayChat, vendors: VendorsDep, body: RunningModelsRequest | None = None
) -> ModelConfigs:
    return ModelConfigs(data={v.name: _shown(v, vendors) for v in vendors.usable.values()})


@router.post("/llm_model/get_model_config", tags=["models"], summary="One model")
async def get_model_config(
    _: MayChat, body: ModelConfigRequest, vendors: VendorsDep
) -> OneModelConfig:
    vendor = vendors.known.get(body.model_name)
    if vendor is None:
        raise NotFound(f"未找到模型 {body.model_name}")
    return OneModelConfig(data=_shown(vendor, vendors))


@router.post("/llm_model/stop", tags=["models"], summary="Disable a model")
async def stop_model(
    _: Operator, body: StopModelRequest, registry: RegistryDep, by: ActorDep
) -> Done:
    with _told_as_the_controller_did(f"failed to stop LLM model {body.model_name}"):
        await registry.change(by, body.model_name, {"enabled": False})
    return Done()


@router.post("/llm_model/change", tags=["models"], summary="Answer with another model by default")
async def change_model(
    _: Operator, body: ChangeModelRequest, registry: RegistryDep, by: ActorDep
) -> Done:
    with _told_as_the_controller_did("failed to switch LLM model"):
        registry.find(body.model_name)
        if registry.find(body.new_model_name).offline:  # always enabled
            await registry.change(by, body.new_model_name, {"is_default": True})
        else:
            wanted = {"enabled": True, "is_default": True}
            await registry.change(by, body.new_model_name, wanted)
    return Done()


@contextmanager
def _told_as_the_controller_did(failed: str) -> Iterator[None]:
    """There is no controller any more; who reads its errors finds the reason at the end."""
    try:
        yield
    except ServiceError as error:
        raise ServiceError(
            f"{failed} from controller: chat_service。错误信息是： {error}"
        ) from None


def _shown(vendor: Vendor, vendors: Vendors) -> ModelConfig:
    return ModelConfig(
        provider=vendor.name,
        version=vendor.model,
        online_api=vendor.online,
        configured=vendor.name in vendors.usable,
        default=vendor == vendors.default,
    )
