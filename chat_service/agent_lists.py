"""What the operator lists for agents: the tools of all clients or of one, and MCP servers."""

import re
from dataclasses import dataclass, field

_NAMES = (
    "calculator", "time", "knowledge", "web_search", "weather", "translate", "wolfram",
)  # fmt: skip
EVERY_TOOL = ", ".join(_NAMES)
_NONE = "none"
_MCP = re.compile(r"mcp:([A-Za-z0-9_-]{1,32})(?:/([^\s,;/]{1,128}))?")


@dataclass(frozen=True, slots=True)
class McpServer:
    """One server; `token` goes into its Authorization header."""

    name: str
    url: str
    token: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Allowed:
    """Names of built-in tools; by MCP server, the chosen tools, None for those that only read."""

    names: frozenset[str]
    servers: dict[str, frozenset[str] | None]


class AllowLists:
    """The list of all clients, and those of clients that have their own."""

    def __init__(self, common: str, by_client: str) -> None:
        self._common = parse(common)
        self._by_client = parse_by_client(by_client)

    def of(self, client_id: str) -> Allowed:
        return self._by_client.get(client_id, self._common)


def parse(text: str) -> Allowed:
    """`calculator, time, mcp:docs, mcp:crm/find_customer`. Raises ValueError for other names."""
    names, servers = set[str](), dict[str, set[str] | None]()
    for name in filter(None, map(str.strip, text.split(","))):
        if name in _NAMES:
            names.add(name)
        elif (match := _MCP.fullmatch(name)) is not None:
            _add(servers, match[1], match[2])
        elif name != _NONE:
            known = f"{EVERY_TOOL}, mcp:SERVER, mcp:SERVER/TOOL, {_NONE}"
            raise ValueError(f"{name} is none of 不是以下之一: {known}")
    chosen = {name: frozenset(tools) if tools else None for name, tools in servers.items()}
    return Allowed(frozenset(names), chosen)


def parse_by_client(text: str) -> dict[str, Allowed]:
    """`7: calculator, time; 9: none`. Raises ValueError."""
    lists: dict[str, Allowed] = {}
    for item in filter(None, map(str.strip, text.split(";"))):
        client_id, colon, names = item.partition(":")
        if not colon or not client_id.strip().isdigit():
            raise ValueError(f"not CLIENT_ID: TOOLS 应为 客户端编号: 工具 — {item}")
        lists[client_id.strip()] = parse(names)
    return lists


def parse_servers(servers: str, tokens: str) -> list[McpServer]:
    """`docs=https://..., crm=https://...`, and their tokens likewise. Raises ValueError."""
    urls, keys = _pairs(servers), _pairs(tokens)
    for name, url in urls.items():
        if not _MCP.fullmatch(f"mcp:{name}") or not url.startswith(("http://", "https://")):
            raise ValueError(f"not NAME=URL 应为 名称=地址: {name}")
    if unknown := keys.keys() - urls.keys():
        raise ValueError(f"no such server 没有这个服务: {', '.join(sorted(unknown))}")
    return [McpServer(name, url, keys.get(name, "")) for name, url in urls.items()]


def _pairs(text: str) -> dict[str, str]:
    items = [item.partition("=") for item in map(str.strip, text.split(",")) if item]
    return {name.strip(): value.strip() for name, _, value in items}


def _add(servers: dict[str, set[str] | None], server: str, tool: str | None) -> None:
    if tool is None:
        servers[server] = None
    elif (chosen := servers.setdefault(server, set())) is not None:
        chosen.add(tool)
