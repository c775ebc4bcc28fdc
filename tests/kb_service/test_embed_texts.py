"""Texts to vectors on the old wire."""

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kb_service.settings import KbSettings
from tests.kb_service.conftest import READER, Kb, caller_header, connected
from tests.kb_service.gate import gated
from tests.serving import served

Make = Callable[..., KbSettings]
PATH = "/other/embed_texts"


async def embed(kb: Kb, texts: Any, **more: Any) -> httpx.Response:
    return await kb.post(PATH, {"texts": texts} | more, READER)


async def test_texts_become_vectors_in_their_order(make_settings: Make) -> None:
    async with gated() as endpoint, connected(endpoint.settings(make_settings)) as kb:
        texts = ["x" * (number + 1) for number in range(25)]
        answer = await embed(kb, texts, embed_model="no-such-model", to_query=True, unknown=1)
        expected = ",".join(f"[1.0,{number + 1}.0]" for number in range(25))
        assert answer.content.decode() == f'{{"code":200,"msg":"success","data":[{expected}]}}'
        assert (await embed(kb, [])).json() == {"code": 200, "msg": "success", "data": []}


async def test_without_a_model_it_says_which_was_asked_for(kb: Kb) -> None:
    for asked, shown in (({}, "m3e-base"), ({"embed_model": "bge\n\u202e"}, "bge\\n\\u202e")):
        answer = await embed(kb, ["年假"], **asked)
        assert (answer.status_code, answer.json()) == (
            200,
            {"code": 500, "msg": f"指定的模型 {shown} 不支持 Embeddings 功能。", "data": None},
        )


async def test_a_failing_endpoint_is_told_without_its_secrets(make_settings: Make) -> None:
    async def refuse(_: Request) -> Response:
        return Response(json.dumps({"error": "the key sk-secret is wrong"}), 401)

    app = Starlette(routes=[Route("/v1/embeddings", refuse, methods=["POST"])])
    async with served(app) as url:
        settings = make_settings(
            embedding_api_base_url=f"{url}/v1",
            embedding_api_model="m",
            embedding_api_api_key="sk-secret",
        )
        async with connected(settings) as kb:
            answer = await embed(kb, ["年假"])
    assert answer.status_code == 200
    body = answer.json()
    assert (body["code"], body["data"]) == (500, None)
    assert body["msg"].startswith("文本向量化过程中出现错误：")
    assert "sk-secret" not in answer.text


@pytest.mark.parametrize(
    "texts", [None, "年假", [5], ["x"] * 257, ["长" * 10_001], {"0": "年假"}, [None]]
)
async def test_bounds(kb: Kb, texts: Any) -> None:
    answer = await embed(kb, texts)
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"][:2] == ["body", "texts"]


async def test_it_takes_the_scope_to_read(kb: Kb) -> None:
    answer = await kb.post(PATH, {"texts": ["x"]}, caller_header("0", ("chat",)))
    assert answer.status_code == 403
