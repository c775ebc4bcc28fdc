"""What the gateway itself refuses, on top of the kit's tree.

ServiceError
├── TwoCredentials           400
├── Unauthorized             401
│   ├── CredentialMissing         JSON
│   └── CredentialRefused         the old wire's bare text; JSON when a cookie was refused
├── MethodNotAllowed         405
├── BodyTooLarge             413
├── TooManyRequests          429
│   └── RateLimited               with the rate in its headers
├── HeadTooLarge             431
└── UpstreamTooSlow          504
"""

from collections.abc import Iterable
from typing import ClassVar, Literal

from servicekit.errors import ServiceError, TooManyRequests, Unauthorized

_REFUSALS = {
    "invalid": "Authentication required: Api-Token无效!",
    "expired": "Authentication required: token过期!",
}


class TwoCredentials(ServiceError):
    status: ClassVar[int] = 400
    code: ClassVar[str] = "two_credentials"

    def __init__(self) -> None:
        super().__init__("Send one credential, not several. 请只提供一个身份凭证。")


class CredentialMissing(Unauthorized):
    def __init__(self) -> None:
        super().__init__("Authentication required: 缺少Api-Token!")


class CredentialRefused(Unauthorized):
    def __init__(self, reason: Literal["invalid", "expired"], *, by_cookie: bool = False) -> None:
        super().__init__(_REFUSALS[reason])
        self.reason = reason
        self.by_cookie = by_cookie


class MethodNotAllowed(ServiceError):
    status: ClassVar[int] = 405
    code: ClassVar[str] = "method_not_allowed"

    def __init__(self, allowed: Iterable[str]) -> None:
        super().__init__("Method Not Allowed")
        self.allowed = tuple(allowed)

    @property
    def headers(self) -> dict[str, str]:
        return {"Allow": ", ".join(self.allowed)}


class BodyTooLarge(ServiceError):
    status: ClassVar[int] = 413
    code: ClassVar[str] = "body_too_large"

    def __init__(self) -> None:
        super().__init__("The request's body is too large. 请求内容过大。")

    @property
    def headers(self) -> dict[str, str]:
        """Without hanging up, the server would go on reading what nobody wants."""
        return {"Connection": "close"}


class RateLimited(TooManyRequests):
    """A rate is used up for now; `reset` seconds from now it begins anew."""

    def __init__(self, amount: int, reset: int) -> None:
        super().__init__(
            f"Too many requests; try again in {reset} s. 请求过于频繁，请 {reset} 秒后再试。",
            retry_after=reset,
        )
        self.amount = amount

    @property
    def headers(self) -> dict[str, str]:
        return super().headers | {
            "RateLimit-Limit": str(self.amount),
            "RateLimit-Remaining": "0",
            "RateLimit-Reset": str(self.retry_after),
        }


class HeadTooLarge(ServiceError):
    status: ClassVar[int] = 431
    code: ClassVar[str] = "head_too_large"

    def __init__(self) -> None:
        super().__init__("The request's head is too large. 请求头过大。")


class UpstreamTooSlow(ServiceError):
    status: ClassVar[int] = 504
    code: ClassVar[str] = "upstream_too_slow"

    def __init__(self, service: str) -> None:
        super().__init__(f"{service} did not answer in time. 服务响应超时，请稍后再试。")
