"""Users that a host app vouches for, with a v1 or a v2 token."""

from collections.abc import Callable

from auth_service.errors import CredentialRefused
from auth_service.principals import Identity, vouched_caller
from auth_service.sessions import Sessions
from auth_service.signed_tokens import (
    SKEW_SECONDS,
    SignatureVerifier,
    SignedClaims,
    UnprovenToken,
    read_signed_claims,
)
from auth_service.store.credentials import Store
from auth_service.store.records import StoredClient, StoredUser
from auth_service.store.replays import Replays, Use
from auth_service.tokens import Claims, SealedToken, TokenOpener, read_claims


class HostApps:
    """Takes tokens of host apps."""

    def __init__(
        self,
        store: Store,
        replays: Replays,
        sessions: Sessions,
        opener: TokenOpener,
        *,
        token_seconds: float,
        clock: Callable[[], float],
    ) -> None:
        self._store, self._replays, self._sessions = store, replays, sessions
        self._opener, self._verifier = opener, SignatureVerifier()
        self._token_seconds, self._clock = token_seconds, clock

    async def open(self, credential: str, token: SealedToken, *, want_session: bool) -> Identity:
        """Who a v1 token speaks of. Raises CredentialRefused."""
        client = await self._store.client(token.client_id)
        sealed_key = client.private_key if client and client.enable else None
        plain = await self._opener.open(token, sealed_key)
        assert client is not None  # nothing else could be opened
        now = self._clock()
        claims = read_claims(plain, client_id=client.id, now=now)
        expires_at = claims.issued_at + self._token_seconds
        if expires_at < now:
            raise CredentialRefused("expired")
        user = await self._named_user(client, claims)
        session = None
        if want_session:
            session = await self._sessions.open_for(credential, user.client_id, user.user_id)
            if session is None:  # ended by its user or an operator: the token ended with it
                raise CredentialRefused(cause="revoked")
            await self._require_still_vouched(client.id, claims.user_id, claims.issued_at)
        return Identity(vouched_caller(user, client.terms), expires_at, client.terms, session)

    async def exchange(self, token: UnprovenToken, *, want_session: bool) -> Identity:
        """Who a v2 token speaks of; it is used up. Raises CredentialRefused."""
        client = await self._store.client(token.client_id)
        keys = await self._store.client_keys(client.id) if client and client.enable else []
        claims = read_signed_claims(self._verifier.verify(token, keys), now=self._clock())
        assert client is not None  # it has a key
        known = await self._known_user(client, claims.user_id, claims.issued_at)
        token_and_session = (
            self._sessions.new(client.id, claims.user_id, method="v2") if want_session else None
        )
        session, new = token_and_session or (None, None)
        user = await self._replays.use(_use(client.id, claims, known), new)
        if user is None:
            raise CredentialRefused(cause="replayed")
        await self._require_still_vouched(client.id, claims.user_id, claims.issued_at)
        caller = vouched_caller(user, client.terms)
        return Identity(caller, claims.expires_at, client.terms, session)

    async def _named_user(self, client: StoredClient, claims: Claims) -> StoredUser:
        user = await self._known_user(client, claims.user_id, claims.issued_at)
        if user is None or user.deleted or user.username != claims.username:
            return await self._store.save_user(client.id, claims.user_id, username=claims.username)
        return user

    async def _require_still_vouched(self, client_id: int, user_id: str, issued_at: float) -> None:
        """Who was revoked while a session was opened does not get it. Raises CredentialRefused."""
        client = await self._store.client(client_id)
        if client is None or not client.enable:
            raise CredentialRefused(cause="disabled")
        await self._known_user(client, user_id, issued_at)

    async def _known_user(
        self, client: StoredClient, user_id: str, issued_at: float
    ) -> StoredUser | None:
        """Raises CredentialRefused when a token of that time may not speak of this user."""
        user = await self._store.user(client.id, user_id)
        if user and not user.enable:
            raise CredentialRefused(cause="disabled")
        not_before = max(client.tokens_not_before or 0, user.tokens_not_before or 0 if user else 0)
        if issued_at < not_before:
            raise CredentialRefused(cause="revoked")
        return user


def _use(client_id: int, claims: SignedClaims, known: StoredUser | None) -> Use:
    """Without a name in the token, the name that the user has stays."""
    before = known.username if known and not known.deleted else claims.user_id[:50]
    return Use(
        client_id=client_id,
        jti_hash=claims.jti_hash,
        kept_until=claims.expires_at + SKEW_SECONDS,
        user_id=claims.user_id,
        username=before if claims.username is None else claims.username,
        groups=claims.groups,
    )
