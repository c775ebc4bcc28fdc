"""What can be wrong with a credential, a client or the keys.

CredentialRefused            the gateway learns only `reason`
TooManyFailures              429   an address, or an operator's name, that failed too often
InvalidToken                 401   at the exchange, whatever is wrong with the token
ExpiredToken                 401   at the exchange
InvalidLogin                 401   an operator's login, whatever is wrong with it
MasterKeyMismatch            the service does not start
NotFound                     404
├── NoSuchClient
├── NoSuchSigningKey
├── NoSuchUser
├── NoSuchSession
├── NoSuchKey
└── NoSuchAdmin
"""

from typing import Literal

from servicekit.errors import NotFound, TooManyRequests, Unauthorized
from servicekit.settings import ConfigurationError


class CredentialRefused(Exception):
    """A credential that nobody may use; which of its parts is wrong stays with us.

    `cause` is for the audit log.
    """

    def __init__(
        self, reason: Literal["invalid", "expired"] = "invalid", *, cause: str = ""
    ) -> None:
        super().__init__(reason)
        self.reason: Literal["invalid", "expired"] = reason
        self.cause = cause or reason

    @property
    def may_be_a_guess(self) -> bool:
        """What was good once is none: those whom an operator ended do not lock their office out."""
        return self.cause not in ("expired", "revoked", "disabled")


class TooManyFailures(TooManyRequests):
    """Someone guesses."""

    def __init__(self, *, retry_after: int) -> None:
        super().__init__(
            "Too many failed tries, please wait. 失败次数过多，请稍后再试。",
            retry_after=retry_after,
        )


class InvalidToken(Unauthorized):
    """Nothing is exchanged for this token."""

    code = "invalid_token"

    def __init__(self) -> None:
        super().__init__("The token is not valid. 令牌无效。")


class ExpiredToken(Unauthorized):
    """A token that was good."""

    code = "expired_token"

    def __init__(self) -> None:
        super().__init__("The token has expired. 令牌已过期。")


class InvalidLogin(Unauthorized):
    """Nobody logs in with this name and this password."""

    code = "invalid_login"

    def __init__(self) -> None:
        super().__init__("Wrong name or password. 用户名或密码错误。")


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


class NoSuchSigningKey(NotFound):
    """The client has no key with this kid."""

    def __init__(self, kid: str) -> None:
        super().__init__(f"The client has no signing key {kid}. 该客户端没有编号为 {kid} 的公钥。")


class NoSuchUser(NotFound):
    """The client has no such user, or not any more."""

    def __init__(self, client_id: int, user_id: str) -> None:
        super().__init__(
            f"Client {client_id} has no user {user_id}. 客户端 {client_id} 没有用户 {user_id}。"
        )


class NoSuchSession(NotFound):
    """No session has this id."""

    def __init__(self) -> None:
        super().__init__("There is no such session. 没有此会话。")


class NoSuchKey(NotFound):
    """No API key has this id."""

    def __init__(self, key_id: int) -> None:
        super().__init__(f"There is no API key {key_id}. 没有编号为 {key_id} 的 API 密钥。")


class NoSuchAdmin(NotFound):
    """Nobody logs in to the console under this name."""

    def __init__(self, username: str) -> None:
        super().__init__(f"There is no admin {username}. 没有管理员 {username}。")
