"""A model on this machine, from a folder: ONNX Runtime and the model's own tokeniser.

Both let other threads of this process go on while they work; they work in threads of their own,
so that nothing waits for them but those who asked.
"""

import asyncio
import logging
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
from anyio import to_thread

from kb_service.embeddings import Embedded, EmbedderKind, Prefixes, failure
from kb_service.embeddings.folder import ModelFolder, ModelFolderFault, check_packages
from servicekit.errors import UpstreamError

if TYPE_CHECKING:
    from onnxruntime import InferenceSession
    from tokenizers import Tokenizer

_ROOT = Path(__file__).parent.parent.parent
_AT_ONCE = 8  # texts: a question waits for one such batch at most, a tenth of a second

_NO_PREFIXES = Prefixes()

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Loaded:
    tokenizer: "Tokenizer"
    session: "InferenceSession"


class LocalEmbedder:
    """`folder` has the model, `workshop` keeps graphs that are made from weights.

    Passages are done one batch at a time; a question need not wait for them.
    """

    kind: EmbedderKind = "local"

    def __init__(self, folder: Path, workshop: Path, prefixes: Prefixes = _NO_PREFIXES) -> None:
        check_packages()
        self._folder, self._workshop = ModelFolder.read(folder), workshop
        self.model, self.size = self._folder.name, self._folder.size
        own = self._folder.prefixes
        self._prefixes = Prefixes(prefixes.query or own.query, prefixes.passage or own.passage)
        self.fingerprint = f"{self._folder.fingerprint()}\n{self._prefixes.passage}"
        self._passages, self._questions = anyio.CapacityLimiter(1), anyio.CapacityLimiter(2)
        self._loading = anyio.Lock()
        self._loaded: _Loaded | None = None

    @property
    def is_ready(self) -> bool:
        return self._loaded is not None

    async def warm(self) -> None:
        """What goes wrong is told to those who ask."""
        try:
            await self._load()
        except UpstreamError:
            logger.exception("the embedding model in %s cannot be loaded", self._folder.path)

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
        self._loaded = None

    async def _load(self) -> _Loaded:
        async with self._loading:
            if self._loaded is None:
                try:
                    onnx = self._folder.onnx or await self._built()
                    self._loaded = await to_thread.run_sync(_open, self._folder, onnx)
                except Exception as error:  # a boundary: a damaged model raises anything
                    logger.exception("the model folder %s", self._folder.path)
                    raise failure(f"the model cannot be loaded: {error}") from None
        return self._loaded

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
                raise ModelFolderFault(last)
        return target


def _open(folder: ModelFolder, onnx: Path) -> _Loaded:
    from onnxruntime import InferenceSession, SessionOptions
    from tokenizers import Tokenizer

    options = SessionOptions()
    options.intra_op_num_threads = max(1, (os.cpu_count() or 1) // 2)
    session = InferenceSession(onnx, options, providers=["CPUExecutionProvider"])
    tokenizer = Tokenizer.from_file(str(folder.path / "tokenizer.json"))
    padding = tokenizer.padding or {}
    tokenizer.enable_truncation(folder.max_tokens)
    tokenizer.enable_padding(
        pad_id=padding.get("pad_id", 0), pad_token=padding.get("pad_token", "[PAD]")
    )
    return _Loaded(tokenizer, session)


def _run(loaded: _Loaded, texts: list[str], pooling: str) -> Embedded:
    import numpy as np

    encoded = loaded.tokenizer.encode_batch(texts)
    given = {
        "input_ids": np.array([one.ids for one in encoded], np.int64),
        "attention_mask": np.array([one.attention_mask for one in encoded], np.int64),
        "token_type_ids": np.array([one.type_ids for one in encoded], np.int64),
    }
    taken = {one.name: given[one.name] for one in loaded.session.get_inputs()}
    output: Any = loaded.session.run(None, taken)[0]
    mask = given["attention_mask"]
    vectors = _pooled(output, mask, pooling) if output.ndim == 3 else output
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    cut = frozenset(number for number, one in enumerate(encoded) if one.overflowing)
    return Embedded(vectors.tolist(), cut, int(mask.sum()))


def _pooled(output: Any, mask: Any, pooling: str) -> Any:
    if pooling == "cls":
        return output[:, 0].copy()
    weights = mask[..., None].astype(output.dtype)
    return (output * weights).sum(1) / weights.sum(1)
