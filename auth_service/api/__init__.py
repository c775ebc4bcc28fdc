"""Routes of auth_service; each surface has a module, `context` what they share."""

from auth_service.api.admin_audit import audit
from auth_service.api.admin_clients import clients
from auth_service.api.admin_keys import admins, api_keys
from auth_service.api.admin_users import sessions, users
from auth_service.api.context import Context
from auth_service.api.exchange import routes as exchange
from auth_service.api.internal import routes as internal
from auth_service.api.login import routes as login
from auth_service.api.sso import routes as sso
from auth_service.api.wire import routes as wire

__all__ = ["Context", "routers"]

routers = (wire, sso, exchange, login, internal, clients, users, sessions, api_keys, admins, audit)
