"""`make docs`: the table of all routes, from the gateway's own."""

from collections.abc import Iterator
from pathlib import Path

from fastapi.routing import APIRoute

from gateway.api import builtin, documentation, sign_in
from gateway.routing import ROUTES, Route

ROOT = Path(__file__).resolve().parent.parent
DOCUMENT = ROOT / "docs" / "routes.md"
_HEAD = """\
# Routes 路由

<!-- Written by `make docs` from gateway/routing.py. 由 make docs 生成，请勿手工修改。 -->

Everything that the gateway forwards, each path also under `/api`. What is not here is not reachable
from outside. 网关转发的全部接口（同时位于 `/api` 之下）；未列出的接口无法从外部访问。

- **surface**: how errors look. `wire`: the old wire's envelope and texts; `management`: true
  statuses and problem details (RFC 9457); `openai`: OpenAI's error body; `page`: a sentence for
  the person at the browser.
- **scope**: what the identity must be allowed; `admin` includes all. *any*: any identity; *none*:
  open to everybody.
- **credentials**: `header` is `Api-Token` or `Authorization: Bearer`, and beats the cookies;
  `session cookie` is a browser's `chat2llm_session`; `admin cookie` is an operator's
  `chat2llm_admin`, whose changes need the header `X-CSRF-Token` too.
- **limit**: which of `LIMIT_CHAT`, `LIMIT_SEARCH`, `LIMIT_UPLOAD`, `LIMIT_LOGIN` counts a request
  ([configuration](configuration.md)).

## Forwarded 转发

| method | path | surface 错误格式 | scope 权限 | credentials 凭证 | limit 限流 | service 服务 |
|---|---|---|---|---|---|---|
"""
_OWN = """
## Answered by the gateway 网关自身

Pages and documents, open to everybody. 页面与文档，均无需身份。

| method | path | what 说明 |
|---|---|---|
"""


def document() -> str:
    return _HEAD + "".join(map(_row, ROUTES)) + _OWN + "".join(sorted(_own_rows()))


def _row(route: Route) -> str:
    cells = (
        route.method,
        f"`{route.path}`",
        route.surface,
        _scope(route),
        ", ".join(_credentials(route)),
        route.limit or "",
        route.upstream,
    )
    return f"| {' | '.join(cells)} |\n"


def _scope(route: Route) -> str:
    if route.public:
        return "*none*"
    return f"`{route.scope}`" if route.scope else "*any*"


def _credentials(route: Route) -> Iterator[str]:
    if route.public:
        return
    yield "header"
    if route.cookie:
        yield "session cookie"
    if route.admin_cookie:
        yield "admin cookie"


def _own_rows() -> Iterator[str]:
    routers = (documentation.router, sign_in.router, builtin.router, builtin.without_h5)
    for route in (route for router in routers for route in router.routes):
        if isinstance(route, APIRoute):
            methods = ", ".join(sorted(route.methods or ()))
            yield f"| {methods} | `{route.path}` | {route.summary} |\n"


if __name__ == "__main__":
    DOCUMENT.write_text(document(), encoding="utf-8")
