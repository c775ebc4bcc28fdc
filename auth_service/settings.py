"""Settings of auth_service: the sections [system_setting] and [auth] of config.ini."""

import re
from typing import Annotated

from limits import parse
from pydantic import AfterValidator, Field, SecretStr

from servicekit.settings import ServiceSettings


def _address(value: str) -> str:
    if value and not re.match(r"https?://[^/\s?#]+", value):
        raise ValueError("must be empty or start with http:// or https:// 须留空或为网址")
    return value.rstrip("/")


def _key_text(value: SecretStr) -> SecretStr:
    if value and not re.fullmatch(r"[!-~]{8,200}", value.get_secret_value()):
        raise ValueError("must be 8 to 200 printable ASCII characters 须为 8 至 200 个可见字符")
    return value


def _long_text(value: SecretStr) -> SecretStr:
    if value and len(value.get_secret_value()) < 32:
        raise ValueError("must have at least 32 characters 至少 32 个字符")
    return value


def _rate(value: str) -> str:
    try:
        allowed = parse(value).amount
    except ValueError:
        allowed = 0
    if allowed < 1:
        raise ValueError("must be a rate like 20/minute 须为 20/minute 这样的频率")
    return value


def _redis_url(value: SecretStr) -> SecretStr:
    if value and not re.match(r"rediss?://[^/\s]+", value.get_secret_value()):
        raise ValueError("must be empty or start with redis:// or rediss:// 须留空或为 Redis 地址")
    return value


Address = Annotated[str, AfterValidator(_address)]


class AuthSettings(ServiceSettings):
    """Where the service listens, how long tokens live, and secrets that someone chose."""

    owned_sections = ("system_setting", "auth")

    token_expired_hours: float = Field(
        8,
        gt=0,
        le=8760,
        description="Hours that a v1 api_token is good for. api_token 有效小时数。",
    )
    server_address: Address = Field(
        "http://127.0.0.1:7861",
        description="This server as browsers reach it. 浏览器访问本服务的地址。",
    )
    h5_address: Address = Field(
        "",
        description="The chat page as browsers reach it; empty: the gateway itself."
        " 对话页面的地址，留空则为网关本身。",
    )
    ent_wechat_agentid: str = Field("", description="WeCom agent id. 企业微信应用 AgentId。")
    ent_wechat_corpid: str = Field("", description="WeCom corporation id. 企业微信企业 ID。")
    ent_wechat_appsecret: SecretStr = Field(
        SecretStr(""), description="WeCom app secret. 企业微信应用 Secret。"
    )
    ent_wechat_login_url: Address = Field(
        "https://open.weixin.qq.com",
        description="Where WeCom's login page is. 企业微信授权页地址。",
    )
    ent_wechat_api_url: Address = Field(
        "https://qyapi.weixin.qq.com",
        description="Where WeCom's API is. 企业微信接口地址。",
    )
    redis_url: Annotated[SecretStr, AfterValidator(_redis_url)] = Field(
        SecretStr(""),
        description="Redis that counts for all copies of a service, e.g. redis://127.0.0.1:6379/0;"
        " empty: each process counts alone. 多副本共用的限流计数，留空则各进程单独计数。",
    )
    auth_host: str = Field(
        "127.0.0.1", description="Address that auth_service listens on. 监听地址。"
    )
    auth_port: int = Field(7862, ge=1, le=65535, description="Port of auth_service. 监听端口。")
    auth_database_url: str = Field(
        "",
        description="SQLAlchemy URL of its database; empty: SQLite in the data folder."
        " 数据库地址，留空则使用数据目录中的 SQLite。",
    )
    login_failures: Annotated[str, AfterValidator(_rate)] = Field(
        "20/minute",
        description="How often one address may present a wrong credential, as 20/minute."
        " 同一地址允许的登录失败频率。",
    )
    audit_retention_days: float = Field(
        180,
        gt=0,
        le=36500,
        description="Days that the audit log keeps an entry. 审计日志保留天数。",
    )
    h5_demo_enabled: bool = Field(
        True,
        description="Whether the demo link logs in (true or false)."
        " 是否开放体验链接（true 或 false）。",
    )
    h5_demo_secret: SecretStr = Field(
        SecretStr(""),
        description="Secret of the demo link; empty: generated. 体验链接口令，留空自动生成。",
    )
    chat2llm_admin_key: Annotated[SecretStr, AfterValidator(_key_text)] = Field(
        SecretStr(""),
        description="First admin API key; empty: generated. 首个管理密钥，留空自动生成。",
    )
    master_key: Annotated[SecretStr, AfterValidator(_long_text)] = Field(
        SecretStr(""),
        description="Seals private keys and the models' keys at rest, 32 characters or more; empty:"
        " generated. 加密私钥和模型密钥的主密钥，至少 32 个字符，留空自动生成。",
    )
    introspection_key: Annotated[SecretStr, AfterValidator(_long_text)] = Field(
        SecretStr(""),
        description="Key between gateway and auth_service, 32 characters or more; empty: generated."
        " 网关访问身份服务的密钥，至少 32 个字符，留空自动生成。",
    )
