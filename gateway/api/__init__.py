"""The pages that a person opens, and the API documents."""

from pathlib import Path

from fastapi import FastAPI

from gateway.api import builtin, documentation, sign_in
from gateway.api.files import CachedFiles, H5Files, documentation_assets

_STATIC = Path(__file__).resolve().parent.parent / "static"


def mount_pages(app: FastAPI, h5_dist: Path | None) -> None:
    """Every page; with an H5 its files and its index answer what nothing else does."""
    # The kit's app serves its own document there; here it is the merged one.
    app.router.routes[:] = [
        r for r in app.router.routes if getattr(r, "path", "") != app.openapi_url
    ]
    # Such addresses would have the Host that came, plain HTTP and the token of a sign-in.
    app.router.redirect_slashes = False
    # Not included: FastAPI would make each route anew, and match it twice for every request.
    for pages in (documentation, sign_in, builtin):
        app.routes.extend(pages.router.routes)
    app.mount("/static-gateway", CachedFiles(_STATIC, "no-cache"))
    app.mount(
        "/static-offline-docs",
        CachedFiles(documentation_assets(), "public, max-age=31536000, immutable"),
    )
    if h5_dist is None:
        app.routes.extend(builtin.without_h5.routes)
    else:
        app.add_route(
            "/{path:path}", H5Files(h5_dist).serve, methods=["GET"], include_in_schema=False
        )
