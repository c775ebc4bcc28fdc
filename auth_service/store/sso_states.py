"""States of logins elsewhere that came back."""

from sqlalchemy import insert
from sqlalchemy.exc import IntegrityError

from auth_service.models import SSO_STATES
from servicekit.database import Database


class SsoStates:
    """The table sso_state."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def consume(self, nonce: str, *, expires_at: float) -> bool:
        """True for the first who comes with this nonce, whichever copy of the service is asked."""
        added = insert(SSO_STATES).values(nonce=nonce, expires_at=expires_at)
        try:
            async with self._database.transaction() as session:
                await (await session.connection()).execute(added)
        except IntegrityError:
            return False
        return True
