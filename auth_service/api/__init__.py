"""Routes of auth_service; each surface has a module, `context` what they share."""

from auth_service.api.context import Context
from auth_service.api.internal import render_refused
from auth_service.api.internal import routes as internal
from auth_service.api.sso import routes as sso
from auth_service.api.wire import routes as wire

__all__ = ["Context", "render_refused", "routers"]

routers = (wire, sso, internal)
