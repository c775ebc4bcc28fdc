"""HTML pages: our templates with the headers that keep them to themselves."""

from collections.abc import Collection
from functools import cache
from typing import Any

from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader

from servicekit.logs import request_id

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'self'"
)


def page(
    template: str,
    *,
    status: int = 200,
    policy: str = _POLICY,
    referrer: str = "same-origin",
    embedded_by: Collection[str] | None = (),
    headers: dict[str, str] | None = None,
    **values: Any,
) -> HTMLResponse:
    """A rendered template. Values are escaped; there is never a script or a style in it.

    Pages of `embedded_by` may show it in a frame, besides our own; None: nobody may.
    """
    text = _templates().get_template(template).render(request_id=request_id.get(), **values)
    sent = {
        "Cache-Control": "no-store",
        "Content-Security-Policy": f"{policy}; {frame_ancestors(embedded_by)}",
        "Referrer-Policy": referrer,
    }
    return HTMLResponse(text, status, sent | (headers or {}))


def frame_ancestors(embedded_by: Collection[str] | None) -> str:
    if embedded_by is None:
        return "frame-ancestors 'none'"
    return " ".join(("frame-ancestors 'self'", *sorted(embedded_by)))


@cache
def _templates() -> Environment:
    return Environment(loader=PackageLoader("gateway"), autoescape=True)
