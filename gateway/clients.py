"""AuthClient: the gateway's only typed calls to another service."""

import logging
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import anyio

from servicekit.errors import TooManyRequests, Unavailable, UpstreamError
from servicekit.http import ServiceClient
from servicekit.identity import Caller

Presentation = Literal["header", "bearer", "cookie", "url", "admin_cookie"]
_UNAVAILABLE = "Sign-in is not available right now. 身份服务暂不可用，请稍后再试。"
_ORIGIN = re.compile(r"https?://[\w.:\[\]-]+", re.ASCII)  # nothing that ends a header's value


@dataclass(frozen=True, slots=True)
class Principal:
    """Who is behind a credential, the header that proves it to services, and until when.

    `csrf_token` is what unsafe requests by admin cookie must repeat; `key_id` an API key's;
    `limits` the client's own rates by class, `origins` the pages that may embed or call for it.
    """

    caller: Caller
    header: str
    expires_at: float
    session_token: str | None
    session_expires_at: float
    csrf_token: str | None = None
    key_id: str | None = None
    limits: Mapping[str, str] = field(default_factory=dict)
    origins: tuple[str, ...] = ()
    embeddable: bool = False

    @property
    def key(self) -> tuple[str, str]:
        return self.caller.client_id, self.caller.user_id


@dataclass(frozen=True, slots=True)
class Rejection:
    """auth_service knows nobody behind the credential, or does not look for `retry_after` s."""

    reason: Literal["invalid", "expired", "limited"]
    retry_after: int = 0


class AuthClient:
    """Asks auth_service who is behind a credential; the key is given, or read from a file."""

    def __init__(self, service: ServiceClient, *, key: str, key_file: Path) -> None:
        self._service, self._key, self._key_file = service, key, key_file
        self._key_is_given = bool(key)

    async def introspect(
        self, credential: str, *, presented_as: Presentation, address: str, want_session: bool
    ) -> Principal | Rejection:
        """Raises Unavailable or UpstreamError when there is no answer, TooManyRequests."""
        question = {
            "credential": credential,
            "presented_as": presented_as,
            "address": address,
            "want_session": want_session,
        }
        return _decode(await self._ask("POST", "/internal/introspect", question))

    async def origins(self) -> tuple[str, ...]:
        """The allowed origins of all clients. Raises Unavailable, UpstreamError."""
        answer = await self._ask("GET", "/internal/origins", None)
        try:
            return _origins(answer["origins"])
        except (KeyError, TypeError) as error:
            raise UpstreamError("auth_service answered oddly. 内部服务出错。") from error

    async def _ask(self, method: str, path: str, body: object) -> Any:
        status, answer = await self._service.call(
            method,
            path,
            body=body,
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
        return answer

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
        return _principal(answer) if answer["active"] else _rejection(answer)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise UpstreamError("auth_service answered oddly. 内部服务出错。") from error


def _rejection(answer: Any) -> Rejection:
    reason = answer.get("reason")
    if reason == "limited":
        return Rejection("limited", max(1, int(answer.get("retry_after") or 30)))
    return Rejection("expired" if reason == "expired" else "invalid")


def _principal(answer: Any) -> Principal:
    """A tolerant reader: what an older auth_service does not say has its default."""
    fields = answer["caller"]
    confined_to = fields.get("confined_to")
    return Principal(
        caller=Caller(
            client_id=str(fields["client_id"]),
            user_id=str(fields["user_id"]),
            username=str(fields["username"]),
            scopes=tuple(fields["scopes"]),
            groups=tuple(fields.get("groups") or ()),
            confined_to=None if confined_to is None else tuple(confined_to),
        ),
        header=answer["jws"],
        expires_at=min(answer["jws_expires_at"], answer["expires_at"] or float("inf")),
        session_token=answer.get("session_token"),
        session_expires_at=answer.get("session_expires_at") or time.time(),
        csrf_token=answer.get("csrf_token"),
        key_id=None if answer.get("key_id") is None else str(answer["key_id"]),
        limits=dict(answer.get("limits") or {}),
        origins=_origins(answer.get("origins") or ()),
        embeddable=bool(answer.get("embeddable")),
    )


def _origins(given: Any) -> tuple[str, ...]:
    return tuple(origin for origin in map(str, given) if _ORIGIN.fullmatch(origin))
