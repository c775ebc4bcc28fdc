"""Rerankers: endpoints of several shapes on a real socket, and a cross-encoder in this process."""

import asyncio
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from kb_service.onnx_models import ModelFolderFault, ModelOnDemand, OnnxModel
from kb_service.rerank import relevance
from kb_service.rerank.endpoint import EndpointReranker
from kb_service.rerank.local import LocalReranker
from kb_service.settings import KbSettings
from servicekit.errors import UpstreamError
from tests.kb_service.conftest import connected
from tests.kb_service.jobs import Clock
from tests.serving import served

TEXTS = ["the weather", "ten days of leave", "leave"]


class Vendor:
    """Finds a text the better the longer it is; `answers` come first, in their order."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, dict[str, Any], str | None]] = []
        self.answers: list[tuple[int, Any]] = []

    async def answer(self, request: Request) -> Response:
        body = await request.json()
        self.requests.append((request.url.path, body, request.headers.get("authorization")))
        if self.answers:
            status, content = self.answers.pop(0)
            return Response(json.dumps(content), status)
        asked = body.get("input", body)
        rows = [
            {"index": n, "relevance_score": len(text) / 100, "document": {"text": text}}
            for n, text in enumerate(asked["documents"])
        ]
        rows.reverse()
        told = {"results": rows}
        return Response(json.dumps({"output": told} if "input" in body else told))

    def app(self) -> Starlette:
        return Starlette(routes=[Route("/{path:path}", self.answer, methods=["POST"])])


@pytest.mark.parametrize(
    ("path", "asked"),
    [
        ("/v1", "/v1/rerank"),
        ("/v1/", "/v1/rerank"),
        ("/compatible-api/v1/reranks", "/compatible-api/v1/reranks"),
        ("/services/rerank/text-rerank/text-rerank", "/services/rerank/text-rerank/text-rerank"),
    ],
)
async def test_each_vendors_shape(path: str, asked: str) -> None:
    vendor = Vendor()
    async with served(vendor.app()) as url:
        reranker = EndpointReranker(base_url=url + path, api_key="k", model="m", seconds=5)
        assert await reranker.rerank("how much leave", TEXTS) == [0.11, 0.17, 0.05]
        await reranker.close()
    ((called, body, key),) = vendor.requests
    assert (called, key, body["model"]) == (asked, "Bearer k", "m")
    flat = body | body.get("input", {}) | body.get("parameters", {})
    assert (flat["query"], flat["documents"], flat["top_n"]) == ("how much leave", TEXTS, 3)


@pytest.mark.parametrize(
    "answer",
    [
        (500, {}),
        (401, {"error": "sk-secret"}),
        (200, []),
        (200, {"results": [{"index": 0, "relevance_score": 0.5}]}),
        (200, {"results": [{"index": 7, "relevance_score": "high"}]}),
    ],
)
async def test_a_failure_is_a_warning_and_no_reranking(
    answer: tuple[int, Any], caplog: pytest.LogCaptureFixture
) -> None:
    vendor = Vendor()
    vendor.answers = [answer]
    async with served(vendor.app()) as url:
        reranker = EndpointReranker(base_url=url, api_key="", model="m", seconds=5)
        assert await relevance(reranker, "leave", TEXTS) is None
        assert await relevance(reranker, "leave", TEXTS) == [0.11, 0.17, 0.05]
        await reranker.close()
    assert "the reranker failed" in caplog.text
    assert "sk-secret" not in caplog.text


class Slow:
    """Never answers."""

    model, seconds = "slow", 0.01

    async def rerank(self, query: str, texts: Sequence[str]) -> list[float]:
        await asyncio.Event().wait()
        return []


async def test_one_that_is_too_slow_is_not_waited_for() -> None:
    assert await relevance(Slow(), "leave", TEXTS) is None


def cross_encoder(folder: Path, labels: int = 1) -> Path:
    """A model that knows one word: the more often it occurs, the more relevant."""
    words = {"[PAD]": 0, "[UNK]": 1, "[SEP]": 2, "leave": 3}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A [SEP]", pair="$A [SEP] $B:1 [SEP]:1", special_tokens=[("[SEP]", 2)]
    )
    folder.mkdir()
    tokenizer.save(str(folder / "tokenizer.json"))
    weights = np.zeros((4, labels), np.float32)
    weights[3, labels - 1] = 1
    nodes = [
        helper.make_node("Gather", ["weights", "input_ids"], ["found"]),
        helper.make_node("ReduceSum", ["found", "axis"], ["logits"], keepdims=0),
    ]
    shape = ["batch", "length"]
    graph = helper.make_graph(
        nodes,
        "counts",
        [helper.make_tensor_value_info("input_ids", TensorProto.INT64, shape)],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", labels])],
        [
            numpy_helper.from_array(weights, "weights"),
            numpy_helper.from_array(np.array([1]), "axis"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    onnx.save(model, folder / "model.onnx")
    return folder


async def test_a_model_of_another_kind_is_no_reranker(tmp_path: Path) -> None:
    reranker = LocalReranker(cross_encoder(tmp_path / "m", labels=3), seconds=5)
    assert await relevance(reranker, "leave", TEXTS) is None


async def test_a_search_does_not_wait_for_a_model_that_just_failed(tmp_path: Path) -> None:
    clock, tries = Clock(), 0

    async def open_model() -> OnnxModel:
        nonlocal tries
        tries += 1
        raise ModelFolderFault(tmp_path, "it is damaged")

    model = ModelOnDemand(open_model, clock=clock)
    for expected in (1, 1, 2):
        with pytest.raises(ModelFolderFault, match="damaged"):
            await model.get()
        assert tries == expected
        clock.now += 40


@pytest.mark.parametrize("labels", [1, 2])
async def test_a_cross_encoder_reads_both_texts(tmp_path: Path, labels: int) -> None:
    reranker = LocalReranker(cross_encoder(tmp_path / "m", labels), seconds=5)
    texts = [*TEXTS, "leave leave", *["x"] * 10]
    told = await reranker.rerank("how much leave", texts)
    expected = [1 / (1 + np.exp(-1 - count)) for count in (0, 1, 1, 2, *[0] * 10)]
    assert told == pytest.approx(expected)


async def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    folder = cross_encoder(tmp_path / "m")
    (folder / "model.onnx").write_bytes(b"damaged")
    with pytest.raises(UpstreamError, match="cannot be loaded"):
        await LocalReranker(folder, seconds=5).rerank("x", ["y"])
    (folder / "model.onnx").unlink()
    with pytest.raises(ModelFolderFault, match=r"no model\.onnx"):
        LocalReranker(folder, seconds=5)


async def test_a_search_is_reranked(make_settings: Callable[..., KbSettings]) -> None:
    vendor = Vendor()
    async with served(vendor.app()) as url:
        settings = make_settings(rerank_api_base_url=url, rerank_api_model="m")
        async with connected(settings) as kb:
            await kb.create()
            long = "Leave: " + "what was agreed with the council holds for all of them. " * 3
            await kb.uploaded(("a.txt", b"Leave is ten days."), ("b.txt", long.encode()))
            body = {"query": "leave", "score_threshold": 2}
            path = "/admin/knowledge-bases/kb1/search"
            found = [(await kb.post(path, body | more)).json() for more in ({}, {"rerank": False})]
    names = [[one["file_name"] for one in answer["items"]] for answer in found]
    assert names == [["b.txt", "a.txt"], ["a.txt", "b.txt"]]


def test_half_an_endpoint_stops_the_start(make_settings: Callable[..., KbSettings]) -> None:
    with pytest.raises(ValueError, match="RERANK-API needs both"):
        make_settings(rerank_api_base_url="http://x/v1")
