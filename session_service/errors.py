"""What this service refuses."""

from servicekit.errors import NotFound, Refused


class NotYours(Refused):
    """The session or turn belongs to somebody else."""

    def __init__(self) -> None:
        super().__init__("无权操作!")


class NoSuchTurn(NotFound):
    """The turn is gone, or the capability does not open it (any more)."""

    def __init__(self) -> None:
        super().__init__("No turn is open to this capability. 找不到可写入的对话记录。")
