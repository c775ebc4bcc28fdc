"""What a vendor's error means: bodies of many shapes, with any status, as one of our errors."""

import email.utils
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from chat_service.dialects import EVERYWHERE, MESSAGES, Trouble, dialect
from chat_service.errors import (
    ModelBroken,
    ModelBusy,
    ModelError,
    ModelExhausted,
    ModelFiltered,
    ModelRefused,
    ModelTooLong,
    ModelUnreachable,
)
from chat_service.llm import Reply
from chat_service.vendors import Vendor

_NO_ERROR = (None, 0, "0", 200, "200", "")
_ERRORS: Mapping[Trouble | None, Callable[[str], ModelError]] = {
    "quota": ModelExhausted,
    "filtered": ModelFiltered,
    "too_long": ModelTooLong,
    "down": ModelUnreachable,
}
_STATUSES: Mapping[Trouble | None, int] = {"key": 401, "no_model": 404}
_FILTERED_ENDS = ("content_filter", "sensitive")
_BROKEN_ENDS = ("network_error", "insufficient_system_resource", "error")
_SYSTEM_ROLE = re.compile(
    r"system.{0,40}(role|not support|unsupport|invalid)|role.{0,60}system"
    r"|first message must|role of (the )?(first )?message",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Problem:
    """What an error says of itself, wherever it says it."""

    code: str = ""
    type: str = ""
    message: str = ""

    @property
    def status(self) -> int:
        """The HTTP status that it gives as its code; 0 when it gives none."""
        return int(self.code) if re.fullmatch(r"[45]\d\d", self.code) else 0


class Refused(Exception):
    """The vendor answered with an error, before its stream or in it."""

    def __init__(
        self,
        raw: bytes,
        problem: Problem | None,
        *,
        status: int = 200,
        retry_after: str | None = None,
    ) -> None:
        super().__init__(shown(raw))
        self.problem, self.status = problem or Problem(), status
        self.retry_after = retry_after

    @property
    def about_parameters(self) -> bool:
        """Whether another request may be taken; some vendors say so with status 200."""
        return (self.problem.status or self.status) in (200, 400, 422)

    @property
    def refuses_system_role(self) -> bool:
        return self.about_parameters and bool(_SYSTEM_ROLE.search(str(self)))


def problem_of(body: Any) -> Problem | None:
    """The error that a decoded body holds; None when it holds none."""
    if not isinstance(body, dict):
        return None
    if error := body.get("error"):
        return _problem(error) if isinstance(error, dict) else Problem(message=str(error))
    base = body.get("base_resp")
    if isinstance(base, dict) and base.get("status_code") not in _NO_ERROR:
        return Problem(f"base_resp:{base['status_code']}", message=str(base.get("status_msg", "")))
    if body.get("choices"):
        return None
    named = "error_code" in body or "error_msg" in body or body.get("object") == "error"
    return _problem(body) if named or body.get("code") not in _NO_ERROR else None


def _problem(error: Mapping[str, Any]) -> Problem:
    def first(*names: str) -> str:
        return next((str(error[name]) for name in names if error.get(name) is not None), "")

    return Problem(
        first("code", "error_code"), first("type"), first("message", "error_msg", "msg", "text")
    )


def error_of(refused: Refused, vendor: Vendor, *, begun: bool = False) -> ModelError:
    """One of our errors for it; `begun` when the answer was being said already."""
    detail = f"{vendor.name} answered {refused.status}: {without_key(str(refused), vendor)}"
    status = refused.problem.status or refused.status
    trouble = trouble_of(refused.problem, vendor) or (None if begun else _by_status(status))
    if (begun and trouble in (None, "down")) or (trouble is None and status == 200):
        return ModelBroken(detail)
    if trouble == "busy":
        return ModelBusy(detail, retry_after=_seconds(refused.retry_after))
    if trouble in _ERRORS:
        return _ERRORS[trouble](detail)
    return ModelRefused.by_status(_STATUSES.get(trouble, status), vendor.name, detail)


def check_end(reply: Reply) -> None:
    """Raises ModelError when the reason why an answer ended is a failure."""
    if reply.finish_reason in _FILTERED_ENDS:
        raise ModelFiltered(f"the answer ended with {reply.finish_reason}")
    if reply.finish_reason in _BROKEN_ENDS:
        raise ModelBroken(f"the answer ended with {reply.finish_reason}")


def without_key(text: str, vendor: Vendor) -> str:
    """Vendors quote what they were sent."""
    for secret in {vendor.bearer, *vendor.bearer.split(":")}:
        if len(secret) > 3:
            text = text.replace(secret, "***")
    return text


def shown(raw: bytes) -> str:
    return raw[:500].decode("utf-8", "replace")


def trouble_of(problem: Problem, vendor: Vendor) -> Trouble | None:
    """What the problem is, where its code, its type or its words say so."""
    codes = {**EVERYWHERE, **dialect(vendor.preset).codes}
    for code in (problem.code, problem.type):
        if code in codes:
            return codes[code]
    message = problem.message.lower()
    return next((trouble for part, trouble in MESSAGES.items() if part in message), None)


def _by_status(status: int) -> Trouble | None:
    if status == 402:
        return "quota"
    if status == 429:
        return "busy"
    return "down" if status >= 500 or status == 408 else None


def _seconds(retry_after: str | None) -> int | None:
    """Retry-After, in either of its forms."""
    if not retry_after:
        return None
    if re.fullmatch(r"\d+(\.\d+)?", retry_after):
        return round(float(retry_after))
    try:
        at = email.utils.parsedate_to_datetime(retry_after).timestamp()
    except ValueError:
        return None
    return max(0, round(at - time.time()))
