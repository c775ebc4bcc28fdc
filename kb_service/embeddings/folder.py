"""A model folder as sentence-transformers lays it out, and what has to be known of it."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from kb_service.embeddings import Prefixes
from kb_service.onnx_models import (
    ModelFolderFault,
    check_folder,
    onnx_in,
    read_json,
    read_object,
)

_LONGEST = 512
_SAMPLE = 1 << 20

Pooling = Literal["mean", "cls"]


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
        check_folder(path)
        onnx = onnx_in(path)
        if onnx is None and not (path / "model.safetensors").is_file():
            raise ModelFolderFault(path, "it has neither model.onnx nor model.safetensors")
        config = read_object(path, "config.json")
        sentences = read_object(path, "sentence_bert_config.json")
        prompts = read_object(path, "config_sentence_transformers.json").get("prompts", {})
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


def _pooling(path: Path) -> Pooling:
    modules: list[dict[str, Any]] = read_json(path, "modules.json") or []
    kinds = {one["type"].rpartition(".")[2] for one in modules}
    if others := kinds - {"Transformer", "Pooling", "Normalize"}:
        names = ", ".join(sorted(others))
        raise ModelFolderFault(path, f"it has layers that are not supported: {names}")
    modes = read_object(path, "1_Pooling/config.json")
    wanted = {name for name, value in modes.items() if name.startswith("pooling_mode") and value}
    if not wanted or wanted == {"pooling_mode_mean_tokens"}:
        return "mean"
    if wanted == {"pooling_mode_cls_token"}:
        return "cls"
    names = ", ".join(sorted(wanted))
    raise ModelFolderFault(path, f"its pooling is not supported: {names}")
