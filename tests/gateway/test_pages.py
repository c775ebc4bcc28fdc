"""What a person opens: documents, sign-in, our small pages and a built H5."""

import html
import re
from pathlib import Path
from urllib.parse import parse_qs, quote, unquote, urlsplit

import httpx
import pytest
from aiohttp import web

from tests.gateway.conftest import Handler, Start, Suite

HTML = {"Accept": "text/html,*/*"}
EVIL = "\"'><script>alert(1)</script>&lt;{{7*7}}\u2028"


def document(*paths: str, **schemas: object) -> Handler:
    """A service's OpenAPI document with these paths, all GET and POST."""
    operation: dict[str, object] = {
        "responses": {
            "200": {
                "content": {
                    "application/json": {"schema": {"$ref": "#/components/schemas/Envelope"}}
                }
            }
        },
    }
    whole = {
        "openapi": "3.1.0",
        "info": {"title": "inner", "version": "1"},
        "paths": {
            path: {method: operation | {"operationId": method + path} for method in ("get", "post")}
            for path in paths
        },
        "components": {"schemas": schemas},
    }

    async def answer(request: web.Request) -> web.Response:
        return web.json_response(whole)

    return answer


async def test_ready_only_when_all_four_are(suite: Suite) -> None:
    assert (await suite.client.get("/livez")).json() == {"status": "ok"}
    assert (await suite.client.get("/api/readyz")).json() == {"status": "ok"}

    async def not_yet(request: web.Request) -> web.Response:
        return web.json_response({}, status=503)

    for stand_in in (suite.auth, suite.session, suite.kb, suite.chat):
        stand_in.answers["/readyz"] = not_yet
        assert (await suite.client.get("/readyz")).status_code == 503
        del stand_in.answers["/readyz"]
    assert (await suite.client.get("/readyz")).status_code == 200


async def test_the_root_leads_to_the_documentation(suite: Suite) -> None:
    answer = await suite.client.get("/")
    assert (answer.status_code, answer.headers["location"]) == (307, "/docs")


@pytest.mark.parametrize("path", ["/docs", "/api/docs", "/redoc", "/docs?service=kb_service"])
async def test_the_documentation_needs_nothing_from_elsewhere(suite: Suite, path: str) -> None:
    answer = await suite.client.get(path)
    assert answer.status_code == 200
    assert "unsafe-inline' " not in answer.headers["content-security-policy"].split("style-src")[0]
    sources = re.findall(r'(?:src|href)="([^"]+)"', answer.text)
    assert not [source for source in sources if "//" in source]
    for source in sources:
        if source.startswith("static"):
            base = path.rpartition("/")[0]
            file = await suite.client.get(f"{base}/{html.unescape(source)}")
            assert file.status_code == 200, source
            assert file.headers["x-content-type-options"] == "nosniff"
            forever = "immutable" in file.headers["cache-control"]
            assert forever == ("offline" in source)


@pytest.mark.parametrize("service", ["", "gateway", "auth_service", "kb_service"])
async def test_the_page_names_the_document_it_shows(suite: Suite, service: str) -> None:
    page = (await suite.client.get("/docs", params={"service": service})).text
    source = re.search(r'data-source="([^"]+)"', page)
    assert source is not None
    assert source[1] == (f"openapi/{service}.json" if service else "openapi.json")
    assert "data-source=" in (await suite.client.get("/docs", params={"service": EVIL})).text
    assert "<script>alert" not in (await suite.client.get("/docs", params={"service": EVIL})).text


async def test_documents_show_what_is_routed_and_nothing_else(suite: Suite) -> None:
    suite.kb.answers["/openapi.json"] = document(
        "/knowledge_base/search_docs",
        "/internal/search",
        "/readyz",
        "/session/list",
        Envelope={"properties": {"data": {"$ref": "#/components/schemas/Inner"}}},
        Inner={"type": "string"},
        Secret={"type": "string"},
    )
    shown = (await suite.client.get("/openapi/kb_service.json")).json()
    assert list(shown["paths"]) == ["/knowledge_base/search_docs"]
    assert list(shown["paths"]["/knowledge_base/search_docs"]) == ["post"]
    assert "kb:read" in shown["paths"]["/knowledge_base/search_docs"]["post"]["description"]
    assert list(shown["components"]["schemas"]) == ["Envelope", "Inner"]
    assert shown["servers"] == [{"url": "/api"}]
    assert set(shown["components"]["securitySchemes"]) == {"ApiToken", "Bearer"}
    assert shown["security"] == [{"ApiToken": []}, {"Bearer": []}]


