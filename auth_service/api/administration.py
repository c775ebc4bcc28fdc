"""What all management routes share: who asks, which page, and answers that nobody keeps."""

from datetime import UTC, datetime
from typing import Annotated, Any, Generic, TypeVar

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from pydantic import BaseModel, BeforeValidator, ConfigDict

from auth_service.administration import Administration
from auth_service.api.context import AddressDep
from auth_service.audit import Actor
from auth_service.store.paging import Page, Paging
from servicekit.identity import CallerDep, require_scope

NO_STORE = {"Cache-Control": "no-store"}
_MAX_ID = 2**31 - 1
NO_NUL = r"^[^\x00]*$"  # which PostgreSQL has no place for

Shown = TypeVar("Shown", bound="Answer")


class Answer(BaseModel):
    """Made from an object of ours; what it does not name is not shown."""

    model_config = ConfigDict(from_attributes=True, populate_by_name=True)


class PageAnswer(BaseModel, Generic[Shown]):
    """A page of a list; `total` counts all pages."""

    items: list[Shown]
    total: int
    page: int
    page_size: int


class Values(BaseModel):
    """What an operator sends: a key that nobody knows is refused, not ignored."""

    model_config = ConfigDict(extra="forbid")


def page_answer(shown: type[Shown], page: Page[Any], paging: Paging) -> PageAnswer[Shown]:
    items = [shown.model_validate(item) for item in page.items]
    return PageAnswer(items=items, total=page.total, page=paging.page, page_size=paging.page_size)


def routes(prefix: str) -> APIRouter:
    """Routes for operators alone."""
    return APIRouter(
        prefix=prefix,
        tags=["administration"],
        dependencies=[require_scope("admin"), Depends(_no_store)],
    )


# Coroutines, though they wait for nothing: FastAPI runs plain functions in a thread.
async def _administration(request: Request) -> Administration:
    made: Administration = request.app.state.administration
    return made


async def _actor(caller: CallerDep, address: AddressDep) -> Actor:
    return Actor(f"{caller.client_id}/{caller.user_id}", address)


async def _paging(
    page: Annotated[int, Query(ge=1, le=1_000_000)] = 1,
    page_size: Annotated[int, Query(ge=1, le=200)] = 50,
) -> Paging:
    return Paging(page, page_size)


async def _no_store(response: Response) -> None:
    response.headers.update(NO_STORE)


AdministrationDep = Annotated[Administration, Depends(_administration)]
ActorDep = Annotated[Actor, Depends(_actor)]
PagingDep = Annotated[Paging, Depends(_paging)]
IdPath = Annotated[int, Path(ge=0, le=_MAX_ID)]
NamePath = Annotated[str, Path(max_length=64, pattern=NO_NUL)]
TextQuery = Annotated[str | None, Query(max_length=200, pattern=NO_NUL)]
IdQuery = Annotated[int | None, Query(ge=0, le=_MAX_ID)]
# Ids are text on the wire, as everywhere in this product.
IdText = Annotated[str, BeforeValidator(str)]
UtcTime = Annotated[datetime, BeforeValidator(lambda naive: naive.replace(tzinfo=UTC))]
