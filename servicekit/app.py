"""The app that every service starts from, and the server that runs it."""

import argparse
import logging
import os
import re
import secrets
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager

import uvicorn
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from servicekit.errors import ServiceError, render_problem
from servicekit.http import REQUEST_ID_HEADER
from servicekit.logs import request_id
from servicekit.settings import CONFIG_VARIABLE, ConfigurationError

Check = Callable[[], Awaitable[None]]
_ID_NAME = REQUEST_ID_HEADER.lower().encode()
_REQUEST_ID = re.compile(rb"[\w.-]{8,64}")


def build_app(
    *, title: str, lifespan: Callable[[FastAPI], AbstractAsyncContextManager[None]]
) -> FastAPI:
    """An app with request ids, errors, `/livez` and `/readyz`.

    The lifespan sets `app.state.ready_checks`: awaitables that raise when a need is not met.
    """
    app = FastAPI(title=title, lifespan=lifespan, docs_url=None, redoc_url=None)
    app.state.ready_checks = ()
    app.add_middleware(RequestIdMiddleware)
    for kind in (ServiceError, RequestValidationError, Exception):
        app.add_exception_handler(kind, render_problem)

    app.get("/livez", tags=["health"], summary="The process runs")(_livez)
    app.get("/readyz", tags=["health"], summary="Everything needed answers")(_readyz)
    return app


# Not inside: FastAPI remembers what it called for ever, and with a closure its app.
async def _livez() -> dict[str, str]:
    return {"status": "ok"}


async def _readyz(request: Request) -> JSONResponse:
    try:
        for check in request.app.state.ready_checks:
            await check()
    except Exception as error:  # any failure means not ready; it is logged
        reason = str(error) if isinstance(error, ServiceError) else None
        logging.getLogger(__name__).warning("not ready: %s", error, exc_info=reason is None)
        return JSONResponse({"status": "unavailable", "reason": reason}, 503, {"Retry-After": "1"})
    return JSONResponse({"status": "ok"})


class RequestIdMiddleware:
    """Takes the request id of a well-formed header, else makes one; answers carry it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = next((value for name, value in scope["headers"] if name == _ID_NAME), b"")
        request_id.set(given.decode() if _REQUEST_ID.fullmatch(given) else secrets.token_hex(16))

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = [pair for pair in message.get("headers", ()) if pair[0] != _ID_NAME]
                message["headers"] = [*headers, (_ID_NAME, request_id.get().encode())]
            await send(message)

        await self._app(scope, receive, send_with_id)


def serve(
    factory: str, address: Callable[[], tuple[str, int]], *, proxy_headers: bool = True
) -> None:
    """Run `factory` (module:function) where `address` says; exits 2 on a wrong configuration.

    `proxy_headers=False` keeps the real peer in the scope: for an edge that judges them itself.
    """
    parser = argparse.ArgumentParser(prog=f"python -m {factory.partition('.')[0]}")
    parser.add_argument("--config", metavar="FILE", help="config.ini to read 配置文件")
    if config := parser.parse_args().config:
        os.environ[CONFIG_VARIABLE] = config
    try:
        host, port = address()
        uvicorn.run(
            factory,
            factory=True,
            host=host,
            port=port,
            access_log=False,
            log_config=None,
            server_header=False,
            proxy_headers=proxy_headers,
            timeout_keep_alive=75,  # longer than our clients keep an idle connection (http.py)
            timeout_graceful_shutdown=5,
        )
    except ConfigurationError as error:
        parser.error(str(error))
