"""Warm child processes that parse documents, with limits of memory and time.

A child that dies or hangs costs its own document alone: it is killed, the document gets a reason,
and the next document gets a new child.
"""

import asyncio
import logging
import os
import signal
import struct
import sys
import tempfile
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from time import monotonic
from typing import Any

import anyio
import orjson

from kb_service.entities import ChunkOptions, CustomDoc, ParseOptions, SplitPreview
from kb_service.loaders import LoadFault
from kb_service.loaders.libreoffice import remove_folders, remove_leftovers
from kb_service.repeating import repeat
from kb_service.vectors import SparseVector

_ROOT = Path(__file__).parent.parent
_PARSE_OPTIONS = ParseOptions()
_UPLOADED: Mapping[str, str] = {}
_FRAME_MAX = 256 * 1024 * 1024
_START_SECONDS = 120  # of a machine with much else to do

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class IndexedDoc:
    """A chunk with its sparse vector."""

    doc: CustomDoc
    sparse: SparseVector


@dataclass(frozen=True, slots=True)
class Summary:
    """What is known of a document when its last chunk is out.

    Notes are sentences for its user on what was left out, such as damaged pages.
    """

    loader: str
    splitter: str
    term_counts: dict[str, int]
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Batch:
    """Some chunks, or at the very end the summary; none at all where it only shows its progress.

    Progress is pages done and pages in all.
    """

    chunks: list[IndexedDoc]
    summary: Summary | None = None
    progress: tuple[int, int] | None = None


class ParserPool:
    """`silence` is how many seconds a child may work without showing a result, `idle` how many it
    is kept without work.
    """

    def __init__(
        self, *, size: int, memory_mb: int = 2048, silence: float = 60, idle: float = 60
    ) -> None:
        self._memory_mb, self._silence, self._kept = memory_mb, silence, idle
        self._slots = asyncio.Semaphore(size)
        self._idle: list[_Child] = []

    async def warm(self) -> None:
        """Have one child ready before the first document comes."""
        with suppress(LoadFault):  # it is in the log, and the first document tries again
            async with self._child():
                pass

    @staticmethod
    async def clean() -> None:
        """What a process of this service left behind that was killed while it read a document."""
        await asyncio.to_thread(remove_leftovers)

    async def run(self) -> None:
        """Until cancelled: lets go of what has had nothing to do for a while.

        A child keeps the memory that its largest document took, hundreds of megabytes after OCR.
        """
        await repeat(self._let_go, every=self._kept / 2)

    async def close(self) -> None:
        while self._idle:
            await _end_idle(self._idle.pop())

    async def check(self, path: Path, extension: str) -> None:
        """Raises LoadFault when the content is not what the extension says."""
        async with self._child() as child:
            await child.send(_file_request(path, extension, None, ParseOptions()))
            await child.receive()

    async def parse(
        self,
        path: Path,
        extension: str,
        options: ChunkOptions,
        parse_options: ParseOptions = _PARSE_OPTIONS,
        *,
        origin: Mapping[str, str] = _UPLOADED,
    ) -> AsyncGenerator[Batch, None]:
        """The chunks of a file, with its origin in their metadata. Raises LoadFault."""
        request = _file_request(path, extension, options, parse_options)
        async with self._child() as child:
            await child.send(request | {"origin": dict(origin)})
            while True:
                batch = _batch(await child.receive())
                yield batch
                if batch.summary:
                    return

    async def preview(
        self,
        path: Path,
        extension: str,
        options: ChunkOptions,
        first: int = 20,
        parse_options: ParseOptions = _PARSE_OPTIONS,
    ) -> SplitPreview:
        """What cutting a file so would give; nothing of it is kept. Raises LoadFault."""
        request = _file_request(path, extension, options, parse_options)
        async with self._child() as child:
            await child.send(request | {"preview": first})
            while "done" not in (frame := await child.receive()):
                pass
        done: dict[str, Any] = frame["done"]
        chunks = [CustomDoc(**chunk) for chunk in done.pop("chunks")]
        return SplitPreview(chunks=chunks, **done)

    async def records(
        self, path: Path, extension: str, most: int
    ) -> list[tuple[int, dict[str, Any] | None]]:
        """Lines of a table with their numbers; None for one that is not readable.

        Raises LoadFault, also when there are more than `most`.
        """
        async with self._child() as child:
            await child.send({"path": str(path), "extension": extension, "records": most})
            frame = await child.receive()
        return [(number, values) for number, values in frame["done"]["records"]]

    async def index(self, pages: AsyncIterator[list[CustomDoc]]) -> AsyncGenerator[Batch, None]:
        """The same for passages that are cut already. Raises LoadFault."""
        async with self._child() as child:
            async for page in pages:
                await child.send({"chunks": [_cut(doc) for doc in page]})
                while (batch := _batch(await child.receive())).chunks:
                    yield batch
            await child.send({"end": True})
            yield _batch(await child.receive())

    async def _let_go(self) -> None:
        now = monotonic()
        stale = [one for one in self._idle if one.is_used and now - one.idle_since >= self._kept]
        for child in stale:
            self._idle.remove(child)
        for child in stale:
            await _end_idle(child)
        if stale and not self._idle:
            await self.warm()

    @asynccontextmanager
    async def _child(self) -> AsyncIterator["_Child"]:
        async with self._slots:
            child = self._idle.pop() if self._idle else None
            if child is None or not child.is_alive:
                child = await _Child.start(memory_mb=self._memory_mb, silence=self._silence)
            try:
                yield child
            finally:
                if child.is_ready:
                    child.idle_since = monotonic()
                    self._idle.append(child)
                else:
                    await child.kill()


