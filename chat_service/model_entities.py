"""What is known of a model: what operators set, and how it is stored."""

from dataclasses import dataclass, field
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    StringConstraints,
    TypeAdapter,
    ValidationError,
    model_validator,
)

from chat_service.dialects import DIALECTS

_Temperature = Annotated[float, Field(ge=0, le=2, allow_inf_nan=False)]
_Price = Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False)]
_LONGEST_URL = 500
_CHAT_PATH = "/chat/completions"


def _base_url(value: str) -> str:
    """An http(s) URL, without the path that is added to it."""
    value = value.strip().rstrip("/").removesuffix(_CHAT_PATH)
    try:
        parts = urlsplit(value)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if not good or parts.username or parts.query or parts.fragment or len(value) > _LONGEST_URL:
        raise ValueError(
            "must be http(s)://host[:port][/path] without user, query or fragment"
            " 须为 http(s)://主机[:端口][/路径]"
        )
    return value


def _preset(value: str) -> str:
    if value not in ("", *DIALECTS):
        raise ValueError(f"is none of 不是以下之一: {', '.join(DIALECTS)}")
    return value


BaseUrl = Annotated[str, AfterValidator(_base_url)]
Preset = Annotated[str, AfterValidator(_preset)]
ModelName = Annotated[str, StringConstraints(pattern=r"^[\w][\w.\-]{0,63}$", strip_whitespace=True)]
ModelId = Annotated[
    str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f]+$")
]


class Operation(BaseModel):
    """What may be set of any model; prices are per million tokens, 0 at once is no limit."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    context_tokens: int | None = Field(None, ge=500, le=100_000_000)
    input_price: _Price | None = None
    output_price: _Price | None = None
    currency: str = Field("CNY", pattern="^[A-Z]{3}$")
    enabled: bool = True
    fallbacks: tuple[ModelName, ...] = Field((), max_length=8)
    max_concurrency: int = Field(0, ge=0, le=100_000)
    temperature_min: _Temperature | None = None
    temperature_max: _Temperature | None = None
    max_output_tokens: int | None = Field(None, ge=1, le=100_000_000)

    @model_validator(mode="after")
    def _least_before_most(self) -> Self:
        least, most = self.temperature_min, self.temperature_max
        if least is not None and most is not None and least > most:
            raise ValueError("temperature_min is above temperature_max 温度下限高于上限")
        return self


class CustomModel(Operation):
    """A model of config.ini; a preset gives it its address, its model and its dialect."""

    preset: Preset = ""
    base_url: BaseUrl | None = None
    model: ModelId | None = None
    api_key: SecretStr = SecretStr("")

    @model_validator(mode="after")
    def _has_address(self) -> Self:
        if self.base_url is None and not self.preset:
            raise ValueError("base_url is missing 缺少 base_url")
        return self


@dataclass(frozen=True, slots=True)
class StoredModel:
    """A row; without a model id it is of config.ini, and only how it is operated is stored."""

    name: str
    preset: str = ""
    base_url: str | None = None
    model: str | None = None
    sealed_key: bytes | None = field(default=None, repr=False)
    operation: Operation = field(default_factory=Operation)


@dataclass(frozen=True, slots=True)
class Registered:
    """All rows, the name of the default if one was chosen, and how often they were changed."""

    models: tuple[StoredModel, ...] = ()
    default: str = ""
    revision: int = 0


_CUSTOM = TypeAdapter(dict[ModelName, CustomModel])


def read_custom(text: str) -> dict[str, CustomModel]:
    """The models of a JSON object by name. Raises ValueError, which names the key."""
    if not text:
        return {}
    try:
        return _CUSTOM.validate_json(text)
    except ValidationError as error:
        raise ValueError(
            "; ".join(
                ": ".join([".".join(map(str, item["loc"])), item["msg"]]) for item in error.errors()
            )
        ) from None
