"""Who is behind a credential: a client's user, the owner of an API key or an operator."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from cachetools import LRUCache

from auth_service.admins import ADMIN_PREFIX, Admins
from auth_service.errors import CredentialRefused, ExpiredToken, InvalidToken
from auth_service.hosts import HostApps
from auth_service.principals import OPERATOR, OPERATOR_SCOPES, Identity, both, users_caller
from auth_service.schemas import Place
from auth_service.sessions import SESSION_PREFIX, Sessions, SessionToken
from auth_service.signed_tokens import MAX_LENGTH as MAX_SIGNED_LENGTH
from auth_service.signed_tokens import is_signed, read_unproven
from auth_service.store.credentials import Store
from auth_service.stored_keys import at_rest, digest
from auth_service.tokens import MAX_TOKEN_LENGTH, parse_token
from auth_service.watch import Attempt, Watch
from servicekit.errors import Unauthorized
from servicekit.identity import Caller

_SESSION_PLACES = ("header", "cookie", "url")
_TOKEN_PLACES = ("header", "url")
_KEY_PLACES = ("header", "bearer")
_TOUCH_SECONDS = 60
_KNOWN_TOKENS = 10_000


@dataclass(frozen=True, slots=True)
class Exchanged:
    """A session, and whose it is."""

    caller: Caller
    session: SessionToken


@dataclass(frozen=True, slots=True)
class Profile:
    """What a principal is told about itself."""

    username: str
    enable: bool
    create_time: datetime


class Accounts:
    """Knows every kind of credential.

    An address that failed too often has no token opened and no signature verified, unless its token
    was good before: one guesser behind a shared address does not log the others out. What is only
    looked up is looked up.
    """

    def __init__(
        self,
        store: Store,
        sessions: Sessions,
        hosts: HostApps,
        admins: Admins,
        watch: Watch,
        *,
        clock: Callable[[], float],
    ) -> None:
        self._store, self._sessions, self._hosts, self._admins = store, sessions, hosts, admins
        self._watch, self._clock = watch, clock
        self._good_tokens: LRUCache[bytes, None] = LRUCache(_KNOWN_TOKENS)

    async def identify(
        self, credential: str, place: Place, *, address: str, want_session: bool = False
    ) -> Identity:
        """Who presents this credential there. Raises CredentialRefused or TooManyFailures."""
        attempt = Attempt(address, "login", place)
        try:
            return await self._identify(credential, place, attempt, want_session=want_session)
        except CredentialRefused as refused:
            if refused.may_be_a_guess:
                await self._watch.failed(attempt, refused.cause)
            else:
                self._watch.note(attempt, refused.cause)
            raise

    async def exchange(self, token: str, *, address: str) -> Exchanged:
        """The session of a v1 or v2 token. Raises InvalidToken, ExpiredToken, TooManyFailures."""
        if token.startswith(SESSION_PREFIX):
            raise InvalidToken
        try:
            identity = await self.identify(token, "url", address=address, want_session=True)
        except CredentialRefused as refused:
            raise (ExpiredToken if refused.reason == "expired" else InvalidToken) from None
        if identity.session is None:
            raise InvalidToken
        return Exchanged(identity.caller, identity.session)

    async def log_out(self, token: str) -> None:
        """End the session of this token; a v1 token ends with the one that came of it."""
        is_session = token.startswith(SESSION_PREFIX)
        await self._sessions.revoke(token if is_session else self._sessions.derived(token))

    async def origins(self) -> set[str]:
        """Where pages of enabled clients are."""
        return await self._store.origins()

    async def profile(self, caller: Caller) -> Profile:
        """The caller's row; the owner of an API key need not have one. Raises Unauthorized."""
        client_id = None if caller.client_id == OPERATOR else int(caller.client_id)
        user = None if client_id is None else await self._store.user(client_id, caller.user_id)
        if user and not user.deleted:
            return Profile(user.username, user.enable, user.create_time)
        key = await self._store.key_of(client_id, caller.user_id)
        if key:
            return Profile(key.name, key.enable, key.create_time)
        admin = None if client_id is not None else await self._admins.find(caller.user_id)
        if admin:
            return Profile(admin.username, admin.enable, admin.create_time)
        raise Unauthorized("Authentication required: Api-Token无效!")

    async def _identify(
        self, credential: str, place: Place, attempt: Attempt, *, want_session: bool
    ) -> Identity:
        if not credential.isascii() or not 0 < len(credential) <= MAX_SIGNED_LENGTH:
            raise CredentialRefused
        if place == "url" and is_signed(credential):
            return await self._signed(credential, attempt, want_session=want_session)
        if len(credential) > MAX_TOKEN_LENGTH:
            raise CredentialRefused
        if credential.startswith(SESSION_PREFIX) and place in _SESSION_PLACES:
            return await self._session_user(credential, want_session=want_session)
        if credential.startswith(ADMIN_PREFIX) and place == "admin_cookie":
            return await self._admins.identify(credential)
        return await self._host_user_or_key(credential, place, attempt, want_session=want_session)

    async def _signed(self, credential: str, attempt: Attempt, *, want_session: bool) -> Identity:
        await self._watch.check(attempt)
        token = read_unproven(credential)
        if token is None:
            raise CredentialRefused
        return await self._hosts.exchange(token, want_session=want_session)

    async def _host_user_or_key(
        self, credential: str, place: Place, attempt: Attempt, *, want_session: bool
    ) -> Identity:
        token = parse_token(credential)
        if token is None and place in _KEY_PLACES:
            return await self._key_owner(credential)
        if token is None or place not in _TOKEN_PLACES:
            raise CredentialRefused
        known = hashlib.sha256(credential.encode()).digest()
        if known not in self._good_tokens:
            await self._watch.check(attempt)
        self._good_tokens.pop(known, None)
        identity = await self._hosts.open(credential, token, want_session=want_session)
        self._good_tokens[known] = None
        return identity

    async def _session_user(self, token: str, *, want_session: bool) -> Identity:
        found = await self._sessions.find(token)
        caller = users_caller(
            found.client_id, found.user_id, found.username, found.groups, found.terms
        )
        session = SessionToken(token, found.expires_at) if want_session else None
        return Identity(caller, found.expires_at, found.terms, session)

    async def _key_owner(self, text: str) -> Identity:
        key = await self._store.key(digest(text))
        if key is None:
            raise CredentialRefused
        if not key.enable:
            raise CredentialRefused(cause="disabled")
        now = self._clock()
        if key.expires_at is not None and key.expires_at <= now:
            raise CredentialRefused("expired")
        if key.last_used_at is None or key.last_used_at < now - _TOUCH_SECONDS:
            await self._store.touch_key(key.id, now=now)
        caller = Caller(
            OPERATOR if key.client_id is None else str(key.client_id),
            key.user_id,
            key.name,
            tuple(key.scopes.split()),
            confined_to=both(key.terms.knowledge_bases, key.knowledge_bases),
        )
        return Identity(caller, key.expires_at, key.terms, key_id=str(key.id))


async def put_operator_key(store: Store, key: str) -> None:
    """Make this the first operator's key; the one it had before is gone."""
    await store.put_operator_key(
        OPERATOR,
        **at_rest(key),
        scopes=" ".join(OPERATOR_SCOPES),
    )
