"""Files that are archives inside: checked before anything in them is read."""

import struct
import zipfile
import zlib
from pathlib import Path
from typing import IO

from kb_service.loaders import LoadFault, damaged, encrypted

# What zipfile raises on a broken or hostile archive, besides its own: zlib's for the packed bytes,
# EOFError and OSError where it ends early, RuntimeError for a password, NotImplementedError for a
# way of packing that it does not know, ValueError and struct.error for fields that lie.
BROKEN: tuple[type[Exception], ...] = (zipfile.BadZipFile, zlib.error, EOFError, OSError)
BROKEN += (RuntimeError, NotImplementedError, ValueError, struct.error)
_INFLATED_MAX = 400 * 1024 * 1024
_XML_MAX = 100 * 1024 * 1024
_ENTRIES_MAX = 20_000
_TEXTUAL = (".xml", ".rels", ".xhtml", ".html", ".htm", ".opf", ".ncx")


def check_archive(path: Path, *, inflated_max: int = _INFLATED_MAX) -> None:
    """Inflates everything once, counting what really comes out: sizes in an archive may lie."""
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            if len(entries) > _ENTRIES_MAX:
                raise LoadFault("压缩包条目过多。The archive has too many entries.")
            inflated = xml = 0
            for entry in entries:
                if entry.flag_bits & 1:
                    raise encrypted()
                with archive.open(entry) as part:
                    size = _inflate(part, inflated_max - inflated)
                inflated += size
                xml += size if entry.filename.lower().endswith(_TEXTUAL) else 0
                if xml > _XML_MAX:
                    raise _too_large()
    except BROKEN:
        raise damaged() from None


def _inflate(part: IO[bytes], allowed: int) -> int:
    size = 0
    while data := part.read(1 << 16):
        size += len(data)
        if size > allowed:
            raise _too_large()
    return size


def _too_large() -> LoadFault:
    return LoadFault("解压后的内容过大。The document inflates to too much.")
