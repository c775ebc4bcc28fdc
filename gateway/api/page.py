"""HTML pages: our templates with the headers that keep them to themselves."""

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
    **values: Any,
) -> HTMLResponse:
    """A rendered template. Values are escaped; there is never a script or a style in it."""
    text = _templates().get_template(template).render(request_id=request_id.get(), **values)
    headers = {
        "Cache-Control": "no-store",
        "Content-Security-Policy": policy,
        "Referrer-Policy": referrer,
        "X-Content-Type-Options": "nosniff",
    }
    return HTMLResponse(text, status, headers)


@cache
def _templates() -> Environment:
    return Environment(loader=PackageLoader("gateway"), autoescape=True)
