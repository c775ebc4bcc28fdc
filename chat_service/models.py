"""Tables of chat.db."""

from sqlmodel import Field, SQLModel


class OutboxRow(SQLModel, table=True):
    """An answer that session_service does not have yet: a checkpoint, or one to deliver later.

    `due_at` is when somebody may deliver it: a live stream keeps pushing its own into the future.
    """

    __tablename__ = "outbox"

    id: str = Field(primary_key=True, max_length=32)
    turn_id: str = Field(max_length=32)
    capability: str
    response: str
    docs: str
    state: str = Field(max_length=16)
    attempts: int = 0
    due_at: float = Field(index=True)


OUTBOX = SQLModel.metadata.tables["outbox"]
