"""The Node example's host app against the real product: what the guide promises of it."""

from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from tests.host_apps.node_host_app import HostApp, running_host_app
from tests.stack import Stack


@pytest.fixture(scope="module")
def app(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HostApp]:
    with running_host_app(stack, tmp_path_factory.mktemp("host-app")) as running:
        yield running


@pytest.fixture
def browser(app: HostApp) -> Iterator[httpx.Client]:
    """An employee's browser, logged in to the host app."""
    with httpx.Client(base_url=app.url) as client:
        answer = client.post("/login", data={"user": "li.si"})
        assert answer.status_code == 303
        yield client


def token(browser: httpx.Client) -> str:
    answer = browser.post("/token")
    assert answer.headers["Cache-Control"] == "no-store"
    return answer.raise_for_status().text


def exchange(stack: Stack, token: str) -> httpx.Response:
    return httpx.post(f"{stack.url}/auth/exchange", json={"token": token})


def test_the_link_opens_the_chat_as_the_employee(
    stack: Stack, app: HostApp, browser: httpx.Client
) -> None:
    link = browser.get("/chat")
    assert link.status_code == 303
    address = link.headers["Location"]
    assert address.startswith(f"{stack.url}/sso?token=")
    landing = httpx.get(address)
    assert landing.status_code == 200
    session = landing.cookies["chat2llm_session"]
    user = httpx.get(f"{stack.url}/api/user/info", headers={"Api-Token": session}).json()["data"]
    assert (user["client_id"], user["user_id"], user["username"]) == (
        app.client_id,
        "li.si",
        "李四",
    )
    again = httpx.get(address)
    assert again.status_code == 307
    assert urlsplit(again.headers["Location"]).path == "/401"


def test_each_token_is_new_and_good_once(stack: Stack, browser: httpx.Client) -> None:
    first, second = token(browser), token(browser)
    assert first != second
    for one in (first, second):
        assert exchange(stack, one).status_code == 200
        assert exchange(stack, one).status_code == 401


def test_the_pages_origin_may_frame_the_chat(app: HostApp, browser: httpx.Client) -> None:
    page = browser.get("/").text
    assert "李四" in page
    assert "/static-gateway/embed.js" in page
    assert "eyJ" not in page  # a token is never in a page
    landing = httpx.get(browser.get("/chat").headers["Location"])
    policy = landing.headers["Content-Security-Policy"]
    [ancestors] = [part for part in policy.split("; ") if part.startswith("frame-ancestors")]
    assert app.url in ancestors.split()


def test_nobody_gets_a_token_without_logging_in(app: HostApp) -> None:
    assert httpx.post(f"{app.url}/token").status_code == 401
    answer = httpx.get(f"{app.url}/chat")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/")
    answer = httpx.post(f"{app.url}/login", data={"user": "somebody else"})
    assert "Set-Cookie" not in answer.headers
    assert "li.si" in httpx.get(f"{app.url}/").text


def test_a_disabled_client_opens_nothing(stack: Stack, app: HostApp, browser: httpx.Client) -> None:
    stack.run("auth_service", "client", "disable", app.client_id)
    try:
        landing = httpx.get(browser.get("/chat").headers["Location"])
        [message] = parse_qs(urlsplit(landing.headers["Location"]).query)["message"]
        assert "Api-Token无效!" in message
    finally:
        stack.run("auth_service", "client", "enable", app.client_id)
    assert exchange(stack, token(browser)).status_code == 200
