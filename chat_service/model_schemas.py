"""Bodies of `/admin/models`."""

from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from chat_service.llm.choice import Trial
from chat_service.model_entities import CustomModel, ModelName, Operation
from chat_service.vendors import Vendor, Vendors

_SHOWN_OF_KEY = 4
_LONG_ENOUGH = 12


class NewModel(CustomModel):
    """A model to add; with a preset its address and model may be left out."""

    name: ModelName
    is_default: bool = False

    def as_custom(self) -> CustomModel:
        given = self.model_dump(exclude={"name", "is_default"}, exclude_unset=True)
        return CustomModel(**given)


class ModelChanges(BaseModel):
    """What is given is changed, the rest stays; `api_key` null removes the key."""

    model_config = ConfigDict(extra="forbid")

    preset: str | None = None
    base_url: str | None = None
    model: str | None = None
    api_key: SecretStr | None = None
    context_tokens: int | None = None
    input_price: float | None = None
    output_price: float | None = None
    currency: str | None = None
    enabled: bool | None = None
    fallbacks: list[str] | None = None
    max_concurrency: int | None = None
    temperature_min: float | None = None
    temperature_max: float | None = None
    max_output_tokens: int | None = None
    is_default: bool | None = None

    def given(self) -> dict[str, Any]:
        values = self.model_dump(exclude_unset=True)
        if "api_key" in values:
            values["api_key"] = values["api_key"] or SecretStr("")
        return values


class ModelItem(Operation):
    """A model as operators see it; of its key only the last characters."""

    name: str
    source: str = Field(description="config: set in config.ini; registry: added here")
    preset: str
    base_url: str
    model: str
    key: str | None = Field(description="the last characters of the key; null without one")
    is_default: bool
    usable: bool
    problem: str | None

    @classmethod
    def of(cls, vendor: Vendor, vendors: Vendors) -> Self:
        return cls(
            **vendor.operation.model_dump(),
            name=vendor.name,
            source=vendor.source,
            preset=vendor.preset,
            base_url=vendor.base_url,
            model=vendor.model,
            key=_hint(vendor.bearer),
            is_default=vendor.name == vendors.default.name,
            usable=vendor.name in vendors.usable,
            problem=vendor.problem or None,
        )


class ModelItems(BaseModel):
    items: list[ModelItem]
    total: int
    page: int
    page_size: int


class TrialResult(BaseModel):
    """How a real call went; `error` is what a user would read, `detail` what the vendor said."""

    ok: bool
    latency_ms: int
    answer: str
    prompt_tokens: int | None
    completion_tokens: int | None
    error: str | None
    detail: str | None

    @classmethod
    def of(cls, trial: Trial) -> Self:
        return cls(
            ok=trial.ok,
            latency_ms=round(trial.seconds * 1000),
            answer=trial.answer,
            prompt_tokens=trial.prompt_tokens,
            completion_tokens=trial.completion_tokens,
            error=trial.error or None,
            detail=trial.detail or None,
        )


def _hint(key: str) -> str | None:
    if not key:
        return None
    return f"…{key[-_SHOWN_OF_KEY:]}" if len(key) >= _LONG_ENOUGH else "…"
