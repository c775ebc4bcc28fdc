"""Old Office documents to new ones, by LibreOffice when it is installed."""

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from kb_service.loaders import LoadFault, Reading, Section

_NAME = "chat2llm-office-"
_PLACES = (
    "/Applications/LibreOffice.app/Contents/MacOS/soffice",
    "/opt/libreoffice/program/soffice",
)


def converted(
    path: Path,
    source: str,
    target: str,
    reading: Reading,
    load: Callable[[Path, Reading], Iterator[Section]],
) -> Iterator[Section]:
    """The sections of what LibreOffice makes of the document. Raises LoadFault."""
    program = _program(source)
    return _sections(program, path, source, target, reading, load)


def _sections(
    program: str,
    path: Path,
    source: str,
    target: str,
    reading: Reading,
    load: Callable[[Path, Reading], Iterator[Section]],
) -> Iterator[Section]:
    prefix = _prefix(os.getpid())
    with tempfile.TemporaryDirectory(prefix=prefix, ignore_cleanup_errors=True) as name:
        folder = Path(name)
        document = folder / f"document.{source}"
        shutil.copyfile(path, document)
        _convert(program, document, target, folder)
        result = folder / "out" / f"document.{target}"
        if not result.is_file():
            raise LoadFault("文件已损坏，无法转换。The file is damaged and could not be converted.")
        yield from load(result, reading)


def remove_folders(pid: int) -> None:
    """What a process left behind that was killed while it converted a document."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_prefix(pid)}*"):
        shutil.rmtree(folder, ignore_errors=True)


def remove_leftovers() -> None:
    """The same of processes that are no more, with the LibreOffice that may still be at work.

    A parser process ends with the service, whatever killed that; what it started does not.
    """
    for folder in Path(tempfile.gettempdir()).glob(f"{_NAME}*-*"):
        pid = folder.name.removeprefix(_NAME).partition("-")[0]
        if pid.isdecimal() and not _is_alive(int(pid)):
            for process in _working_in(folder):
                with suppress(OSError):
                    os.kill(process, signal.SIGKILL)
            shutil.rmtree(folder, ignore_errors=True)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:  # another user's
        return True
    return True


def _working_in(folder: Path) -> Iterator[int]:
    """Only Linux tells; elsewhere it ends by itself."""
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if os.fsencode(f"{folder}/") in (process / "cmdline").read_bytes():
                yield int(process.name)


def _prefix(pid: int) -> str:
    return f"{_NAME}{pid}-"


def _program(source: str) -> str:
    found = shutil.which("soffice") or next(
        (place for place in _PLACES if Path(place).exists()), None
    )
    if found is None:
        raise LoadFault(
            f"读取旧版 .{source} 文件需要 LibreOffice，本机未安装。请管理员安装"
            f"（Debian/Ubuntu：apt install libreoffice-writer libreoffice-impress），"
            f"或另存为 .{source}x 后上传。"
            f"Old .{source} files need LibreOffice, which is not installed here"
            f" (Debian/Ubuntu: apt install libreoffice-writer libreoffice-impress);"
            f" or save the file as .{source}x."
        )
    return found


def _convert(program: str, document: Path, target: str, folder: Path) -> None:
    command = [
        *(program, f"-env:UserInstallation={(folder / 'profile').as_uri()}"),
        *("--headless", "--norestore", "--nolockcheck", "--nodefault", "--convert-to", target),
        *("--outdir", str(folder / "out"), str(document)),
    ]
    environment = {
        "HOME": str(folder),
        "TMPDIR": str(folder),
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "LANG": "C.UTF-8",
    }
    # When it never ends, this process says nothing for too long and is killed with all it started.
    subprocess.run(  # noqa: S603  # no shell, and no word of it is from outside
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=environment,
        cwd=folder,
        check=False,
    )
