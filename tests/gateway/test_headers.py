"""What answers carry for the browser's sake, and what no request carries inward."""

from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tests.gateway.conftest import Start, Suite
from tests.gateway.test_forwarding import seen_headers

SHOP, APP = "https://shop.example", "https://app.example"
GOOD = {"Api-Token": "good"}
HTTPS = {"X-Forwarded-Proto": "https"}
HSTS = "strict-transport-security"
PATHS = (
    "/docs",
    "/redoc",
    "/openapi.json",
    "/welcome",
    "/401",
    "/livez",
    "/nowhere",
    "/sso?token=good",
    "/sso?token=bad",
    "/sso?client=0",
    "/static-gateway/embed.js",
    "/static-offline-docs/swagger-ui.css",
    "/user/info",
    "/admin/clients",
    "/chat/chat",
)


def ancestors(headers: Any) -> str:
    policy: str = headers["content-security-policy"]
    (found,) = [part for part in policy.split("; ") if part.startswith("frame-ancestors")]
    return found.removeprefix("frame-ancestors ")


async def test_no_answer_is_guessed_at(start: Start, tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("<title>H5</title>")
    for settings in ({}, {"h5_dist": tmp_path}, {"cors_origins": APP}):
        suite = await start(**settings)
        for path in PATHS:
            for headers in ({}, GOOD, GOOD | {"Origin": APP}):
                answer = await suite.client.get(path, headers=headers)
                assert answer.headers.get_list("x-content-type-options") == ["nosniff"], path
        preflight = {"Origin": APP, "Access-Control-Request-Method": "POST"}
        answer = await suite.client.options("/chat/chat", headers=preflight)
        assert answer.headers["x-content-type-options"] == "nosniff"


async def test_no_cache_on_the_way_keeps_what_is_somebodys(suite: Suite) -> None:
    async def kept(_: web.Request) -> web.Response:
        return web.Response(headers={"Cache-Control": "private, max-age=60"})

    suite.kb.answers["/knowledge_base/download_doc"] = kept
    answer = await suite.client.get("/api/user/info", headers=GOOD)
    assert answer.headers.get_list("cache-control") == ["private, no-cache"]
    answer = await suite.client.get("/knowledge_base/download_doc", headers=GOOD)
    assert answer.headers.get_list("cache-control") == ["private, max-age=60"]


async def test_a_services_own_nosniff_is_not_doubled(suite: Suite) -> None:
    async def download(_: web.Request) -> web.Response:
        headers = {"X-Content-Type-Options": "nosniff", "Content-Security-Policy": "sandbox"}
        return web.Response(body=b"x", headers=headers)

    suite.kb.answers["/knowledge_base/download_doc"] = download
    answer = await suite.client.get("/knowledge_base/download_doc", headers=GOOD)
    assert answer.headers.get_list("x-content-type-options") == ["nosniff"]
    assert answer.headers.get_list("content-security-policy") == ["sandbox"]


async def test_hsts_only_where_the_browser_came_by_https(start: Start) -> None:
    suite = await start(trusted_proxies="127.0.0.1")
    for path in PATHS:
        answer = await suite.client.get(path, headers=GOOD | HTTPS)
        assert answer.headers[HSTS] == "max-age=31536000", path
        for proto in ({}, {"X-Forwarded-Proto": "http"}, {"X-Forwarded-Proto": "https, http"}):
            answer = await suite.client.get(path, headers=GOOD | proto)
            assert HSTS not in answer.headers, path
    direct = await start()
    answer = await direct.client.get("/docs", headers=HTTPS)  # anybody may say so
    assert HSTS not in answer.headers


async def test_documentation_may_not_be_framed(suite: Suite) -> None:
    suite.auth.origins = [SHOP]
    for path in ("/docs", "/redoc", "/docs?service=kb_service"):
        assert ancestors((await suite.client.get(path)).headers) == "'none'"


async def test_pages_of_nobody_may_be_framed_by_every_clients_origins(
    start: Start, tmp_path: Path
) -> None:
    (tmp_path / "index.html").write_text("<title>H5</title>")
    for settings, paths in (
        ({}, ("/welcome", "/401?message=x")),
        ({"h5_dist": tmp_path}, ("/", "/home", "/401?message=x", "/welcome")),
    ):
        suite = await start(**settings)
        for path in paths:
            answer = await suite.client.get(path, headers={"Accept": "text/html"})
            assert ancestors(answer.headers) == "'self'"
    suite.auth.origins = [SHOP, APP, "https://evil.example; script-src *", "*", "javascript:x"]
    later = await start(h5_dist=tmp_path)
    later.auth.origins = suite.auth.origins
    for path in ("/", "/home", "/welcome"):
        answer = await later.client.get(path, headers={"Accept": "text/html"})
        assert ancestors(answer.headers) == f"'self' {APP} {SHOP}"


async def test_pages_of_somebody_may_be_framed_by_the_own_clients_origins(suite: Suite) -> None:
    suite.auth.origins = [SHOP, APP]
    suite.auth.knows("mine", "carol", session="c2s-mine", origins=[SHOP])
    cookie = {"Cookie": "chat2llm_session=c2s-mine"}
    other = {"Cookie": "chat2llm_session=c2s-good"}
    for path, headers in (
        ("/sso?token=mine", {}),
        ("/sso?token=mine", other),
        ("/welcome", cookie),
    ):
        answer = await suite.client.get(path, headers=headers)
        assert answer.status_code == 200
        assert ancestors(answer.headers) == f"'self' {SHOP}", (path, headers)
    assert ancestors((await suite.client.get("/welcome")).headers) == f"'self' {APP} {SHOP}"


async def test_origins_are_asked_for_every_thirty_seconds_and_kept_when_auth_is_away(
    suite: Suite,
) -> None:
    suite.auth.origins = [SHOP]
    for _ in range(5):
        assert ancestors((await suite.client.get("/welcome")).headers) == f"'self' {SHOP}"
    assert suite.auth.origin_questions == 1
    suite.auth.status = 503
    assert ancestors((await suite.client.get("/welcome")).headers) == f"'self' {SHOP}"


@pytest.mark.parametrize(
    ("embeddable", "scheme", "expected"),
    [
        (False, "http", "SameSite=Lax"),
        (False, "https", "SameSite=Lax; Secure"),
        (True, "http", "SameSite=Lax"),
        (True, "https", "SameSite=None; Secure; Partitioned"),
    ],
)
async def test_only_an_embeddable_clients_cookie_goes_along_in_other_sites(
    start: Start, embeddable: bool, scheme: str, expected: str
) -> None:
    suite = await start(trusted_proxies="127.0.0.1")
    suite.auth.knows("t", "carol", session="c2s-t", embeddable=embeddable)
    proto = {"X-Forwarded-Proto": scheme}
    for path, headers in (("/sso?token=t", proto), ("/user/info", proto | {"Api-Token": "t"})):
        answer = await suite.client.get(path, headers=headers)
        value = answer.headers["set-cookie"]
        assert value.startswith("chat2llm_session=c2s-t; Path=/; Max-Age=")
        assert value.endswith(f"; HttpOnly; {expected}")


FORGED = [
    b"X-Chat2LLM-Caller",
    b"x-chat2llm-caller",
    b"X-CHAT2LLM-CALLER",
    b"X_Chat2LLM_Caller",
    b"X-Chat2LLM_Caller",
    b"x_chat2llm-caller",
    b"X-Chat2LLM-Admin",
    b"X-Chat2llm",
    b"X-Real-IP",
    b"X-Forwarded-For",
    b"X-Forwarded-Host",
    b"X-Forwarded-Proto",
    b"X-Forwarded-Server",
    b"X-Forwarded-User",
    b"X-Original-Url",
    b"X-Remote-User",
    b"Remote-User",
    b"Forwarded",
    b"X-Client-Cert",
    b"Cookie",
    b"X-CSRF-Token",
    b"Proxy-Authorization",
]


@pytest.mark.parametrize("name", FORGED, ids=lambda name: name.decode())
@pytest.mark.parametrize("path", ["/user/info", "/sso?client=0", "/admin/clients/7"])
async def test_no_identity_survives_from_outside(suite: Suite, name: bytes, path: str) -> None:
    suite.auth.knows("operator", scopes=("admin",), client="admin")
    credential = b"operator" if path.startswith("/admin") else b"good"
    value = b"chat2llm_x=forged" if name == b"Cookie" else b"forged"
    answer = await suite.client.get(
        path, headers=[(b"Api-Token", credential), (name, value), (name, value)]
    )
    assert answer.status_code == 200
    seen = seen_headers(answer)
    assert "forged" not in str(seen)
    assert not {"api-token", "authorization"} & set(seen)
    assert seen["x-forwarded-for"] == ["127.0.0.1"]
    if path.startswith("/sso"):
        assert "x-chat2llm-caller" not in seen
    else:
        assert seen["x-chat2llm-caller"] == ["signed-for-alice"]
