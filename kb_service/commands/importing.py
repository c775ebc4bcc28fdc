"""Sends what is not there yet, waits until it is indexed, and says what was refused."""

import os
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from kb_service.commands.folder import Found, count, found
from kb_service.commands.progress import Progress, print_table
from kb_service.commands.remote import CommandFault, Remote, TooLarge
from kb_service.content import sha256_of
from kb_service.names import shown

_BATCH_FILES, _BATCH_BYTES = 20, 32 << 20
_LOOK_AFTER = 0.5
_INTERRUPTED = 130


@dataclass(slots=True)
class _Batch:
    files: list[tuple[str, BinaryIO]] = field(default_factory=list)
    size: int = 0

    @property
    def is_full(self) -> bool:
        return len(self.files) >= _BATCH_FILES or self.size >= _BATCH_BYTES

    def close(self) -> None:
        for _, file in self.files:
            file.close()


class Import:
    def __init__(self, remote: Remote, start: Path, tags: Sequence[str]) -> None:
        self._remote, self._start, self._tags = remote, start, tags
        self._refused: list[tuple[str, str]] = []
        self._left_out: list[tuple[str, str]] = []
        self._waiting: deque[tuple[int, str]] = deque()
        self._indexed = self._known = 0

    def run(self) -> int:
        """The exit code. Raises CommandFault, after it has said how far it came."""
        with Progress(count(self._start)) as self._progress:
            try:
                for batch in self._batches():
                    self._send(batch)
                    self._look(wait=False)
                self._look(wait=True)
            except KeyboardInterrupt:
                self._progress.close()
                self._report()
                print(self._interrupted())
                return _INTERRUPTED
            except CommandFault:
                self._progress.close()
                self._report()
                raise
        self._report()
        return 1 if self._refused else 0

    def _batches(self) -> Iterator[_Batch]:
        batch = _Batch()
        try:
            for one in found(self._start):
                if one.file is None:
                    self._note(one)
                    continue
                batch.files.append((one.name, one.file))
                batch.size += one.file.seek(0, os.SEEK_END)
                if batch.is_full:
                    yield batch
                    batch = _Batch()
            if batch.files:
                yield batch
        finally:
            batch.close()

    def _send(self, batch: _Batch) -> None:
        try:
            fingerprints = [_fingerprint(name, file) for name, file in batch.files]
            known = self._remote.known(fingerprints)
            self._known += len(known)
            self._progress.advance(len(known))
            new = [(name, file) for name, file in batch.files if name not in known]
            if new:
                self._upload(new)
        finally:
            batch.close()

    def _upload(self, files: list[tuple[str, BinaryIO]]) -> None:
        try:
            jobs, refused = self._remote.upload(files, self._tags)
        except TooLarge as error:
            if len(files) == 1:
                self._refuse(files[0][0], str(error))
                return
            for file in files:
                self._upload([file])
            return
        self._waiting += jobs.items()
        for name, reason in refused.items():
            self._refuse(name, reason)

    def _look(self, *, wait: bool) -> None:
        """What has been indexed meanwhile, in about the order that it was sent."""
        while self._waiting:
            job_id, name = self._waiting[0]
            job = self._remote.job(job_id)
            if job and job["state"] in {"queued", "running"}:
                if not wait:
                    return
                time.sleep(_LOOK_AFTER)
                continue
            self._waiting.popleft()
            self._end(name, job)

    def _end(self, name: str, job: dict[str, Any] | None) -> None:
        if job is None:
            self._refuse(name, "已被删除。It was removed meanwhile.")
        elif job["state"] == "done":
            self._indexed += 1
            self._progress.advance(1)
            if job["reason"]:
                self._left_out.append((name, job["reason"]))
        else:
            self._refuse(name, job["reason"])

    def _note(self, one: Found) -> None:
        if one.refusal:
            self._refuse(one.name, one.refusal)
        else:
            self._left_out.append((one.name, one.note))

    def _refuse(self, name: str, reason: str) -> None:
        self._refused.append((shown(name), reason))
        self._progress.advance(1)

    def _report(self) -> None:
        print_table("留意 Notes", self._left_out)
        print_table("未导入 Refused", self._refused)
        print(
            f"已导入 imported {self._indexed} · 已存在 there already {self._known} · "
            f"未导入 refused {len(self._refused)}"
        )

    def _interrupted(self) -> str:
        waiting = len(self._waiting)
        return (
            f"已中断：{waiting} 个已发送的文件仍由服务处理。重新运行同一命令即可继续。\n"
            f"Interrupted: the service goes on with {waiting} files that were sent. "
            "Call the same command again to go on."
        )


def _fingerprint(name: str, file: BinaryIO) -> dict[str, Any]:
    file.seek(0)
    sha256 = sha256_of(file)
    return {"name": name, "size": file.tell(), "sha256": sha256}
