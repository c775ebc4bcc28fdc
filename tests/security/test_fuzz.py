"""Odd values for every parameter and field that auth_service documents: refused, never 5xx."""

import json
import random
import re
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from tests.stack import Stack, running_stack

_REQUESTS = 600
_ODD: tuple[Any, ...] = (
    *(None, True, 0, -1, 2**31, 2**63, 10**400, -(2**63), 1.5, 1e308),
    *(
        "",
        "007",
        "\0",
        "\x1b[2J\r\nX: y",
        "😀" * 30,
        "é" * 70,
        "x" * 5000,
        "../..",
        "%00",
        "%2e%2e",
    ),
    *("' OR 1=1--", "c2l-" + "a" * 43, [], {}, [[]], [None], ["a"] * 101, ["\0"], {"x": 1}),
    *({"chat": "off"}, {"chat": "999999999999/second"}, ["https://a\nb"], "NaN", "admin"),
)
_SEGMENTS = (
    *("0", "1", "2", "007", "-1", "2147483648", "9223372036854775808", "1e3", "%00", "%ED%A0%80"),
    *(
        "%F0%9F%98%80",
        "a",
        "x" * 64,
        "x" * 65,
        "%2e%2e",
        "a%2Fb",
        "a%5Cb",
        "%0d%0aX",
        "%D9%A1",
        ";a",
    ),
)
_PLAIN: dict[str, tuple[Any, ...]] = {
    "integer": (0, 1, 2, -1, 2**31),
    "number": (0, 4_000_000_000, -1),
    "boolean": (True, False),
    "string": ("a", "chat", "x y", "😀", "2", "c" * 50),
    "null": (None,),
}


class Fuzz:
    """Makes requests from a document; the same seed makes the same ones."""

    def __init__(self, document: dict[str, Any], seed: int) -> None:
        self._random, self._schemas = random.Random(seed), document["components"]["schemas"]
        self._operations = [
            (method.upper(), path, operation)
            for path, operations in document["paths"].items()
            for method, operation in operations.items()
            if not path.endswith("/v1-key")  # each takes seconds of CPU
        ]

    def request(self) -> tuple[str, str, bytes | None]:
        method, path, operation = self._random.choice(self._operations)
        path = re.sub(r"\{[^}]+\}", lambda _: self._random.choice(_SEGMENTS), path)
        asked = [one for one in operation.get("parameters", ()) if one["in"] == "query"]
        values = [(one["name"], self._value(one["schema"])) for one in asked]
        query = "&".join(f"{name}={quote(_text(value))}" for name, value in values)
        if "requestBody" not in operation:
            return method, f"{path}?{query}", None
        [content] = operation["requestBody"]["content"].values()
        body = json.dumps(self._value(content["schema"]))
        if self._random.random() < 0.1:
            body = body.replace('"a"', '"\\ud800"')
        return method, f"{path}?{query}", body.encode()

    def _value(self, schema: dict[str, Any]) -> Any:
        if "$ref" in schema:
            schema = self._schemas[schema["$ref"].rpartition("/")[2]]
        elif self._random.random() < 0.3:
            return self._random.choice(_ODD)
        if "anyOf" in schema:
            return self._value(self._random.choice(schema["anyOf"]))
        if "properties" in schema:
            fields = schema["properties"].items()
            return {n: self._value(one) for n, one in fields if self._random.random() < 0.8}
        if schema.get("type") == "array":
            return [self._value(schema["items"]) for _ in range(self._random.randrange(4))]
        return self._random.choice(_PLAIN.get(schema.get("type", ""), ({},)))


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


@pytest.fixture
def stack(stack_folder: Callable[[], Path]) -> Iterator[Stack]:
    """One of its own: an operator who sends anything also deletes anything."""
    unlimited = {"LOGIN_FAILURES": "1000000/minute", "LIMIT_LOGIN": "off"}
    with running_stack(stack_folder(), **unlimited) as running:
        yield running


@pytest.mark.e2e
@pytest.mark.xdist_group("fuzz")  # need not wait until the shared product is free
def test_no_value_of_any_field_is_an_error_of_ours(stack: Stack) -> None:
    operator = {"Authorization": f"Bearer {stack.admin_key}"}
    statuses: Counter[int] = Counter()
    with httpx.Client(base_url=stack.url, timeout=30) as client:
        fuzz = Fuzz(client.get("/openapi/auth_service.json").json(), seed=3)
        for _ in range(_REQUESTS):
            method, url, body = fuzz.request()
            public = url.startswith(("/sso", "/ent-wechat-sso", "/auth/", "/admin/login"))
            headers = {"Content-Type": "application/json"} | ({} if public else operator)
            answer = client.request(method, url, content=body, headers=headers)
            assert answer.status_code < 500, (method, url, body, answer.text)
            statuses[answer.status_code] += 1
    assert statuses[200] > 20, statuses  # it is not only refused at the door
    assert statuses[422] > 100, statuses
