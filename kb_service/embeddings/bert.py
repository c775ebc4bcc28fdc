"""A BERT encoder as an ONNX graph, from the weights that sentence-transformers folders come with.

Most small embedding models are BERTs, and few of their folders have an ONNX file.
"""

import json
import struct
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import onnx  # an optional package, so it is imported when a graph is made

_OPSET, _IR_VERSION = 20, 10
_TYPES: dict[str, Any] = {"F32": np.dtype("<f4"), "F16": np.dtype("<f2")}
_INPUTS = ("input_ids", "attention_mask", "token_type_ids")


class UnknownModel(Exception):
    """The folder has another kind of model than this can build."""


def build(folder: Path) -> bytes:
    """The graph of a folder with `config.json` and `model.safetensors`. Raises UnknownModel."""
    config: dict[str, Any] = json.loads((folder / "config.json").read_text())
    if config.get("model_type") != "bert" or config.get("hidden_act") != "gelu":
        raise UnknownModel(f"{config.get('model_type')} with {config.get('hidden_act')}")
    weights = _weights(folder / "model.safetensors")
    made: bytes = _Graph(config, weights).encoder().SerializeToString()
    return made


def _weights(path: Path) -> dict[str, Any]:
    """The format is a length, a JSON header, and the numbers."""
    stored = np.memmap(path, dtype=np.uint8, mode="r")
    (length,) = struct.unpack("<Q", stored[:8].tobytes())
    header = json.loads(stored[8 : 8 + length].tobytes())
    header.pop("__metadata__", None)
    found = {}
    for name, one in header.items():
        if one["dtype"] not in _TYPES:
            continue  # numbers of positions, which are known without
        start, end = (8 + length + offset for offset in one["data_offsets"])
        numbers = stored[start:end].view(_TYPES[one["dtype"]]).reshape(one["shape"])
        found[name.removeprefix("bert.")] = numbers.astype(np.float32)
    return found


class _Graph:
    """Nodes are named after what they give."""

    def __init__(self, config: dict[str, Any], weights: dict[str, Any]) -> None:
        from onnx import TensorProto, helper, numpy_helper

        self._helper, self._types, self._arrays = helper, TensorProto, numpy_helper
        self._config, self._weights = config, weights
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []
        self._heads = config["num_attention_heads"]
        self._width = config["hidden_size"] // self._heads

    def encoder(self) -> "onnx.ModelProto":
        hidden = self._embedded()
        bias = self._mask_bias()
        for number in range(self._config["num_hidden_layers"]):
            hidden = self._layer(f"encoder.layer.{number}", hidden, bias)
        self._nodes.append(self._helper.make_node("Identity", [hidden], ["last_hidden_state"]))
        tensor, shape = self._helper.make_tensor_value_info, ["batch", "length"]
        inputs = [tensor(name, self._types.INT64, shape) for name in _INPUTS]
        width = self._config["hidden_size"]
        output = tensor("last_hidden_state", self._types.FLOAT, [*shape, width])
        graph = self._helper.make_graph(self._nodes, "bert", inputs, [output], self._constants)
        opset = self._helper.make_opsetid("", _OPSET)
        return self._helper.make_model(graph, opset_imports=[opset], ir_version=_IR_VERSION)

    def _embedded(self) -> str:
        words = self._node("Gather", self._weight("embeddings.word_embeddings.weight"), "input_ids")
        kinds = self._node(
            "Gather", self._weight("embeddings.token_type_embeddings.weight"), "token_type_ids"
        )
        length = self._node("Shape", "input_ids", start=1, end=2)
        positions = self._node(
            "Slice",
            self._weight("embeddings.position_embeddings.weight"),
            self._constant([0]),
            length,
            self._constant([0]),
        )
        added = self._node("Add", self._node("Add", words, kinds), positions)
        return self._normalised("embeddings.LayerNorm", added)

    def _mask_bias(self) -> str:
        """A large negative number where there is only padding."""
        mask = self._node("Cast", "attention_mask", to=self._types.FLOAT)
        absent = self._node("Sub", self._constant(np.float32(1)), mask)
        bias = self._node("Mul", absent, self._constant(np.float32(-10_000)))
        return self._node("Unsqueeze", bias, self._constant([1, 2]))

    def _layer(self, name: str, hidden: str, bias: str) -> str:
        context = self._attention(f"{name}.attention.self", hidden, bias)
        output = self._linear(f"{name}.attention.output.dense", context)
        hidden = self._normalised(
            f"{name}.attention.output.LayerNorm", self._node("Add", output, hidden)
        )
        inner = self._linear(f"{name}.intermediate.dense", hidden)
        outer = self._linear(f"{name}.output.dense", self._node("Gelu", inner))
        return self._normalised(f"{name}.output.LayerNorm", self._node("Add", outer, hidden))

    def _attention(self, name: str, hidden: str, bias: str) -> str:
        query = self._split(self._linear(f"{name}.query", hidden), [0, 2, 1, 3])
        key = self._split(self._linear(f"{name}.key", hidden), [0, 2, 3, 1])
        value = self._split(self._linear(f"{name}.value", hidden), [0, 2, 1, 3])
        scale = self._constant(np.float32(self._width**-0.5))
        scores = self._node("Mul", self._node("MatMul", query, key), scale)
        shares = self._node("Softmax", self._node("Add", scores, bias), axis=-1)
        context = self._node("MatMul", shares, value)
        merged = self._node("Transpose", context, perm=[0, 2, 1, 3])
        return self._node("Reshape", merged, self._constant([0, 0, self._heads * self._width]))

    def _split(self, projected: str, order: list[int]) -> str:
        shape = self._constant([0, 0, self._heads, self._width])
        return self._node("Transpose", self._node("Reshape", projected, shape), perm=order)

    def _linear(self, name: str, given: str) -> str:
        transposed = np.ascontiguousarray(self._weights[f"{name}.weight"].T)
        product = self._node("MatMul", given, self._constant(transposed))
        return self._node("Add", product, self._weight(f"{name}.bias"))

    def _normalised(self, name: str, given: str) -> str:
        epsilon = self._config["layer_norm_eps"]
        scale, bias = self._weight(f"{name}.weight"), self._weight(f"{name}.bias")
        return self._node("LayerNormalization", given, scale, bias, epsilon=epsilon)

    def _weight(self, name: str) -> str:
        return self._constant(self._weights[name])

    def _constant(self, value: Any) -> str:
        name = f"constant{len(self._constants)}"
        self._constants.append(self._arrays.from_array(np.asarray(value), name))
        return name

    def _node(self, kind: str, *given: str, **attributes: Any) -> str:
        name = f"{kind}{len(self._nodes)}"
        self._nodes.append(self._helper.make_node(kind, given, [name], **attributes))
        return name


def main(folder: Path, target: Path) -> None:
    """Written beside the target first, so that it is complete or not there."""
    unfinished = target.with_suffix(".part")
    unfinished.write_bytes(build(folder))
    unfinished.rename(target)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
