"""Who may be behind a credential, and what each kind may do."""

from collections.abc import Sequence
from dataclasses import dataclass

from auth_service.sessions import SessionToken
from auth_service.store.records import ClientTerms, StoredUser
from servicekit.identity import Caller

OPERATOR = "admin"
USER_SCOPES = ("chat", "kb:read")
OPERATOR_SCOPES = ("chat", "kb:read", "kb:write", "admin")


@dataclass(frozen=True, slots=True)
class Identity:
    """A principal, the end of its credential, and what its client may.

    `session` is the browser session when one was wanted, `key_id` the API key. An unsafe request of
    an operator's cookie has to repeat `csrf_token`.
    """

    caller: Caller
    expires_at: float | None
    terms: ClientTerms
    session: SessionToken | None = None
    csrf_token: str | None = None
    key_id: str | None = None


def users_caller(
    client_id: int, user_id: str, username: str, groups: Sequence[str], terms: ClientTerms
) -> Caller:
    return Caller(
        str(client_id),
        user_id,
        username,
        USER_SCOPES,
        groups=tuple(groups),
        confined_to=both(terms.knowledge_bases, None),
    )


def vouched_caller(user: StoredUser, terms: ClientTerms) -> Caller:
    return users_caller(user.client_id, user.user_id, user.username, user.groups, terms)


def both(one: Sequence[str] | None, other: Sequence[str] | None) -> tuple[str, ...] | None:
    """The knowledge bases that two confinements leave; None confines to nothing."""
    if one is None or other is None:
        left = other if one is None else one
        return None if left is None else tuple(left)
    return tuple(name for name in one if name in other)
