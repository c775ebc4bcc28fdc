"""Keys of config.ini, old and new, and which vendor they make the default."""

import logging
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from chat_service.settings import ChatSettings
from chat_service.vendors import Vendors
from servicekit.settings import CONFIG_VARIABLE, ConfigurationError


@pytest.fixture
def load(tmp_path: Path, request: pytest.FixtureRequest) -> Any:
    """Loads settings from this text of a config.ini, as the service does."""

    def read(text: str) -> ChatSettings:
        path = tmp_path / "config.ini"
        path.write_text(text, encoding="utf-8")
        with pytest.MonkeyPatch.context() as environment:  # an argument of the process, not code
            environment.setenv(CONFIG_VARIABLE, str(path))
            return ChatSettings.load()

    return read


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("OPENAI-API.API_KEY", "openai-api"),
        ("ZHIPU-API.API_KEY", "zhipu-api"),
        ("QWEN-API.API_KEY", "qwen-api"),
        ("QIANFAN-API.API_KEY", "qianfan-api"),
        ("QIANFAN.API_KEY", "qianfan-api"),
        ("XINGHUO-API.API_KEY", "xinghuo-api"),
        ("DEEPSEEK-API.API_KEY", "deepseek-api"),
        ("MOONSHOT-API.API_KEY", "moonshot-api"),
        ("OLLAMA.MODEL", "ollama"),
        ("OLLAMA.BASE_URL", "ollama"),
        ("LOCAL.MODEL", "local"),
        ("CUSTOM-API.BASE_URL", "custom-api"),
    ],
)
def test_one_key_is_enough(key: str, name: str, load: Any) -> None:
    vendors = Vendors(load(f"[model_setting]\nENABLE_LLM_MODEL =\n{key} = http://x/v1\n"))
    assert vendors.default.name == name
    assert vendors.default.model
    assert vendors.default.base_url.startswith("http")


def test_values_win_over_presets(load: Any) -> None:
    vendors = Vendors(
        load(
            "[model_setting]\nZHIPU-API.API_KEY = k\nZHIPU-API.MODEL = glm-x\n"
            "ZHIPU-API.BASE_URL = http://proxy/v4/\n"
        )
    )
    default = vendors.default
    assert (default.model, default.base_url, default.bearer) == ("glm-x", "http://proxy/v4", "k")


def test_xinghuo_s_secret(load: Any) -> None:
    text = "[model_setting]\nXINGHUO-API.API_APPID = a\nXINGHUO-API.API_KEY = k\n"
    assert Vendors(load(text)).default.bearer == "k"
    assert Vendors(load(text + "XINGHUO-API.API_SECRET = s\n")).default.bearer == "k:s"


def test_nothing_configured_is_offline(load: Any) -> None:
    vendors = Vendors(load("[model_setting]\nENABLE_LLM_MODEL = zhipu-api\nZHIPU-API.API_KEY =\n"))
    assert vendors.default.offline
    assert vendors.choose("zhipu-api").offline
    assert vendors.choose("no-such").offline


def test_the_named_one_is_the_default(load: Any) -> None:
    vendors = Vendors(
        load(
            "[model_setting]\nENABLE_LLM_MODEL = qwen-api\nQWEN-API.API_KEY = q\n"
            "OPENAI-API.API_KEY = o\n"
        )
    )
    assert vendors.default.name == "qwen-api"
    assert vendors.choose("openai-api").name == "openai-api"
    assert vendors.choose("zhipu-api").name == "qwen-api"


def test_offline_can_be_chosen(load: Any) -> None:
    text = "[model_setting]\nENABLE_LLM_MODEL = offline\nOPENAI-API.API_KEY = o\n"
    assert Vendors(load(text)).default.offline


@pytest.mark.parametrize(
    "line",
    [
        "OPENAI-API.APIKEY = x",
        "ENABLE_LLM_MODEL = gpt",
        "ENABLE_LLM_MODEL = custom-api",
        "LLM_TOTAL_TIMEOUT = soon",
        "CONTEXT_TOKENS = 1",
        "OLLAMA.BASE_URL = localhost:11434",
    ],
)
def test_mistakes_stop_the_start_and_name_the_key(line: str, load: Any) -> None:
    with pytest.raises(ConfigurationError) as raised:
        load(f"[model_setting]\n{line}\n")
    named = line.split(" = ")[0].replace("-", "_").replace(".", "_")
    assert named in str(raised.value) or "CUSTOM-API.BASE_URL" in str(raised.value)


