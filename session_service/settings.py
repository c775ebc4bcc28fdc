"""Settings of session_service: the section [session] of config.ini."""

from typing import Literal

from pydantic import Field

from servicekit.settings import ServiceSettings


class SessionSettings(ServiceSettings):
    """Where the service listens, where its rows are and how hard it holds on to them."""

    owned_sections = ("session",)

    session_host: str = Field(
        "127.0.0.1", description="Address that session_service listens on. 监听地址。"
    )
    session_port: int = Field(
        7865, ge=1, le=65535, description="Port of session_service. 监听端口。"
    )
    session_database_url: str = Field(
        "",
        description="SQLAlchemy URL of its database; empty: SQLite in the data folder."
        " 数据库地址，留空则使用数据目录中的 SQLite。",
    )
    durability: Literal["normal", "full"] = Field(
        "normal",
        description="A power cut may take the last moments of chat (normal) or nothing (full)."
        " 断电时可能丢失最后几条对话（normal），或一条不丢（full，稍慢）。",
    )
