"""A model folder as sentence-transformers lays it out, and what has to be known of it."""

import hashlib
import json
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from kb_service.embeddings import Prefixes

_LONGEST = 512
_SAMPLE = 1 << 20
_PACKAGES = ("numpy", "onnx", "onnxruntime", "tokenizers")

Pooling = Literal["mean", "cls"]


class ModelFolderFault(Exception):
    """Why a folder cannot be used, as the sentence that stops the start."""


@dataclass(frozen=True, slots=True)
class ModelFolder:
    """`onnx` is None when the graph is still to be made from the weights.

    `prefixes` are those that the model's makers ask for.
    """

    path: Path
    onnx: Path | None
    pooling: Pooling
    size: int | None
    max_tokens: int
    prefixes: Prefixes

    @property
    def name(self) -> str:
        """Of the folder, or of the one around it when it is called as all of them are."""
        return self.path.parent.name if self.path.name == "model" else self.path.name

    @classmethod
    def read(cls, path: Path) -> "ModelFolder":
        """Raises ModelFolderFault."""
        onnx = _onnx_in(path)
        if onnx is None and not (path / "model.safetensors").is_file():
            raise _fault(path, "it has neither model.onnx nor model.safetensors")
        if not (path / "tokenizer.json").is_file():
            raise _fault(path, "it has no tokenizer.json")
        config, sentences = _json(path, "config.json"), _json(path, "sentence_bert_config.json")
        prompts = _json(path, "config_sentence_transformers.json").get("prompts", {})
        longest = config.get("max_position_embeddings", _LONGEST)
        return cls(
            path=path,
            onnx=onnx,
            pooling=_pooling(path),
            size=config.get("hidden_size"),
            max_tokens=min(sentences.get("max_seq_length") or longest, longest),
            prefixes=Prefixes(
                prompts.get("query", ""), prompts.get("passage", prompts.get("document", ""))
            ),
        )

    def fingerprint(self) -> str:
        """Of its files, without reading a gigabyte of weights."""
        digest = hashlib.sha256()
        model = self.onnx or self.path / "model.safetensors"
        for path in (model, self.path / "tokenizer.json"):
            length = path.stat().st_size
            digest.update(str(length).encode())
            with path.open("rb") as file:
                digest.update(file.read(_SAMPLE))
                file.seek(max(0, length - _SAMPLE))
                digest.update(file.read())
        return f"{digest.hexdigest()[:16]} {self.pooling}"


def check_packages() -> None:
    """Raises ModelFolderFault."""
    if missing := [name for name in _PACKAGES if find_spec(name) is None]:
        raise ModelFolderFault(
            f"本地模型所需组件未安装，请执行 make local-embedder。Local models need packages "
            f"that are not installed ({', '.join(missing)}): make local-embedder."
        )


def _onnx_in(path: Path) -> Path | None:
    candidates = (path / "model.onnx", path / "onnx" / "model.onnx")
    return next((one for one in candidates if one.is_file()), None)


def _pooling(path: Path) -> Pooling:
    kinds = [one["type"].rpartition(".")[2] for one in _json_list(path, "modules.json")]
    if others := set(kinds) - {"Transformer", "Pooling", "Normalize"}:
        raise _fault(path, f"it has layers that are not supported: {', '.join(sorted(others))}")
    modes = _json(path, "1_Pooling/config.json")
    wanted = {name for name, value in modes.items() if name.startswith("pooling_mode") and value}
    if not wanted or wanted == {"pooling_mode_mean_tokens"}:
        return "mean"
    if wanted == {"pooling_mode_cls_token"}:
        return "cls"
    raise _fault(path, f"its pooling is not supported: {', '.join(sorted(wanted))}")


def _json(path: Path, name: str) -> dict[str, Any]:
    found = _read(path, name)
    return found if isinstance(found, dict) else {}


def _json_list(path: Path, name: str) -> list[dict[str, Any]]:
    found = _read(path, name)
    return found if isinstance(found, list) else []


def _read(path: Path, name: str) -> Any:
    file = path / name
    if not file.is_file():
        return None
    try:
        return json.loads(file.read_text("utf-8"))
    except ValueError:
        raise _fault(path, f"{name} is damaged") from None


def _fault(path: Path, why: str) -> ModelFolderFault:
    return ModelFolderFault(f"模型文件夹无法使用。The model folder {path} cannot be used: {why}.")
