"""What ended long ago is deleted; each kind in a transaction of its own, so that logins go on."""

from sqlalchemy import and_, delete, exists

from auth_service.models import ADMIN_SESSIONS, REPLAYS, SESSIONS, SSO_STATES, USERS
from servicekit.database import Database

_SPARE_SECONDS = 3600


class Expiry:
    """Forgets."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def delete_expired(self, *, now: float, token_seconds: float) -> None:
        """A revoked session outlives the v1 token that it came from, as a deleted user does."""
        revived_until = now - token_seconds - _SPARE_SECONDS
        has_session = exists().where(
            SESSIONS.c.client_id == USERS.c.client_id, SESSIONS.c.user_id == USERS.c.user_id
        )
        gone = and_(USERS.c.deleted.is_(True), USERS.c.tokens_not_before < revived_until)
        for statement in (
            delete(SESSIONS).where(SESSIONS.c.expires_at < now - token_seconds),
            delete(ADMIN_SESSIONS).where(ADMIN_SESSIONS.c.expires_at <= now),
            delete(REPLAYS).where(REPLAYS.c.expires_at <= now),
            delete(SSO_STATES).where(SSO_STATES.c.expires_at <= now),
            delete(USERS).where(gone, ~has_session),
        ):
            async with self._database.transaction() as session:
                await (await session.connection()).execute(statement)
