"""Settings of chat_service: the models, where the other services are, and how long to wait."""

from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field, SecretStr, ValidationInfo, field_validator, model_validator

from chat_service.agent_lists import EVERY_TOOL, parse, parse_by_client, parse_servers
from chat_service.model_entities import CustomModel, read_custom
from servicekit.settings import ServiceSettings

VENDOR_NAMES = (
    "openai-api",
    "zhipu-api",
    "qwen-api",
    "qianfan-api",
    "xinghuo-api",
    "deepseek-api",
    "moonshot-api",
    "ollama",
    "custom-api",
    "local",
    "offline",
)
_NO_KEY = SecretStr("")


def _key(vendor: str) -> SecretStr:
    value: SecretStr = Field(_NO_KEY, description=f"API key of {vendor}. {vendor} 的密钥。")
    return value


def _url(vendor: str) -> str:
    value: str = Field(
        "", description=f"Base URL of {vendor}; empty = its preset. {vendor} 的接口地址。"
    )
    return value


def _model(vendor: str) -> str:
    value: str = Field(
        "", description=f"Model of {vendor}; empty = its preset. {vendor} 的模型名。"
    )
    return value


class ChatSettings(ServiceSettings):
    """Keys of [model_setting] and [chat]; every vendor has API_KEY, BASE_URL and MODEL."""

    owned_sections: ClassVar[tuple[str, ...]] = ("model_setting", "chat")
    elsewhere: ClassVar[frozenset[str]] = frozenset(
        {"embedding_api_api_key", "embedding_api_base_url", "embedding_api_model"}
        | {"rerank_api_api_key", "rerank_api_base_url", "rerank_api_model"}
    )
    retired: ClassVar[dict[str, str]] = {
        "model_root_path": "MODEL_ROOT_PATH has no effect now: models are reached over HTTP. "
        "MODEL_ROOT_PATH 已不再使用。",
        "embedding_model": "EMBEDDING_MODEL has no effect now: see EMBEDDING-API.MODEL. "
        "EMBEDDING_MODEL 已不再使用，请改用 EMBEDDING-API.MODEL。",
        "qianfan_api_secret": "QIANFAN.API_SECRET has no effect now: the API key is enough. "
        "QIANFAN.API_SECRET 已不再使用，只需 API_KEY。",
    }

    enable_llm_model: str = Field(
        "",
        description="Default model by vendor name; empty = the first vendor with a key, else "
        "offline. 默认模型；留空则用第一个配置了密钥的厂商，否则为离线模式。",
    )
    openai_api_api_key: SecretStr = _key("openai-api")
    openai_api_base_url: str = _url("openai-api")
    openai_api_model: str = _model("openai-api")
    zhipu_api_api_key: SecretStr = _key("zhipu-api")
    zhipu_api_base_url: str = _url("zhipu-api")
    zhipu_api_model: str = _model("zhipu-api")
    qwen_api_api_key: SecretStr = _key("qwen-api")
    qwen_api_base_url: str = _url("qwen-api")
    qwen_api_model: str = _model("qwen-api")
    qianfan_api_api_key: SecretStr = _key("qianfan-api")
    qianfan_api_key: SecretStr = Field(
        _NO_KEY, description="Old name of QIANFAN-API.API_KEY. QIANFAN-API.API_KEY 的旧名称。"
    )
    qianfan_api_base_url: str = _url("qianfan-api")
    qianfan_api_model: str = _model("qianfan-api")
    xinghuo_api_api_key: SecretStr = _key("xinghuo-api")
    xinghuo_api_api_secret: SecretStr = Field(
        _NO_KEY,
        description="With it the bearer is API_KEY:API_SECRET. "
        "讯飞星火的 APISecret，填写后以 API_KEY:API_SECRET 鉴权。",
    )
    xinghuo_api_api_appid: str = Field(
        "", description="Accepted, not needed any more. 讯飞星火的 APPID，现已无需填写。"
    )
    xinghuo_api_base_url: str = _url("xinghuo-api")
    xinghuo_api_model: str = _model("xinghuo-api")
    deepseek_api_api_key: SecretStr = _key("deepseek-api")
    deepseek_api_base_url: str = _url("deepseek-api")
    deepseek_api_model: str = _model("deepseek-api")
    moonshot_api_api_key: SecretStr = _key("moonshot-api")
    moonshot_api_base_url: str = _url("moonshot-api")
    moonshot_api_model: str = _model("moonshot-api")
    ollama_api_key: SecretStr = _key("ollama")
    ollama_base_url: str = _url("ollama")
    ollama_model: str = _model("ollama")
    custom_api_api_key: SecretStr = _key("custom-api")
    custom_api_base_url: str = _url("custom-api")
    custom_api_model: str = _model("custom-api")
    local_api_key: SecretStr = _key("local")
    local_base_url: str = _url("local")
    local_model: str = _model("local")

    custom_models: SecretStr = Field(
        _NO_KEY,
        description='Any number of further models as one JSON object, {"NAME": {"base_url": ..., '
        '"model": ..., "api_key": ...}}, see docs/models.md. 更多模型，JSON 对象，见 '
        "docs/models.zh-CN.md。",
    )
    fallback_models: str = Field(
        "",
        description="Models to ask, in this order, when one does not begin to answer; names with "
        "commas between. 模型无法开始回答时依次改用的模型，逗号分隔。",
    )
    master_key: SecretStr = _NO_KEY

    chat_host: str = Field("127.0.0.1", description="Address to listen on. 监听地址。")
    chat_port: int = Field(7863, description="Port to listen on. 监听端口。")
    chat_database_url: str = Field(
        "", description="SQLAlchemy URL; empty = data/chat/chat.db. 数据库地址，留空为 SQLite。"
    )
    session_url: str = Field("", description="session_service's URL. session_service 的地址。")
    session_port: int = 7865
    kb_url: str = Field("", description="kb_service's URL. kb_service 的地址。")
    kb_port: int = 7864
    chunk_size: int = 250
    chunk_overlap: int = 50
    server_address: str = "http://127.0.0.1:7861"
    context_tokens: int = Field(
        6000,
        ge=500,
        description="Most tokens (estimated) of a prompt with its history, of models whose "
        "context_tokens is not set; older turns are left out first. "
        "未设置 context_tokens 的模型，其提示词与历史的最大估算 token 数，超出时先丢弃较早的对话。",
    )
    kb_no_answer: str = Field(
        "",
        max_length=1_000,
        description="Said instead of asking a model when a knowledge base holds nothing about a "
        "question; empty: the model answers by itself, and says so. "
        "知识库中没有相关内容时直接回答的话；留空则由大模型自行回答并注明。",
    )
    moderation_api_base_url: str = Field(
        "",
        description="Moderation of questions (optional): an OpenAI-compatible endpoint with "
        "/moderations, BASE_URL with /v1. 提问内容审核（可选）：兼容 OpenAI /moderations 的接口。",
    )
    moderation_api_api_key: SecretStr = _key("the moderation endpoint")
    moderation_api_model: str = Field(
        "", description="Its model; empty = its default. 审核模型；留空用其默认模型。"
    )
    prompts_folder: Path | None = Field(
        None,
        description="Folder of prompt templates of your own, as TYPE/NAME.txt; empty: ours. "
        "自定义提示词模板的目录，文件为 类型/名称.txt；留空用内置模板。",
    )
    llm_connect_timeout: float = Field(
        5, gt=0, description="Seconds to connect to a model. 连接模型的秒数上限。"
    )
    llm_first_token_timeout: float = Field(
        60, gt=0, description="Seconds until the first token. 首个 token 的秒数上限。"
    )
    llm_token_timeout: float = Field(
        30, gt=0, description="Seconds between tokens. 相邻 token 之间的秒数上限。"
    )
    llm_total_timeout: float = Field(
        300, gt=0, description="Seconds for a whole answer. 整个回答的秒数上限。"
    )

    quota_client_daily_tokens: int = Field(
        0,
        ge=0,
        description="Tokens a day of a client's users together, unless /admin/quotas says "
        "otherwise; 0 is no limit. "
        "每个客户端每天的 token 上限（/admin/quotas 可单独设置），0 为不限。",
    )
    quota_user_daily_tokens: int = Field(
        0,
        ge=0,
        description="Tokens a day of each user, likewise. 每个用户每天的 token 上限，0 为不限。",
    )
    usage_retention_days: int = Field(
        400, ge=1, description="How long usage is kept, in days. 用量记录保留天数。"
    )
    default_search_engine: str = Field(
        "duckduckgo",
        pattern="^(bing|duckduckgo|metaphor|exa|searxng|tavily|bocha)$",
        description="Search engine of agents, of duckduckgo, searxng, bing, metaphor, tavily, "
        "bocha. 智能体使用的搜索引擎。",
    )
    duckduckgo_proxy: str = Field(
        "",
        description="Proxy to reach DuckDuckGo through, http or socks5. 访问 DuckDuckGo 的代理。",
    )
    searxng_url: str = Field(
        "", description="A SearXNG with JSON output. SearXNG 地址，须开启 JSON。"
    )
    bing_subscription_key: SecretStr = Field(_NO_KEY, description="Bing's API key. Bing 的密钥。")
    bing_search_url: str = Field(
        "https://api.bing.microsoft.com/v7.0/search",
        description="Bing's API or a compatible one. Bing 或兼容接口的地址。",
    )
    metaphor_api_key: SecretStr = Field(
        _NO_KEY, description="Exa's API key (Metaphor before). Exa（原 Metaphor）的密钥。"
    )
    metaphor_url: str = Field("https://api.exa.ai", description="Address of Exa. Exa 的接口地址。")
    tavily_api_key: SecretStr = Field(_NO_KEY, description="Tavily's API key. Tavily 的密钥。")
    tavily_url: str = Field(
        "https://api.tavily.com", description="Tavily's API. Tavily 的接口地址。"
    )
    bocha_api_key: SecretStr = Field(_NO_KEY, description="Bocha's API key. 博查的密钥。")
    bocha_url: str = Field(
        "https://api.bochaai.com/v1", description="Bocha's API. 博查的接口地址。"
    )

    agent_tools: str = Field(
        EVERY_TOOL,
        description="Tools that agents may use, with commas between: these, mcp:SERVER for what "
        "only reads there, mcp:SERVER/TOOL for any; none for none. 智能体可用的工具，逗号分隔；"
        "mcp:服务 为其只读工具，mcp:服务/工具 为指定工具，none 为不用工具。",
    )
    agent_tools_by_client: str = Field(
        "",
        description="Tools of single clients instead, as 7: calculator, time; 9: none. "
        "单独指定某些客户端的工具。",
    )
    agent_steps: int = Field(
        6, ge=1, le=20, description="Most model calls of one agent's answer. 智能体最多思考步数。"
    )
    agent_timeout: float = Field(
        180, gt=0, le=800, description="Seconds for an agent's whole answer. 智能体回答的秒数上限。"
    )
    mcp_servers: str = Field(
        "",
        description="MCP servers (streamable HTTP) for agents, as docs=https://host/mcp. "
        "智能体可用的 MCP 服务，写作 名称=地址，逗号分隔。",
    )
    mcp_tokens: SecretStr = Field(
        _NO_KEY, description="Their bearer tokens, as docs=TOKEN. 上述服务的令牌，写作 名称=令牌。"
    )
    weather_url: str = Field(
        "https://api.open-meteo.com",
        description="Open-Meteo or alike. 天气服务地址。",
    )
    weather_geocoding_url: str = Field(
        "https://geocoding-api.open-meteo.com", description="Finds its places. 地名查询服务的地址。"
    )
    weather_api_key: SecretStr = Field(
        _NO_KEY, description="Key of the weather service, if it wants one. 天气服务的密钥（可选）。"
    )
    wolfram_appid: SecretStr = Field(
        _NO_KEY, description="AppID of Wolfram|Alpha's LLM API. Wolfram|Alpha 的 AppID。"
    )
    wolfram_url: str = Field(
        "https://www.wolframalpha.com/api/v1/llm-api", description="That API. 上述接口的地址。"
    )

    @field_validator("agent_tools")
    @classmethod
    def _known_tools(cls, names: str) -> str:
        parse(names)
        return names

    @field_validator("agent_tools_by_client")
    @classmethod
    def _known_tools_of_clients(cls, lists: str) -> str:
        parse_by_client(lists)
        return lists

    @field_validator("custom_models")
    @classmethod
    def _readable(cls, value: SecretStr) -> SecretStr:
        if taken := set(read_custom(value.get_secret_value())) & set(VENDOR_NAMES):
            raise ValueError(f"{', '.join(taken)} is taken. 名称已被占用。")
        return value

    @field_validator("*")
    @classmethod
    def _http_address(cls, value: Any, info: ValidationInfo) -> Any:
        is_url = str(info.field_name).endswith("_url") and info.field_name != "chat_database_url"
        if is_url and value and not value.startswith(("http://", "https://")):
            raise ValueError("must start with http:// or https:// 必须以 http:// 或 https:// 开头")
        return value

    @model_validator(mode="after")
    def _custom_needs_its_address(self) -> "ChatSettings":
        if self.enable_llm_model == "custom-api" and not self.custom_api_base_url:
            raise ValueError("CUSTOM-API.BASE_URL is needed for custom-api. 缺少接口地址。")
        return self

    @model_validator(mode="after")
    def _known_models(self) -> "ChatSettings":
        known = {"", *VENDOR_NAMES, *self.custom}
        for key, names in (
            ("ENABLE_LLM_MODEL", {self.enable_llm_model}),
            ("FALLBACK_MODELS", set(self.fallbacks)),
        ):
            if unknown := names - known:
                raise ValueError(
                    f"{key}: {', '.join(unknown)} is none of 不是以下之一: "
                    f"{', '.join(sorted(known - {''}))}"
                )
        return self

    @property
    def custom(self) -> dict[str, CustomModel]:
        return read_custom(self.custom_models.get_secret_value())

    @property
    def fallbacks(self) -> tuple[str, ...]:
        return tuple(filter(None, map(str.strip, self.fallback_models.split(","))))

    @model_validator(mode="after")
    def _readable_mcp_servers(self) -> "ChatSettings":
        parse_servers(self.mcp_servers, self.mcp_tokens.get_secret_value())
        return self

    @property
    def session_service(self) -> str:
        return self.session_url or f"http://127.0.0.1:{self.session_port}"

    @property
    def kb_service(self) -> str:
        return self.kb_url or f"http://127.0.0.1:{self.kb_port}"
