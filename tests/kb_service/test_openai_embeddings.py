"""Vectors as OpenAI's clients ask for them, by OpenAI's own client."""

from collections.abc import Callable
from typing import Any

import openai
import pytest

from kb_service.settings import KbSettings
from tests.kb_service.conftest import READER, Kb, caller_header, on_a_socket
from tests.kb_service.gate import Gate, gated

Make = Callable[..., KbSettings]
PATH = "/v1/embeddings"


async def test_openais_client_gets_vectors(make_settings: Make) -> None:
    async with (
        gated() as gate,
        on_a_socket(gate.settings(make_settings)) as url,
        openai.AsyncOpenAI(
            api_key="unused", base_url=f"{url}/v1", default_headers=READER, max_retries=0
        ) as client,
    ):
        await check(gate, client)


async def test_without_a_model_the_error_says_where_to_set_one(make_settings: Make) -> None:
    async with (
        on_a_socket(make_settings()) as url,
        openai.AsyncOpenAI(
            api_key="unused", base_url=f"{url}/v1", default_headers=READER, max_retries=0
        ) as client,
    ):
        with pytest.raises(openai.NotFoundError, match="available: none, see docs"):
            await client.embeddings.create(model="text-embedding-3-small", input="x")


async def check(gate: Gate, client: openai.AsyncOpenAI) -> None:
    one = await client.embeddings.create(model="gate", input="年假")  # it asks for base64
    assert (one.data[0].embedding, one.model) == ([1.0, 2.0], "gate")
    many = await client.embeddings.create(model="gate", input=["a", "bcd"], encoding_format="float")
    assert [(row.index, row.embedding) for row in many.data] == [(0, [1.0, 1.0]), (1, [1.0, 3.0])]
    assert many.usage.total_tokens == 2 * 7
    asked = len(gate.texts)
    await client.embeddings.create(model="gate", input="年假")
    assert len(gate.texts) == asked + 1, "what outsiders send is not kept"
    with pytest.raises(openai.NotFoundError, match="available: gate") as refused:
        await client.embeddings.create(model="lexical", input="x")
    assert refused.value.code == "model_not_found"
    with pytest.raises(openai.PermissionDeniedError):
        await client.embeddings.create(
            model="gate", input="x", extra_headers=caller_header("0", ("chat",))
        )
    gate.status = 401
    with pytest.raises(openai.InternalServerError, match="HTTP 401") as failed:
        await client.embeddings.create(model="gate", input="other")
    assert failed.value.type == "server_error"


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"input": "x"}, "model"),
        ({"model": "gate"}, "input"),
        ({"model": "gate", "input": ""}, "input"),
        ({"model": "gate", "input": []}, "input"),
        ({"model": "gate", "input": [[1, 2]]}, "input"),
        ({"model": "gate", "input": ["x"] * 257}, "input"),
        ({"model": "gate", "input": "x", "encoding_format": "int8"}, "encoding_format"),
    ],
)
async def test_bad_requests_have_openais_body(kb: Kb, body: dict[str, Any], param: str) -> None:
    answer = await kb.post(PATH, body, READER)
    error = answer.json()["error"]
    assert (answer.status_code, error["type"]) == (400, "invalid_request_error")
    assert error["param"].startswith(param)
    assert set(error) == {"message", "type", "param", "code"}
