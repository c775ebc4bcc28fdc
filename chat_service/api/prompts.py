"""`/admin/prompts`: prompt templates with their versions, for operators alone."""

from typing import Annotated

from fastapi import APIRouter, Path

from chat_service.api.dependencies import ActorDep, Page, PageSize, PromptsDep
from chat_service.prompt_schemas import (
    NewPrompt,
    PromptItem,
    PromptItems,
    PromptToRestore,
    PromptVersionItem,
    PromptVersionItems,
)
from servicekit.identity import require_scope

router = APIRouter(
    prefix="/admin/prompts", tags=["administration"], dependencies=[require_scope("admin")]
)
Part = Annotated[str, Path(max_length=64, pattern=r"^[^\x00]*$")]


@router.get("", summary="Prompt templates by type and name")
async def list_prompts(
    prompts: PromptsDep, page: Page = 1, page_size: PageSize = 50
) -> PromptItems:
    found = prompts.listed()
    shown = found[(page - 1) * page_size : page * page_size]
    items = [PromptItem.model_validate(one) for one in shown]
    return PromptItems(items=items, total=len(found), page=page, page_size=page_size)


@router.get("/{kind}/{name}", summary="A prompt template")
async def get_prompt(kind: Part, name: Part, prompts: PromptsDep) -> PromptItem:
    return PromptItem.model_validate(prompts.get(kind, name))


@router.put("/{kind}/{name}", summary="Set a prompt template: a new version, used at once")
async def put_prompt(
    kind: Part, name: Part, body: NewPrompt, prompts: PromptsDep, by: ActorDep
) -> PromptItem:
    return PromptItem.model_validate(await prompts.put(by, kind, name, body.text))


@router.delete("/{kind}/{name}", status_code=204, summary="Use the template from before operators")
async def reset_prompt(kind: Part, name: Part, prompts: PromptsDep, by: ActorDep) -> None:
    await prompts.reset(by, kind, name)


@router.get("/{kind}/{name}/history", summary="Versions of a prompt template, the newest first")
async def prompt_history(
    kind: Part, name: Part, prompts: PromptsDep, page: Page = 1, page_size: PageSize = 50
) -> PromptVersionItems:
    found, total = await prompts.history(kind, name, start=(page - 1) * page_size, limit=page_size)
    items = [PromptVersionItem.model_validate(one, from_attributes=True) for one in found]
    return PromptVersionItems(items=items, total=total, page=page, page_size=page_size)


@router.post("/{kind}/{name}/restore", summary="Make an old version the newest")
async def restore_prompt(
    kind: Part, name: Part, body: PromptToRestore, prompts: PromptsDep, by: ActorDep
) -> PromptItem:
    return PromptItem.model_validate(await prompts.restore(by, kind, name, body.version))
