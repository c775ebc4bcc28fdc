"""`/admin/users` and `/admin/sessions`: who logged in, and what ends it."""

from pydantic import Field

from auth_service.api.administration import (
    NO_NUL,
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
from auth_service.store.user_registry import UserFilter

users = routes("/admin/users")
sessions = routes("/admin/sessions")


class UserAnswer(Answer):
    """A user that a client vouched for."""

    client_id: IdText
    user_id: str
    username: str
    enable: bool
    groups: list[str]
    tokens_not_before: float | None
    create_time: UtcTime


class RemovedWithUserAnswer(Answer):
    """What went along with a user."""

    sessions: int
    api_keys: int
    note: str = (
        "Conversations stay with their service; a token made from now on lets the user in again."
        " 会话记录仍保留；此后新签发的令牌会让该用户重新登录。"
    )


class RevokedUserAnswer(Answer):
    """How many sessions ended; tokens made until now are refused as well."""

    sessions: int


class SessionAnswer(Answer):
    """A browser session; the id opens nothing. Times are Unix seconds."""

    session_id: str = Field(validation_alias="token_hash")
    client_id: IdText
    user_id: str
    username: str
    method: str
    created_at: float
    expires_at: float
    revoked: bool


class UserChanges(Values):
    """What is given is changed, the rest stays; the next login may bring another name or groups."""

    username: str = ""
    enable: bool = True
    groups: list[str] = Field([])


class Owner(Values):
    """Whose tokens and sessions end."""

    client_id: int = Field(ge=0, lt=2**31)
    user_id: str = Field(max_length=64, pattern=NO_NUL)


class NewUser(UserChanges):
    """A user before the first login."""

    client_id: int
    user_id: str


@users.get("", summary="List users")
async def list_users(
    administration: AdministrationDep,
    paging: PagingDep,
    client_id: IdQuery = None,
    q: TextQuery = None,
    enable: bool | None = None,
) -> PageAnswer[UserAnswer]:
    page = await administration.users.page(UserFilter(client_id, q, enable), paging)
    return page_answer(UserAnswer, page, paging)


@users.post("", status_code=201, summary="Add a user before the first login")
async def add_user(user: NewUser, administration: AdministrationDep, by: ActorDep) -> UserAnswer:
    return UserAnswer.model_validate(
        await administration.users.add(by, **user.model_dump(exclude_unset=True))
    )


@users.post("/revoke", summary="End all sessions and tokens of a user")
async def revoke_user(
    owner: Owner, administration: AdministrationDep, by: ActorDep
) -> RevokedUserAnswer:
    ended = await administration.users.revoke(by, owner.client_id, owner.user_id)
    return RevokedUserAnswer(sessions=ended)


@users.get("/{client_id}/{user_id:path}", summary="Show a user")
async def show_user(
    client_id: IdPath, user_id: NamePath, administration: AdministrationDep
) -> UserAnswer:
    return UserAnswer.model_validate(await administration.users.find(client_id, user_id))


@users.patch("/{client_id}/{user_id:path}", summary="Change, disable or enable a user")
async def change_user(
    client_id: IdPath,
    user_id: NamePath,
    changes: UserChanges,
    administration: AdministrationDep,
    by: ActorDep,
) -> UserAnswer:
    given = changes.model_dump(exclude_unset=True)
    return UserAnswer.model_validate(
        await administration.users.change(by, client_id, user_id, **given)
    )


@users.delete("/{client_id}/{user_id:path}", summary="Delete a user with sessions and API keys")
async def delete_user(
    client_id: IdPath, user_id: NamePath, administration: AdministrationDep, by: ActorDep
) -> RemovedWithUserAnswer:
    removed = await administration.users.delete(by, client_id, user_id)
    return RemovedWithUserAnswer.model_validate(removed)


@sessions.get("", summary="List browser sessions, newest first")
async def list_sessions(
    administration: AdministrationDep,
    paging: PagingDep,
    client_id: IdQuery = None,
    user_id: TextQuery = None,
    live: bool = True,
) -> PageAnswer[SessionAnswer]:
    page = await administration.users.sessions(
        paging, client_id=client_id, user_id=user_id, live=live
    )
    return page_answer(SessionAnswer, page, paging)


@sessions.delete("/{session_id}", status_code=204, summary="End a browser session")
async def revoke_session(
    session_id: NamePath, administration: AdministrationDep, by: ActorDep
) -> None:
    await administration.users.revoke_session(by, session_id)
