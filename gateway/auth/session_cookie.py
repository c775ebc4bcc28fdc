"""The session cookie's narrow powers: who it may speak for, from which pages, and how it is set."""

import hmac
import time
from collections.abc import Container

from gateway.auth.inbound import COOKIE_NAME, Inbound
from gateway.clients import Principal
from servicekit.errors import Forbidden

_SAFE_METHODS = frozenset(("GET", "HEAD"))


def require_own_page(method: str, inbound: Inbound, *allowed: Container[str]) -> None:
    """Raises Forbidden for a request by cookie that another site's page may have made.

    A page that says where it is from must be ours or allowed; an unsafe request must say it.
    Sec-Fetch-Site cannot be set by a page; where a browser does not send it (plain HTTP), Origin
    must be this host or an allowed one. Neither of them: refused.
    """
    origin = inbound.origin
    if origin is None and method in _SAFE_METHODS:
        return
    if any(origin in origins for origins in allowed):
        return
    if inbound.site is not None:
        own = inbound.site == "same-origin"
    else:
        own = origin is not None and origin.partition("://")[2] == inbound.host != ""
    if not own:
        raise Forbidden("This page may not use your session. 该页面来源不被允许。")


def require_csrf_token(method: str, inbound: Inbound, principal: Principal) -> None:
    """Raises Forbidden for an unsafe request that does not repeat the session's CSRF token."""
    if method in _SAFE_METHODS:
        return
    expected = (principal.csrf_token or "").encode()
    if not expected or not hmac.compare_digest(inbound.csrf_token.encode(), expected):
        raise Forbidden("The header X-CSRF-Token is missing or wrong. 缺少或错误的 X-CSRF-Token。")


def set_cookie(principal: Principal, scheme: str) -> str:
    """The Set-Cookie value for the principal's session token.

    Only a client that is embedded in other sites, over HTTPS, gets one that goes along there;
    Partitioned: it is of no use outside the page that embeds us.
    """
    left = max(0, int(principal.session_expires_at - time.time()))
    where = "SameSite=Lax"
    if scheme == "https":
        where = "SameSite=None; Secure; Partitioned" if principal.embeddable else f"{where}; Secure"
    return f"{COOKIE_NAME}={principal.session_token}; Path=/; Max-Age={left}; HttpOnly; {where}"
