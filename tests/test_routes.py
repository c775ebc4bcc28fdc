"""The gateway's table and the services' routes are the same: a new route without an entry fails."""

import importlib
import re
from pathlib import Path

import pytest

from deploy.launcher import SETTINGS
from deploy.routes import DOCUMENT, document
from gateway.routing import ROUTES, SERVICES, RouteTable

# Asked by our own processes, and never forwarded.
_INSIDE = re.compile(r"/internal/.*|/livez|/readyz")


def offered(service: str, data: Path) -> set[tuple[str, str]]:
    """Method and path of each operation of a service, as its OpenAPI document says."""
    settings = SETTINGS[service].model_validate({"chat2llm_data": data})
    app = importlib.import_module(f"{service}.app").create_app(settings)
    return {
        (method.upper(), path)
        for path, operations in app.openapi()["paths"].items()
        for method in operations
    }


def routed(service: str) -> set[tuple[str, str]]:
    return {
        (route.method, route.path.replace(":path}", "}"))
        for route in ROUTES
        if route.upstream == service
    }


@pytest.mark.parametrize("service", SERVICES)
def test_each_route_of_a_service_is_in_the_table_and_no_other(service: str, tmp_path: Path) -> None:
    outside = {
        (method, path) for method, path in offered(service, tmp_path) if not _INSIDE.fullmatch(path)
    }
    assert outside - routed(service) == set(), "no entry in gateway/routing.py"
    assert routed(service) - outside == set(), "no such route in the service"


@pytest.mark.parametrize("service", SERVICES)
def test_nothing_of_the_inside_is_in_the_table(service: str, tmp_path: Path) -> None:
    table = RouteTable()
    for _, path in offered(service, tmp_path):
        if _INSIDE.fullmatch(path):
            assert table.find(path) is None
            assert table.find(f"/api{path}") is None


def test_the_table_of_routes_is_up_to_date() -> None:
    """`make docs` writes it."""
    assert DOCUMENT.read_text(encoding="utf-8") == document()
