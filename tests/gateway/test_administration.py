"""The management surface: the operator's cookie, its CSRF token, and errors as problems."""

import itertools

import pytest
from aiohttp import web

from gateway.routing import ROUTES, Route
from tests.gateway.conftest import Start, Suite, an_address_of

ADMIN = {"Cookie": "chat2llm_admin=c2a-one"}
OWN = {"Sec-Fetch-Site": "same-origin"}
TOKEN = {"X-CSRF-Token": "csrf-of-one"}
SCOPES = ("chat", "kb:read", "kb:write", "admin")
MANAGED = [route for route in ROUTES if route.surface == "management"]
MISSING = "Authentication required: 缺少Api-Token!"
INVALID = "Authentication required: Api-Token无效!"


@pytest.fixture
async def suite(start: Start) -> Suite:
    suite = await start()
    suite.auth.knows("c2a-one", "root", client="admin", scopes=SCOPES, csrf_token="csrf-of-one")
    suite.auth.knows("c2l-operator", "robot", client="admin", scopes=SCOPES, key_id="k1")
    return suite


async def test_the_cookie_opens_every_route_of_administration_and_nothing_else(
    suite: Suite,
) -> None:
    for route in ROUTES:
        headers = ADMIN | OWN | TOKEN
        answer = await suite.client.request(route.method, an_address_of(route), headers=headers)
        opened = route.admin_cookie or route.public
        assert answer.status_code == (200 if opened else 401), route
    asked = {question["presented_as"] for question in suite.auth.questions}
    assert asked == {"admin_cookie"}
    assert not any(question["want_session"] for question in suite.auth.questions)


ORIGINS = (None, "own", "https://app.example", "https://shop.example", "https://evil.example")
SITES = (None, "same-origin", "same-site", "cross-site", "none")


async def test_a_change_needs_our_own_page_and_the_csrf_token(start: Start) -> None:
    suite = await start(cors_origins="https://app.example")
    suite.auth.knows(
        "c2a-one",
        "root",
        client="admin",
        scopes=SCOPES,
        csrf_token="csrf-of-one",
        origins=["https://shop.example"],
    )
    for origin, site in itertools.product(ORIGINS, SITES):
        headers = dict(ADMIN)
        if origin:
            headers["Origin"] = suite.url if origin == "own" else origin
        if site:
            headers["Sec-Fetch-Site"] = site
        own = site == "same-origin" or (site is None and origin == "own")
        for token in ({}, {"X-CSRF-Token": "csrf-of-two"}, {"X-CSRF-Token": ""}, TOKEN):
            answer = await suite.client.delete("/admin/clients/7", headers=headers | token)
            allowed = own and token == TOKEN
            assert answer.status_code == (200 if allowed else 403), (origin, site, token)
        answer = await suite.client.get("/admin/clients/7", headers=headers)
        assert answer.status_code == (200 if own or origin is None else 403), (origin, site)


async def test_a_session_without_a_csrf_token_changes_nothing(suite: Suite) -> None:
    suite.auth.knows("c2a-one", "root", client="admin", scopes=SCOPES)
    for token in ({}, {"X-CSRF-Token": ""}, {"X-CSRF-Token": "None"}, TOKEN):
        answer = await suite.client.post("/admin/clients", headers=ADMIN | OWN | token, json={})
        assert answer.status_code == 403
    assert (await suite.client.get("/admin/clients", headers=ADMIN)).status_code == 200


async def test_an_odd_csrf_token_is_refused_and_not_forwarded(suite: Suite) -> None:
    odd = [(b"Cookie", b"chat2llm_admin=c2a-one"), (b"Sec-Fetch-Site", b"same-origin")]
    for value in (b"\xff\xfe", "密".encode(), b"csrf-of-one, csrf-of-one"):
        answer = await suite.client.post(
            "/admin/clients", headers=[*odd, (b"X-CSRF-Token", value)], json={}
        )
        assert answer.status_code == 403
    answer = await suite.client.post("/admin/clients", headers=ADMIN | OWN | TOKEN, json={})
    assert "csrf" not in str(answer.json()["headers"]).lower()
    assert "cookie" not in str(answer.json()["headers"]).lower()


async def test_an_explicit_credential_beats_the_cookie_and_needs_no_csrf_token(
    suite: Suite,
) -> None:
    key = {"Authorization": "Bearer c2l-operator"}
    answer = await suite.client.post("/admin/clients", headers=ADMIN | key, json={})
    assert answer.status_code == 200
    assert ["x-chat2llm-caller", "signed-for-robot"] in [
        [name.lower(), value] for name, value in answer.json()["headers"]
    ]
    bad = {"Authorization": "Bearer bad"}
    answer = await suite.client.get("/admin/clients", headers=ADMIN | bad)
    assert answer.status_code == 401


async def test_two_different_admin_cookies_speak_for_nobody(suite: Suite) -> None:
    planted = {"Cookie": "chat2llm_admin=c2a-one; chat2llm_admin=c2a-two"}
    answer = await suite.client.get("/admin/clients", headers=planted)
    assert answer.status_code == 401
    assert suite.auth.questions == []


async def test_a_hosts_user_may_not_administer(suite: Suite) -> None:
    for route in MANAGED:
        if route.scope in ("admin", "kb:write"):
            answer = await suite.client.request(
                route.method, an_address_of(route), headers={"Api-Token": "good"}
            )
            assert answer.status_code == 403, route
            assert answer.json()["code"] == "forbidden"
            assert "set-cookie" not in answer.headers


