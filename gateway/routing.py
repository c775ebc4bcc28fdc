"""Which service answers which path, and who may ask: data, and the lookup that it becomes."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from gateway.rates import LimitClass

AUTH, SESSION, KB, CHAT = "auth_service", "session_service", "kb_service", "chat_service"
SERVICES = (AUTH, SESSION, KB, CHAT)

Surface = Literal["wire", "management", "page", "openai"]


@dataclass(frozen=True, slots=True)
class Route:
    """One method and path that is forwarded; `{name}` is one segment, `{name:path}` the rest.

    `surface`: how errors look. `scope` None means any identity. `public`: no identity is asked for.
    `cookie`, `admin_cookie`: the cookie that counts here besides an explicit credential.
    `limit`: what a request counts as. `stream`: whole chunks, no read time-out, never buffered.
    `chat`: errors also carry the keys that the H5 shows. `session`: about the session itself, so
    the service is shown the credential. `body_mb`: the largest body that passes; None where the
    service counts for itself.
    """

    method: str
    path: str
    upstream: str
    scope: str | None = None
    surface: Surface = "wire"
    limit: LimitClass | None = None
    public: bool = False
    cookie: bool = False
    admin_cookie: bool = False
    stream: bool = False
    chat: bool = False
    session: bool = False
    body_mb: int | None = 4


_ADMIN = Route("", "", AUTH, "admin", surface="management", admin_cookie=True)
_MODELS = replace(_ADMIN, upstream=CHAT)
_WRITER = replace(_ADMIN, upstream=KB, scope="kb:write")
_FILE = "/admin/knowledge-bases/{kb_name}/files/{file_name:path}"
_SETS = "/admin/knowledge-bases/{kb_name}/eval-sets"


def _admin(method: str, path: str, like: Route = _ADMIN, **changes: Any) -> Route:
    return replace(like, method=method, path=path, **changes)


ROUTES: tuple[Route, ...] = (
    Route("GET", "/user/info", AUTH),
    Route("GET", "/sso", AUTH, surface="page", limit="login", public=True),
    Route("GET", "/ent-wechat-sso", AUTH, surface="page", limit="login", public=True),
    Route(
        "POST",
        "/auth/exchange",
        AUTH,
        surface="management",
        limit="login",
        public=True,
        body_mb=1,
    ),
    Route("POST", "/auth/logout", AUTH, surface="management", cookie=True, session=True),
    Route("GET", "/session/list", SESSION, "chat"),
    Route("POST", "/session/save", SESSION, "chat"),
    Route("POST", "/session/delete", SESSION, "chat"),
    Route("POST", "/history/latest", SESSION, "chat"),
    Route("POST", "/chat/feedback", SESSION, "chat"),
    Route("POST", "/chat/chat", CHAT, "chat", limit="chat", cookie=True, stream=True, chat=True),
    Route(
        "POST",
        "/chat/knowledge_base_chat",
        CHAT,
        "chat",
        limit="chat",
        cookie=True,
        stream=True,
        chat=True,
    ),
    Route("GET", "/v1/models", CHAT, "chat", surface="openai"),
    Route("GET", "/v1/models/{model:path}", CHAT, "chat", surface="openai"),
    Route(
        "POST",
        "/v1/chat/completions",
        CHAT,
        "chat",
        surface="openai",
        limit="chat",
        stream=True,
    ),
    Route("POST", "/mcp", CHAT, "kb:read", surface="management", limit="chat", stream=True),
    Route("POST", "/chat/search_engine_chat", CHAT, "chat", limit="chat", stream=True, chat=True),
    Route("POST", "/chat/agent_chat", CHAT, "chat", limit="chat", stream=True, chat=True),
    Route("POST", "/chat/fastchat", CHAT, "chat", limit="chat", stream=True, chat=True),
    Route("POST", "/other/completion", CHAT, "chat", limit="chat", stream=True, chat=True),
    Route("POST", "/llm_model/list_running_models", CHAT, "chat"),
    Route("POST", "/llm_model/list_config_models", CHAT, "chat"),
    Route("POST", "/llm_model/get_model_config", CHAT, "chat"),
    Route("POST", "/llm_model/stop", CHAT, "admin"),
    Route("POST", "/llm_model/change", CHAT, "admin"),
    Route("POST", "/server/configs", CHAT, "chat"),
    Route("POST", "/server/list_search_engines", CHAT, "chat"),
    Route("POST", "/server/get_prompt_template", CHAT, "chat"),
    Route("GET", "/knowledge_base/list_knowledge_bases", KB, "kb:read"),
    Route("GET", "/knowledge_base/list_knowledge_bases_v2", KB, "kb:read"),
    Route("GET", "/knowledge_base/list_files", KB, "kb:read"),
    Route("GET", "/knowledge_base/download_doc", KB, "kb:read", cookie=True),
    Route("POST", "/knowledge_base/search_docs", KB, "kb:read", limit="search"),
    Route("GET", "/recommend/question", KB, "kb:read"),
    Route("POST", "/recommend/question", KB, "kb:write"),
    Route(
        "POST",
        "/recommend/question/{question_id}/tap",
        KB,
        "kb:read",
        surface="management",
        limit="search",
    ),
    Route("POST", "/other/embed_texts", KB, "kb:read", limit="search"),
    Route("POST", "/v1/embeddings", KB, "kb:read", surface="openai", limit="search"),
    Route("POST", "/knowledge_base/create_knowledge_base", KB, "kb:write"),
    Route("POST", "/knowledge_base/delete_knowledge_base", KB, "kb:write"),
    Route("POST", "/knowledge_base/update_info", KB, "kb:write"),
    Route("POST", "/knowledge_base/update_zh_name", KB, "kb:write"),
    Route("POST", "/knowledge_base/upload_docs", KB, "kb:write", limit="upload", body_mb=None),
    Route("POST", "/knowledge_base/update_docs", KB, "kb:write", limit="upload", body_mb=32),
    Route("POST", "/knowledge_base/delete_docs", KB, "kb:write"),
    Route(
        "POST", "/knowledge_base/recreate_vector_store", KB, "kb:write", limit="upload", stream=True
    ),
    Route(
        "POST",
        "/admin/login",
        AUTH,
        surface="management",
        limit="login",
        public=True,
        body_mb=1,
    ),
    _admin("POST", "/admin/logout", scope=None, session=True),
    _admin("GET", "/admin/me", scope=None, session=True),
    _admin("GET", "/admin/clients"),
    _admin("POST", "/admin/clients"),
    _admin("GET", "/admin/clients/{client_id}"),
    _admin("PATCH", "/admin/clients/{client_id}"),
    _admin("DELETE", "/admin/clients/{client_id}"),
    _admin("POST", "/admin/clients/{client_id}/v1-key"),
    _admin("DELETE", "/admin/clients/{client_id}/v1-key"),
    _admin("POST", "/admin/clients/{client_id}/signing-keys"),
    _admin("DELETE", "/admin/clients/{client_id}/signing-keys/{kid}"),
    _admin("POST", "/admin/clients/{client_id}/revoke"),
    _admin("GET", "/admin/users"),
    _admin("POST", "/admin/users"),
    _admin("POST", "/admin/users/revoke"),
    _admin("GET", "/admin/users/{client_id}/{user_id:path}"),
    _admin("PATCH", "/admin/users/{client_id}/{user_id:path}"),
    _admin("DELETE", "/admin/users/{client_id}/{user_id:path}"),
    _admin("GET", "/admin/sessions"),
    _admin("DELETE", "/admin/sessions/{session_id}"),
    _admin("GET", "/admin/api-keys"),
    _admin("POST", "/admin/api-keys"),
    _admin("GET", "/admin/api-keys/{key_id}"),
    _admin("PATCH", "/admin/api-keys/{key_id}"),
    _admin("DELETE", "/admin/api-keys/{key_id}"),
    _admin("POST", "/admin/api-keys/{key_id}/rotate"),
    _admin("GET", "/admin/admins"),
    _admin("POST", "/admin/admins"),
    _admin("PATCH", "/admin/admins/{username}"),
    _admin("DELETE", "/admin/admins/{username}"),
    _admin("GET", "/admin/audit"),
    _admin("GET", "/admin/models", _MODELS),
    _admin("POST", "/admin/models", _MODELS),
    _admin("GET", "/admin/models/{name}", _MODELS),
    _admin("PATCH", "/admin/models/{name}", _MODELS),
    _admin("DELETE", "/admin/models/{name}", _MODELS),
    _admin("POST", "/admin/models/{name}/test", _MODELS),
    _admin("GET", "/admin/feedback", upstream=SESSION),
    *(
        _admin(method, path, upstream=CHAT)
        for method, path in (
            ("GET", "/admin/usage"),
            ("GET", "/admin/usage.csv"),
            ("GET", "/admin/quotas"),
            ("PUT", "/admin/quotas"),
            ("DELETE", "/admin/quotas/{quota_id}"),
            ("GET", "/admin/prompts"),
            ("GET", "/admin/prompts/{kind}/{name}"),
            ("PUT", "/admin/prompts/{kind}/{name}"),
            ("DELETE", "/admin/prompts/{kind}/{name}"),
            ("GET", "/admin/prompts/{kind}/{name}/history"),
            ("POST", "/admin/prompts/{kind}/{name}/restore"),
            ("GET", "/admin/word-lists"),
            ("POST", "/admin/word-lists"),
            ("GET", "/admin/word-lists/{list_id}"),
            ("GET", "/admin/word-lists/{list_id}/words"),
            ("PATCH", "/admin/word-lists/{list_id}"),
            ("POST", "/admin/word-lists/{list_id}/import"),
            ("DELETE", "/admin/word-lists/{list_id}"),
            ("GET", "/admin/word-hits"),
        )
    ),
    _admin("GET", "/admin/knowledge-bases", _WRITER),
    _admin("POST", "/admin/knowledge-bases", _WRITER),
    _admin("GET", "/admin/knowledge-bases/{kb_name}", _WRITER),
    _admin("PATCH", "/admin/knowledge-bases/{kb_name}", _WRITER),
    _admin("DELETE", "/admin/knowledge-bases/{kb_name}", _WRITER),
    _admin("GET", "/admin/knowledge-bases/{kb_name}/files", _WRITER),
    _admin("GET", "/admin/knowledge-bases/{kb_name}/statistics", _WRITER),
    _admin("GET", "/admin/knowledge-bases/{kb_name}/embedding", _WRITER),
    _admin("GET", "/admin/embedders", _WRITER),
    _admin("POST", "/admin/knowledge-bases/{kb_name}/questions/suggest", _WRITER),
    _admin("GET", "/admin/questions", _WRITER),
    _admin("POST", "/admin/questions", _WRITER),
    _admin("POST", "/admin/questions/import", _WRITER, limit="upload", body_mb=12),
    _admin("GET", "/admin/questions/{question_id}", _WRITER),
    _admin("PATCH", "/admin/questions/{question_id}", _WRITER),
    _admin("DELETE", "/admin/questions/{question_id}", _WRITER),
    _admin("GET", "/admin/knowledge-bases/{kb_name}/visibility", _WRITER),
    _admin("PUT", "/admin/knowledge-bases/{kb_name}/visibility", _WRITER),
    _admin("POST", "/admin/knowledge-bases/{kb_name}/files", _WRITER, limit="upload", body_mb=None),
    _admin("GET", "/admin/knowledge-bases/{kb_name}/chunking", _WRITER),
    _admin("PUT", "/admin/knowledge-bases/{kb_name}/chunking", _WRITER),
    _admin(
        "POST", "/admin/knowledge-bases/{kb_name}/preview", _WRITER, limit="upload", body_mb=None
    ),
    _admin("POST", f"{_FILE}/preview", _WRITER, limit="upload"),
    _admin("POST", f"{_FILE}/split", _WRITER, limit="upload"),
    _admin("GET", f"{_FILE}/chunks", _WRITER),
    _admin("POST", f"{_FILE}/chunks", _WRITER),
    _admin("PATCH", f"{_FILE}/chunks/{{chunk_id}}", _WRITER),
    _admin("DELETE", f"{_FILE}/chunks/{{chunk_id}}", _WRITER),
    _admin("GET", f"{_FILE}/chunks/{{chunk_id}}/history", _WRITER),
    _admin("POST", f"{_FILE}/chunks/{{chunk_id}}/restore", _WRITER),
    _admin("POST", "/admin/knowledge-bases/{kb_name}/files/known", _WRITER),
    _admin("GET", "/admin/knowledge-bases/{kb_name}/tags", _WRITER),
    _admin("POST", "/admin/knowledge-bases/{kb_name}/search", _WRITER, limit="search"),
    _admin("PUT", f"{_FILE}/tags", _WRITER),
    _admin("GET", "/admin/knowledge-bases/{kb_name}/sources", _WRITER),
    _admin("POST", "/admin/knowledge-bases/{kb_name}/sources", _WRITER),
    _admin("GET", "/admin/knowledge-bases/{kb_name}/sources/{source_id}", _WRITER),
    _admin("PATCH", "/admin/knowledge-bases/{kb_name}/sources/{source_id}", _WRITER),
    _admin("DELETE", "/admin/knowledge-bases/{kb_name}/sources/{source_id}", _WRITER),
    _admin("POST", "/admin/knowledge-bases/{kb_name}/sources/{source_id}/run", _WRITER),
    _admin("GET", "/admin/knowledge-bases/{kb_name}/sources/{source_id}/pages", _WRITER),
    _admin("GET", _SETS, _WRITER),
    _admin("POST", _SETS, _WRITER),
    _admin("GET", f"{_SETS}/{{set_id}}", _WRITER),
    _admin("PATCH", f"{_SETS}/{{set_id}}", _WRITER),
    _admin("DELETE", f"{_SETS}/{{set_id}}", _WRITER),
    _admin("GET", f"{_SETS}/{{set_id}}/items", _WRITER),
    _admin("POST", f"{_SETS}/{{set_id}}/items", _WRITER),
    _admin("POST", f"{_SETS}/{{set_id}}/items/import", _WRITER, limit="upload", body_mb=100),
    _admin("GET", f"{_SETS}/{{set_id}}/items/export", _WRITER),
    _admin("GET", f"{_SETS}/{{set_id}}/items/{{item_id}}", _WRITER),
    _admin("PATCH", f"{_SETS}/{{set_id}}/items/{{item_id}}", _WRITER),
    _admin("DELETE", f"{_SETS}/{{set_id}}/items/{{item_id}}", _WRITER),
    _admin("GET", f"{_SETS}/{{set_id}}/runs", _WRITER),
    _admin("POST", f"{_SETS}/{{set_id}}/runs", _WRITER),
    _admin("GET", f"{_SETS}/{{set_id}}/runs/{{run_id}}", _WRITER),
    _admin("DELETE", f"{_SETS}/{{set_id}}/runs/{{run_id}}", _WRITER),
    _admin("POST", f"{_SETS}/{{set_id}}/runs/{{run_id}}/cancel", _WRITER),
    _admin("GET", f"{_SETS}/{{set_id}}/runs/{{run_id}}/results", _WRITER),
    _admin("GET", f"{_SETS}/{{set_id}}/runs/{{run_id}}/compare/{{other_id}}", _WRITER),
    _admin("GET", "/admin/jobs", _WRITER),
    _admin("GET", "/admin/jobs/{job_id}", _WRITER),
    _admin("GET", "/admin/jobs/{job_id}/events", _WRITER, stream=True),
    _admin("POST", "/admin/jobs/{job_id}/cancel", _WRITER),
    _admin("POST", "/admin/jobs/{job_id}/retry", _WRITER),
)

_PREFIX = "/api"
_RAW = re.compile(r"[!\"$->@-~]+")  # visible ASCII but for the marks of a query and a fragment
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
Methods = Mapping[str, Route]


class RouteTable:
    """Finds the routes of a path, as it is and under /api; HEAD goes where GET does."""

    def __init__(self, routes: tuple[Route, ...] = ROUTES) -> None:
        by_path: dict[str, dict[str, Route]] = {}
        for route in routes:
            methods = by_path.setdefault(route.path, {})
            methods[route.method] = route
            if route.method == "GET":
                methods["HEAD"] = replace(route, method="HEAD")
        exact = {path: methods for path, methods in by_path.items() if "{" not in path}
        prefixed = {_PREFIX + path: methods for path, methods in exact.items()}
        self._exact: dict[str, Methods] = {**exact, **prefixed}
        self._templates = [
            (_template(path), methods) for path, methods in by_path.items() if path not in exact
        ]
        self._starts = tuple({path[: path.index("{")] for path in by_path.keys() - exact.keys()})

    def find(self, path: str) -> Methods | None:
        """What the decoded path may be asked with; None where no service answers."""
        return self._exact.get(path) or self._find_template(path)

    def _find_template(self, path: str) -> Methods | None:
        path = path.removeprefix(_PREFIX)
        if not path.startswith(self._starts) or not _is_plain(path):
            return None
        return next((found for shape, found in self._templates if shape.fullmatch(path)), None)


def upstream_path(route: Route, raw_path: bytes) -> str | None:
    """Where to ask the service: a template's path goes as it came, so its escapes survive."""
    if "{" not in route.path:
        return route.path
    raw = raw_path.decode("latin-1")
    start = route.path[: route.path.index("{")]
    for prefix in ("", _PREFIX):
        if raw.startswith(prefix + start) and _RAW.fullmatch(raw):
            return raw[len(prefix) :]
    return None  # escapes where the path is fixed: nobody writes it so in good faith


def _is_plain(path: str) -> bool:
    """No control characters, and no segment that anything on the way may take for a step."""
    segments = re.split(r"[/\\]", path[1:])
    steps = {segment.partition(";")[0] for segment in segments} & {"", ".", ".."}
    return not steps and not _CONTROL.search(path)


def _template(path: str) -> re.Pattern[str]:
    parts = re.split(r"(\{\w+(?::path)?\})", path)
    return re.compile(
        "".join(
            (".+" if part.endswith(":path}") else "[^/]+")
            if part.startswith("{")
            else re.escape(part)
            for part in parts
        )
    )
