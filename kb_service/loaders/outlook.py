"""Outlook messages (msg)."""

import struct
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import olefile

from kb_service.loaders import Reading, Section
from kb_service.loaders.email_message import message_sections
from kb_service.loaders.encodings import decode
from kb_service.loaders.html import page_text

# Property numbers of [MS-OXPROPS].
_SUBJECT, _SENDER, _ADDRESS, _TO, _CC, _BODY, _HTML = (
    *("0037", "0C1A", "5D01", "0E04"),
    *("0E03", "1000", "1013"),
)
_SENT, _DELIVERED = 0x00390040, 0x0E060040
_LONG_NAME, _SHORT_NAME = "3707", "3704"
_EPOCH = datetime(1601, 1, 1, tzinfo=UTC)


def load(path: Path, reading: Reading) -> Iterator[Section]:
    with olefile.OleFileIO(str(path)) as document:
        message = _Storage(document, "")
        sender = " ".join(
            part for part in (message.text(_SENDER), _in_brackets(message.text(_ADDRESS))) if part
        )
        headers = {
            "From": sender,
            "To": message.text(_TO),
            "Cc": message.text(_CC),
            "Date": message.time(_SENT) or message.time(_DELIVERED),
            "Subject": message.text(_SUBJECT),
        }
        return message_sections(
            headers,
            message.text(_BODY).replace("\r\n", "\n"),
            message.page(),
            _attachments(document),
        )


class _Storage:
    """The properties of a message or of an attachment."""

    def __init__(self, document: "olefile.OleFileIO[str]", folder: str) -> None:
        self._document, self._folder = document, folder

    def text(self, number: str) -> str:
        if (wide := self._stream(f"__substg1.0_{number}001F")) is not None:
            return wide.decode("utf-16-le", errors="replace").rstrip("\0")
        narrow = self._stream(f"__substg1.0_{number}001E")
        return decode(narrow.rstrip(b"\0")) if narrow else ""

    def page(self) -> str:
        raw = self._stream(f"__substg1.0_{_HTML}0102")
        return page_text(raw) if raw else self.text(_HTML)

    def time(self, tag: int) -> str:
        """A property of fixed length, from the list of those."""
        raw = self._stream("__properties_version1.0") or b""
        for at in range(32, len(raw) - 15, 16):
            found, _, value = struct.unpack_from("<IIQ", raw, at)
            if found == tag:
                return (_EPOCH + timedelta(microseconds=value // 10)).isoformat(" ", "seconds")
        return ""

    def _stream(self, name: str) -> bytes | None:
        path = f"{self._folder}{name}"
        if not self._document.exists(path):
            return None
        content: bytes = self._document.openstream(path).read()
        return content


def _attachments(document: "olefile.OleFileIO[str]") -> list[str]:
    folders = sorted({entry[0] for entry in document.listdir() if entry[0].startswith("__attach")})
    storages = [_Storage(document, f"{folder}/") for folder in folders]
    return [storage.text(_LONG_NAME) or storage.text(_SHORT_NAME) for storage in storages]


def _in_brackets(address: str) -> str:
    return f"<{address}>" if address else ""
