"""Paths with parameters: matched as decoded, forwarded as written, and no way around them."""

import pytest

from gateway.routing import ROUTES, RouteTable, upstream_path
from tests.gateway.conftest import Suite, an_address_of
from tests.gateway.test_forwarding import exchange

OPERATOR = {"Api-Token": "operator"}


@pytest.fixture
async def administered(suite: Suite) -> Suite:
    suite.auth.knows("operator", scopes=("chat", "kb:read", "kb:write", "admin"), client="admin")
    return suite


async def raw(suite: Suite, target: str, method: str = "GET") -> bytes:
    """The first line of the answer to a request target as it is."""
    head = f"{method} {target} HTTP/1.1\r\nHost: x\r\nApi-Token: operator\r\nConnection: close\r\n"
    answer = await exchange(suite, f"{head}\r\n".encode())
    return answer.partition(b"\r\n")[0]


@pytest.mark.parametrize("prefix", ["", "/api"])
@pytest.mark.parametrize(
    "path",
    [
        "/admin/clients/7",
        "/admin/users/2/alice",
        "/admin/users/2/a%2Fb",
        "/admin/users/2/a/b",
        "/admin/users/2/%E5%B0%8F%E6%98%8E",
        "/admin/users/2/DOMAIN%5Cuser",
        "/admin/users/2/a%20b%3F%23%25",
        "/admin/users/2/a;b=1",
        "/admin/users/2/%252e%252e",
        "/admin/users/2/...",
        "/admin/users/2/x@y.example",
        "/admin/api-keys/9",
        "/admin/knowledge-bases/%E4%BA%A7%E5%93%81/visibility",
    ],
)
async def test_escapes_survive(administered: Suite, prefix: str, path: str) -> None:
    assert await raw(administered, prefix + path) == b"HTTP/1.1 200 OK"
    service = administered.kb if "knowledge-bases" in path else administered.auth
    assert service.requests[-1].raw_path == path


@pytest.mark.parametrize("prefix", ["", "/api"])
@pytest.mark.parametrize(
    "path",
    [
        "/admin/users/2/../../../internal/introspect",
        "/admin/users/2/%2e%2e/%2e%2e/%2e%2e/internal/introspect",
        "/admin/users/2/..%2f..%2f..%2finternal/introspect",
        "/admin/users/2/..%5c..%5c..%5cinternal",
        "/admin/users/2/..;/..;/internal/introspect",
        "/admin/users/2/.;x/alice",
        "/admin/users/2/./alice",
        "/admin/users/2//alice",
        "/admin/users/2/alice/",
        "/admin/users/2/",
        "/admin/users//alice",
        "/admin/clients/..",
        "/admin/clients/%2e%2e",
        "/admin/clients/../../internal/introspect",
        "/admin/clients/%2e%2e%2f%2e%2e%2finternal%2fintrospect",
        "/admin/clients/",
        "/admin/clients/a%00b",
        "/admin/clients/a%0d%0aX-Evil:%201",
        "/admin/clients/%7f",
        "/admin%2fclients/7",
        "/admin/clients%2f7",
        "/%61dmin/clients/7",
        "//admin/clients/7",
        "/admin//clients/7",
        "/admin/./clients/7",
        "/admin/clients;/7",
        "/ADMIN/clients/7",
        "/admin/clients/7/unknown",
        "/internal/introspect",
        "/%69nternal/introspect",
        "/internal%2fintrospect",
        "/admin/../internal/introspect",
        "/admin/clients/7%2f..%2f..%2f..%2finternal%2fintrospect",
    ],
)
async def test_no_spelling_leads_elsewhere(administered: Suite, prefix: str, path: str) -> None:
    line = await raw(administered, prefix + path)
    assert line.split()[1] == b"404", line
    services = (administered.auth, administered.session, administered.kb, administered.chat)
    asked = [request.path for service in services for request in service.requests]
    assert asked == []


async def test_an_escaped_slash_is_a_slash_to_all_of_us(administered: Suite) -> None:
    """The service decodes it, too: the route that answers is the one whose rules were applied."""
    assert (
        await raw(administered, "/admin/clients/7%2fv1-key") == b"HTTP/1.1 405 Method Not Allowed"
    )
    assert await raw(administered, "/admin/clients/7%2fv1-key", "DELETE") == b"HTTP/1.1 200 OK"
    assert administered.auth.requests[-1].raw_path == "/admin/clients/7%2fv1-key"
    assert administered.auth.requests[-1].path == "/admin/clients/7/v1-key"


@pytest.mark.parametrize(
    "raw_path",
    [b"/admin/clients/7#x", b"/admin/clients/7?x", b"/admin/clients/\xff", b"/admin/clients/a b"],
)
def test_what_no_address_holds_is_not_forwarded(raw_path: bytes) -> None:
    """A server that reads heads less strictly than ours must not change where a path ends."""
    (route,) = [r for r in ROUTES if (r.method, r.path) == ("GET", "/admin/clients/{client_id}")]
    assert upstream_path(route, raw_path) is None
    assert upstream_path(route, b"/api/admin/clients/7%23") == "/admin/clients/7%23"


async def test_a_fixed_path_wins_over_a_template(administered: Suite) -> None:
    found = RouteTable().find("/admin/users/revoke")
    assert found
    assert [route.path for route in found.values()] == ["/admin/users/revoke"]


async def test_a_wrong_method_of_a_template_says_the_right_ones(administered: Suite) -> None:
    answer = await administered.client.put("/api/admin/clients/7", headers=OPERATOR)
    assert answer.status_code == 405
    assert set(answer.headers["allow"].split(", ")) == {"GET", "HEAD", "PATCH", "DELETE"}
    assert answer.headers["content-type"] == "application/problem+json"


async def test_head_goes_where_get_does(administered: Suite) -> None:
    answer = await administered.client.head("/admin/clients/7", headers=OPERATOR)
    assert (answer.status_code, answer.content) == (200, b"")
    assert administered.auth.requests[-1].method == "GET"


def test_every_route_is_found_by_its_path_and_under_api() -> None:
    table = RouteTable()
    for route in ROUTES:
        path = an_address_of(route)
        for prefix in ("", "/api"):
            found = table.find(prefix + path)
            assert found
            assert found[route.method] == route
            assert upstream_path(route, (prefix + path).encode()) == path


def test_no_route_is_there_twice() -> None:
    keys = [(route.method, route.path) for route in ROUTES]
    assert len(keys) == len(set(keys))


def test_every_route_has_a_right_of_its_own() -> None:
    for route in ROUTES:
        if route.path.startswith("/admin/") and not route.public:
            assert route.surface == "management"
            assert route.admin_cookie
            assert not route.cookie
            own = route.path in ("/admin/logout", "/admin/me")
            assert own or route.scope in ("admin", "kb:write")
        if route.public:
            assert (route.limit, route.scope, route.cookie) == ("login", None, False)
        assert route.chat == (route.limit == "chat" and route.surface == "wire")
