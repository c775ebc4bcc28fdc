"""The tools that one caller's agent is given: allowed, configured and reachable."""

import asyncio
from dataclasses import dataclass
from itertools import chain

from chat_service.agent.entities import Tool
from chat_service.agent.tools.calculator import calculator
from chat_service.agent.tools.clock import clock
from chat_service.agent.tools.inquiries import WeatherService, weather, wolfram
from chat_service.agent.tools.mcp_servers import McpServers
from chat_service.agent.tools.reading import knowledge, web_search
from chat_service.agent.tools.translation import translation
from chat_service.agent_lists import AllowLists
from chat_service.clients import KbClient
from chat_service.llm import ChatModel
from chat_service.outside import Outside
from chat_service.web_search.choice import WebSearch


@dataclass(frozen=True, slots=True, kw_only=True)
class Toolbox:
    """What tools are made of; without an AppID there is no Wolfram|Alpha."""

    allowed: AllowLists
    kb: KbClient
    search: WebSearch
    outside: Outside
    mcp: McpServers
    weather: WeatherService
    wolfram_url: str
    wolfram_appid: str

    async def tools(self, *, caller: str, client_id: str, model: ChatModel) -> list[Tool]:
        allowed = self.allowed.of(client_id)
        made = {
            "calculator": calculator(),
            "time": clock(),
            "web_search": web_search(self.search),
            "weather": weather(self.weather, self.outside),
            "translate": translation(model),
        }
        if self.wolfram_appid:
            made["wolfram"] = wolfram(self.wolfram_url, self.wolfram_appid, self.outside)
        if "knowledge" in allowed.names and (found := await knowledge(self.kb, caller=caller)):
            made["knowledge"] = found
        tools = [tool for name, tool in made.items() if name in allowed.names]
        listed = [self.mcp.tools(server, chosen) for server, chosen in allowed.servers.items()]
        tools += chain.from_iterable(await asyncio.gather(*listed))
        return list({tool.name: tool for tool in tools}.values())