class _Child:
    """One process and the frames to and from it; ready when it waits for a document."""

    def __init__(self, process: Process, silence: float) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._process, self._silence = process, silence
        self._input, self._output = process.stdin, process.stdout
        self.is_ready = self.is_used = False
        self.idle_since = 0.0

    @classmethod
    async def start(cls, *, memory_mb: int, silence: float) -> "_Child":
        """A process that waits for a document: its start counts as nobody's silence."""
        spawning = asyncio.create_task(_spawn(memory_mb))
        try:
            # Shielded: asyncio loses the pipes of a process whose start is cancelled.
            child = cls(await asyncio.shield(spawning), _START_SECONDS)
            await child.receive()
        except BaseException as error:
            await _to_its_end(cls._undo(spawning))
            if isinstance(error, LoadFault | OSError):
                raise _not_started() from error
            raise
        child._silence = silence
        return child

    @classmethod
    async def _undo(cls, spawning: asyncio.Task[Process]) -> None:
        with suppress(OSError):  # it could not be spawned: nothing is there to kill
            await cls(await spawning, 0).kill()

    @property
    def is_alive(self) -> bool:
        """As the kernel knows it: a busy event loop learns of a death later."""
        if self._process.returncode is not None:
            return False
        if sys.platform != "linux":
            return True
        try:
            seen = os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:  # it has ended, and its exit status was fetched
            return False
        return seen is None

    async def send(self, frame: Any) -> None:
        self.is_ready, self.is_used = False, True
        body = await asyncio.to_thread(orjson.dumps, frame)
        try:
            async with asyncio.timeout(self._silence):
                self._input.write(struct.pack(">I", len(body)) + body)
                await self._input.drain()
        except TimeoutError:
            raise _hung() from None
        except ConnectionError:
            raise _died() from None

    async def receive(self) -> dict[str, Any]:
        try:
            async with asyncio.timeout(self._silence):
                (size,) = struct.unpack(">I", await self._output.readexactly(4))
                if size > _FRAME_MAX:
                    raise _died()
                body = await self._output.readexactly(size)
        except TimeoutError:
            raise _hung() from None
        except (asyncio.IncompleteReadError, ConnectionError):
            raise await self._end() from None
        frame: dict[str, Any] = orjson.loads(body)
        self.is_ready = not frame.get("retire", False) and "chunks" not in frame
        if "fault" in frame:
            raise LoadFault(frame["fault"])
        return frame

    async def kill(self) -> None:
        """With all that it started and wrote, also when it has died just now.

        It is over afterwards, also when its caller was cancelled meanwhile.
        """
        await _to_its_end(self._kill())

    async def _kill(self) -> None:
        pid = self._process.pid
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)
        await self._process.wait()
        await asyncio.to_thread(remove_folders, pid)

    async def _end(self) -> LoadFault:
        """Why it ended."""
        await self.kill()
        return _hung() if self._process.returncode == -signal.SIGXCPU else _died()


async def _end_idle(child: _Child) -> None:
    if child.is_alive:  # the number of one that died long ago may be another's by now
        await child.kill()


async def _to_its_end(work: Coroutine[Any, Any, None]) -> None:
    """A cancelled scope cancels what it waits for again and again."""
    with anyio.CancelScope(shield=True):
        await asyncio.shield(work)


async def _spawn(memory_mb: int) -> Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "kb_service.parser_process", str(memory_mb)),
        stdin=PIPE,
        stdout=PIPE,
        cwd=_ROOT,
        env=_environment(),
        start_new_session=True,  # a group of its own: what it starts is killed with it
    )


def _environment() -> dict[str, str]:
    """Nothing of the service's own, which holds its secrets."""
    return {"PATH": os.defpath, "LANG": "C.UTF-8", "TMPDIR": tempfile.gettempdir()}


def _file_request(
    path: Path, extension: str, options: ChunkOptions | None, parse_options: ParseOptions
) -> dict[str, Any]:
    return {
        "path": str(path),
        "extension": extension,
        "options": asdict(options or ChunkOptions(1, 0)),
        "parse_options": asdict(parse_options),
        "check_only": options is None,
    }


def _cut(doc: CustomDoc) -> tuple[str, dict[str, Any], str | None]:
    return doc.content, doc.metadata, doc.context


def _batch(frame: dict[str, Any]) -> Batch:
    if "done" in frame:
        return Batch([], Summary(**frame["done"]))
    return Batch(
        [
            IndexedDoc(
                CustomDoc(chunk["content"], chunk["metadata"], chunk["context"]),
                SparseVector(chunk["indices"], chunk["values"]),
            )
            for chunk in frame["chunks"]
        ],
        progress=tuple(frame["progress"]) if "progress" in frame else None,
    )


def _hung() -> LoadFault:
    logger.warning("a parser process made no progress and is ended")
    return LoadFault("解析超时。It took too long to read.")


def _not_started() -> LoadFault:
    """The machine's fault, mostly for want of memory, and not the file's."""
    logger.warning("a parser process could not be started")
    return LoadFault(
        "解析进程无法启动，请稍后重试。The parser could not be started; try again later."
    )


def _died() -> LoadFault:
    logger.warning("a parser process died")
    return LoadFault("解析进程意外退出，文件可能已损坏或过大。The parser died on this file.")
