"""The headers of a forwarded request and of its answer: no hop, no credential, one identity."""

import aiohttp

from gateway.auth.admission import Admitted
from gateway.auth.inbound import (
    ADMIN_COOKIE_NAME,
    COOKIE_NAME,
    SSO_COOKIE_NAME,
    Inbound,
)
from gateway.routing import Route
from servicekit.http import REQUEST_ID_HEADER
from servicekit.identity import CALLER_HEADER
from servicekit.logs import request_id

_NOT_PASSED_DOWN = frozenset(
    (
        b"connection",
        b"date",  # the server in front of the client writes its own
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-connection",
        b"server",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
        b"x-request-id",
    )
)


def headers_up(
    route: Route, inbound: Inbound, admitted: Admitted | None, *, streamed: bool
) -> list[tuple[str, str]]:
    """What the service gets: the passed-on headers, who it is, and from where the request came."""
    headers = inbound.headers
    headers += (
        (REQUEST_ID_HEADER, request_id.get()),
        ("X-Forwarded-For", inbound.address),
        ("X-Forwarded-Proto", inbound.scheme),
        ("X-Forwarded-Host", inbound.host),
    )
    if admitted is not None:
        headers.append((CALLER_HEADER, admitted.principal.header))
        if route.session:
            headers.append(_credential(admitted))
    elif cookies := _sign_in_cookies(inbound):
        headers.append(("Cookie", cookies))
    if streamed and inbound.content_length is not None:
        headers.append(("Content-Length", inbound.content_length))
    return headers


def _credential(admitted: Admitted) -> tuple[str, str]:
    """As it came, for the routes that are about the session itself."""
    if admitted.presented_as == "cookie":
        return "Cookie", f"{COOKIE_NAME}={admitted.credential}"
    if admitted.presented_as == "admin_cookie":
        return "Cookie", f"{ADMIN_COOKIE_NAME}={admitted.credential}"
    if admitted.presented_as == "bearer":
        return "Authorization", f"Bearer {admitted.credential}"
    return "Api-Token", admitted.credential


def _sign_in_cookies(inbound: Inbound) -> str:
    """A sign-in goes on with the user that this browser has, and with what it began here."""
    found = ((name, inbound.cookie_named(name)) for name in (COOKIE_NAME, SSO_COOKIE_NAME))
    return "; ".join(f"{name}={value}" for name, value in found if value)


def headers_down(
    response: aiohttp.ClientResponse, *, keep_length: bool
) -> tuple[list[tuple[bytes, bytes]], int, bool]:
    """The headers for the client, the body's length (-1: unknown) and whether it is chunked."""
    headers, length, chunked, named = [], -1, False, b""
    for raw_name, value in response.raw_headers:
        name = raw_name.lower()
        if name == b"content-length":
            length = int(value)
            if not keep_length:
                continue
        elif name in _NOT_PASSED_DOWN:
            chunked = chunked or name == b"transfer-encoding"
            named = named + b"," + value if name == b"connection" else named
            continue
        headers.append((name, value))
    if named:
        dropped = {token.strip().lower() for token in named.split(b",")}
        headers = [pair for pair in headers if pair[0] not in dropped]
    return headers, length, chunked
