"""`/admin/models`: what operators add and change, and who gets to use it."""

import asyncio
import logging
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.chat_service.conftest import Chat, StartChat, caller_header
from tests.chat_service.standins import SessionStandIn
from tests.fakes.vendor import VendorServer, hang, status, tokens

KEY = "sk-operator-1234567890abcd"
PATH = "/admin/models"


class Operator:
    """An administrator's calls to one running chat_service."""

    def __init__(self, chat: Chat) -> None:
        self.chat = chat

    async def call(self, method: str, path: str = "", body: Any = None) -> httpx.Response:
        headers = caller_header("admin")
        return await self.chat.client.request(method, PATH + path, json=body, headers=headers)

    async def add(self, name: str, base_url: str, **more: Any) -> dict[str, Any]:
        body = {"name": name, "base_url": base_url, "model": "m-1", "api_key": KEY} | more
        answer = await self.call("POST", body=body)
        assert answer.status_code == 201, answer.text
        added: dict[str, Any] = answer.json()
        return added


@pytest.fixture
async def operator(start_chat: StartChat) -> Operator:
    """Of an installation without any model of its own."""
    return Operator(await start_chat())


async def refusal(answer: httpx.Response) -> str:
    assert answer.headers["content-type"] == "application/problem+json"
    return f"{answer.status_code} {answer.json()['detail']}"


