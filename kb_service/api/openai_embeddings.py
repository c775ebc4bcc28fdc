"""Vectors of texts as OpenAI's clients ask for them; errors are in OpenAI's body."""

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute

from kb_service.api.dependencies import ContextDep, ReaderDep
from kb_service.embedding_schemas import OpenAIEmbeddingRequest, OpenAIEmbeddings
from kb_service.errors import NoSuchEmbedder
from servicekit.errors import SafeJSONResponse, ServiceError

_TYPES = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}
_STATUSES: dict[type[ServiceError], int] = {NoSuchEmbedder: 404}


class _OpenAIRoute(APIRoute):
    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def handle_for_openai(request: Request) -> Response:
            try:
                return await handle(request)
            except ServiceError as error:
                return _refused(error)
            except RequestValidationError as error:
                return _invalid(error)

        return handle_for_openai


router = APIRouter(prefix="/v1", tags=["openai"], route_class=_OpenAIRoute)


@router.post("/embeddings", summary="Vectors of texts, as OpenAI answers them")
async def create_embeddings(
    body: OpenAIEmbeddingRequest, context: ContextDep, caller: ReaderDep
) -> OpenAIEmbeddings:
    embedded = await context.embedders.embedder(body.model).embed(body.texts)
    in_base64 = body.encoding_format == "base64"
    return OpenAIEmbeddings.of(embedded, body.model, in_base64=in_base64)


def _refused(error: ServiceError) -> Response:
    status = _STATUSES.get(type(error), error.status)
    kind = _TYPES.get(status) or ("invalid_request_error" if status < 500 else "server_error")
    told = {"message": str(error), "type": kind, "param": None, "code": error.code}
    return SafeJSONResponse({"error": told}, status, error.headers)


def _invalid(error: RequestValidationError) -> Response:
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"][1:])
    told = {
        "message": f"{where}: {first['msg']}. 请求参数有误。",
        "type": "invalid_request_error",
        "param": where or None,
        "code": first["type"],
    }
    return SafeJSONResponse({"error": told}, 400)
