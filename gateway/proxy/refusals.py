"""How a refusal looks on each surface."""

from typing import Any

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

from gateway.errors import CredentialRefused
from gateway.routing import Surface
from servicekit.errors import SafeJSONResponse, ServiceError, render_problem

_OPENAI_TYPES = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}


async def refuse(
    error: ServiceError,
    surface: Surface,
    scope: Scope,
    receive: Receive,
    send: Send,
    *,
    chat: bool = False,
) -> None:
    """Answer with the error; with `chat` in the keys that the H5 shows, too."""
    response = _on_the_wire(error, chat=chat)
    if surface == "management":
        response = await render_problem(Request(scope), error)
    elif surface == "page":  # a person reads it
        response = PlainTextResponse(str(error), error.status, error.headers)
    elif surface == "openai":
        response = _for_openai_clients(error)
    if error.status == 401:
        response.headers["WWW-Authenticate"] = "Bearer"
    await response(scope, receive, send)


def _on_the_wire(error: ServiceError, *, chat: bool) -> Response:
    """The contract's texts."""
    text = str(error)
    if isinstance(error, CredentialRefused) and not error.by_cookie:
        return Response(text, 401)
    body: dict[str, Any] = {"detail": text}
    if chat:
        body |= {"text": text, "answer": text}
    return SafeJSONResponse(body, error.status, error.headers)


def _for_openai_clients(error: ServiceError) -> Response:
    """The error body that OpenAI's own API has."""
    kind = _OPENAI_TYPES.get(error.status)
    kind = kind or ("invalid_request_error" if error.status < 500 else "server_error")
    told = {"message": str(error), "type": kind, "param": None, "code": error.code}
    return SafeJSONResponse({"error": told}, error.status, error.headers)
