"""Bodies of OpenAI's chat completions API, as far as its clients need them."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from chat_service.characters import whole_characters
from chat_service.passage_filter import PassageFilter

_PASSED_ON = (
    *("top_p", "stop", "seed", "presence_penalty", "frequency_penalty", "logit_bias"),
    *("tools", "tool_choice", "parallel_tool_calls", "response_format", "reasoning_effort"),
)


class _Body(BaseModel):
    model_config = ConfigDict(extra="ignore")


class StreamOptions(_Body):
    include_usage: bool = False


def _whole(content: Any) -> Any:
    """Half a character, which clients that cut texts send, becomes a mark as on the old wire."""
    if isinstance(content, str):
        return whole_characters(content)
    if isinstance(content, list):
        return [_whole_part(part) for part in content]
    return content


def _whole_part(part: Any) -> Any:
    if isinstance(part, dict) and isinstance(text := part.get("text"), str):
        return {**part, "text": whole_characters(text)}
    return part


class ChatMessage(BaseModel):
    """Goes to the vendor as it came; text may come in parts."""

    model_config = ConfigDict(extra="allow")

    role: Annotated[str, Field(min_length=1, max_length=50)]
    content: Annotated[str | list[dict[str, Any]] | None, BeforeValidator(_whole)] = None

    @property
    def text(self) -> str:
        if isinstance(self.content, list):
            return "\n".join(str(part.get("text", "")) for part in self.content)
        return self.content or ""

    @property
    def is_plain(self) -> bool:
        """Whether role and text are all that it says."""
        return isinstance(self.content, str) and not self.model_extra

    def as_sent(self) -> dict[str, Any]:
        return self.model_dump(exclude_unset=True)


class ChatCompletionRequest(_Body):
    """`top_k`, `score_threshold` and `filter` are ours, for models that are knowledge bases.

    With `metadata.session_id` the conversation is kept in that session of the caller; with
    `metadata.follow_ups` true the last chunk has questions that may come next.
    """

    model: Annotated[str, Field(min_length=1, max_length=1_000)]
    messages: Annotated[list[ChatMessage], Field(min_length=1, max_length=1_000)]
    stream: bool = False
    stream_options: StreamOptions | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    max_completion_tokens: Annotated[int, Field(ge=1)] | None = None
    n: Literal[1] | None = None
    metadata: dict[str, Any] | None = None
    top_p: float | None = None
    stop: str | list[str] | None = None
    seed: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    logit_bias: dict[str, float] | None = None
    tools: Annotated[list[dict[str, Any]], Field(max_length=128)] | None = None
    tool_choice: str | dict[str, Any] | None = None
    parallel_tool_calls: bool | None = None
    response_format: dict[str, Any] | None = None
    reasoning_effort: str | None = None
    top_k: Annotated[int, Field(ge=0, le=100)] = 3
    score_threshold: Annotated[float, Field(ge=0, le=2)] = 1
    filter: PassageFilter | None = None

    @property
    def passed_on(self) -> dict[str, Any]:
        return self.model_dump(include=set(_PASSED_ON), exclude_none=True)

    @property
    def token_limit(self) -> int | None:
        return self.max_completion_tokens or self.max_tokens

    @property
    def include_usage(self) -> bool:
        return self.stream_options is not None and self.stream_options.include_usage


class Usage(BaseModel):
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class ModelItem(BaseModel):
    """A model, or a knowledge base as one: `kb:` and its name."""

    id: str
    object: Literal["model"] = "model"
    created: int = 0
    owned_by: str = "chat2llm"


class ModelList(BaseModel):
    object: Literal["list"] = "list"
    data: list[ModelItem]


class OpenAIFault(BaseModel):
    message: str
    type: str
    param: str | None
    code: str | None


class OpenAIError(BaseModel):
    """Every error on this surface."""

    error: OpenAIFault
