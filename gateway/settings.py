"""The gateway's settings."""

from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import ClassVar
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator

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
