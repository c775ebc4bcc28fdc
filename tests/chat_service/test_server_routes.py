"""/llm_model and /server."""

import pytest

from chat_service.prompts import PROMPTS
from tests.chat_service.conftest import Chat

ONLINE = {
    "openai-api",
    "zhipu-api",
    "qwen-api",
    "qianfan-api",
    "xinghuo-api",
    "deepseek-api",
    "moonshot-api",
    "custom-api",
}


async def test_config_models(chat: Chat) -> None:
    answer = await chat.post("/llm_model/list_config_models")
    body = answer.json()
    assert (body["code"], body["msg"], set(body["data"])) == (200, "success", ONLINE)
    assert all(config["online_api"] for config in body["data"].values())
    assert "secret" not in answer.text
    assert "key" not in answer.text
    assert "127.0.0.1" not in answer.text


async def test_running_models(chat: Chat) -> None:
    for body in ({}, {"controller_address": None, "placeholder": None}, None):
        answer = (await chat.post("/llm_model/list_running_models", body)).json()
        assert set(answer["data"]) == {"custom-api", "offline"}
        assert answer["data"]["custom-api"]["default"]


async def test_one_model(chat: Chat) -> None:
    asked = {"model_name": "zhipu-api", "placeholder": None}
    config = (await chat.post("/llm_model/get_model_config", asked)).json()["data"]
    assert (config["provider"], config["online_api"], config["configured"]) == (
        "zhipu-api",
        True,
        False,
    )
    unknown = await chat.post("/llm_model/get_model_config", asked | {"model_name": "x"})
    assert unknown.json() == {"code": 404, "msg": "未找到模型 x", "data": None}
    missing = await chat.post("/llm_model/get_model_config", {"model_name": "zhipu-api"})
    assert missing.status_code == 422


@pytest.mark.parametrize(("kind", "name"), [(k, n) for k, named in PROMPTS.items() for n in named])
async def test_prompt_templates(kind: str, name: str, chat: Chat) -> None:
    answer = await chat.post("/server/get_prompt_template", {"type": kind, "name": name})
    assert answer.json() == PROMPTS[kind][name]


async def test_prompt_defaults_and_mistakes(chat: Chat) -> None:
    assert (await chat.post("/server/get_prompt_template", {})).json() == "{{ input }}"
    unknown = await chat.post("/server/get_prompt_template", {"name": "x"})
    assert unknown.json()["code"] == 404
    completion = await chat.post("/server/get_prompt_template", {"type": "completion"})
    assert completion.status_code == 422


async def test_configs(chat: Chat) -> None:
    configs = (await chat.post("/server/configs")).json()
    assert configs["api_address"] == "http://127.0.0.1:7861"
    assert configs["CHUNK_SIZE"] == 250
    assert configs["LLM_MODELS"] == ["custom-api"]
    assert configs["PROMPT_TEMPLATES"] == PROMPTS


async def test_health(chat: Chat) -> None:
    for path in ("/livez", "/readyz"):
        assert (await chat.client.get(path, headers={})).status_code == 200