async def test_an_added_model_answers_at_once_and_keeps_its_key(
    operator: Operator, vendor: VendorServer, data: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        added = await operator.add("mine", vendor.base_url, is_default=True)
        assert (added["key"], added["source"], added["is_default"]) == ("…abcd", "registry", True)
        vendor.then(tokens(["好"]))
        assert await operator.chat.said() == "好"
    assert vendor.requests[0].headers["authorization"] == f"Bearer {KEY}"
    assert vendor.requests[0].body["model"] == "m-1"
    listed = (await operator.call("GET")).text
    assert KEY not in listed + caplog.text
    stored = b"".join(path.read_bytes() for path in (data / "chat").iterdir())
    assert KEY.encode() not in stored
    assert (data / "chat" / "master.key").stat().st_mode & 0o777 == 0o600


async def test_the_list_has_what_config_ini_says_too(
    start_chat: StartChat, vendor: VendorServer
) -> None:
    operator = Operator(await start_chat(custom_api_base_url=vendor.base_url))
    await operator.add("b-mine", vendor.base_url)
    listed = (await operator.call("GET", "?page_size=2&page=1")).json()
    assert (listed["total"], listed["page_size"]) == (3, 2)
    assert [(item["name"], item["source"]) for item in listed["items"]] == [
        ("b-mine", "registry"),
        ("custom-api", "config"),
    ]
    assert listed["items"][1]["is_default"]
    assert (await operator.call("GET", "?page_size=2&page=2")).json()["items"][0][
        "name"
    ] == "offline"


async def test_only_operators_get_there(operator: Operator) -> None:
    for method, path in (("GET", ""), ("POST", ""), ("PATCH", "/x"), ("POST", "/x/test")):
        answer = await operator.chat.client.request(method, PATH + path, json={})
        assert answer.status_code == 403


async def test_changes_act_at_once(operator: Operator, vendor: VendorServer) -> None:
    await operator.add("mine", "http://127.0.0.1:9/v1", is_default=True, input_price=1.5)
    changed = await operator.call("PATCH", "/mine", {"base_url": vendor.base_url, "api_key": None})
    assert (changed.json()["key"], changed.json()["input_price"]) == (None, 1.5)
    vendor.then(tokens(["好"]), tokens(["吗"]))
    assert await operator.chat.said() == "好"
    assert "authorization" not in vendor.requests[0].headers
    await operator.call("PATCH", "/mine", {"enabled": False})
    assert "离线" in await operator.chat.said(model_name="mine")
    await operator.call("PATCH", "/mine", {"enabled": True, "is_default": False})
    assert await operator.chat.said(model_name="mine") == "吗"
    assert (await operator.call("DELETE", "/mine")).status_code == 204
    assert (await operator.call("GET", "/mine")).status_code == 404
    assert "离线" in await operator.chat.said(model_name="mine")


async def test_how_a_model_of_config_ini_is_operated_may_be_set(
    start_chat: StartChat, vendor: VendorServer
) -> None:
    operator = Operator(await start_chat(custom_api_base_url=vendor.base_url))
    set_values = {"output_price": 8, "currency": "USD", "max_output_tokens": 5}
    answer = await operator.call("PATCH", "/custom-api", set_values)
    assert {key: answer.json()[key] for key in set_values} == set_values
    await operator.chat.said(max_tokens=99)
    assert vendor.requests[0].body["max_tokens"] == 5
    assert "config.ini" in await refusal(
        await operator.call("PATCH", "/custom-api", {"model": "other"})
    )
    assert (await operator.call("DELETE", "/custom-api")).status_code == 409
    assert (
        await operator.call("POST", body={"name": "custom-api", "preset": "ollama"})
    ).status_code == 409
    await operator.call("PATCH", "/custom-api", {"enabled": False})
    assert "离线" in await operator.chat.said()


@pytest.mark.parametrize(
    "body",
    [
        {"base_url": "ftp://x"},
        {"base_url": "http://user:pw@x/v1"},
        {"base_url": "http://x/v1?key=1"},
        {"base_url": "http://[::1"},
        {"preset": "nobody"},
        {},
        {"base_url": "http://x", "name": "a/b"},
        {"base_url": "http://x", "name": "kb:x"},
        {"base_url": "http://x", "apikey": "k"},
        {"base_url": "http://x", "input_price": -1},
        {"base_url": "http://x", "temperature_min": 1, "temperature_max": 0.5},
        {"base_url": "http://x", "fallbacks": ["nobody"]},
        {"base_url": "http://x", "fallbacks": ["new"]},
        {"base_url": "http://x", "fallbacks": ["offline"]},
    ],
    ids=str,
)
async def test_what_makes_no_sense_is_refused(operator: Operator, body: dict[str, Any]) -> None:
    answer = await operator.call("POST", body={"name": "new", "api_key": KEY} | body)
    assert answer.status_code == 422
    assert KEY not in answer.text
    assert (await operator.call("GET")).json()["total"] == 1


async def test_changes_that_make_no_sense_change_nothing(operator: Operator) -> None:
    before = await operator.add("mine", "http://x/v1", temperature_min=0.5)
    for changes in (
        {"temperature_max": 0.1},
        {"enabled": None},
        {"base_url": "nowhere"},
        {"base_url": "http://elsewhere/v1"},  # and the key would go with it
        {"fallbacks": ["mine"]},
    ):
        assert (await operator.call("PATCH", "/mine", changes)).status_code == 422
    assert (await operator.call("PATCH", "/offline", {"enabled": False})).status_code == 422
    assert (await operator.call("PATCH", "/nobody", {})).status_code == 404
    assert (await operator.call("GET", "/mine")).json() == before


async def test_a_preset_needs_a_key_only(operator: Operator) -> None:
    answer = await operator.call(
        "POST", body={"name": "zhipu-api", "preset": "zhipu-api", "api_key": KEY}
    )
    added = answer.json()
    assert added["base_url"].startswith("https://open.bigmodel.cn/")
    assert (added["model"], added["preset"]) == ("glm-4.7-flash", "zhipu-api")
    assert added["is_default"]  # the only model that there is


async def test_the_test_button_really_asks(operator: Operator, vendor: VendorServer) -> None:
    await operator.add("mine", vendor.base_url, enabled=False)
    vendor.then(tokens(["OK"]), status(401, {"error": {"message": f"bad key {KEY}"}}), hang())
    result = (await operator.call("POST", "/mine/test")).json()
    assert (result["ok"], result["answer"], result["error"]) == (True, "OK", None)
    assert result["latency_ms"] >= 0
    result = (await operator.call("POST", "/mine/test")).json()
    assert not result["ok"]
    assert "API_KEY" in result["error"]
    assert "bad key ***" in result["detail"]
    assert len(vendor.requests) == 2
    assert (await operator.call("POST", "/offline/test")).status_code == 422


async def test_a_fallback_answers_when_the_first_does_not_begin(
    operator: Operator, vendor: VendorServer, sessions: SessionStandIn
) -> None:
    async with VendorServer(status(400, {"error": {"message": "no"}})) as broken:
        await operator.add("second", vendor.base_url)
        await operator.add("first", broken.base_url, fallbacks=["second"], is_default=True)
        vendor.then(tokens(["好"]))
        assert await operator.chat.said() == "好"
    assert sessions.turn.state == "done"


async def test_other_processes_follow(
    operator: Operator, start_chat: StartChat, vendor: VendorServer
) -> None:
    """Two processes on one database, as far as they can tell."""
    other = Operator(await start_chat())
    await operator.add("mine", vendor.base_url)

    async def followed() -> None:
        while (await other.call("GET", "/mine")).status_code != 200:  # noqa: ASYNC110 - it polls
            await asyncio.sleep(0.05)

    async with asyncio.timeout(10):
        await followed()
    vendor.then(tokens(["好"]))
    assert await other.chat.said(model_name="mine") == "好"
    # Both change the same model: neither undoes what the other set a moment ago.
    await operator.call("PATCH", "/mine", {"input_price": 1})
    shown = (await other.call("PATCH", "/mine", {"output_price": 2})).json()
    assert (shown["input_price"], shown["output_price"]) == (1, 2)


async def test_a_key_under_another_master_key(
    operator: Operator, start_chat: StartChat, vendor: VendorServer
) -> None:
    await operator.add("mine", vendor.base_url)
    other = Operator(await start_chat(master_key="another-" * 8))
    shown = (await other.call("GET", "/mine")).json()
    assert (shown["usable"], shown["key"]) == (False, None)
    assert "master key" in shown["problem"]
    again = await other.call("PATCH", "/mine", {"api_key": KEY})
    assert (again.json()["usable"], again.json()["problem"]) == (True, None)