@pytest.mark.parametrize(
    ("headers", "status", "code", "detail"),
    [
        ({}, 401, "unauthorized", MISSING),
        ({"Cookie": "chat2llm_session=c2s-good"}, 401, "unauthorized", MISSING),
        ({"Cookie": "chat2llm_admin=c2a-gone"}, 401, "unauthorized", INVALID),
        ({"Api-Token": "bad"}, 401, "unauthorized", INVALID),
        ({"Api-Token": "a", "Authorization": "Bearer b"}, 400, "two_credentials", "Send one"),
        ({"Api-Token": "good"}, 403, "forbidden", "The scope admin is needed"),
    ],
)
async def test_a_refusal_is_a_problem(
    suite: Suite, headers: dict[str, str], status: int, code: str, detail: str
) -> None:
    answer = await suite.client.get("/api/admin/audit", headers=headers)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem.pop("detail").startswith(detail)
    assert problem == {
        "type": "about:blank",
        "title": code,
        "status": status,
        "code": code,
        "request_id": answer.headers["x-request-id"],
    }
    assert (answer.headers.get("www-authenticate") == "Bearer") == (status == 401)


async def test_auth_away_is_a_problem_of_503(suite: Suite) -> None:
    suite.auth.status = 503
    answer = await suite.client.get("/admin/clients", headers=ADMIN)
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    assert answer.headers["retry-after"]


def forwarded(answer_headers: list[list[str]]) -> dict[str, str]:
    wanted = ("cookie", "api-token", "authorization")
    return {name.lower(): value for name, value in answer_headers if name.lower() in wanted}


@pytest.mark.parametrize(
    ("method", "path", "headers", "shown"),
    [
        ("GET", "/admin/me", ADMIN, {"cookie": "chat2llm_admin=c2a-one"}),
        ("POST", "/admin/logout", ADMIN | OWN | TOKEN, {"cookie": "chat2llm_admin=c2a-one"}),
        (
            "GET",
            "/admin/me",
            {"Authorization": "Bearer c2l-operator"},
            {"authorization": "Bearer c2l-operator"},
        ),
        ("POST", "/auth/logout", {"Api-Token": "c2s-good"}, {"api-token": "c2s-good"}),
        (
            "POST",
            "/auth/logout",
            {"Cookie": "x=1; chat2llm_session=c2s-good; chat2llm_admin=c2a-one"} | OWN,
            {"cookie": "chat2llm_session=c2s-good"},
        ),
    ],
)
async def test_what_is_about_the_session_itself_is_shown_it(
    suite: Suite, method: str, path: str, headers: dict[str, str], shown: dict[str, str]
) -> None:
    answer = await suite.client.request(method, path, headers=headers)
    assert answer.status_code == 200
    assert forwarded(answer.json()["headers"]) == shown
    assert "set-cookie" not in answer.headers  # a sign-out must not sign in again


async def test_a_sign_out_is_seen_at_once(suite: Suite) -> None:
    header = {"Api-Token": "c2s-good"}
    cookie = {"Cookie": "chat2llm_session=c2s-good"} | OWN
    assert (await suite.client.get("/user/info", headers=header)).is_success
    assert (await suite.client.post("/chat/chat", headers=cookie, json={})).is_success
    assert (await suite.client.post("/auth/logout", headers=cookie)).is_success
    del suite.auth.people["c2s-good"]
    assert (await suite.client.get("/user/info", headers=header)).status_code == 401
    assert (await suite.client.post("/chat/chat", headers=cookie, json={})).status_code == 401


async def test_another_sites_page_cannot_sign_out(suite: Suite) -> None:
    cookie = {"Cookie": "chat2llm_session=c2s-good", "Origin": "https://evil.example"}
    answer = await suite.client.post("/auth/logout", headers=cookie)
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")


async def test_the_services_cookies_reach_the_browser(suite: Suite) -> None:
    async def log_in(_: web.Request) -> web.Response:
        answer = web.json_response({})
        answer.headers.add("Set-Cookie", "chat2llm_admin=c2a-one; Path=/; HttpOnly")
        answer.headers.add("Set-Cookie", "chat2llm_session=; Max-Age=0")
        return answer

    suite.auth.answers["/admin/login"] = log_in
    answer = await suite.client.post("/admin/login", json={"username": "a", "password": "b"})
    assert answer.headers.get_list("set-cookie") == [
        "chat2llm_admin=c2a-one; Path=/; HttpOnly",
        "chat2llm_session=; Max-Age=0",
    ]


@pytest.mark.parametrize(
    "route", [route for route in ROUTES if route.public], ids=lambda route: route.path
)
async def test_public_routes_are_shown_two_cookies_and_no_credential(
    suite: Suite, route: Route
) -> None:
    jar = "a=1; chat2llm_session=c2s-good; chat2llm_admin=c2a-one; chat2llm_sso=state; b=2"
    sent = {"Cookie": jar, "Api-Token": "good", "X-Chat2LLM-Caller": "forged"}
    answer = await suite.client.request(route.method, route.path, headers=sent)
    headers = answer.json()["headers"]
    assert forwarded(headers) == {"cookie": "chat2llm_session=c2s-good; chat2llm_sso=state"}
    assert "forged" not in str(headers)
    assert ["X-Forwarded-For", "127.0.0.1"] in headers
    assert ["X-Forwarded-Proto", "http"] in headers
