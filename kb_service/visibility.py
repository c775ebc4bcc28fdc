"""Who may see and write which knowledge base; what a caller's scopes allow is asked before."""

from kb_service.entities import KnowledgeBase, Visibility
from servicekit.identity import Caller


def may_reach(caller: Caller, name: str) -> bool:
    """False when the credential is confined to other names, whoever holds it."""
    return caller.confined_to is None or name in caller.confined_to


def may_write(caller: Caller, kb: KnowledgeBase) -> bool:
    is_theirs = caller.may("admin") or caller.client_id == kb.owner_client
    return is_theirs and may_reach(caller, kb.name)


def may_see(caller: Caller, kb: KnowledgeBase) -> bool:
    if may_write(caller, kb):
        return True
    return _includes(kb.visibility, caller) and may_reach(caller, kb.name)


def _includes(visibility: Visibility, caller: Caller) -> bool:
    if visibility.kind == "all":
        return True
    is_named = caller.client_id in visibility.clients
    return is_named and (
        visibility.kind == "clients" or not visibility.groups.isdisjoint(caller.groups)
    )
