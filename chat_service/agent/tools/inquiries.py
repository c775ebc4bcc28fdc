"""Questions to services on the internet: weather and Wolfram|Alpha."""

from dataclasses import dataclass
from typing import Any

import orjson
from pydantic import BaseModel, Field

from chat_service.agent.entities import Tool, ToolFailed
from chat_service.outside import Outside, OutsideFailed

_SKY = {
    0: "晴 clear", 1: "大致晴 mainly clear", 2: "多云 partly cloudy", 3: "阴 overcast",
    45: "雾 fog", 48: "雾凇 rime fog",
    51: "小毛毛雨 light drizzle", 53: "毛毛雨 drizzle", 55: "大毛毛雨 dense drizzle",
    56: "冻毛毛雨 freezing drizzle", 57: "冻毛毛雨 freezing drizzle",
    61: "小雨 light rain", 63: "中雨 rain", 65: "大雨 heavy rain",
    66: "冻雨 freezing rain", 67: "冻雨 freezing rain",
    71: "小雪 light snow", 73: "中雪 snow", 75: "大雪 heavy snow", 77: "米雪 snow grains",
    80: "阵雨 showers", 81: "阵雨 showers", 82: "强阵雨 violent showers",
    85: "阵雪 snow showers", 86: "强阵雪 heavy snow showers",
    95: "雷暴 thunderstorm", 96: "雷暴伴冰雹 thunderstorm, hail",
    99: "雷暴伴大冰雹 thunderstorm, heavy hail",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class WeatherService:
    """Open-Meteo or one that speaks its API."""

    forecast_url: str
    geocoding_url: str
    key: str


class _Place(BaseModel):
    city: str = Field(min_length=1, max_length=80, description="Name of a city, as 北京 or Paris")


class _Question(BaseModel):
    question: str = Field(
        min_length=1, max_length=300, description="In English, such as: integrate x^2 dx"
    )


def weather(service: WeatherService, outside: Outside) -> Tool:
    keyed = {"apikey": service.key} if service.key else {}

    async def run(city: str) -> str:
        asked = {"name": city, "count": "1", "language": "zh", **keyed}
        found = orjson.loads(
            await _get(outside, f"{service.geocoding_url.rstrip('/')}/v1/search", asked)
        )
        places = found.get("results") or []
        if not places:
            raise ToolFailed(f"no such place 找不到这个地方: {city}")
        place = places[0]
        asked = {
            "latitude": str(place["latitude"]),
            "longitude": str(place["longitude"]),
            "current": "temperature_2m,relative_humidity_2m,weather_code,wind_speed_10m",
            "daily": "weather_code,temperature_2m_max,temperature_2m_min",
            "timezone": "auto",
            "forecast_days": "3",
            **keyed,
        }
        sky = orjson.loads(
            await _get(outside, f"{service.forecast_url.rstrip('/')}/v1/forecast", asked)
        )
        return _described(place, sky)

    return Tool(
        name="weather",
        label="天气查询工具",
        description="The weather of a city now and in the next days.",
        arguments=_Place,
        run=_reading(run),
        sends_out=True,
    )


def wolfram(url: str, app_id: str, outside: Outside) -> Tool:
    headers = {"Authorization": f"Bearer {app_id}"}

    async def run(question: str) -> str:
        asked = {"input": question, "maxchars": "2000"}
        return (await _get(outside, url, asked, headers)).decode("utf-8", "replace")

    return Tool(
        name="wolfram",
        label="Wolfram数学工具",
        description="Mathematics, science and facts by Wolfram|Alpha.",
        arguments=_Question,
        run=_reading(run),
        sends_out=True,
    )


def _reading(run: Any) -> Any:
    """With the failures of a service that did not answer, or not as documented."""

    async def read(**arguments: str) -> str:
        try:
            answer: str = await run(**arguments)
        except OutsideFailed:
            raise ToolFailed("the service did not answer 服务无响应") from None
        except (ValueError, LookupError, TypeError, AttributeError):
            raise ToolFailed("the service answered something else 服务返回异常") from None
        return answer

    return read


async def _get(
    outside: Outside, url: str, asked: dict[str, str], headers: dict[str, str] | None = None
) -> bytes:
    status, raw = await outside.call("GET", url, query=asked, headers=headers)
    if status != 200:
        raise ToolFailed(f"the service answered 服务返回 {status}")
    return raw


def _described(place: dict[str, Any], sky: dict[str, Any]) -> str:
    now, daily = sky["current"], sky["daily"]
    where = ", ".join(filter(None, (place.get("name"), place.get("admin1"), place.get("country"))))
    lines = [
        f"{where} {now['time']}: {_SKY.get(now['weather_code'], '')} {now['temperature_2m']}°C, "
        f"湿度 humidity {now['relative_humidity_2m']}%, 风 wind {now['wind_speed_10m']} km/h"
    ]
    lines += [
        f"{day}: {_SKY.get(code, '')} {low}~{high}°C"
        for day, code, low, high in zip(
            daily["time"],
            daily["weather_code"],
            daily["temperature_2m_min"],
            daily["temperature_2m_max"],
            strict=False,
        )
    ]
    return "\n".join(lines)
