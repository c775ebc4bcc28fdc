"""Errors as OpenAI's clients read them."""

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute

from chat_service.errors import (
    ModelBusy,
    ModelFiltered,
    ModelTimeout,
    ModelTooLong,
    ModelUnreachable,
    QuestionRefused,
    QuotaUsedUp,
    SessionBusy,
    WordsBlocked,
)
from chat_service.openai_schemas import OpenAIError, OpenAIFault
from servicekit.errors import Invalid, SafeJSONResponse, ServiceError

_TYPES = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}
_STATUS: dict[type[ServiceError], int] = {
    Invalid: 400,
    ModelBusy: 429,
    ModelFiltered: 400,  # and the next: asked again, as clients do after a 5xx, it is the same
    ModelTooLong: 400,
    QuotaUsedUp: 429,
    QuestionRefused: 400,
    SessionBusy: 429,
    WordsBlocked: 400,
    ModelTimeout: 504,
    ModelUnreachable: 503,
}


class OpenAIRoute(APIRoute):
    """A route whose errors have OpenAI's body."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def handle_for_openai(request: Request) -> Response:
            try:
                return await handle(request)
            except ServiceError as error:
                return error_response(error)
            except RequestValidationError as error:
                return _invalid(error)

        return handle_for_openai


def error_response(error: ServiceError) -> Response:
    status = _status(error)
    return SafeJSONResponse(error_body(error).model_dump(), status, error.headers)


def error_body(error: ServiceError) -> OpenAIError:
    status = _status(error)
    kind = _TYPES.get(status) or ("invalid_request_error" if status < 500 else "server_error")
    return OpenAIError(
        error=OpenAIFault(message=str(error), type=kind, param=None, code=error.code)
    )


def _status(error: ServiceError) -> int:
    kinds = (status for kind, status in _STATUS.items() if isinstance(error, kind))
    return next(kinds, error.status)


def _invalid(error: RequestValidationError) -> Response:
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"][1:])
    fault = OpenAIFault(
        message=f"{where}: {first['msg']}. 请求参数有误。",
        type="invalid_request_error",
        param=where or None,
        code=first["type"],
    )
    return SafeJSONResponse(OpenAIError(error=fault).model_dump(), 400)
