"""`/admin/clients`: host apps and their keys."""

from typing import Annotated

from fastapi import Header, Response
from pydantic import Field

from auth_service.api.administration import (
    NO_STORE,
    ActorDep,
    AdministrationDep,
    Answer,
    IdPath,
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
from auth_service.store.registry import ClientFilter

PEM_TYPE = "application/x-pem-file"
clients = routes("/admin/clients")


class SigningKeyAnswer(Answer):
    """A public key that verifies v2 tokens."""

    kid: str
    algorithm: str
    public_key: str
    create_time: UtcTime


class ClientAnswer(Answer):
    """A client. Its v1 key is shown when it is made, and never again."""

    client_id: IdText = Field(validation_alias="id")
    name: str
    kind: str
    description: str
    enable: bool
    create_time: UtcTime
    allowed_origins: list[str]
    embeddable: bool
    limits: dict[str, str]
    knowledge_bases: list[str] | None
    tokens_not_before: float | None
    has_v1_key: bool
    signing_keys: list[SigningKeyAnswer]


class V1KeyAnswer(Answer):
    """A shared secret, in this answer only."""

    client_id: IdText
    public_key: str
    replaced: bool


class RemovedAnswer(Answer):
    """What went along with a client."""

    users: int
    sessions: int
    api_keys: int
    signing_keys: int
    note: str = (
        "Conversations and knowledge bases stay with their services."
        " 会话记录与知识库仍保留在各自的服务中。"
    )


class RevokedAnswer(Answer):
    """How many sessions ended; tokens made until now are refused as well."""

    sessions: int


class ClientChanges(Values):
    """What is given is changed, the rest stays."""

    name: str = ""
    description: str = ""
    enable: bool = True
    allowed_origins: list[str] = Field([])
    embeddable: bool = False
    limits: dict[str, str] = Field({})
    knowledge_bases: list[str] | None = None


class NewClient(ClientChanges):
    """A client to be; without a v1 key until one is asked for."""

    name: str
    kind: str = "host"


class NewSigningKey(Values):
    """A public key as PEM; without a `kid` its RFC 7638 thumbprint is the name."""

    public_key: str
    kid: str | None = None


@clients.get("", summary="List clients")
async def list_clients(
    administration: AdministrationDep,
    paging: PagingDep,
    q: TextQuery = None,
    kind: TextQuery = None,
    enable: bool | None = None,
) -> PageAnswer[ClientAnswer]:
    page = await administration.clients.page(ClientFilter(q, kind, enable), paging)
    return page_answer(ClientAnswer, page, paging)


@clients.post("", status_code=201, summary="Register a client")
async def add_client(
    client: NewClient, administration: AdministrationDep, by: ActorDep
) -> ClientAnswer:
    added = await administration.clients.add(by, **client.model_dump(exclude_unset=True))
    return ClientAnswer.model_validate(added)


@clients.get("/{client_id}", summary="Show a client")
async def show_client(client_id: IdPath, administration: AdministrationDep) -> ClientAnswer:
    return ClientAnswer.model_validate(await administration.clients.find(client_id))


@clients.patch("/{client_id}", summary="Change, disable or enable a client")
async def change_client(
    client_id: IdPath, changes: ClientChanges, administration: AdministrationDep, by: ActorDep
) -> ClientAnswer:
    given = changes.model_dump(exclude_unset=True)
    return ClientAnswer.model_validate(await administration.clients.change(by, client_id, **given))


@clients.delete("/{client_id}", summary="Delete a client with its users, sessions and keys")
async def delete_client(
    client_id: IdPath, administration: AdministrationDep, by: ActorDep
) -> RemovedAnswer:
    return RemovedAnswer.model_validate(await administration.clients.delete(by, client_id))


@clients.post("/{client_id}/revoke", summary="End all sessions and tokens of a client's users")
async def revoke_client(
    client_id: IdPath, administration: AdministrationDep, by: ActorDep
) -> RevokedAnswer:
    return RevokedAnswer(sessions=await administration.clients.revoke(by, client_id))


@clients.post(
    "/{client_id}/v1-key",
    status_code=201,
    summary="Make or rotate the v1 key, shown once",
    response_model=V1KeyAnswer,
    responses={201: {"content": {PEM_TYPE: {}}, "description": "The key, as JSON or as a file"}},
)
async def make_v1_key(
    client_id: IdPath,
    administration: AdministrationDep,
    by: ActorDep,
    accept: Annotated[str, Header()] = "",
) -> V1KeyAnswer | Response:
    made = await administration.clients.make_v1_key(by, client_id)
    if PEM_TYPE not in accept:
        return V1KeyAnswer.model_validate(made)
    name = f'attachment; filename="client-{client_id}-v1-key.pem"'
    headers = NO_STORE | {"Content-Disposition": name}
    return Response(made.public_key, 201, headers, PEM_TYPE)


@clients.delete("/{client_id}/v1-key", status_code=204, summary="Accept no v1 token any more")
async def remove_v1_key(client_id: IdPath, administration: AdministrationDep, by: ActorDep) -> None:
    await administration.clients.remove_v1_key(by, client_id)


@clients.post(
    "/{client_id}/signing-keys", status_code=201, summary="Register a public key for v2 tokens"
)
async def add_signing_key(
    client_id: IdPath, key: NewSigningKey, administration: AdministrationDep, by: ActorDep
) -> SigningKeyAnswer:
    added = await administration.clients.add_signing_key(by, client_id, key.public_key, kid=key.kid)
    return SigningKeyAnswer.model_validate(added)


@clients.delete("/{client_id}/signing-keys/{kid}", status_code=204, summary="Remove a public key")
async def remove_signing_key(
    client_id: IdPath, kid: NamePath, administration: AdministrationDep, by: ActorDep
) -> None:
    await administration.clients.remove_signing_key(by, client_id, kid)
