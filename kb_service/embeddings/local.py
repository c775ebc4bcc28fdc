"""An embedding model on this machine; it works in threads, so that only those wait who asked."""

import asyncio
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import anyio
from anyio import to_thread

from kb_service.embeddings import Embedded, EmbedderKind, Prefixes, failure
from kb_service.embeddings.folder import ModelFolder
from kb_service.onnx_models import ModelFolderFault, ModelOnDemand, ModelOutput, OnnxModel
from servicekit.errors import UpstreamError

_ROOT = Path(__file__).parent.parent.parent
_AT_ONCE = 8  # texts: a tenth of a second, in which a question shares the cores with them

_NO_PREFIXES = Prefixes()


class LocalEmbedder:
    """`folder` has the model, `workshop` keeps graphs that are made from weights.

    Passages are done one batch at a time; a question need not wait for them.
    """

    kind: EmbedderKind = "local"

    def __init__(self, folder: Path, workshop: Path, prefixes: Prefixes = _NO_PREFIXES) -> None:
        self._folder, self._workshop = ModelFolder.read(folder), workshop
        self.model, self.size = self._folder.name, self._folder.size
        own = self._folder.prefixes
        self._prefixes = Prefixes(prefixes.query or own.query, prefixes.passage or own.passage)
        self.fingerprint = f"{self._folder.fingerprint()}\n{self._prefixes.passage}"
        self._passages, self._questions = anyio.CapacityLimiter(1), anyio.CapacityLimiter(2)
        self._model = ModelOnDemand(self._open)

    @property
    def is_ready(self) -> bool:
        return self._model.is_open

    async def warm(self) -> None:
        """What goes wrong is told to those who ask."""
        with suppress(UpstreamError):
            await self._load()

    async def embed(self, texts: Sequence[str]) -> Embedded:
        loaded = await self._load()
        vectors, cut, tokens = list[list[float]](), set[int](), 0
        for start in range(0, len(texts), _AT_ONCE):
            batch = [self._prefixes.passage + text for text in texts[start : start + _AT_ONCE]]
            done = await to_thread.run_sync(
                _run, loaded, batch, self._folder.pooling, limiter=self._passages
            )
            vectors += done.vectors
            cut |= {start + position for position in done.cut}
            tokens += done.tokens
        return Embedded(vectors, frozenset(cut), tokens)

    async def embed_query(self, text: str) -> list[float]:
        loaded = await self._load()
        texts = [self._prefixes.query + text]
        done = await to_thread.run_sync(
            _run, loaded, texts, self._folder.pooling, limiter=self._questions
        )
        return done.vectors[0]

    async def close(self) -> None:
        self._model.close()

    async def _load(self) -> OnnxModel:
        try:
            return await self._model.get()
        except (ModelFolderFault, OSError) as error:
            raise failure(f"the model cannot be loaded: {error}") from None

    async def _open(self) -> OnnxModel:
        onnx = self._folder.onnx or await self._built()
        return await to_thread.run_sync(self._opened, onnx)

    async def _built(self) -> Path:
        """In a process of its own, which takes three times the model's size for a second."""
        target = self._workshop / f"{self.fingerprint.split()[0]}.onnx"
        if not target.is_file():
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "kb_service.embeddings.bert"),
                *(str(self._folder.path), str(target)),
                cwd=_ROOT,
                stderr=asyncio.subprocess.PIPE,
            )
            _, said = await process.communicate()
            if process.returncode:
                last = said.decode(errors="replace").strip().rpartition("\n")[2]
                raise ModelFolderFault(self._folder.path, last)
        return target

    def _opened(self, onnx: Path) -> OnnxModel:
        return OnnxModel.open(
            self._folder.path,
            onnx,
            max_tokens=self._folder.max_tokens,
            trial=lambda model: _run(model, ["?"], self._folder.pooling),
        )


def _run(model: OnnxModel, texts: list[str], pooling: str) -> Embedded:
    import numpy as np

    output = model.run(texts)
    vectors = _pooled(output, pooling) if output.values.ndim == 3 else output.values
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return Embedded(vectors.tolist(), output.cut, int(output.mask.sum()))


def _pooled(output: ModelOutput, pooling: str) -> Any:
    if pooling == "cls":
        return output.values[:, 0].copy()
    weights = output.mask[..., None].astype(output.values.dtype)
    return (output.values * weights).sum(1) / weights.sum(1)
