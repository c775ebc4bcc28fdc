"""Every error that a use case may raise, and how each surface shows it.

ServiceError                 500
├── Unauthorized             401   always a true HTTP status
├── Forbidden                403   always a true HTTP status
├── Refused                  403   a business rule said no (200 with code 403 in the envelope)
├── NotFound                 404
├── Conflict                 409
├── Invalid                  422
├── TooManyRequests          429   always a true HTTP status, with Retry-After
├── UpstreamError            502   another service or vendor answered badly
└── Unavailable              503   always a true HTTP status, with Retry-After

Two surfaces: new routes answer RFC 9457 problem details with the true status; routes made with
`EnvelopeRoute` answer HTTP 200 and `{"code", "msg", "data"}`, except where the tree above says
"always".
"""

import json
from collections.abc import Callable, Coroutine
from typing import Any, ClassVar

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute

from servicekit.logs import request_id


class ServiceError(Exception):
    """Base of the tree; `str(error)` is the sentence that the user reads."""

    status: ClassVar[int] = 500
    code: ClassVar[str] = "internal_error"
    true_status: ClassVar[bool] = False

    def __init__(self, message: str, *, data: Any = None, retry_after: int | None = None) -> None:
        super().__init__(message)
        self.data = data
        self.retry_after = retry_after

    @property
    def headers(self) -> dict[str, str]:
        return {} if self.retry_after is None else {"Retry-After": str(self.retry_after)}


class Unauthorized(ServiceError):
    status, code, true_status = 401, "unauthorized", True


class Forbidden(ServiceError):
    status, code, true_status = 403, "forbidden", True


class Refused(ServiceError):
    status, code = 403, "refused"


class NotFound(ServiceError):
    status, code = 404, "not_found"


class Conflict(ServiceError):
    status, code = 409, "conflict"


class Invalid(ServiceError):
    status, code = 422, "invalid"


class TooManyRequests(ServiceError):
    status, code, true_status = 429, "too_many_requests", True


class UpstreamError(ServiceError):
    status, code = 502, "upstream_error"


class Unavailable(ServiceError):
    status, code, true_status = 503, "unavailable", True


class EnvelopeRoute(APIRoute):
    """A route of the old wire: business errors are HTTP 200 with `code` in an envelope."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def handle_in_envelope(request: Request) -> Response:
            try:
                return await handle(request)
            except ServiceError as error:
                if error.true_status:
                    return SafeJSONResponse({"detail": str(error)}, error.status, error.headers)
                body = {"code": error.status, "msg": str(error), "data": error.data}
                return SafeJSONResponse(body)
            except RequestValidationError as error:
                return SafeJSONResponse({"detail": validation_errors(error)}, 422)

        return handle_in_envelope


class SafeJSONResponse(JSONResponse):
    """JSON that survives lone surrogates, which user input may hold and UTF-8 cannot."""

    def render(self, content: Any) -> bytes:
        text = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        return text.encode(errors="replace")


async def render_problem(_: Request, error: Exception) -> Response:
    """Show any error on a new surface as RFC 9457 problem details."""
    kind: ServiceError | type[ServiceError] = ServiceError
    detail = "Internal error; the log has it under this request id. 内部错误。"
    headers, more = dict[str, str](), dict[str, Any]()
    if isinstance(error, RequestValidationError):
        kind, detail = Invalid, "The request is not valid. 请求参数有误。"
        more = {"errors": validation_errors(error)}
    elif isinstance(error, ServiceError):
        kind, detail, headers = error, str(error), error.headers
    body = {"type": "about:blank", "title": kind.code, "status": kind.status, "detail": detail}
    body |= {"code": kind.code, "request_id": request_id.get()} | more
    return SafeJSONResponse(body, kind.status, headers, media_type="application/problem+json")


def validation_errors(error: RequestValidationError) -> list[dict[str, Any]]:
    """`loc`, `msg`, `type` of each error; the input itself is never echoed."""
    shown = [{key: item[key] for key in ("loc", "msg", "type")} for item in error.errors()]
    for item, full in zip(shown, error.errors(), strict=True):
        if full["type"] == "json_invalid":
            item |= {"input": {}, "ctx": {"error": str(full.get("ctx", {}).get("error", ""))}}
    return shown
