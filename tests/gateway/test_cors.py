"""Pages of other origins: none by default, the named ones on every answer, refusals included."""

import pytest

from tests.gateway.conftest import Start, Suite

APP = "https://app.example"
GOOD = {"Api-Token": "good"}
PREFLIGHT = {
    "Access-Control-Request-Method": "POST",
    "Access-Control-Request-Headers": "api-token,content-type,authorization",
}


async def test_nobody_by_default(suite: Suite) -> None:
    answer = await suite.client.get("/api/session/list", headers=GOOD | {"Origin": APP})
    assert not [name for name in answer.headers if name.startswith("access-control")]
    answer = await suite.client.options("/api/session/list", headers=PREFLIGHT | {"Origin": APP})
    assert answer.status_code == 400
    assert "access-control-allow-origin" not in answer.headers
    assert len(suite.session.requests) == 1


async def test_a_preflight_is_answered_here(start: Start) -> None:
    suite = await start(cors_origins=f"http://other.example, {APP}")
    for path in ("/api/chat/chat", "/session/list", "/nowhere"):
        answer = await suite.client.options(path, headers=PREFLIGHT | {"Origin": APP})
        assert answer.status_code == 200
        assert answer.headers["access-control-allow-origin"] == APP
        assert answer.headers["access-control-allow-credentials"] == "true"
        assert "Api-Token" in answer.headers["access-control-allow-headers"]
        assert "POST" in answer.headers["access-control-allow-methods"]
        assert "Origin" in answer.headers["vary"]
    assert not suite.chat.requests
    refused = {"Origin": "https://evil.example"}
    answer = await suite.client.options("/api/chat/chat", headers=PREFLIGHT | refused)
    assert answer.status_code == 400
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        (GOOD, 200),
        ({}, 401),
        ({"Api-Token": "bad"}, 401),
        ({"Api-Token": "poor"}, 403),
        ({"Api-Token": "good", "Authorization": "Bearer x"}, 400),
    ],
)
async def test_answers_and_refusals_carry_the_headers(
    start: Start, headers: dict[str, str], status: int
) -> None:
    suite = await start(cors_origins=APP)
    suite.auth.knows("poor", scopes=())
    answer = await suite.client.get("/api/session/list", headers=headers | {"Origin": APP})
    assert answer.status_code == status
    assert answer.headers["access-control-allow-origin"] == APP
    assert answer.headers["access-control-allow-credentials"] == "true"
    assert "X-Request-ID" in answer.headers["access-control-expose-headers"]
    assert "Origin" in answer.headers["vary"]


async def test_503_carries_the_headers_too(start: Start, free_port: int) -> None:
    suite = await start(cors_origins=APP, session_url=f"http://127.0.0.1:{free_port}")
    answer = await suite.client.get("/api/session/list", headers=GOOD | {"Origin": APP})
    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (503, APP)


async def test_a_clients_own_origins_are_allowed_too(suite: Suite) -> None:
    suite.auth.origins = ["https://shop.example", "https://bad.example; script-src *", "*"]
    for origin, status in (("https://shop.example", 200), (APP, 400), ("*", 400)):
        answer = await suite.client.options(
            "/api/chat/chat", headers=PREFLIGHT | {"Origin": origin}
        )
        assert answer.status_code == status, origin
    shop = {"Origin": "https://shop.example"}
    for headers in (GOOD | shop, {"Api-Token": "bad"} | shop):
        answer = await suite.client.get("/api/session/list", headers=headers)
        assert answer.headers["access-control-allow-origin"] == "https://shop.example"
    assert suite.auth.origin_questions == 1


async def test_others_get_none_and_caches_are_told(start: Start) -> None:
    suite = await start(cors_origins=APP)
    for origin in ({"Origin": "https://evil.example"}, {"Origin": "null"}, {}):
        answer = await suite.client.get("/api/session/list", headers=GOOD | origin)
        assert answer.status_code == 200
        assert "access-control-allow-origin" not in answer.headers
        assert "Origin" in answer.headers["vary"]
