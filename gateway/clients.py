"""AuthClient: the gateway's only typed call to another service."""

import logging
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import anyio

from servicekit.errors import TooManyRequests, Unavailable, UpstreamError
from servicekit.http import ServiceClient
from servicekit.identity import Caller

Presentation = Literal["header", "bearer", "cookie", "url"]
_UNAVAILABLE = "Sign-in is not available right now. 身份服务暂不可用，请稍后再试。"


@dataclass(frozen=True, slots=True)
class Principal:
    """Who is behind a credential, the header that proves it to services, and until when."""

    caller: Caller
    header: str
    expires_at: float
    session_token: str | None
    session_expires_at: float

    @property
    def key(self) -> tuple[str, str]:
        return self.caller.client_id, self.caller.user_id


@dataclass(frozen=True, slots=True)
class Rejection:
    """auth_service knows nobody behind the credential."""

    reason: Literal["invalid", "expired"]


class AuthClient:
    """Asks auth_service who is behind a credential; the key is given, or read from a file."""

    def __init__(self, service: ServiceClient, *, key: str, key_file: Path) -> None:
        self._service, self._key, self._key_file = service, key, key_file
        self._key_is_given = bool(key)

    async def introspect(
        self, credential: str, *, presented_as: Presentation, address: str, want_session: bool
    ) -> Principal | Rejection:
        """Raises Unavailable or UpstreamError when there is no answer, TooManyRequests."""
        status, answer = await self._service.call(
            "POST",
            "/internal/introspect",
            body={
                "credential": credential,
                "presented_as": presented_as,
                "address": address,
                "want_session": want_session,
            },
            headers={"Authorization": f"Bearer {await self._current_key()}"},
            timeout=5,
        )
        if status == 429:
            raise TooManyRequests(
                "Too many failed tries. 失败次数过多，请稍后再试。", retry_after=30
            )
        if status != 200:
            self._forget_key()
            logging.getLogger(__name__).error("auth_service refused the gateway: %s", status)
            raise Unavailable(_UNAVAILABLE, retry_after=2)
        return _decode(answer)

    async def _current_key(self) -> str:
        """auth_service makes the file at its first start, which may be after ours."""
        if not self._key:
            try:
                self._key = (await anyio.Path(self._key_file).read_text()).strip()
            except OSError as error:
                logging.getLogger(__name__).warning("no introspection key yet: %s", error)
                raise Unavailable(_UNAVAILABLE, retry_after=2) from None
        return self._key

    def _forget_key(self) -> None:
        if not self._key_is_given:
            self._key = ""


def _decode(answer: Any) -> Principal | Rejection:
    try:
        if not answer["active"]:
            return Rejection("expired" if answer.get("reason") == "expired" else "invalid")
        fields = answer["caller"]
        own_end = answer["expires_at"]
        return Principal(
            caller=Caller(
                client_id=str(fields["client_id"]),
                user_id=str(fields["user_id"]),
                username=str(fields["username"]),
                scopes=tuple(fields["scopes"]),
            ),
            header=answer["jws"],
            expires_at=min(answer["jws_expires_at"], own_end or float("inf")),
            session_token=answer.get("session_token"),
            session_expires_at=answer.get("session_expires_at") or time.time(),
        )
    except (KeyError, TypeError) as error:
        raise UpstreamError("auth_service answered oddly. 内部服务出错。") from error
