"""A zip of files: each entry a file of its own, with limits on what comes out of it."""

import struct
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, cast

from kb_service.loaders import LoadFault, damaged
from kb_service.loaders.archives import BROKEN
from kb_service.names import extension_of, fault_of

ENTRIES_MAX = 1_000
_DIRECTORY_MAX = 4 << 20  # bytes: it is read as a whole, whatever it says of its length
_IN_MEMORY = 1 << 20
_PIECE = 1 << 16
_UTF8 = 0x800
_END, _END_SIZE, _COMMENT_MAX = b"PK\x05\x06", 22, 0xFFFF
_LARGE_LOCATOR, _LARGE_LOCATOR_SIZE = b"PK\x06\x07", 20
_ARCHIVES = frozenset(
    (".zip", ".rar", ".7z", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".zst", ".jar", ".iso", ".cab")
)


@dataclass(frozen=True, slots=True)
class Entry:
    """A file that came out, to be closed by who takes it, or why it did not."""

    name: str
    size: int = 0
    file: BinaryIO | None = None
    fault: str = ""


def entries(
    file: BinaryIO, *, file_max: int, total_max: int, entries_max: int = ENTRIES_MAX
) -> Iterator[Entry]:
    """One after the other, in bytes that really come out. Raises LoadFault for what is no zip.

    One byte more than `file_max` is kept of a file, which is how its reader sees the cut.
    """
    try:
        _check_directory(file)
        archive = zipfile.ZipFile(file)
    except BROKEN:
        raise damaged() from None
    with archive:
        infos = [info for info in archive.infolist() if not info.is_dir()]
        if len(infos) > entries_max:
            raise LoadFault(
                f"压缩包中的文件超过 {entries_max} 个。It has more than {entries_max} files."
            )
        left, seen = total_max, set[str]()
        for info in infos:
            name = _name(info)
            why = _fault(info, name) or _already(name, seen)
            seen.add(name)
            entry = Entry(name, fault=why) if why else _inflate(archive, info, name, file_max, left)
            left -= entry.size
            yield entry


def _inflate(
    archive: zipfile.ZipFile, info: zipfile.ZipInfo, name: str, file_max: int, left: int
) -> Entry:
    out = tempfile.SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115  # whoever takes the entry closes it
    size, most = 0, min(file_max + 1, left)
    try:
        with archive.open(info) as part:
            while size < most and (data := part.read(min(_PIECE, most - size))):
                size += len(data)
                out.write(data)
            if size == left and part.read(1):
                out.close()
                return Entry(
                    name, size, fault="压缩包解压后过大。The archive inflates to too much."
                )
    except BROKEN:
        out.close()
        return Entry(name, size, fault=str(damaged()))
    return Entry(name, size, cast(BinaryIO, out))


def _name(info: zipfile.ZipInfo) -> str:
    """As its writer meant it: Windows writes names in the language of the system, and says so not.

    In China that is GBK; others write UTF-8 without saying so.
    """
    if info.flag_bits & _UTF8:
        return info.orig_filename
    try:
        raw = info.orig_filename.encode("cp437")
    except UnicodeEncodeError:
        return info.orig_filename
    for encoding in ("utf-8", "gb18030"):
        try:
            return raw.decode(encoding)
        except UnicodeDecodeError:
            continue
    return info.orig_filename


def _fault(info: zipfile.ZipInfo, name: str) -> str:
    if why := fault_of(name):
        return why
    if any(part.startswith((".", "__MACOSX", "~$")) for part in name.split("/")):
        return "隐藏或临时文件，已跳过。A hidden or temporary file, left out."
    if extension_of(name) in _ARCHIVES:
        return "压缩包中不能再有压缩包。An archive inside an archive."
    if info.flag_bits & 1:
        return "已加密，请去除密码后上传。It is encrypted; remove its password."
    if info.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
        return "不支持的压缩方式。It is packed in a way that is not supported."
    return ""


def _already(name: str, seen: set[str]) -> str:
    return "压缩包中有同名文件。The archive has another file of this name." if name in seen else ""


def _check_directory(file: BinaryIO) -> None:
    """By its length in bytes, before all of it becomes objects. Raises LoadFault."""
    size = file.seek(0, 2)
    tail_size = min(size, _LARGE_LOCATOR_SIZE + _END_SIZE + _COMMENT_MAX)
    file.seek(size - tail_size)
    tail = file.read(tail_size)
    at = len(tail) - _END_SIZE
    if at < 0 or not (tail[at:].startswith(_END) and tail.endswith(b"\0\0")):
        at = tail.rfind(_END)
    if at < 0 or len(tail) - at < _END_SIZE:
        raise damaged()
    (length,) = struct.unpack_from("<L", tail, at + 12)
    is_large = tail[max(0, at - _LARGE_LOCATOR_SIZE) : at].startswith(_LARGE_LOCATOR)
    if is_large or length > _DIRECTORY_MAX:
        raise LoadFault("压缩包条目过多。The archive has too many entries.")
    file.seek(0)