async def test_the_merged_document_has_all_and_no_clashes(suite: Suite) -> None:
    suite.kb.answers["/openapi.json"] = document(
        "/knowledge_base/list_files", Envelope={"title": "kb"}
    )
    suite.session.answers["/openapi.json"] = document(
        "/session/list", Envelope={"title": "session"}
    )
    suite.auth.answers["/openapi.json"] = document("/sso", "/user/info")

    async def broken(request: web.Request) -> web.Response:
        return web.Response(status=500)

    suite.chat.answers["/openapi.json"] = broken
    whole = (await suite.client.get("/openapi.json")).json()
    assert whole["info"]["title"] == "Chat2LLM API Server"
    assert {"/user/info", "/session/list", "/knowledge_base/list_files", "/readyz"} <= set(
        whole["paths"]
    )
    assert whole["components"]["schemas"]["kb_service.Envelope"] == {"title": "kb"}
    assert whole["components"]["schemas"]["session_service.Envelope"] == {"title": "session"}
    assert set(whole["paths"]["/sso"]) == {"get"}
    assert whole["paths"]["/sso"]["get"]["security"] == []
    names = re.findall(r'"operationId":"([^"]+)"', httpx.Response(200, json=whole).text)
    assert len(names) == len(set(names))
    assert "chat_service" in whole["info"]["description"]
    answer = await suite.client.get("/openapi/chat_service.json")
    assert answer.status_code == 502
    assert (await suite.client.get("/openapi/nobody.json")).status_code == 404


async def test_the_gateway_documents_itself(suite: Suite) -> None:
    own = (await suite.client.get("/openapi/gateway.json")).json()
    assert "/readyz" in own["paths"]
    assert "/openapi.json" in own["paths"]
    operations = [operation for item in own["paths"].values() for operation in item.values()]
    assert all(operation["security"] == [] and operation["summary"] for operation in operations)


async def test_a_token_in_the_address_becomes_a_session(suite: Suite) -> None:
    answer = await suite.client.get("/sso", params={"token": "good"})
    assert answer.status_code == 200
    assert 'data-token="c2s-good"' in answer.text
    assert 'data-home="/welcome"' in answer.text
    assert answer.headers["set-cookie"].startswith("chat2llm_session=c2s-good; ")
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cache-control"] == "no-store"
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert re.findall(r"<script[^>]*>(.*?)</script>", answer.text, re.S) == [""]
    question = suite.auth.questions[0]
    assert (question["presented_as"], question["want_session"]) == ("url", True)
    await suite.client.get("/api/sso", params={"token": "good"})
    assert len(suite.auth.questions) == 2  # exchanged every time, never from memory


@pytest.mark.parametrize("token", [EVIL, "bad", "x" * 5000, "%00", "good\n", "<b>", "c2l-key"])
async def test_the_landing_page_validates_before_it_echoes(suite: Suite, token: str) -> None:
    suite.auth.knows("c2l-key", "robot")
    answer = await suite.client.get("/sso", params={"token": token, "refresh": EVIL})
    assert answer.status_code == 307
    assert token not in unquote(answer.headers["location"])
    page = await suite.client.get(answer.headers["location"])
    assert token not in html.unescape(page.text)
    assert "data-token" not in page.text


