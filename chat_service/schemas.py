"""What crosses the wire: bodies of the chat and model routes, and the envelope."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, Field, model_validator

from chat_service.characters import whole_characters
from chat_service.passage_filter import PassageFilter


def _without_surrogates(value: Any) -> Any:
    """Half a character, which browsers can send, would be refused; it becomes a mark."""
    return whole_characters(value) if isinstance(value, str) else value


Text = Annotated[str, BeforeValidator(_without_surrogates)]


class HistoryItem(BaseModel):
    role: str
    content: Text


class PromptedRequest(BaseModel):
    """What every mode that answers a query takes; null is the same as absent."""

    query: Text = Field(min_length=1, max_length=100_000)
    stream: bool = False
    model_name: str = ""
    temperature: float = Field(0.7, ge=0, le=1)
    max_tokens: int | None = None
    prompt_name: str = "default"

    @model_validator(mode="before")
    @classmethod
    def _null_is_absent(cls, body: Any) -> Any:
        if not isinstance(body, dict):
            return body
        return {key: value for key, value in body.items() if value is not None}

    @property
    def token_limit(self) -> int | None:
        return self.max_tokens if self.max_tokens and self.max_tokens > 0 else None


class ChatRequest(PromptedRequest):
    """Body of /chat/chat; unknown keys are ignored."""

    session_id: str | None = Field(None, min_length=32, max_length=32, pattern=r"^[^\x00]*$")
    # As session_service takes them: they become part of a path.
    chat_history_id: str | None = Field(None, pattern=r"^[0-9A-Za-z_-]{0,32}$")
    history: list[HistoryItem] | None = None


class KnowledgeBaseChatRequest(ChatRequest):
    """Body of /chat/knowledge_base_chat; `filter` is ours."""

    knowledge_base_name: Text = Field(max_length=1_000)
    top_k: int = Field(3, ge=0, le=100)
    score_threshold: float = Field(1, ge=0, le=2)
    filter: PassageFilter | None = None


class AgentChatRequest(PromptedRequest):
    """Body of /chat/agent_chat."""

    history: list[HistoryItem] = Field(default=[], max_length=1_000)


class SearchEngineChatRequest(AgentChatRequest):
    """Body of /chat/search_engine_chat."""

    search_engine_name: str = Field(max_length=100)
    top_k: int = Field(3, ge=0, le=20)
    split_result: bool = False


class CompletionRequest(PromptedRequest):
    """Body of /other/completion."""

    echo: bool = False
    max_tokens: int | None = 1024


class FastchatMessage(BaseModel):
    role: str = Field("user", max_length=20)
    content: Text = Field("hello", max_length=100_000)


class FastchatRequest(BaseModel):
    """Body of /chat/fastchat; one choice is answered, however many `n` asks for."""

    messages: list[FastchatMessage] = Field(min_length=1, max_length=200)
    model: str = ""
    temperature: float | None = 0.7
    n: int | None = 1
    max_tokens: int | None = None
    stop: list[str] | str | None = Field(default=[], max_length=1_000)
    stream: bool | None = False
    presence_penalty: float | None = 0
    frequency_penalty: float | None = 0


class ModelConfigRequest(BaseModel):
    model_name: str
    placeholder: str | None = Field(description="Needed by the old contract, without effect")


class RunningModelsRequest(BaseModel):
    controller_address: str | None = None
    placeholder: str | None = None


class StopModelRequest(BaseModel):
    """`controller_address` has no effect: nobody tells this server where to send requests."""

    model_name: Text = Field(max_length=200)
    controller_address: str | None = None


class ChangeModelRequest(StopModelRequest):
    new_model_name: Text = Field(max_length=200)


class Done(BaseModel):
    """What the controller answered."""

    code: int = 200
    msg: str = "done"


class PromptRequest(BaseModel):
    type: Literal["llm_chat", "knowledge_base_chat", "search_engine_chat", "agent_chat"] = (
        "llm_chat"
    )
    name: str = "default"


class ModelConfig(BaseModel):
    """A model as everybody may see it: no key, no secret, no address.

    Where its worker runs and on what says nothing any more; old clients read it all the same.
    """

    host: str = ""
    port: int = 0
    device: str = "auto"
    infer_turbo: bool = False
    provider: str
    version: str
    online_api: bool
    configured: bool
    default: bool


class ModelConfigs(BaseModel):
    code: int = 200
    msg: str = "success"
    data: dict[str, ModelConfig]


class OneModelConfig(BaseModel):
    code: int = 200
    msg: str = "success"
    data: ModelConfig


class SearchEngines(BaseModel):
    code: int = 200
    msg: str = "success"
    data: list[str]


class ServerConfigs(BaseModel):
    """The values that the old server's pages read."""

    controller_address: str | None = None
    openai_api_address: str | None = None
    api_address: str
    LLM_MODELS: list[str]
    DEFAULT_KNOWLEDGE_BASE: str = "chat2llm"
    TEMPERATURE: float = 0.7
    MAX_TOKENS: int | None = None
    HISTORY_LEN: int = 10
    CHUNK_SIZE: int
    OVERLAP_SIZE: int
    ZH_TITLE_ENHANCE: bool = False
    TEXT_SPLITTER_NAME: str = "ChineseRecursiveTextSplitter"
    VECTOR_SEARCH_TOP_K: int = 3
    SCORE_THRESHOLD: float = 1
    SEARCH_ENGINE_TOP_K: int = 3
    DEFAULT_SEARCH_ENGINE: str
    DEFAULT_VS_TYPE: str = "faiss"
    PROMPT_TEMPLATES: dict[str, dict[str, str]]
