"""Everything that operators do, put together for the routes and for the command line."""

from collections.abc import Callable
from dataclasses import dataclass

from auth_service.api_keys import ApiKeys
from auth_service.audit import AuditLog
from auth_service.clients import Clients
from auth_service.keys import MasterKey
from auth_service.operators import Operators
from auth_service.passwords import Passwords
from auth_service.store.key_registry import KeyRegistry
from auth_service.store.operators import OperatorRegistry
from auth_service.store.registry import Registry
from auth_service.store.user_registry import UserRegistry
from auth_service.users import Users
from servicekit.database import Database


@dataclass(frozen=True, slots=True)
class Administration:
    """The use cases of operators."""

    clients: Clients
    users: Users
    api_keys: ApiKeys
    operators: Operators
    audit: AuditLog


def administration(
    database: Database,
    master_key: MasterKey,
    audit: AuditLog,
    passwords: Passwords,
    *,
    clock: Callable[[], float],
) -> Administration:
    return Administration(
        clients=Clients(Registry(database), master_key, audit, clock=clock),
        users=Users(UserRegistry(database), audit, clock=clock),
        api_keys=ApiKeys(KeyRegistry(database), audit, clock=clock),
        operators=Operators(OperatorRegistry(database), passwords, audit),
        audit=audit,
    )
