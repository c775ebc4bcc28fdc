"""A product of its own for attacks: real processes, and no rate in the way."""

import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.stack import Client, Stack, running_stack
from tests.tokens import mint_token

_UNLIMITED = {
    "LOGIN_FAILURES": "1000000/minute",
    "LIMIT_CHAT": "off",
    "LIMIT_SEARCH": "off",
    "LIMIT_UPLOAD": "off",
    "LIMIT_LOGIN": "off",
}


@dataclass(frozen=True, slots=True)
class Fortress:
    """The running product and an operator's view of it."""

    stack: Stack
    operator: httpx.Client
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    @property
    def url(self) -> str:
        return self.stack.url

    def client(self, name: str) -> Client:
        return self.stack.add_client(name)

    def user_id(self) -> str:
        return f"user-{next(self._numbers)}"

    def token(self, client: Client, user_id: str, **odd: Any) -> str:
        """A v1 token; `odd` makes a bad one."""
        return mint_token(client_id=client.id, public_key=client.public_key, user_id=user_id, **odd)

    def session_token(self, token: str) -> str:
        answer = httpx.post(f"{self.url}/auth/exchange", json={"token": token})
        assert answer.status_code == 200, answer.text
        return str(answer.json()["session_token"])

    def api_key(self, *scopes: str, **fields: Any) -> tuple[str, str]:
        """A new key's id and text."""
        wanted = {"name": "key", "scopes": list(scopes), "client_id": None} | fields
        made = self.admin("POST", "/admin/api-keys", **wanted)
        return str(made["api_key"]["key_id"]), str(made["key"])

    def audited(self, wanted: Callable[[dict[str, Any]], bool]) -> list[dict[str, Any]]:
        """Entries of the audit log, waited for: refusals are written a second later."""
        deadline = time.monotonic() + 20
        while True:
            page = self.admin("GET", "/admin/audit?page_size=200")
            found = [entry for entry in page["items"] if wanted(entry)]
            if found or time.monotonic() > deadline:
                return found
            time.sleep(0.1)

    def admin(self, method: str, path: str, **body: Any) -> Any:
        answer = self.operator.request(method, path, json=body or None)
        assert answer.is_success, answer.text
        return answer.json() if answer.content else None


@pytest.fixture(scope="session")
def fortress(stack_folder: Callable[[], Path]) -> Iterator[Fortress]:
    with running_stack(stack_folder(), **_UNLIMITED) as stack:
        headers = {"Authorization": f"Bearer {stack.admin_key}"}
        with httpx.Client(base_url=stack.url, headers=headers, timeout=30) as operator:
            yield Fortress(stack, operator)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "fortress" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.e2e)
            item.add_marker(pytest.mark.xdist_group("fortress"))
