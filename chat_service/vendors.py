"""The model vendors: OpenAI-compatible endpoints as a table of presets, and which are usable."""

import logging
from dataclasses import dataclass, field

from chat_service.settings import ChatSettings

OFFLINE = "offline"


@dataclass(frozen=True, slots=True)
class Vendor:
    """One endpoint with its model; `bearer` is what its Authorization header carries."""

    name: str
    base_url: str
    model: str
    bearer: str = field(default="", repr=False)
    online: bool = True

    @property
    def offline(self) -> bool:
        return self.name == OFFLINE


# Name, base URL, default model. Settings NAME.BASE_URL and NAME.MODEL win over these.
_WITH_KEY = (
    Vendor("openai-api", "https://api.openai.com/v1", "gpt-6-luna"),
    Vendor("zhipu-api", "https://open.bigmodel.cn/api/paas/v4", "glm-4.7-flash"),
    Vendor("qwen-api", "https://dashscope.aliyuncs.com/compatible-mode/v1", "qwen-plus"),
    Vendor("qianfan-api", "https://qianfan.baidubce.com/v2", "ernie-5.1"),
    Vendor("xinghuo-api", "https://spark-api-open.xf-yun.com/v1", "4.0Ultra"),
    Vendor("deepseek-api", "https://api.deepseek.com/v1", "deepseek-v4-flash"),
    Vendor("moonshot-api", "https://api.moonshot.cn/v1", "kimi-k2.6"),
)
_WITHOUT_KEY = (
    Vendor("custom-api", "", "default"),
    Vendor("ollama", "http://127.0.0.1:11434/v1", "qwen3", online=False),
    Vendor("local", "http://127.0.0.1:7866/v1", "local", online=False),
)


class Vendors:
    """The usable vendors, and which one answers when nobody asks for another."""

    def __init__(self, settings: ChatSettings) -> None:
        self.known = {
            preset.name: _configured(preset, settings) for preset in _WITH_KEY + _WITHOUT_KEY
        }
        self.known[OFFLINE] = Vendor(OFFLINE, "", "extractive", online=False)
        usable = [v.name for v in _WITH_KEY if self.known[v.name].bearer]
        usable += [v.name for v in _WITHOUT_KEY if _wanted(v.name, settings)]
        self.usable = {name: self.known[name] for name in (*usable, OFFLINE)}
        asked = settings.enable_llm_model
        if asked and asked not in self.usable:
            logging.getLogger(__name__).warning(
                "%s has no API_KEY, so %s answers. %s 未配置密钥。", asked, usable[:1], asked
            )
        self.default = self.usable.get(asked) or self.usable[(*usable, OFFLINE)[0]]

    def choose(self, name: str) -> Vendor:
        """The vendor of that name; old sessions ask for unconfigured ones and get the default."""
        return self.usable.get(name, self.default)


def _configured(preset: Vendor, settings: ChatSettings) -> Vendor:
    values = {
        key: getattr(settings, f"{preset.name.replace('-', '_')}_{key}")
        for key in ("api_key", "base_url", "model")
    }
    bearer = values["api_key"].get_secret_value()
    if preset.name == "qianfan-api":
        bearer = bearer or settings.qianfan_api_key.get_secret_value()
    secret = settings.xinghuo_api_api_secret.get_secret_value()
    if preset.name == "xinghuo-api" and bearer and secret:
        bearer = f"{bearer}:{secret}"
    return Vendor(
        preset.name,
        (values["base_url"] or preset.base_url).rstrip("/"),
        values["model"] or preset.model,
        bearer,
        preset.online,
    )


def _wanted(name: str, settings: ChatSettings) -> bool:
    """Vendors that need no key count as configured when any of their keys is set, or by name."""
    field_name = name.replace("-", "_")
    if name == "custom-api":
        return bool(settings.custom_api_base_url)
    return settings.enable_llm_model == name or any(
        getattr(settings, f"{field_name}_{key}") for key in ("base_url", "model")
    )
