"""How a refusal looks on the wire."""

from typing import Any

from starlette.responses import Response

from gateway.errors import CredentialRefused
from servicekit.errors import SafeJSONResponse, ServiceError


def render(error: ServiceError, *, chat: bool = False) -> Response:
    """The answer; on chat routes with the keys that the H5 shows to its user."""
    text = str(error)
    if isinstance(error, CredentialRefused) and not error.by_cookie:
        return Response(text, 401, {"WWW-Authenticate": "Bearer"})
    headers = {"WWW-Authenticate": "Bearer"} if error.status == 401 else error.headers
    body: dict[str, Any] = {"detail": text}
    if chat:
        body |= {"text": text, "answer": text}
    return SafeJSONResponse(body, error.status, headers)
