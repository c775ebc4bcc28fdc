"""Models on this machine: ONNX Runtime and a model's own tokeniser, from a folder.

Both let other threads of the process go on while they work. Their packages are imported when a
model is opened.
"""

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from onnxruntime import InferenceSession
    from tokenizers import Tokenizer

_PACKAGES = ("numpy", "onnx", "onnxruntime", "tokenizers")


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
