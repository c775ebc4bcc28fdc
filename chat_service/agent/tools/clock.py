"""What time it is."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from pydantic import BaseModel, Field

from chat_service.agent.entities import Tool, ToolFailed

_DAYS = "一二三四五六日"


class _Arguments(BaseModel):
    timezone: str = Field(
        "", max_length=64, description="IANA name such as Asia/Shanghai; empty for the server's"
    )


def clock() -> Tool:
    return Tool(
        name="current_time",
        label="时间查询工具",
        description="The current date, time and day of the week.",
        arguments=_Arguments,
        run=_run,
    )


async def _run(timezone: str = "") -> str:
    try:
        zone = ZoneInfo(timezone) if timezone else None
    except (ValueError, OSError, LookupError):
        raise ToolFailed(f"no such time zone 没有这个时区: {timezone}") from None
    now = datetime.now(UTC).astimezone(zone)
    return f"{now:%Y-%m-%d %H:%M:%S} {now.tzname()}，星期{_DAYS[now.weekday()]} ({now:%A})"