async def test_the_landing_page_has_nothing_in_script_text(suite: Suite) -> None:
    evil = EVIL.rstrip("\u2028")  # no header's value, which it is too
    suite.auth.knows("odd", EVIL, session=f"c2s-{evil}", origins=["https://shop.example"])
    answer = await suite.client.get("/sso", params={"token": "odd"})
    assert re.findall(r"<script[^>]*>(.*?)</script>", answer.text, re.S) == [""]
    assert "on" not in {name[:2] for name in re.findall(r"\s([\w-]+)=", answer.text)}
    assert html.unescape(answer.text).count(f"c2s-{evil}") == 1
    policy = answer.headers["content-security-policy"]
    assert "script-src 'self';" in policy
    assert "unsafe" not in policy


async def test_the_landing_page_sends_no_referrer(suite: Suite) -> None:
    for token in ("good", "bad"):
        answer = await suite.client.get("/sso", params={"token": token})
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["cache-control"] == "no-store"


async def test_the_landing_page_tells_the_clients_origins_and_nobody_else(suite: Suite) -> None:
    shop = ["https://shop.example", "https://m.shop.example", "*", "https://x.example '*'"]
    suite.auth.origins = ["https://other.example"]
    suite.auth.knows("t", session="c2s-t", origins=shop)
    answer = await suite.client.get("/sso", params={"token": "t", "refresh": "1"})
    assert 'data-told="https://shop.example https://m.shop.example"' in answer.text
    seconds = re.search(r'data-seconds="(\d+)"', answer.text)
    assert seconds
    assert 8 * 3600 - 60 < int(seconds[1]) <= 8 * 3600
    refused = await suite.client.get("/401?message=x")
    assert 'data-told="https://other.example"' in refused.text


async def test_a_token_is_not_used_up_while_nobody_knows_whose_session_is_here(
    suite: Suite,
) -> None:
    suite.auth.limits("c2s-unsure", 10)
    cookie = {"Cookie": "chat2llm_session=c2s-unsure"}
    answer = await suite.client.get("/sso", params={"token": "good"}, headers=cookie)
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "10")
    assert [question["credential"] for question in suite.auth.questions] == ["c2s-unsure"]


@pytest.mark.parametrize("prefix", ["", "/api"])
@pytest.mark.parametrize(
    "path", ["/sso?token=good", "/sso?client=0&secret=s", "/ent-wechat-sso?code=c&state=s"]
)
async def test_a_preview_with_head_uses_nothing_up(suite: Suite, prefix: str, path: str) -> None:
    answer = await suite.client.head(prefix + path)
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["cache-control"] == "no-store"
    assert "set-cookie" not in answer.headers
    assert suite.auth.requests == []


async def test_a_session_token_with_odd_text_stays_text(suite: Suite) -> None:
    suite.auth.knows("odd", "<b>\"'x", session='c2s-"><script>alert(1)</script>')
    answer = await suite.client.get("/sso", params={"token": "odd"})
    assert "<script>alert" not in answer.text


@pytest.mark.parametrize("path", ["/sso/?token=good", "/api/sso/?token=good", "/docs/"])
async def test_no_redirect_repeats_a_token_or_a_foreign_host(suite: Suite, path: str) -> None:
    answer = await suite.client.get(path, headers={"Host": "evil.example"})
    assert answer.status_code == 404
    assert "location" not in answer.headers


@pytest.mark.parametrize("token", ["bad", "old", EVIL, "c2l-key"])
async def test_a_bad_token_ends_on_the_refusal_page(suite: Suite, token: str) -> None:
    suite.auth.expires("old")
    suite.auth.knows("c2l-key", "robot")
    answer = await suite.client.get("/sso", params={"token": token})
    assert answer.status_code == 307
    assert "set-cookie" not in answer.headers
    target = urlsplit(answer.headers["location"])
    assert (target.path, target.netloc) == ("/401", "")
    message = parse_qs(target.query)["message"][0]
    assert message.startswith("Authentication required: ")
    assert ("过期" in message) == (token == "old")
    page = await suite.client.get(answer.headers["location"])
    assert message in page.text


