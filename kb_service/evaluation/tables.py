"""Files of records, read in a parser process as any file from outside."""

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

from anyio import to_thread

from kb_service.errors import EvalInvalid
from kb_service.loaders import LoadFault
from kb_service.names import extension_of
from kb_service.parsers import ParserPool

FORMATS = (".csv", ".tsv", ".xlsx", ".jsonl")
LINES_MAX = 50_000
_BYTES_MAX_MB = 32


class Tables:
    def __init__(self, parsers: ParserPool) -> None:
        self._parsers = parsers

    async def read(self, name: str, file: BinaryIO) -> Sequence[tuple[int, dict[str, Any] | None]]:
        """Raises EvalInvalid."""
        extension = extension_of(name)
        if extension not in FORMATS:
            raise EvalInvalid(
                f"只支持 {' '.join(FORMATS)} 文件。Only {' '.join(FORMATS)} can be imported."
            )
        folder = Path(await to_thread.run_sync(tempfile.mkdtemp))
        try:
            path = folder / "table"
            if await to_thread.run_sync(_save, file, path) > _BYTES_MAX_MB << 20:
                raise EvalInvalid(
                    f"文件超过 {_BYTES_MAX_MB} MB。The file is larger than {_BYTES_MAX_MB} MB."
                )
            return await self._parsers.records(path, extension, LINES_MAX)
        except LoadFault as fault:
            raise EvalInvalid(str(fault)) from None
        finally:
            await to_thread.run_sync(shutil.rmtree, folder)


def _save(file: BinaryIO, path: Path) -> int:
    with path.open("wb") as target:
        shutil.copyfileobj(file, target, 1 << 20)
    return path.stat().st_size
