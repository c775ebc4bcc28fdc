"""What goes up and what comes down, as the services and the clients see it."""

import asyncio

import pytest

from tests.gateway.conftest import Suite

GOOD = {"Api-Token": "good"}


async def read_raw(suite: Suite, request: bytes) -> bytes:
    """The whole answer to bytes as they are, until the gateway closes."""

    reader, writer = await asyncio.open_connection(*suite.address)
    writer.write(request)
    await writer.drain()
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer


@pytest.mark.parametrize("prefix", ["", "/api"])
async def test_a_request_reaches_its_service_as_it_was(suite: Suite, prefix: str) -> None:
    answer = await suite.client.post(
        f"{prefix}/knowledge_base/search_docs?a=%E7%9F%A5&b=1+2&b=%2F",
        content=b'{"query": "\xe7\x9f\xa5"}',
        headers=[
            (b"Api-Token", b"good"),
            (b"Content-Type", b"application/json"),
            (b"X-Custom", "Grüße".encode()),
        ],
    )
    seen = answer.json()
    assert seen["method"] == "POST"
    assert seen["path"] == "/knowledge_base/search_docs?a=%E7%9F%A5&b=1+2&b=%2F"
    assert seen["body"].encode("latin-1") == b'{"query": "\xe7\x9f\xa5"}'
    headers = {name.lower(): value for name, value in seen["headers"]}
    assert headers["content-type"] == "application/json"
    assert headers["x-custom"] == "Grüße"
    assert headers["x-chat2llm-caller"] == "signed-for-alice"
    assert suite.kb.requests[0].method == "POST"


async def test_an_unknown_path_is_404_json(suite: Suite) -> None:
    for path in ("/nowhere", "/api/nowhere", "/internal/introspect", "/api/internal/search"):
        answer = await suite.client.get(path, headers=GOOD | {"Accept": "text/html"})
        assert (answer.status_code, answer.json()) == (404, {"detail": "Not Found"})
    answer = await suite.client.post("/internal/introspect", json={})
    assert answer.status_code == 404
    assert suite.auth.questions == []


async def test_a_wrong_method_is_405_with_the_right_ones(suite: Suite) -> None:
    answer = await suite.client.get("/api/chat/chat", headers=GOOD)
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    assert answer.json() == {"detail": "Method Not Allowed"}
