"""The models that can be asked: OpenAI-compatible endpoints, of config.ini and of operators."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from chat_service.dialects import dialect, spoken_at
from chat_service.model_entities import CustomModel, Operation, Registered, StoredModel
from chat_service.settings import ChatSettings

OFFLINE = "offline"
CONFIG, REGISTRY = "config", "registry"


@dataclass(frozen=True, slots=True)
class Vendor:
    """One endpoint with its model; `bearer` is what its Authorization header carries.

    `preset` is whose dialect it speaks; `problem` why it cannot be asked.
    """

    name: str
    base_url: str
    model: str
    bearer: str = field(default="", repr=False)
    online: bool = True
    preset: str = ""
    source: str = CONFIG
    operation: Operation = field(default_factory=Operation)
    problem: str = ""

    @property
    def offline(self) -> bool:
        return self.name == OFFLINE

    def temperature_near(self, wanted: float) -> float:
        """The nearest that the vendor takes."""
        lowest, highest = dialect(self.preset).temperature
        least, most = self.operation.temperature_min, self.operation.temperature_max
        lowest, highest = lowest if least is None else least, highest if most is None else most
        return min(max(wanted, lowest), highest)

    def tokens_within(self, wanted: int | None) -> int | None:
        """The most tokens to ask for; None leaves it to the vendor."""
        limit = self.operation.max_output_tokens
        return min(wanted, limit) if wanted and limit else wanted or limit


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
PRESETS: Mapping[str, Vendor] = {preset.name: preset for preset in _WITH_KEY + _WITHOUT_KEY}
_SEALED = (
    "密钥无法解密：主密钥已更换，请重新填写密钥。"
    "The key cannot be opened: the master key is another one. Enter the key again."
)


class Vendors:
    """The known and the usable ones, and which one answers when nobody asks for another.

    What operators set comes on top of config.ini, at once and as often as it changes.
    """

    def __init__(self, settings: ChatSettings) -> None:
        self._asked = settings.enable_llm_model
        self._fallbacks = settings.fallbacks
        self._configured = {
            preset.name: _configured(preset, settings) for preset in PRESETS.values()
        } | {name: _custom(name, model) for name, model in settings.custom.items()}
        self._configured[OFFLINE] = Vendor(OFFLINE, "", "extractive", online=False)
        wanted = [v.name for v in _WITH_KEY if self._configured[v.name].bearer]
        wanted += [v.name for v in _WITHOUT_KEY if _wanted(v.name, settings)]
        self._wanted = (*wanted, *settings.custom)
        self.register(Registered(), _nothing)
        if self._asked and self._asked not in self.usable:
            logging.getLogger(__name__).warning(
                "%s has no API_KEY, so %s answers. %s 未配置密钥。",
                self._asked,
                self.default.name,
                self._asked,
            )

    def register(self, registered: Registered, open_key: Callable[[StoredModel], str]) -> None:
        """Take over what operators set; a key that does not open leaves its model unusable."""
        rows = {row.name: row for row in registered.models}
        known = {
            name: replace(vendor, operation=rows[name].operation) if name in rows else vendor
            for name, vendor in self._configured.items()
        }
        added = [
            name
            for name, row in rows.items()
            if row.model is not None and not self.is_configured(name)
        ]
        known |= {name: _registered(rows[name], open_key) for name in added}
        self.known = known
        self.chosen = registered.default
        self.usable = {
            name: known[name]
            for name in (*self._wanted, *added, OFFLINE)
            if name == OFFLINE or (known[name].operation.enabled and not known[name].problem)
        }
        chosen = (name for name in (registered.default, self._asked) if name in self.usable)
        self.default = self.usable[next(chosen, next(iter(self.usable)))]

    def is_configured(self, name: str) -> bool:
        """Whether config.ini says what this name is."""
        return name in self._wanted or name == OFFLINE

    def choose(self, name: str) -> Vendor:
        """The vendor of that name; old sessions ask for unconfigured ones and get the default."""
        return self.usable.get(name, self.default)

    def find(self, name: str) -> Vendor | None:
        """The vendor of exactly that name, if it can be asked."""
        return self.usable.get(name)

    def listed(self) -> list[Vendor]:
        """All that can be asked, the default first."""
        others = [vendor for vendor in self.usable.values() if vendor.name != self.default.name]
        return [self.default, *others]

    def fallbacks_of(self, vendor: Vendor) -> list[Vendor]:
        """Who is asked, in this order, when a vendor does not begin to answer."""
        names = vendor.operation.fallbacks or self._fallbacks
        found = [self.usable[name] for name in dict.fromkeys(names) if name in self.usable]
        return [other for other in found if not other.offline and other.name != vendor.name]


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
    return replace(
        preset,
        base_url=(values["base_url"] or preset.base_url).rstrip("/"),
        model=values["model"] or preset.model,
        bearer=bearer,
        preset=preset.name,
    )


def _custom(name: str, model: CustomModel) -> Vendor:
    row = StoredModel(name, model.preset, model.base_url, model.model)
    operation = Operation(**{key: getattr(model, key) for key in Operation.model_fields})
    return replace(
        _endpoint(row), bearer=model.api_key.get_secret_value(), operation=operation, source=CONFIG
    )


def _registered(row: StoredModel, open_key: Callable[[StoredModel], str]) -> Vendor:
    vendor = replace(_endpoint(row), operation=row.operation, source=REGISTRY)
    try:
        return replace(vendor, bearer=open_key(row))
    except ValueError:
        return replace(vendor, problem=_SEALED)


def _endpoint(row: StoredModel) -> Vendor:
    """Address and model, its preset's where it has none of its own."""
    base_url = row.base_url or ""
    preset = row.preset or spoken_at(base_url)
    like = PRESETS[preset]
    return Vendor(row.name, base_url or like.base_url, row.model or like.model, preset=preset)


def _nothing(_: StoredModel) -> str:
    return ""


def _wanted(name: str, settings: ChatSettings) -> bool:
    """Vendors that need no key count as configured when any of their keys is set, or by name."""
    field_name = name.replace("-", "_")
    if name == "custom-api":
        return bool(settings.custom_api_base_url)
    return settings.enable_llm_model == name or any(
        getattr(settings, f"{field_name}_{key}") for key in ("base_url", "model")
    )