async def test_without_a_token_auth_service_decides(suite: Suite) -> None:
    for query in ("client=0&secret=s", "token=", ""):
        answer = await suite.client.get(f"/api/sso?{query}")
        assert answer.json()["path"] == (f"/sso?{query}" if query else "/sso")
    cookies = {"Cookie": "theirs=1; chat2llm_session=c2s-good"}
    answer = await suite.client.get("/sso?client=0", headers=cookies)
    seen = dict(answer.json()["headers"])
    assert seen["Cookie"] == "chat2llm_session=c2s-good"  # the browser's user goes on
    assert "X-Chat2LLM-Caller" not in seen
    assert suite.auth.questions == []


async def test_a_sign_in_while_auth_is_away_says_so(suite: Suite) -> None:
    suite.auth.status = 503
    answer = await suite.client.get("/sso", params={"token": "good"})
    assert answer.status_code == 503
    assert "set-cookie" not in answer.headers
    assert answer.headers["content-type"].startswith("text/html")


async def test_another_users_session_is_not_taken_over_silently(suite: Suite) -> None:
    suite.auth.knows("bob-token", "bob", session="c2s-bob")
    cookie = {"Cookie": "chat2llm_session=c2s-good"}
    answer = await suite.client.get("/sso", params={"token": "bob-token"}, headers=cookie)
    assert answer.status_code == 200
    assert "set-cookie" not in answer.headers
    assert "data-token" not in answer.text
    assert "Alice" in answer.text
    assert "Bob" in answer.text
    form = re.search(r'name="token" value="([^"]+)"', answer.text)
    assert form is not None
    # With no-referrer browsers send `Origin: null` with the form, which is nobody's.
    assert answer.headers["referrer-policy"] == "strict-origin"
    own = {"Origin": suite.url}
    landed = await suite.client.post("/sso", data={"token": form[1]}, headers=cookie | own)
    assert 'data-token="c2s-bob"' in landed.text
    assert landed.headers["set-cookie"].startswith("chat2llm_session=c2s-bob; ")
    for origin in ({}, {"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
        refused = await suite.client.post("/sso", data={"token": form[1]}, headers=cookie | origin)
        assert refused.status_code == 303
        assert refused.headers["location"].startswith("/401?message=")
        assert "set-cookie" not in refused.headers
    for cookie_value in ("c2s-bob", "c2s-nobody"):  # the same user again, or a dead session
        again = await suite.client.get(
            "/sso",
            params={"token": "bob-token"},
            headers={"Cookie": f"chat2llm_session={cookie_value}"},
        )
        assert 'data-token="c2s-bob"' in again.text


@pytest.mark.parametrize(
    "body", [b"", b"token=", b"token=a&token=b", b"\xff\xfe", b"token=" + b"x" * 20_000]
)
async def test_a_bad_form_is_refused(suite: Suite, body: bytes) -> None:
    answer = await suite.client.post("/sso", content=body, headers={"Origin": suite.url})
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/401?message=")


async def test_the_refusal_page_escapes_its_message(suite: Suite) -> None:
    answer = await suite.client.get(f"/401?message={quote(EVIL)}")
    assert "<script>alert" not in answer.text
    assert html.escape("<script>alert(1)</script>") in answer.text
    assert "{{7*7}}" in answer.text  # and not what it comes to
    assert "default-src 'none'" in answer.headers["content-security-policy"]


async def test_the_welcome_page_knows_the_cookies_user(suite: Suite) -> None:
    suite.auth.knows("c2s-odd", '"><script>alert(1)</script>')
    assert 'data-username=""' in (await suite.client.get("/welcome")).text
    for cookie, name in (("c2s-good", 'data-username="Alice"'), ("bad", 'data-username=""')):
        answer = await suite.client.get(
            "/welcome", headers={"Cookie": f"chat2llm_session={cookie}"}
        )
        assert name in answer.text
    answer = await suite.client.get("/welcome", headers={"Cookie": "chat2llm_session=c2s-odd"})
    assert "<script>alert" not in answer.text.lower()


@pytest.fixture
def dist(tmp_path: Path) -> Path:
    folder = tmp_path / "site" / "dist"
    (folder / "assets").mkdir(parents=True)
    (folder / "index.html").write_text("<title>H5</title>")
    (folder / "favicon.ico").write_bytes(b"icon")
    for name in ("index-fa9b6a65.js", "index-DiwrgT_a.css", "plain-document.js", "app.js"):
        (folder / "assets" / name).write_text(name)
    (folder.parent / "secret.txt").write_text("secret")
    (folder / "link.txt").symlink_to(folder.parent / "secret.txt")
    return folder


async def test_head_answers_as_get_would(suite: Suite) -> None:
    for path in ("/", "/docs", "/livez", "/api/readyz", "/welcome", "/openapi.json"):
        asked, headed = [await suite.client.request(m, path) for m in ("GET", "HEAD")]
        assert headed.status_code == asked.status_code, path
        assert headed.headers["content-length"] == asked.headers["content-length"], path
        assert headed.content == b""


async def test_an_h5_is_served_at_the_root(start: Start, dist: Path) -> None:
    suite = await start(h5_dist=dist)
    for path in ("/", "/home", "/chat/0123", "/401?message=x", "/any/where", "/index.html"):
        answer = await suite.client.get(path, headers=HTML)
        assert (answer.status_code, answer.text) == (200, "<title>H5</title>"), path
        assert answer.headers["cache-control"] == "no-cache"
    assert (await suite.client.get("/", headers={"Accept": "*/*"})).text == "<title>H5</title>"
    for name, cached in (
        ("index-fa9b6a65.js", True),
        ("index-DiwrgT_a.css", True),
        ("plain-document.js", False),
        ("app.js", False),
    ):
        answer = await suite.client.get(f"/assets/{name}")
        assert answer.text == name
        assert ("immutable" in answer.headers["cache-control"]) == cached, name
        again = {"If-None-Match": answer.headers["etag"]}
        assert (await suite.client.get(f"/assets/{name}", headers=again)).status_code == 304
    assert (await suite.client.head("/favicon.ico")).headers["content-length"] == "4"


async def test_with_an_h5_services_and_pages_are_still_there(start: Start, dist: Path) -> None:
    suite = await start(h5_dist=dist)
    assert "swagger" in (await suite.client.get("/docs", headers=HTML)).text
    assert (await suite.client.get("/readyz", headers=HTML)).json() == {"status": "ok"}
    answer = await suite.client.get("/sso", params={"token": "good"}, headers=HTML)
    assert 'data-home="/home"' in answer.text
    answer = await suite.client.get("/session/list", headers=HTML)
    assert answer.status_code == 401
    for path in ("/api/nowhere", "/api/home", "/api/"):
        answer = await suite.client.get(path, headers=HTML)
        assert (answer.status_code, answer.json()) == (404, {"detail": "Not Found"})
    for path in ("/assets/gone.js", "/nowhere"):
        answer = await suite.client.get(path, headers={"Accept": "*/*"})
        assert (answer.status_code, answer.json()) == (404, {"detail": "Not Found"})
    assert (await suite.client.post("/nowhere", headers=HTML)).status_code in (404, 405)


@pytest.mark.parametrize(
    "path",
    [
        "/../secret.txt",
        "/%2e%2e/secret.txt",
        "/..%2fsecret.txt",
        "/assets/../../secret.txt",
        "/assets/%2e%2e%2f%2e%2e%2fsecret.txt",
        "/..\\secret.txt",
        "/link.txt",
        "//etc/passwd",
        "/%2fetc/passwd",
        "/%00",
        "/a" * 3000,
        "/" + "x" * 300,
    ],
)
async def test_no_file_outside_the_h5_is_served(start: Start, dist: Path, path: str) -> None:
    suite = await start(h5_dist=dist)
    host, port = suite.address
    for accept in ("*/*", "text/html"):
        async with httpx.AsyncClient() as raw:
            request = raw.build_request("GET", f"http://{host}:{port}/", headers={"Accept": accept})
            request.extensions["target"] = path.encode()
            answer = await raw.send(request)
        assert answer.status_code in (200, 404)
        assert "secret" not in answer.text
        assert "root:" not in answer.text
        assert answer.status_code == 404 or answer.text == "<title>H5</title>"
