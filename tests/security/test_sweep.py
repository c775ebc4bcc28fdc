"""Every route, asked with every state that a credential can be in.

The routes are those of the gateway's table, so a new one is in the sweep by being there.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import httpx
import pytest

from gateway.routing import ROUTES, Route
from tests.security.conftest import Fortress

FORBIDDEN_PAGE = {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}
SCOPES = ("chat", "kb:read", "kb:write")


@dataclass(frozen=True, slots=True)
class State:
    """How a request presents itself, and the statuses that refuse it."""

    name: str
    headers: dict[str, str] = field(default_factory=dict)
    statuses: tuple[int, ...] = (401,)
    applies: Callable[[Route], bool] = lambda _: True


def _needs_scope(route: Route) -> bool:
    return route.scope is not None


def _no_cookie(route: Route) -> bool:
    return not route.cookie


def _unsafe_by_cookie(route: Route) -> bool:
    return route.cookie and route.method != "GET"


def _unsafe_admin(route: Route) -> bool:
    return route.admin_cookie and route.method != "GET"


@pytest.fixture(scope="module")
def states(fortress: Fortress) -> list[State]:
    """Everything that must be refused, each made through the front door."""
    live, disabled = fortress.client("live"), fortress.client("to be disabled")
    user, other, gone = fortress.user_id(), fortress.user_id(), fortress.user_id()
    good = fortress.token(live, user)
    session = fortress.session_token(good)
    revoked = fortress.session_token(fortress.token(live, other))
    of_disabled = fortress.token(disabled, user)
    session_of_disabled = fortress.session_token(of_disabled)
    _, key_of_disabled = fortress.api_key("chat", "kb:read", client_id=int(disabled.id))
    of_gone = fortress.token(live, gone)
    session_of_gone = fortress.session_token(of_gone)
    off_id, off_key = fortress.api_key(*SCOPES)
    _, past_key = fortress.api_key(*SCOPES, expires_at=time.time() + 1)
    deleted_id, deleted_key = fortress.api_key(*SCOPES)

    fortress.admin("PATCH", f"/admin/clients/{disabled.id}", enable=False)
    fortress.admin("PATCH", f"/admin/users/{live.id}/{gone}", enable=False)
    fortress.admin("POST", "/admin/users/revoke", client_id=int(live.id), user_id=other)
    fortress.admin("PATCH", f"/admin/api-keys/{off_id}", enable=False)
    fortress.admin("DELETE", f"/admin/api-keys/{deleted_id}")
    _wait_until_refused(fortress, past_key)
    hours = 3600
    old = fortress.token(live, user, timestamp=time.time() - 9 * hours)
    early = fortress.token(live, user, timestamp=time.time() + hours)
    foreign = fortress.token(live, user, inner_client_id="0")
    by_token = {
        "a broken token": "x" * 300,
        "an expired token": old,
        "a token from the future": early,
        "a foreign client inside": foreign,
        "a token of a disabled client": of_disabled,
        "a session of a disabled client": session_of_disabled,
        "a token of a disabled user": of_gone,
        "a session of a disabled user": session_of_gone,
        "a revoked session": revoked,
        "a token whose user was revoked": fortress.token(live, other, timestamp=time.time() - 60),
    }
    by_key = {
        "an unknown key": "c2l-" + "A" * 43,
        "a key of a disabled client": key_of_disabled,
        "a disabled key": off_key,
        "an expired key": past_key,
        "a deleted key": deleted_key,
        "a session as a key": session,
        "a token as a key": good,
    }
    forged = {
        "X-Chat2LLM-Caller": "eyJhbGciOiJub25lIn0.e30.",
        "X-Forwarded-User": "admin",
        "X_Chat2LLM_Caller": "admin",
    }
    return [
        State("no credential"),
        State("an empty token", {"Api-Token": ""}),
        State("identity headers from outside", forged),
        *(State(name, {"Api-Token": token}) for name, token in by_token.items()),
        *(State(name, {"Authorization": f"Bearer {key}"}) for name, key in by_key.items()),
        State("no Bearer", {"Authorization": "Basic YWRtaW46YWRtaW4="}),
        State(
            "two credentials",
            {"Api-Token": good, "Authorization": f"Bearer {fortress.stack.admin_key}"},
            (400,),
        ),
        State(
            "a bad header beside a good cookie",
            {"Api-Token": "x" * 300, "Cookie": f"chat2llm_session={session}"},
        ),
        State(
            "a cookie where none counts",
            {"Cookie": f"chat2llm_session={session}", "Sec-Fetch-Site": "same-origin"},
            applies=_no_cookie,
        ),
        State(
            "a cookie, from another site's page",
            {"Cookie": f"chat2llm_session={session}"} | FORBIDDEN_PAGE,
            (403,),
            _unsafe_by_cookie,
        ),
        State("a user, who has not the scope", {"Api-Token": good}, (403,), _beyond_a_user),
        *_without_each_scope(fortress),
        *_admin_cookie(fortress),
    ]


def _wait_until_refused(fortress: Fortress, key: str) -> None:
    headers = {"Authorization": f"Bearer {key}"}
    while httpx.get(f"{fortress.url}/user/info", headers=headers).status_code != 401:
        time.sleep(0.1)


def _beyond_a_user(route: Route) -> bool:
    return route.scope in ("kb:write", "admin")


def _without_each_scope(fortress: Fortress) -> list[State]:
    """Keys that have every scope but the one."""
    found = []
    for missing in (*SCOPES, "admin"):
        _, key = fortress.api_key(*(scope for scope in SCOPES if scope != missing))

        def applies(route: Route, missing: str = missing) -> bool:
            return route.scope == missing

        headers = {"Authorization": f"Bearer {key}"}
        found.append(State(f"a key without {missing}", headers, (403,), applies))
    return found


def _admin_cookie(fortress: Fortress) -> list[State]:
    fortress.admin("POST", "/admin/admins", username="operator", password="correct-horse-battery")
    login = {"username": "operator", "password": "correct-horse-battery"}
    answer = httpx.post(f"{fortress.url}/admin/login", json=login)
    assert answer.status_code == 200, answer.text
    cookie = {"Cookie": f"chat2llm_admin={answer.cookies['chat2llm_admin']}"}
    own_page = cookie | {"Sec-Fetch-Site": "same-origin"}
    token = {"X-CSRF-Token": answer.json()["csrf_token"]}
    return [
        State("an operator's cookie on a user's route", own_page | token, applies=_not_admins),
        State("an operator's cookie without the CSRF token", own_page, (403,), _unsafe_admin),
        State(
            "an operator's cookie with another CSRF token",
            own_page | {"X-CSRF-Token": "0" * 64},
            (403,),
            _unsafe_admin,
        ),
        State(
            "an operator's cookie from another site's page",
            cookie | token | FORBIDDEN_PAGE,
            (403,),
            _unsafe_admin,
        ),
    ]


def _not_admins(route: Route) -> bool:
    return not route.admin_cookie


@pytest.mark.parametrize("prefix", ["", "/api"])
@pytest.mark.parametrize(
    "route",
    [route for route in ROUTES if not route.public],
    ids=lambda route: f"{route.method} {route.path}",
)
def test_no_bad_credential_passes(
    fortress: Fortress, states: list[State], route: Route, prefix: str
) -> None:
    with httpx.Client(base_url=fortress.url, timeout=30) as browser:
        for state in states:
            if state.applies(route):
                path = prefix + _some_path(route)
                answer = browser.request(route.method, path, headers=state.headers)
                assert answer.status_code in state.statuses, (state.name, answer.text)
                _looks_like_its_surface(answer, route)


@pytest.mark.parametrize(
    "route",
    [route for route in ROUTES if not route.public],
    ids=lambda route: f"{route.method} {route.path}",
)
def test_a_good_credential_does(fortress: Fortress, route: Route) -> None:
    """The proof that the sweep asks the right question: who may is not refused as a stranger."""
    answer = fortress.operator.request(route.method, _some_path(route))
    refused = answer.status_code == 401 or "Send one credential" in answer.text
    assert not refused or route.session, answer.text  # an API key has no session to end


def _some_path(route: Route) -> str:
    """With ids that nobody has."""
    values = {"client_id": "987654", "user_id:path": "nobody", "key_id": "987654"}
    path = route.path
    for name, value in values.items():
        path = path.replace(f"{{{name}}}", value)
    while "{" in path:
        path = path[: path.index("{")] + "nobody" + path[path.index("}") + 1 :]
    return path


def _looks_like_its_surface(answer: httpx.Response, route: Route) -> None:
    if route.surface == "management":
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert answer.json()["request_id"] == answer.headers["X-Request-ID"]
    if route.surface == "openai":
        assert answer.json()["error"].keys() == {"message", "type", "param", "code"}
    if route.chat and answer.headers.get("Content-Type") == "application/json":
        assert answer.json()["text"] == answer.json()["answer"] == answer.json()["detail"]
    assert "set-cookie" not in answer.headers


def test_public_routes_are_the_few_that_log_in() -> None:
    assert {(route.method, route.path) for route in ROUTES if route.public} == {
        ("GET", "/sso"),
        ("GET", "/ent-wechat-sso"),
        ("POST", "/auth/exchange"),
        ("POST", "/admin/login"),
    }
