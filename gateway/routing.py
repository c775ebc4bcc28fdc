"""Which service answers which path, and who may ask: data, no logic beyond building the lookup."""

from dataclasses import dataclass, replace

AUTH, SESSION, KB, CHAT = "auth_service", "session_service", "kb_service", "chat_service"
SERVICES = (AUTH, SESSION, KB, CHAT)


@dataclass(frozen=True, slots=True)
class Route:
    """One method and path that is forwarded.

    `scope` None means any identity. `cookie`: the session cookie counts here. `stream`: whole
    chunks, no read time-out, never buffered. `chat`: errors also carry the keys that the H5 shows.
    `body_mb`: the largest body that passes; None where the service counts for itself.
    """

    method: str
    path: str
    upstream: str
    scope: str | None = None
    public: bool = False
    cookie: bool = False
    stream: bool = False
    chat: bool = False
    body_mb: int | None = 4


ROUTES: tuple[Route, ...] = (
    Route("GET", "/user/info", AUTH),
    Route("GET", "/sso", AUTH, public=True),
    Route("GET", "/session/list", SESSION, "chat"),
    Route("POST", "/session/save", SESSION, "chat"),
    Route("POST", "/session/delete", SESSION, "chat"),
    Route("POST", "/history/latest", SESSION, "chat"),
    Route("POST", "/chat/feedback", SESSION, "chat"),
    Route("POST", "/chat/chat", CHAT, "chat", cookie=True, stream=True, chat=True),
    Route("POST", "/chat/knowledge_base_chat", CHAT, "chat", cookie=True, stream=True, chat=True),
    Route("POST", "/llm_model/list_running_models", CHAT, "chat"),
    Route("POST", "/llm_model/list_config_models", CHAT, "chat"),
    Route("POST", "/llm_model/get_model_config", CHAT, "chat"),
    Route("POST", "/server/configs", CHAT, "chat"),
    Route("POST", "/server/get_prompt_template", CHAT, "chat"),
    Route("GET", "/knowledge_base/list_knowledge_bases", KB, "kb:read"),
    Route("GET", "/knowledge_base/list_knowledge_bases_v2", KB, "kb:read"),
    Route("GET", "/knowledge_base/list_files", KB, "kb:read"),
    Route("GET", "/knowledge_base/download_doc", KB, "kb:read", cookie=True),
    Route("POST", "/knowledge_base/search_docs", KB, "kb:read"),
    Route("GET", "/recommend/question", KB, "kb:read"),
    Route("POST", "/recommend/question", KB, "kb:write"),
    Route("POST", "/knowledge_base/create_knowledge_base", KB, "kb:write"),
    Route("POST", "/knowledge_base/delete_knowledge_base", KB, "kb:write"),
    Route("POST", "/knowledge_base/update_info", KB, "kb:write"),
    Route("POST", "/knowledge_base/update_zh_name", KB, "kb:write"),
    Route("POST", "/knowledge_base/upload_docs", KB, "kb:write", body_mb=None),
    Route("POST", "/knowledge_base/update_docs", KB, "kb:write", body_mb=32),
    Route("POST", "/knowledge_base/delete_docs", KB, "kb:write"),
    Route("POST", "/knowledge_base/recreate_vector_store", KB, "kb:write", stream=True),
)


def lookup_table(routes: tuple[Route, ...] = ROUTES) -> dict[str, dict[str, Route]]:
    """Path, as it is and under /api, to method to route; HEAD goes where GET does."""
    table: dict[str, dict[str, Route]] = {}
    for route in routes:
        methods = table.setdefault(route.path, {})
        methods[route.method] = route
        if route.method == "GET":
            methods["HEAD"] = replace(route, method="HEAD")
    return table | {f"/api{path}": methods for path, methods in table.items()}
