"""The files of a folder, and of the archives in it, under the names that they will have."""

import os
import unicodedata
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from kb_service import archive
from kb_service.loaders import FORMATS, LoadFault
from kb_service.loaders.archives import BROKEN
from kb_service.names import extension_of, fault_of, shown

_FILE_MAX, _TOTAL_MAX, _ENTRIES_MAX = 1 << 30, 50 << 30, 40_000
_TEMPORARY = (".tmp", ".temp", ".bak", ".swp", ".part", ".crdownload")


@dataclass(frozen=True, slots=True)
class Found:
    """A file to send, or why it is not: refused, or merely left out."""

    name: str
    file: BinaryIO | None = None
    refusal: str = ""
    note: str = ""


def count(start: Path) -> int:
    """About how many files there are: what cannot be read is counted as one."""
    return sum(_count_inside(path) for path, note in _paths(start) if not note)


def found(start: Path) -> Iterator[Found]:
    """One after the other; whoever takes a file closes it."""
    unreadable: list[OSError] = []
    for path, note in _paths(start, unreadable.append):
        name = _name(start, path)
        if note:
            yield Found(name, note=note)
        elif extension_of(path.name) == ".zip":
            yield from _unpacked(path, name)
        else:
            yield _opened(path, name)
    for error in unreadable:  # whole folders
        yield _unreadable(_name(start, Path(error.filename)), error)


def _paths(
    start: Path, on_error: Callable[[OSError], None] | None = None
) -> Iterator[tuple[Path, str]]:
    if start.is_file():
        yield start, ""
        return
    root = start.resolve()
    for folder, folders, files in os.walk(start, onerror=on_error):
        here = Path(folder)
        for name in sorted(folders):
            if note := _folder_note(here / name):
                yield here / name, note
        folders[:] = sorted(name for name in folders if not _folder_note(here / name))
        for name in sorted(files):
            yield here / name, _file_note(here / name, root)


def _folder_note(path: Path) -> str:
    if path.name.startswith((".", "__MACOSX")) or path.name.lower() in {"temp", "tmp"}:
        return "隐藏或临时文件夹。A hidden or temporary folder."
    if path.is_symlink():
        return "指向文件夹的链接，未跟随。A link to a folder, not followed."
    return ""


def _file_note(path: Path, root: Path) -> str:
    name = path.name.lower()
    if name.startswith((".", "~$")) or name.endswith(("~", *_TEMPORARY)):
        return "隐藏或临时文件。A hidden or temporary file."
    if name in {"thumbs.db", "desktop.ini"}:
        return "系统文件。A file of the system."
    if path.is_symlink() and not path.resolve().is_relative_to(root):
        return "指向文件夹之外的链接，未跟随。A link to outside of the folder, not followed."
    if not path.is_file():
        return "不是普通文件。Not a regular file."
    return ""


def _opened(path: Path, name: str) -> Found:
    if why := _refusal(name):
        return Found(name, refusal=why)
    try:
        return Found(name, path.open("rb"))
    except OSError as error:
        return _unreadable(name, error)


def _unreadable(name: str, error: OSError) -> Found:
    return Found(name, refusal=f"无法读取。It cannot be read: {error.strerror}")


def _unpacked(path: Path, name: str) -> Iterator[Found]:
    folder = name.rpartition("/")[0]
    try:
        with path.open("rb") as file:
            for entry in archive.entries(
                file, file_max=_FILE_MAX, total_max=_TOTAL_MAX, entries_max=_ENTRIES_MAX
            ):
                inner = f"{folder}/{entry.name}" if folder else entry.name
                why = entry.fault or _refusal(inner)
                if why and entry.file:
                    entry.file.close()
                yield Found(inner, None if why else entry.file, why)
    except (LoadFault, OSError) as error:
        yield Found(name, refusal=str(error))


def _count_inside(path: Path) -> int:
    if extension_of(path.name) != ".zip":
        return 1
    try:
        with zipfile.ZipFile(path) as opened:
            return sum(not entry.is_dir() for entry in opened.infolist())
    except BROKEN:  # only the progress bar counts here; it is refused with its reason when sent
        return 1


def _name(start: Path, path: Path) -> str:
    """As one writes it: macOS takes letters and their marks apart."""
    relative = path.name if path == start else path.relative_to(start).as_posix()
    return unicodedata.normalize("NFC", relative)


def _refusal(name: str) -> str:
    if why := fault_of(name):
        return why
    if (extension := extension_of(name)) not in FORMATS:
        kind = shown(extension) or "?"
        return f"暂未支持的文件格式 {kind}。This kind of file is not supported."
    return ""
