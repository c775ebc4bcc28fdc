"""A cross-encoder on this machine, from a folder with model.onnx and tokenizer.json."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import anyio
from anyio import to_thread

from kb_service.onnx_models import (
    ModelFolderFault,
    ModelOnDemand,
    OnnxModel,
    check_folder,
    onnx_in,
    read_object,
)
from servicekit.errors import UpstreamError

_AT_ONCE = 8
_LONGEST = 512


class LocalReranker:
    """One question at a time: a cross-encoder takes all the cores that it is given."""

    def __init__(self, folder: Path, *, seconds: float) -> None:
        check_folder(folder)
        onnx = onnx_in(folder)
        if onnx is None:
            raise ModelFolderFault(folder, "it has no model.onnx")
        self.model, self.seconds = folder.name, seconds
        self._folder, self._onnx = folder, onnx
        config = read_object(folder, "config.json")
        self._max_tokens = min(config.get("max_position_embeddings", _LONGEST), _LONGEST)
        self._turns = anyio.CapacityLimiter(1)
        self._model = ModelOnDemand(partial(to_thread.run_sync, self._opened))

    async def rerank(self, query: str, texts: Sequence[str]) -> list[float]:
        model = await self._load()
        relevances: list[float] = []
        for start in range(0, len(texts), _AT_ONCE):
            pairs = [(query, text) for text in texts[start : start + _AT_ONCE]]
            relevances += await to_thread.run_sync(_run, model, pairs, limiter=self._turns)
        return relevances

    async def _load(self) -> OnnxModel:
        try:
            return await self._model.get()
        except (ModelFolderFault, OSError) as error:
            raise UpstreamError(f"The reranker cannot be loaded: {error}.") from None

    def _opened(self) -> OnnxModel:
        return OnnxModel.open(
            self._folder,
            self._onnx,
            max_tokens=self._max_tokens,
            trial=lambda model: _run(model, [("?", "?")]),
        )


def _run(model: OnnxModel, pairs: list[tuple[str, str]]) -> list[float]:
    """From 0 to 1; a model with two labels says with the second one that a passage answers."""
    import numpy as np

    logits: Any = model.run(pairs).values
    if logits.shape not in {(len(pairs), 1), (len(pairs), 2)}:
        raise ValueError(f"a cross-encoder does not give {logits.shape}")
    relevant = logits[:, 1] - logits[:, 0] if logits.shape[1] == 2 else logits[:, 0]
    relevances: list[float] = (1 / (1 + np.exp(-relevant))).tolist()
    return relevances
