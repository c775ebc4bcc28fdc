"""`/admin/models`: the models, for operators alone."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Response

from chat_service.api.dependencies import ActorDep, Page, PageSize, VendorsDep, kept
from chat_service.llm.choice import VendorModels
from chat_service.model_schemas import ModelChanges, ModelItem, ModelItems, NewModel, TrialResult
from chat_service.registry import ModelRegistry
from servicekit.errors import Invalid
from servicekit.identity import require_scope


# A coroutine, though it waits for nothing: FastAPI runs plain functions in a thread.
async def _no_store(response: Response) -> None:
    response.headers["Cache-Control"] = "no-store"


router = APIRouter(
    prefix="/admin/models",
    tags=["administration"],
    dependencies=[require_scope("admin"), Depends(_no_store)],
)
RegistryDep = Annotated[ModelRegistry, kept("registry")]
ModelsDep = Annotated[VendorModels, kept("models")]
NamePath = Annotated[str, Path(max_length=64, pattern=r"^[^\x00]*$")]


@router.get("", summary="Models of config.ini and of operators, by name")
async def list_models(
    registry: RegistryDep, vendors: VendorsDep, page: Page = 1, page_size: PageSize = 50
) -> ModelItems:
    found = registry.listed()
    shown = found[(page - 1) * page_size : page * page_size]
    items = [ModelItem.of(vendor, vendors) for vendor in shown]
    return ModelItems(items=items, total=len(found), page=page, page_size=page_size)


@router.post("", status_code=201, summary="Add a model, which can be asked at once")
async def add_model(
    body: NewModel, registry: RegistryDep, vendors: VendorsDep, by: ActorDep
) -> ModelItem:
    added = await registry.add(by, body.name, body.as_custom(), is_default=body.is_default)
    return ModelItem.of(added, vendors)


@router.get("/{name}", summary="A model")
async def get_model(name: NamePath, registry: RegistryDep, vendors: VendorsDep) -> ModelItem:
    return ModelItem.of(registry.find(name), vendors)


@router.patch("/{name}", summary="Change a model; of one of config.ini, how it is operated")
async def change_model(
    name: NamePath, body: ModelChanges, registry: RegistryDep, vendors: VendorsDep, by: ActorDep
) -> ModelItem:
    return ModelItem.of(await registry.change(by, name, body.given()), vendors)


@router.delete("/{name}", status_code=204, summary="Delete a model that was added here")
async def delete_model(name: NamePath, registry: RegistryDep, by: ActorDep) -> None:
    await registry.remove(by, name)


@router.post("/{name}/test", summary="Ask a model something tiny: answer and latency, or the error")
async def test_model(name: NamePath, registry: RegistryDep, models: ModelsDep) -> TrialResult:
    vendor = registry.find(name)
    if vendor.offline:
        raise Invalid("offline is no model that could be asked. 离线模式不是真正的模型。")
    return TrialResult.of(await models.try_out(vendor))
