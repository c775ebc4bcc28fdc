"""Files: our own, the documentation's and a built H5."""

import re
from importlib.metadata import distribution
from os import PathLike, stat_result
from pathlib import Path

from fastapi import Request
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from gateway.api.page import frame_ancestors
from gateway.api.resources import Resources

# What bundlers write: index-fa9b6a65.js, index-DiwrgT_a.css, app.3f2a9c1b77aa.js
_HASHED = re.compile(
    r"[.-](?:[0-9a-f]{8,20}|(?=[\w-]*[0-9A-Z])[\w-]{8})\.(?:\w+)(?:\.map)?$", re.ASCII
)
# The published H5 shows what users wrote as HTML: only scripts that are files of its own may run.
_NO_INLINE_SCRIPT = (
    "script-src-elem 'self'; script-src-attr 'none'; object-src 'none'; base-uri 'self'; "
)
_DOCUMENTATION_PACKAGE = "fastapi-offline"


def documentation_assets() -> Path:
    """Swagger UI and Redoc, from the package that brings them; its code is not imported."""
    package = distribution(_DOCUMENTATION_PACKAGE)
    return Path(str(package.locate_file("fastapi_offline/static")))


def documentation_version() -> str:
    return distribution(_DOCUMENTATION_PACKAGE).version


class CachedFiles(StaticFiles):
    """A folder of files with one caching rule."""

    def __init__(self, folder: Path, cache_control: str) -> None:
        super().__init__(directory=folder)
        self._cache_control = cache_control

    def file_response(
        self,
        full_path: str | PathLike[str],
        stat_result: stat_result,
        scope: Scope,
        status_code: int = 200,
    ) -> Response:
        response = super().file_response(full_path, stat_result, scope, status_code)
        response.headers["Cache-Control"] = self.cache_control(Path(full_path).name)
        return response

    def cache_control(self, name: str) -> str:
        return self._cache_control


class H5Files(CachedFiles):
    """Any built H5: names with a hash are kept for ever, its index answers its routes."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, "no-cache")

    def cache_control(self, name: str) -> str:
        return "public, max-age=31536000, immutable" if _HASHED.search(name) else "no-cache"

    async def serve(self, request: Request) -> Response:
        if request.scope["root_path"]:  # under /api nothing is the H5's
            raise HTTPException(404)
        response = await self._find(request)
        resources: Resources = request.app.state.resources
        embedded_by = await resources.origins.known()
        policy = _NO_INLINE_SCRIPT + frame_ancestors(embedded_by)
        response.headers["Content-Security-Policy"] = policy
        return response

    async def _find(self, request: Request) -> Response:
        path = self.get_path(request.scope)
        if path == ".":
            return await self.get_response("index.html", request.scope)
        try:
            return await self.get_response(path, request.scope)
        except HTTPException:
            if "text/html" not in request.headers.get("accept", ""):
                raise HTTPException(404) from None
            return await self.get_response("index.html", request.scope)
