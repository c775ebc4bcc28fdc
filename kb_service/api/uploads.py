"""Multipart bodies read with limits: files are cut at the cap and never held in memory."""

from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import aclosing
from typing import Any

from fastapi import HTTPException, Request, Response
from fastapi.routing import APIRoute
from starlette.datastructures import FormData, Headers
from starlette.formparsers import MultiPartException, MultiPartParser

from kb_service.errors import Unreadable, UploadTooLarge
from servicekit.errors import EnvelopeRoute, Forbidden
from servicekit.identity import CALLER_HEADER, CallerVerifier

_FILES_MAX = 1_000
_FIELDS_MAX = 100
_FIELD_MAX_MB = 32  # the field `docs` holds whole documents
_REQUEST_MAX_FILES = 20  # a request may carry as much as so many files of the largest size


class _CappedRoute(APIRoute):
    """Knows who is calling before it reads a byte of the body, and reads that with limits."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def handle_upload(request: Request) -> Response:
            verifier: CallerVerifier = request.app.state.caller_verifier
            caller = verifier.verify(request.headers.get(CALLER_HEADER))
            if not caller.may("kb:write"):
                raise Forbidden("The scope kb:write is needed. 没有权限。")
            return await handle(_UploadRequest(request.scope, request.receive))

        return handle_upload


class UploadRoute(EnvelopeRoute, _CappedRoute):
    """A route of the old wire with a multipart body; `app.state.context` knows the largest file."""


class ManagementUploadRoute(_CappedRoute):
    """The same with true statuses and problem details."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def handle_or_explain(request: Request) -> Response:
            try:
                return await handle(request)
            except HTTPException as error:
                kind = UploadTooLarge if error.status_code == 413 else Unreadable
                raise kind(error.detail) from None

        return handle_or_explain


class _UploadRequest(Request):
    """Parses its form with our parser; everything else is as usual."""

    async def _get_form(self, **_: Any) -> FormData:
        kind = self.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        if kind != "multipart/form-data":
            return await super()._get_form(max_fields=_FIELDS_MAX)
        if self._form is None:
            context = self.app.state.context
            try:
                async with aclosing(self.stream()) as stream:
                    parser = CappedParser(self.headers, stream, context.upload_max_mb << 20)
                    self._form = await parser.parse()
            except (MultiPartException, KeyError) as error:
                raise HTTPException(400, f"The form cannot be read: {error}") from None
        return self._form


class CappedParser(MultiPartParser):
    """One byte more than the cap is kept of a file, which is how its reader sees the cut."""

    spool_max_size = 64 * 1024

    def __init__(
        self, headers: Headers, stream: AsyncGenerator[bytes, None], file_max: int
    ) -> None:
        super().__init__(
            headers,
            stream,
            max_files=_FILES_MAX,
            max_fields=_FIELDS_MAX,
            max_part_size=_FIELD_MAX_MB << 20,
        )
        self._file_max, self._left = file_max, file_max * _REQUEST_MAX_FILES
        self._taken = 0
        self._check_length(int(headers.get("Content-Length", "0")))

    def on_part_begin(self) -> None:
        super().on_part_begin()
        self._taken = 0

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        self._left -= end - start
        self._check_length(0)
        if self._current_part.file is not None:
            end = min(end, start + self._file_max + 1 - self._taken)
            self._taken += end - start
        if end > start:
            super().on_part_data(data, start, end)

    def _check_length(self, announced: int) -> None:
        if announced > self._left or self._left < 0:
            # Without hanging up, the server would go on reading what nobody wants.
            raise HTTPException(
                413, "The upload is too large. 上传内容过大。", {"Connection": "close"}
            )
