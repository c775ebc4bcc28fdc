"""/llm_model and /server."""

import pytest

from chat_service.prompts import PROMPTS
from tests.chat_service.conftest import Chat, StartChat, caller_header
from tests.fakes.vendor import WORDS, VendorServer

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


async def test_issue_20_configs_have_their_values(start_chat: StartChat) -> None:
    """Bug 20 of the old server: only the three addresses were left."""
    chat = await start_chat(chunk_size=300, default_search_engine="tavily")
    answer = await chat.post("/server/configs")
    configs = answer.json()
    assert {
        "controller_address": None,
        "openai_api_address": None,
        "api_address": "http://127.0.0.1:7861",
        "LLM_MODELS": ["offline"],
        "CHUNK_SIZE": 300,
        "OVERLAP_SIZE": 50,
        "VECTOR_SEARCH_TOP_K": 3,
        "SCORE_THRESHOLD": 1,
        "SEARCH_ENGINE_TOP_K": 3,
        "HISTORY_LEN": 10,
        "TEMPERATURE": 0.7,
        "MAX_TOKENS": None,
        "DEFAULT_SEARCH_ENGINE": "tavily",
    }.items() <= configs.items()
    assert configs["PROMPT_TEMPLATES"] == PROMPTS
    assert not {name for name in configs if "key" in name.lower() or "secret" in name.lower()}


SHOWN = (
    '{"host":"","port":0,"device":"auto","infer_turbo":false,"provider":"%s","version":"%s",'
    '"online_api":true,"configured":%s,"default":%s}'
)
ENVELOPE = '{"code":200,"msg":"success","data":%s}'


async def test_the_models_byte_for_byte(chat: Chat) -> None:
    """Section 1.5 of the contract; what says nothing any more keeps its place."""
    custom = SHOWN % ("custom-api", "default", "true", "true")
    one = {"model_name": "custom-api", "placeholder": None}
    assert (await chat.post("/llm_model/get_model_config", one)).text == ENVELOPE % custom
    running = (await chat.post("/llm_model/list_running_models", {})).text
    assert running.startswith(ENVELOPE[: ENVELOPE.index("%")] + '{"custom-api":' + custom)
    known = (await chat.post("/llm_model/list_config_models")).text
    assert f'"custom-api":{custom}' in known
    template = await chat.post("/server/get_prompt_template", {"type": "llm_chat"})
    assert (template.text, template.headers["content-type"]) == (
        '"{{ input }}"',
        "application/json",
    )


async def test_search_engines(chat: Chat) -> None:
    answer = await chat.post("/server/list_search_engines")
    assert answer.text == ('{"code":200,"msg":"success","data":["bing","duckduckgo","metaphor"]}')


async def test_stopping_and_changing_models(start_chat: StartChat, vendor: VendorServer) -> None:
    chat = await start_chat(
        custom_api_base_url=vendor.base_url, zhipu_api_api_key="k", enable_llm_model="zhipu-api"
    )
    admin = {"headers": caller_header("admin")}

    async def running() -> tuple[set[str], str]:
        models = (await chat.post("/llm_model/list_running_models", {})).json()["data"]
        return set(models), next(name for name, shown in models.items() if shown["default"])

    assert await running() == ({"zhipu-api", "custom-api", "offline"}, "zhipu-api")
    change = {"model_name": "zhipu-api", "new_model_name": "custom-api"}
    changed = await chat.post("/llm_model/change", change, **admin)
    assert changed.text == '{"code":200,"msg":"done"}'
    assert (await running())[1] == "custom-api"
    assert await chat.said() == "".join(WORDS)
    asked = {"model_name": "zhipu-api", "controller_address": "http://169.254.169.254/"}
    stopped = await chat.post("/llm_model/stop", asked, **admin)
    assert stopped.text == '{"code":200,"msg":"done"}'
    assert await running() == ({"custom-api", "offline"}, "custom-api")
    back = {"model_name": "custom-api", "new_model_name": "zhipu-api"}
    assert (await chat.post("/llm_model/change", back, **admin)).json()["code"] == 200
    assert (await running())[1] == "zhipu-api"  # what is changed to runs again
    offline = {"model_name": "zhipu-api", "new_model_name": "offline"}
    assert (await chat.post("/llm_model/change", offline, **admin)).json()["code"] == 200
    assert (await running())[1] == "offline"


@pytest.mark.parametrize(
    ("path", "body", "msg"),
    [
        ("stop", {"model_name": "x"}, "failed to stop LLM model x from controller: "),
        ("stop", {"model_name": "offline"}, "failed to stop LLM model offline from controller: "),
        (
            "change",
            {"model_name": "custom-api", "new_model_name": "x"},
            "failed to switch LLM model from controller: ",
        ),
        (
            "change",
            {"model_name": "x", "new_model_name": "custom-api"},
            "failed to switch LLM model from controller: ",
        ),
    ],
)
async def test_models_that_cannot_be_stopped_or_changed(
    path: str, body: dict[str, str], msg: str, chat: Chat
) -> None:
    answer = await chat.post(f"/llm_model/{path}", body, headers=caller_header("admin"))
    assert answer.status_code == 200
    assert answer.json().keys() == {"code", "msg", "data"}
    assert (answer.json()["code"], answer.json()["data"]) == (500, None)
    assert answer.json()["msg"].startswith(msg)
    assert (await chat.post(f"/llm_model/{path}", body)).status_code == 403
    assert (await chat.post(f"/llm_model/{path}", {}, headers=caller_header("admin"))).json()[
        "detail"
    ][0]["loc"] == ["body", "model_name"]


async def test_health(chat: Chat) -> None:
    for path in ("/livez", "/readyz"):
        assert (await chat.client.get(path, headers={})).status_code == 200
