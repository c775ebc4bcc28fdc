"""Names from outside: which are refused, and how any of them is shown.

No name becomes a path here: contents are stored under ids of our own. Names are checked all the
same, since they travel on to hosts, links and exports where they might become one.
"""

import re
import unicodedata

from kb_service.errors import EmptyName, HostileName

MAX_BYTES = 255
LONGEST_TAG = 50
_RESERVED = re.compile(r"(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])(\.|$)", re.IGNORECASE)
_BIDI_CONTROLS = set("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_SHOWN_LENGTH = 120


def check_knowledge_base_name(name: str) -> None:
    """Raises EmptyName or HostileName."""
    if not name.strip():
        raise EmptyName
    if "/" in unicodedata.normalize("NFKC", name) or fault_of(name):
        raise HostileName


def fault_of(name: str) -> str | None:
    """Why a file name is refused, or None; sub-folders are allowed."""
    if not name.strip():
        return "文件名为空。The name is empty."
    if any(unicodedata.category(c) in {"Cc", "Cs"} or c in _BIDI_CONTROLS for c in name):
        return "文件名含控制字符。The name has control characters."
    if len(name.encode()) > MAX_BYTES:
        return f"文件名超过 {MAX_BYTES} 字节。The name is longer than {MAX_BYTES} bytes."
    plain = unicodedata.normalize("NFKC", name)  # what look like dots and slashes become them
    if "\\" in plain or name.endswith(".") or "./" in name or any(map(_unsafe, plain.split("/"))):
        return "文件名不安全。The name is not safe."
    return None


def _unsafe(part: str) -> bool:
    """A step up, a root, a drive, or a device of Windows; or what Windows would turn into one."""
    stripped = part.strip(" .\u3002")
    return (
        not stripped
        or part != part.strip()
        or _RESERVED.match(stripped) is not None
        or re.match(r"[A-Za-z]:", part) is not None
    )


def normal_tag(tag: str) -> str:
    """Tags that look the same are the same."""
    return unicodedata.normalize("NFC", " ".join(tag.split()))


def shown(name: str) -> str:
    """A name as messages and logs show it: without characters that act, and not too long."""
    visible = "".join(
        c if c.isprintable() and c not in _BIDI_CONTROLS else c.encode("unicode_escape").decode()
        for c in name[: _SHOWN_LENGTH + 1]
    )
    return visible if len(name) <= _SHOWN_LENGTH else visible[:_SHOWN_LENGTH] + "…"


def extension_of(name: str) -> str:
    """Lower-cased, with its dot; empty when there is none."""
    stem, dot, extension = name.rpartition("/")[2].rpartition(".")
    return f".{extension.lower()}" if dot and stem else ""
