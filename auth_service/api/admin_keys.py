"""`/admin/api-keys` and `/admin/admins`: programs, and people with a password for the console."""

from pydantic import Field, field_validator

from auth_service.api.administration import (
    ActorDep,
    AdministrationDep,
    Answer,
    IdPath,
    IdQuery,
    IdText,
    NamePath,
    PageAnswer,
    PagingDep,
    TextQuery,
    UtcTime,
    Values,
    page_answer,
    routes,
)
from auth_service.store.key_registry import KeyFilter

api_keys = routes("/admin/api-keys")
admins = routes("/admin/admins")


class KeyAnswer(Answer):
    """An API key without its secret; without a client it is an operator's."""

    key_id: int = Field(validation_alias="id")
    prefix: str
    name: str
    client_id: IdText | None
    user_id: str
    scopes: list[str]
    knowledge_bases: list[str] | None
    expires_at: float | None
    last_used_at: float | None
    enable: bool
    create_time: UtcTime

    @field_validator("scopes", mode="before")
    @classmethod
    def _split(cls, scopes: str | list[str]) -> list[str]:
        return scopes.split() if isinstance(scopes, str) else scopes


class IssuedKeyAnswer(Answer):
    """The key itself, in this answer only."""

    key: str
    api_key: KeyAnswer = Field(validation_alias="row")


class KeyChanges(Values):
    """What is given is changed, the rest stays."""

    name: str = ""
    scopes: list[str] = Field([])
    expires_at: float | None = Field(None, allow_inf_nan=False)
    enable: bool = True
    knowledge_bases: list[str] | None = None


class NewKey(KeyChanges):
    """`client_id` null makes an operator's key; without a user it acts as `key-<id>`."""

    name: str
    scopes: list[str]
    client_id: int | None
    user_id: str | None = None


class AdminAnswer(Answer):
    """An operator with a password; too many failed logins lock for a while."""

    username: str
    enable: bool
    locked_until: float | None
    create_time: UtcTime


class NewAdminAnswer(Answer):
    """The password when it was made here, in this answer only."""

    admin: AdminAnswer = Field(validation_alias="row")
    password: str | None


class AdminChanges(Values):
    """What is given is changed; either ends all sessions."""

    password: str = ""
    enable: bool = True


class NewAdmin(Values):
    """Without a password one is made."""

    username: str
    password: str | None = None


@api_keys.get("", summary="List API keys")
async def list_keys(
    administration: AdministrationDep,
    paging: PagingDep,
    client_id: IdQuery = None,
    operators: bool = False,
    q: TextQuery = None,
    enable: bool | None = None,
) -> PageAnswer[KeyAnswer]:
    wanted = KeyFilter(client_id, operators, q, enable)
    return page_answer(KeyAnswer, await administration.api_keys.page(wanted, paging), paging)


@api_keys.post("", status_code=201, summary="Issue an API key, shown once")
async def issue_key(
    key: NewKey, administration: AdministrationDep, by: ActorDep
) -> IssuedKeyAnswer:
    issued = await administration.api_keys.issue(by, **key.model_dump(exclude_unset=True))
    return IssuedKeyAnswer.model_validate(issued)


@api_keys.get("/{key_id}", summary="Show an API key without its secret")
async def show_key(key_id: IdPath, administration: AdministrationDep) -> KeyAnswer:
    return KeyAnswer.model_validate(await administration.api_keys.find(key_id))


@api_keys.patch("/{key_id}", summary="Change, disable or enable an API key")
async def change_key(
    key_id: IdPath, changes: KeyChanges, administration: AdministrationDep, by: ActorDep
) -> KeyAnswer:
    given = changes.model_dump(exclude_unset=True)
    return KeyAnswer.model_validate(await administration.api_keys.change(by, key_id, **given))


@api_keys.post("/{key_id}/rotate", summary="Replace the secret of an API key, shown once")
async def rotate_key(
    key_id: IdPath, administration: AdministrationDep, by: ActorDep
) -> IssuedKeyAnswer:
    return IssuedKeyAnswer.model_validate(await administration.api_keys.rotate(by, key_id))


@api_keys.delete("/{key_id}", status_code=204, summary="Delete an API key")
async def delete_key(key_id: IdPath, administration: AdministrationDep, by: ActorDep) -> None:
    await administration.api_keys.delete(by, key_id)


@admins.get("", summary="List operators who have a password")
async def list_admins(
    administration: AdministrationDep, paging: PagingDep
) -> PageAnswer[AdminAnswer]:
    return page_answer(AdminAnswer, await administration.operators.page(paging), paging)


@admins.post("", status_code=201, summary="Add an operator; a made password is shown once")
async def add_admin(
    admin: NewAdmin, administration: AdministrationDep, by: ActorDep
) -> NewAdminAnswer:
    added = await administration.operators.add(by, admin.username, admin.password)
    return NewAdminAnswer.model_validate(added)


@admins.patch("/{username}", summary="Change the password of an operator, disable or enable")
async def change_admin(
    username: NamePath, changes: AdminChanges, administration: AdministrationDep, by: ActorDep
) -> AdminAnswer:
    given = changes.model_dump(exclude_unset=True)
    return AdminAnswer.model_validate(await administration.operators.change(by, username, **given))


@admins.delete("/{username}", status_code=204, summary="Delete an operator")
async def delete_admin(username: NamePath, administration: AdministrationDep, by: ActorDep) -> None:
    await administration.operators.delete(by, username)
