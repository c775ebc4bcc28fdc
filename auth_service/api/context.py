"""What lives as long as the process, and the dependencies that every route may use."""

from dataclasses import dataclass
from typing import Annotated

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fastapi import Depends, Header, Request

from auth_service.accounts import Accounts
from auth_service.admins import Admins
from auth_service.audit import AuditLog
from auth_service.sso import SingleSignOn


@dataclass(frozen=True, slots=True)
class Context:
    """What lives as long as the process and routes need."""

    accounts: Accounts
    admins: Admins
    sso: SingleSignOn
    audit: AuditLog
    caller_key: Ed25519PrivateKey
    introspection_key: str


# Coroutines, though they wait for nothing: FastAPI runs plain functions in a thread.
async def _context(request: Request) -> Context:
    context: Context = request.app.state.context
    return context


async def _client_address(request: Request) -> str:
    """The browser's address. The gateway drops what came from outside and writes its own."""
    forwarded = request.headers.get("X-Forwarded-For", "").rpartition(",")[2].strip()
    return forwarded or (request.client.host if request.client else "")


async def _is_secure(x_forwarded_proto: Annotated[str, Header()] = "") -> bool:
    return x_forwarded_proto == "https"


ContextDep = Annotated[Context, Depends(_context)]
AddressDep = Annotated[str, Depends(_client_address)]
SecureDep = Annotated[bool, Depends(_is_secure)]
