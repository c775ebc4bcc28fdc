"""The gateway's settings."""

from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import ClassVar
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator

from gateway.rates import LimitClass, Rates, parse_rates
from servicekit.settings import ServiceSettings


class GatewaySettings(ServiceSettings):
    """Section [gateway]; the ports of the other services tell where they are when no URL does."""

    owned_sections: ClassVar[tuple[str, ...]] = ("gateway",)
    known_sections: ClassVar[tuple[str, ...]] = (
        "model_setting",
        "system_setting",
        "gateway",
        "auth",
        "session",
        "kb",
        "chat",
    )

    gateway_host: str = Field(
        "0.0.0.0",  # noqa: S104 -- the one service that is meant to be reached from outside
        description="Address that the gateway listens on. 网关监听地址。",
    )
    gateway_port: int = Field(
        7861, ge=0, le=65535, description="Port that the gateway listens on. 网关端口。"
    )
    auth_url: str = Field(
        "", description="URL of auth_service; empty: on this machine. 认证服务地址。"
    )
    session_url: str = Field(
        "", description="URL of session_service; empty: on this machine. 会话服务地址。"
    )
    kb_url: str = Field(
        "", description="URL of kb_service; empty: on this machine. 知识库服务地址。"
    )
    chat_url: str = Field(
        "", description="URL of chat_service; empty: on this machine. 对话服务地址。"
    )
    cors_origins: str = Field(
        "",
        description="Origins (scheme://host[:port], comma separated) whose pages may call the API "
        "with a user's identity. 允许跨域调用的来源,用逗号分隔。",
    )
    trusted_proxies: str = Field(
        "",
        description="Addresses or networks (comma separated) of reverse proxies in front, whose "
        "X-Forwarded headers count. 受信任的反向代理地址或网段,用逗号分隔。",
    )
    h5_dist: Path | None = Field(
        None,
        description="Folder of a built H5 that the gateway serves at /. 由网关提供的 H5 构建目录。",
    )
    introspection_key: SecretStr = Field(
        SecretStr(""),
        description="Key for asking auth_service; empty: the file that auth_service made. "
        "网关访问认证服务的密钥,留空则读取认证服务生成的文件。",
    )
    limit_chat: str = Field(
        "user 60/minute; key 1200/minute; client 12000/minute; address 6000/minute",
        description="Questions to a model, by user, API key, client and address; off: no limit. "
        "The defaults let a thousand people behind one address work. "
        "对话频率上限，分别按用户、API 密钥、客户端和地址计，off 为不限。",
    )
    limit_search: str = Field(
        "user 240/minute; key 6000/minute; client 24000/minute; address 12000/minute",
        description="Searches without a model, likewise. 检索频率上限，写法同上。",
    )
    limit_upload: str = Field(
        "user 300/minute; key 3000/minute; client 6000/minute; address 6000/minute",
        description="Uploads and rebuilds, likewise. 上传与重建频率上限，写法同上。",
    )
    limit_login: str = Field(
        "address 6000/minute",
        description="Sign-ins, and credentials that were not good lately, by address. A person who "
        "opens the page counts three times. 登录及首次出现的凭证的频率上限，按地址计。",
    )
    redis_url: SecretStr = SecretStr("")
    auth_port: int = 7862
    chat_port: int = 7863
    kb_port: int = 7864
    session_port: int = 7865
    h5_address: str = ""

    @field_validator("cors_origins")
    @classmethod
    def _check_origins(cls, value: str) -> str:
        for origin in _split(value):
            parts = urlsplit(origin)
            if (
                parts.scheme not in ("http", "https")
                or origin != f"{parts.scheme}://{parts.netloc}"
            ):
                raise ValueError(f"{origin!r} is not scheme://host[:port]. 来源格式不正确")
        return value

    @field_validator("trusted_proxies")
    @classmethod
    def _check_proxies(cls, value: str) -> str:
        for part in _split(value):
            ip_network(part, strict=False)
        return value

    @field_validator("limit_chat", "limit_search", "limit_upload", "limit_login")
    @classmethod
    def _check_rates(cls, value: str) -> str:
        parse_rates(value)
        return value

    @field_validator("h5_dist")
    @classmethod
    def _check_dist(cls, value: Path | None) -> Path | None:
        if value is not None and not (value / "index.html").is_file():
            raise ValueError(f"there is no index.html in {value}. 目录中没有 index.html")
        return value

    @property
    def origins(self) -> tuple[str, ...]:
        return tuple(_split(self.cors_origins))

    @property
    def proxies(self) -> tuple[IPv4Network | IPv6Network, ...]:
        return tuple(ip_network(part, strict=False) for part in _split(self.trusted_proxies))

    @property
    def rates(self) -> dict[LimitClass, Rates]:
        return {
            "chat": parse_rates(self.limit_chat),
            "search": parse_rates(self.limit_search),
            "upload": parse_rates(self.limit_upload),
            "login": parse_rates(self.limit_login),
        }

    @property
    def upstreams(self) -> dict[str, str]:
        """Base URL of every other service, by its name."""
        return {
            "auth_service": self.auth_url or f"http://127.0.0.1:{self.auth_port}",
            "session_service": self.session_url or f"http://127.0.0.1:{self.session_port}",
            "kb_service": self.kb_url or f"http://127.0.0.1:{self.kb_port}",
            "chat_service": self.chat_url or f"http://127.0.0.1:{self.chat_port}",
        }

    @property
    def introspection_key_file(self) -> Path:
        return self.chat2llm_data / "gateway" / "introspection.key"


def _split(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]
