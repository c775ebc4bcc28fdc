"""v2 tokens are good once: the database says so to all copies of the service."""

from dataclasses import dataclass

from auth_service.models import REPLAYS
from auth_service.store.credentials import INSERT, write_session, write_user
from auth_service.store.records import NewSession, StoredUser
from servicekit.database import Database


@dataclass(frozen=True, slots=True)
class Use:
    """A token, until when its id has to be known, and who its client says the user is."""

    client_id: int
    jti_hash: str
    kept_until: float
    user_id: str
    username: str
    groups: tuple[str, ...]


class Replays:
    """Takes tokens in."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def use(self, use: Use, session: NewSession | None) -> StoredUser | None:
        """The user, with the session opened; None when the token was used before."""
        async with self._database.transaction() as transaction:
            connection = await transaction.connection()
            consumed = (
                INSERT[connection.dialect.name](REPLAYS)
                .values(client_id=use.client_id, jti_hash=use.jti_hash, expires_at=use.kept_until)
                .on_conflict_do_nothing()
                .returning(REPLAYS.c.jti_hash)
            )
            if (await connection.execute(consumed)).first() is None:
                return None
            user = await write_user(
                connection,
                use.client_id,
                use.user_id,
                username=use.username,
                groups=use.groups,
            )
            if session:
                await write_session(connection, session)
            return user
