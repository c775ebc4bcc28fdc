"""Models on this machine: ONNX Runtime and a model's own tokeniser, from a folder.

Both let other threads of the process go on while they work. Their packages are imported when a
model is opened.
"""

import json
import logging
import os
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio

if TYPE_CHECKING:
    from onnxruntime import InferenceSession
    from tokenizers import Tokenizer

_PACKAGES = ("numpy", "onnx", "onnxruntime", "tokenizers")
_PAUSE = 60.0

logger = logging.getLogger(__name__)


class ModelFolderFault(Exception):
    """Why a folder cannot be used, as the sentence that stops the start."""

    def __init__(self, path: Path, why: str) -> None:
        super().__init__(f"模型文件夹无法使用。The model folder {path} cannot be used: {why}.")


@dataclass(frozen=True, slots=True)
class ModelOutput:
    """Arrays of numpy: what the model gave, and where its input was no padding.

    `cut` has the positions of texts that were longer than the model reads.
    """

    values: Any
    mask: Any
    cut: frozenset[int]


class OnnxModel:
    def __init__(self, tokenizer: "Tokenizer", session: "InferenceSession") -> None:
        self._tokenizer, self._session = tokenizer, session
        self._inputs = [one.name for one in session.get_inputs()]

    @classmethod
    def open(
        cls, folder: Path, onnx: Path, *, max_tokens: int, trial: Callable[["OnnxModel"], object]
    ) -> "OnnxModel":
        """Takes a second. What fails in the trial fails here. Raises ModelFolderFault."""
        try:
            model = cls._open(folder, onnx, max_tokens)
            trial(model)
        except Exception as error:  # tokenizers raises Exception itself, a strange graph anything
            raise ModelFolderFault(folder, repr(error)) from error
        return model

    @classmethod
    def _open(cls, folder: Path, onnx: Path, max_tokens: int) -> "OnnxModel":
        from onnxruntime import InferenceSession, SessionOptions
        from tokenizers import Tokenizer

        options = SessionOptions()
        options.intra_op_num_threads = max(1, (os.cpu_count() or 1) // 2)
        session = InferenceSession(onnx, options, providers=["CPUExecutionProvider"])
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        padding = tokenizer.padding or {}
        tokenizer.enable_truncation(max_tokens)
        tokenizer.enable_padding(
            pad_id=padding.get("pad_id", 0), pad_token=padding.get("pad_token", "[PAD]")
        )
        return cls(tokenizer, session)

    def run(self, texts: Sequence[str] | Sequence[tuple[str, str]]) -> ModelOutput:
        """Of texts, or of pairs of texts that are read together."""
        import numpy as np

        encoded = self._tokenizer.encode_batch(list(texts))
        given = {
            "input_ids": np.array([one.ids for one in encoded], np.int64),
            "attention_mask": np.array([one.attention_mask for one in encoded], np.int64),
            "token_type_ids": np.array([one.type_ids for one in encoded], np.int64),
        }
        values = self._session.run(None, {name: given[name] for name in self._inputs})[0]
        cut = frozenset(number for number, one in enumerate(encoded) if one.overflowing)
        return ModelOutput(values, given["attention_mask"], cut)


class ModelOnDemand:
    """Opened for the first who needs it.

    What fails is told at once to those who ask within a minute: another try takes seconds.
    """

    def __init__(
        self,
        open_model: Callable[[], Awaitable[OnnxModel]],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._open_model, self._clock = open_model, clock
        self._opening = anyio.Lock()
        self._opened: OnnxModel | None = None
        self._fault: Exception | None = None
        self._not_before = 0.0

    @property
    def is_open(self) -> bool:
        return self._opened is not None

    async def get(self) -> OnnxModel:
        """Raises ModelFolderFault or OSError."""
        async with self._opening:
            if self._opened is None:
                if self._fault and self._clock() < self._not_before:
                    raise self._fault.with_traceback(None)
                self._opened = await self._open()
        return self._opened

    def close(self) -> None:
        self._opened = None

    async def _open(self) -> OnnxModel:
        try:
            return await self._open_model()
        except (ModelFolderFault, OSError) as fault:
            logger.exception("a model cannot be opened")
            self._fault, self._not_before = fault, self._clock() + _PAUSE
            raise


def check_folder(path: Path) -> None:
    """Raises ModelFolderFault when a model cannot be opened for certain."""
    if missing := [name for name in _PACKAGES if find_spec(name) is None]:
        names = ", ".join(missing)
        raise ModelFolderFault(path, f"{names} not installed, 请先执行 make local-embedder")
    if not (path / "tokenizer.json").is_file():
        raise ModelFolderFault(path, "it has no tokenizer.json")


def onnx_in(path: Path) -> Path | None:
    candidates = (path / "model.onnx", path / "onnx" / "model.onnx")
    return next((one for one in candidates if one.is_file()), None)


def read_object(path: Path, name: str) -> dict[str, Any]:
    """A JSON file of the folder, empty when it has none."""
    found = read_json(path, name)
    return found if isinstance(found, dict) else {}


def read_json(path: Path, name: str) -> Any:
    file = path / name
    if not file.is_file():
        return None
    try:
        return json.loads(file.read_text("utf-8"))
    except ValueError:
        raise ModelFolderFault(path, f"{name} is damaged") from None
