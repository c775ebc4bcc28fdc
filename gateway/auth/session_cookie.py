"""The session cookie's narrow powers: who it may speak for, from which pages, and how it is set."""

import time

from gateway.auth.inbound import COOKIE_NAME, Inbound
from gateway.clients import Principal
from servicekit.errors import Forbidden

_SAFE_METHODS = frozenset(("GET", "HEAD"))


def require_own_page(method: str, inbound: Inbound, allowed: frozenset[str]) -> None:
    """Raises Forbidden for an unsafe request by cookie that another site's page may have made.

    Sec-Fetch-Site cannot be set by a page; where a browser does not send it (plain HTTP), Origin
    must be this host or an allowed one. Neither of them: refused.
    """
    if method in _SAFE_METHODS or inbound.origin in allowed:
        return
    if inbound.site is not None:
        own = inbound.site == "same-origin"
    else:
        own = (
            inbound.origin is not None and inbound.origin.partition("://")[2] == inbound.host != ""
        )
    if not own:
        raise Forbidden("This page may not use your session. 该页面来源不被允许。")


def set_cookie(principal: Principal, scheme: str) -> str:
    """The Set-Cookie value for the principal's session token."""
    left = max(0, int(principal.session_expires_at - time.time()))
    secure = "; Secure" if scheme == "https" else ""
    return (
        f"{COOKIE_NAME}={principal.session_token}; Path=/; Max-Age={left}; HttpOnly; "
        f"SameSite=Lax{secure}"
    )