def test_keys_of_the_old_file(load: Any, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        load(
            "[model_setting]\nENABLE_LLM_MODEL = zhipu-api\nZHIPU-API.API_KEY = k\n"
            "OPENAI-API.API_KEY =\nXINGHUO-API.API_APPID =\nXINGHUO-API.API_KEY =\n"
            "XINGHUO-API.API_SECRET =\nQWEN-API.API_KEY =\nQIANFAN.API_KEY =\n"
            "QIANFAN.API_SECRET = s\nMODEL_ROOT_PATH = /models\nEMBEDDING_MODEL = m3e-base\n"
            "EMBEDDING-API.API_KEY = e\n"
        )
    said = [record.getMessage().split()[0] for record in caplog.records]
    assert sorted(said) == ["EMBEDDING_MODEL", "MODEL_ROOT_PATH", "QIANFAN.API_SECRET"]


def test_secrets_are_not_shown(load: Any) -> None:
    settings = load("[model_setting]\nOPENAI-API.API_KEY = very-secret\n")
    assert settings.openai_api_api_key == SecretStr("very-secret")
    assert "very-secret" not in repr(settings) + repr(Vendors(settings).default)


CUSTOM = """
[model_setting]
CUSTOM_MODELS = {
    "vllm": {"base_url": "http://10.0.0.5:8000/v1/", "model": "qwen3", "api_key": "v-secret",
             "max_concurrency": 4, "output_price": 2.5},
    "glm": {"preset": "zhipu-api", "model": "glm-4.7", "api_key": "g-secret"}}
"""


def test_any_number_of_models_of_ones_own(load: Any) -> None:
    settings = load(f"{CUSTOM}ENABLE_LLM_MODEL = glm\nFALLBACK_MODELS = vllm, glm\n")
    vendors = Vendors(settings)
    vllm, glm = vendors.choose("vllm"), vendors.default
    assert (vllm.base_url, vllm.model, vllm.bearer) == (
        "http://10.0.0.5:8000/v1",
        "qwen3",
        "v-secret",
    )
    assert (vllm.operation.max_concurrency, vllm.operation.output_price) == (4, 2.5)
    assert glm.base_url.startswith("https://open.bigmodel.cn/")
    assert glm.temperature_near(0) == 0.01
    assert [vendor.name for vendor in vendors.fallbacks_of(glm)] == ["vllm"]
    assert [vendor.name for vendor in vendors.listed()] == ["glm", "vllm", "offline"]
    assert (vendors.find("vllm"), vendors.find("nobody")) == (vllm, None)
    shown = repr(settings) + repr(vllm)
    assert "v-secret" not in shown
    assert "g-secret" not in shown


@pytest.mark.parametrize(
    ("lines", "named"),
    [
        ('CUSTOM_MODELS = {"a": {"base_url": "http://x", "apikey": "k"}}', "a.apikey"),
        ('CUSTOM_MODELS = {"a": {"base_url": "x"}}', "a.base_url"),
        ('CUSTOM_MODELS = {"a": {"model": "m"}}', "base_url is missing"),
        ('CUSTOM_MODELS = {"a/b": {"base_url": "http://x"}}', "a/b"),
        ('CUSTOM_MODELS = {"ollama": {"base_url": "http://x"}}', "ollama"),
        ("CUSTOM_MODELS = [1", "CUSTOM_MODELS"),
        ("FALLBACK_MODELS = ollama, nobody", "nobody"),
    ],
)
def test_mistakes_in_models_of_ones_own_stop_the_start(lines: str, named: str, load: Any) -> None:
    with pytest.raises(ConfigurationError) as raised:
        load(f"[model_setting]\n{lines}\n")
    assert named in str(raised.value)


@pytest.mark.parametrize(
    ("base_url", "preset"),
    [
        ("https://dashscope-intl.aliyuncs.com/compatible-mode/v1", "qwen-api"),
        ("https://api.moonshot.ai/v1", "moonshot-api"),
        ("https://z.ai/api/paas/v4", "zhipu-api"),
        ("https://notz.ai/v1", "custom-api"),
        ("http://10.0.0.5:8000/v1", "custom-api"),
    ],
)
def test_the_address_tells_the_dialect(base_url: str, preset: str, load: Any) -> None:
    lines = f'[model_setting]\nCUSTOM_MODELS = {{"mine": {{"base_url": "{base_url}"}}}}\n'
    assert Vendors(load(lines)).choose("mine").preset == preset
