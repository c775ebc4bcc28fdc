"""E-mail (eml): who, when, about what, and the text; the names of attachments."""

from collections.abc import Iterator
from email import message_from_bytes, policy
from email.message import EmailMessage
from email.utils import parsedate_to_datetime
from pathlib import Path

from kb_service.loaders import LoadFault, Reading, Section
from kb_service.loaders.encodings import decode
from kb_service.loaders.html import blocks
from kb_service.loaders.titles import TEXT, sections_by_title

_PARTS_MAX = 200  # that have parts themselves
_HEADER_MAX = 2_000  # characters: the parser takes time by the square of them
_HEADERS = ("From", "To", "Cc", "Date", "Subject")


def load(path: Path, reading: Reading) -> Iterator[Section]:
    raw = path.read_bytes()
    if raw.lower().count(b"boundary=") > _PARTS_MAX:
        raise LoadFault("邮件嵌套过深。The e-mail is nested too deep.")
    message = message_from_bytes(raw, policy=policy.default)
    if not message.keys() or not isinstance(message, EmailMessage):
        raise LoadFault("内容不是电子邮件，与扩展名不符。The content is not an e-mail.")
    return message_sections(
        {name: _header(message, name) for name in _HEADERS},
        *_body(message),
        [part.get_filename() or "" for part in message.iter_attachments()],
    )


def message_sections(
    headers: dict[str, str], text: str, page: str, attachments: list[str]
) -> Iterator[Section]:
    """From the plain text of a message, else from its page."""
    shown = dict(headers) | {"Attachments": ", ".join(name for name in attachments if name)}
    head = "\n".join(f"{name}: {value}" for name, value in shown.items() if value)
    body = iter([(TEXT, text)]) if text.strip() or not page else blocks(page)
    subject = headers.get("Subject", "")
    return sections_by_title(
        [(TEXT, head), (TEXT, ""), *body], {"title": subject} if subject else None
    )


def _header(message: EmailMessage, name: str) -> str:
    raw = next((text for known, text in message.raw_items() if known.lower() == name.lower()), "")
    try:
        value = str(policy.default.header_factory(name, str(raw)[:_HEADER_MAX]))
        if name == "Date" and value:
            return parsedate_to_datetime(value).isoformat(" ")
    except (ValueError, TypeError, IndexError, AttributeError):  # the parser of headers raises all
        return ""
    return " ".join(value.split())


def _body(message: EmailMessage) -> tuple[str, str]:
    """The plain text and the page, either may be missing."""
    found = {"plain": "", "html": ""}
    for kind in found:
        part = message.get_body((kind,))
        raw = part.get_payload(decode=True) if part is not None else None
        if isinstance(raw, bytes) and part is not None:
            found[kind] = decode(raw, part.get_content_charset()) if raw else ""
    return found["plain"].replace("\r\n", "\n"), found["html"]
