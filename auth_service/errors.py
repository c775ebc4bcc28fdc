"""What can be wrong with a credential, a client or the keys.

CredentialRefused            the gateway learns only `reason`
MasterKeyMismatch            the service does not start
NoSuchClient                 404
"""

from typing import Literal

from servicekit.errors import NotFound
from servicekit.settings import ConfigurationError


class CredentialRefused(Exception):
    """A credential that nobody may use; which of its parts is wrong stays with us."""

    def __init__(self, reason: Literal["invalid", "expired"] = "invalid") -> None:
        super().__init__(reason)
        self.reason: Literal["invalid", "expired"] = reason


class MasterKeyMismatch(ConfigurationError):
    """The clients' private keys were sealed under another master key."""

    def __init__(self) -> None:
        super().__init__(
            "The master key does not open the clients' private keys: they were sealed under another"
            " one. Restore MASTER_KEY or the file auth/master.key in the data folder."
            " 主密钥与已加密的客户端私钥不匹配，请恢复原来的 MASTER_KEY 或数据目录中的"
            " auth/master.key。"
        )


class NoSuchClient(NotFound):
    """No client has this id."""

    def __init__(self, client_id: int) -> None:
        super().__init__(f"There is no client {client_id}. 没有编号为 {client_id} 的客户端。")
