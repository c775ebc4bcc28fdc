"""The bytes of uploaded files on disk, under ids of ours: no name from outside becomes a path."""

import hashlib
import logging
import math
import os
import shutil
import time
import uuid
from collections.abc import Collection
from pathlib import Path
from typing import BinaryIO

from anyio import to_thread

from kb_service.entities import Content

logger = logging.getLogger(__name__)


class ContentFolder:
    """`<folder>/<knowledge base id>/<content id>`; all work on the disk is done in threads.

    `spared` is how old in seconds what no row points to must be to be swept away: another process
    may be about to write its row.
    """

    def __init__(self, folder: Path, *, spared: float = 0) -> None:
        self._folder, self._spared = folder, spared
        self._settled: set[int] = set()

    def path(self, kb_id: int, content_id: str) -> Path:
        return self._folder / str(kb_id) / content_id

    async def save(self, kb_id: int, file: BinaryIO, *, settled: bool = True) -> Content:
        """On disk for good when this returns, or else after `settle`. Raises OSError."""
        content = await to_thread.run_sync(self._save, kb_id, file)
        if settled:
            await self.settle(kb_id)
        return content

    async def settle(self, kb_id: int) -> None:
        """The names of what was saved are on disk for good too: once for many files."""
        await to_thread.run_sync(self._settle, kb_id)

    async def has(self, kb_id: int, content_id: str) -> bool:
        return await to_thread.run_sync(self.path(kb_id, content_id).is_file)

    async def is_same(self, kb_id: int, content_id: str, *, size: int, sha256: str) -> bool:
        return await to_thread.run_sync(_is_same, self.path(kb_id, content_id), size, sha256)

    async def remove(self, kb_id: int, content_id: str) -> None:
        """Or leave it to the sweep of the next start."""
        path = self.path(kb_id, content_id)
        try:
            await to_thread.run_sync(lambda: path.unlink(missing_ok=True))
        except OSError as error:
            logger.warning("a content stays on disk for now: %s", error)

    async def remove_all(self, kb_id: int) -> None:
        folder = self._folder / str(kb_id)
        await to_thread.run_sync(lambda: shutil.rmtree(folder, ignore_errors=True))

    async def sweep(self, known: Collection[str]) -> int:
        """Removes what no row points to; to be called before anything is uploaded here."""
        return await to_thread.run_sync(self._sweep, known)

    def _save(self, kb_id: int, file: BinaryIO) -> Content:
        content_id = uuid.uuid4().hex
        path = self.path(kb_id, content_id)
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            file.seek(0)
            with path.open("xb") as target:
                shutil.copyfileobj(file, target, 1 << 20)
                target.flush()
                os.fsync(target.fileno())
        except OSError:
            path.unlink(missing_ok=True)
            raise
        stat = path.stat()
        return Content(content_id, stat.st_size, stat.st_mtime)

    def _settle(self, kb_id: int) -> None:
        _sync_folder(self._folder / str(kb_id))
        if kb_id not in self._settled:
            _sync_folder(self._folder)
            self._settled.add(kb_id)

    def _sweep(self, known: Collection[str]) -> int:
        newest = time.time() - self._spared
        orphans = [
            path
            for path in self._folder.glob("*/*")
            if path.name not in known and _written(path) <= newest
        ]
        for path in orphans:
            path.unlink(missing_ok=True)
        return len(orphans)


def sha256_of(file: BinaryIO) -> str:
    """In hexadecimal digits, of what is left to read."""
    found = hashlib.file_digest(file, "sha256")  # type: ignore[arg-type]  # files do have readinto
    return found.hexdigest()


def _is_same(path: Path, size: int, sha256: str) -> bool:
    try:
        if path.stat().st_size != size:
            return False
        with path.open("rb") as file:
            return sha256_of(file) == sha256
    except FileNotFoundError:  # replaced meanwhile
        return False


def _written(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:  # another process was faster
        return math.inf


def _sync_folder(folder: Path) -> None:
    if os.name == "nt":  # Windows has no such thing and does not need it
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
