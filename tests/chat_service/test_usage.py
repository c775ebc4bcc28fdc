"""Tokens are counted for whose request it was, priced, summed up, exported and limited."""

import csv
import io
import sqlite3
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.chat_service.conftest import Chat, StartChat, caller_header
from tests.chat_service.standins import KbStandIn, SessionStandIn
from tests.fakes.vendor import END, VendorServer, chunks, event, tokens
from tests.fakes.vendor import data as sent

ADMIN = caller_header("admin")
TODAY = datetime.now().astimezone().strftime("%Y-%m-%d")


def counted(prompt: int = 7, completion: int = 2) -> Any:
    usage = sent(
        {"choices": [], "usage": {"prompt_tokens": prompt, "completion_tokens": completion}}
    )
    return chunks([event("好"), END[0], usage, END[1]])


async def shown(chat: Chat, **query: Any) -> list[dict[str, Any]]:
    answer = await chat.client.get("/admin/usage", params=query, headers=ADMIN)
    assert answer.status_code == 200, answer.text
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


async def put_quota(chat: Chat, **quota: Any) -> httpx.Response:
    return await chat.client.put("/admin/quotas", json=quota, headers=ADMIN)


async def test_what_was_used_is_summed_up(chat: Chat, vendor: VendorServer, kb: KbStandIn) -> None:
    kb.hold("年假五天。")
    vendor.then(counted(), counted(), tokens(["好"]))
    await chat.said()
    await chat.said(knowledge_base_name="kb1", session_id="6" * 32)
    await chat.post("/other/completion", {"query": "你好"})  # this vendor's answer is not counted
    (day,) = await shown(chat)
    assert (day["day"], day["requests"], day["estimated_requests"]) == (TODAY, 3, 1)
    assert day["prompt_tokens"] > 14
    by_mode = {
        (row["mode"], row["knowledge_base"]): row["completion_tokens"]
        for row in await shown(chat, by=["mode", "knowledge_base"])
    }
    assert by_mode["chat/chat", ""] == by_mode["chat/knowledge_base_chat", "kb1"] == 2
    assert by_mode["other/completion", ""] > 0
    (mine,) = await shown(chat, by=["client_id", "user_id", "model"], mode="chat/chat")
    assert (mine["client_id"], mine["user_id"], mine["model"]) == ("7", "u1", "custom-api")
    assert await shown(chat, since="2000-01-01", until="2000-01-02") == []


async def test_costs_are_of_the_prices_that_held(chat: Chat, vendor: VendorServer) -> None:
    prices = {"input_price": 2, "output_price": 10, "currency": "CNY"}
    changed = await chat.client.patch("/admin/models/custom-api", json=prices, headers=ADMIN)
    assert changed.status_code == 200, changed.text
    vendor.then(counted(1_000_000, 100_000))
    await chat.said()
    await chat.client.patch("/admin/models/custom-api", json={"input_price": 9}, headers=ADMIN)
    (day,) = await shown(chat)
    assert (day["cost"], day["currency"]) == (3.0, "CNY")


async def test_the_export_holds_no_formula(
    start_chat: StartChat, vendor: VendorServer, kb: KbStandIn
) -> None:
    chat = await start_chat(custom_api_base_url=vendor.base_url)
    kb.names.add("=1+1")
    vendor.then(counted())
    await chat.said(knowledge_base_name="=1+1")
    query = {"by": ["knowledge_base", "day"]}
    answer = await chat.client.get("/admin/usage.csv", params=query, headers=ADMIN)
    assert answer.headers["content-type"].startswith("text/csv")
    assert answer.headers["content-disposition"].startswith("attachment")
    (row,) = csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig")))
    assert (row["knowledge_base"], row["day"], row["prompt_tokens"]) == ("'=1+1", TODAY, "7")


@pytest.mark.parametrize(
    "quota",
    [
        {"client_id": "7", "per": "client"},
        {"client_id": "7", "per": "user"},
        {"client_id": "7", "per": "user", "user_id": "u1"},
    ],
)
async def test_a_quota_is_asked_before_the_model(
    chat: Chat, vendor: VendorServer, sessions: SessionStandIn, quota: dict[str, Any]
) -> None:
    made = (await put_quota(chat, **quota, daily_tokens=9)).json()
    vendor.then(counted(), counted())
    assert "好" in await chat.said()
    refused = await chat.said()
    assert "今天的用量已达上限" in refused
    assert len(vendor.requests) == 1
    assert [turn.state for turn in sessions.turns.values()] == ["done", "failed"]
    hello = {"model": "custom-api", "messages": [{"role": "user", "content": "你好"}]}
    answer = await chat.post("/v1/chat/completions", hello)
    assert (answer.status_code, answer.json()["error"]["code"]) == (429, "quota_used_up")
    assert 0 < int(answer.headers["retry-after"]) <= 86_400
    listed = (await chat.client.get("/admin/quotas", headers=ADMIN)).json()["items"]
    of_each = quota.get("user_id") is None and quota["per"] == "user"
    assert [item["used_today"] for item in listed] == [None if of_each else 9]
    gone = await chat.client.delete(f"/admin/quotas/{made['id']}", headers=ADMIN)
    assert gone.status_code == 204
    assert "好" in await chat.said()


async def test_ones_own_quota_beats_that_of_all(
    start_chat: StartChat, vendor: VendorServer
) -> None:
    chat = await start_chat(custom_api_base_url=vendor.base_url, quota_user_daily_tokens=1)
    vendor.then(counted(), counted())
    await chat.said()
    assert "上限" in await chat.said()
    await put_quota(chat, client_id="7", per="user", daily_tokens=2)
    assert "上限" in await chat.said()
    await put_quota(chat, client_id="7", per="user", user_id="u1", daily_tokens=0)
    assert "好" in await chat.said()


async def test_quotas_hold_while_they_cannot_be_read(
    chat: Chat, vendor: VendorServer, data: Path
) -> None:
    await put_quota(chat, client_id="7", per="client", daily_tokens=9)
    with sqlite3.connect(data / "chat" / "chat.db") as database:
        database.execute("ALTER TABLE quota RENAME TO away")
    database.close()
    vendor.then(counted(), counted())
    assert await chat.said() == "好"
    assert "今天的用量已达上限" in await chat.said()


async def test_odd_counts_hold_up_no_other(chat: Chat, vendor: VendorServer) -> None:
    vendor.then(counted(2**63, -5), counted())
    await chat.said()
    await chat.said()
    (day,) = await shown(chat)
    assert (day["requests"], day["prompt_tokens"]) == (2, 2**31 - 1 + 7)
    assert day["completion_tokens"] == 2


async def test_a_quota_set_again_is_the_same_one(chat: Chat) -> None:
    of_each = {"client_id": "7", "per": "user"}
    first = (await put_quota(chat, **of_each, daily_tokens=1)).json()
    await put_quota(chat, **of_each, user_id="u1", daily_tokens=1)
    again = (await put_quota(chat, **of_each, daily_tokens=2)).json()
    assert again == first | {"daily_tokens": 2}
    assert (await chat.client.get("/admin/quotas", headers=ADMIN)).json()["total"] == 2


async def test_only_operators(chat: Chat) -> None:
    for method, path in (
        ("GET", "/admin/usage"),
        ("GET", "/admin/quotas"),
        ("PUT", "/admin/quotas"),
    ):
        assert (await chat.client.request(method, path, json={})).status_code == 403
    wrong = await put_quota(chat, client_id="7", per="client", user_id="u1", daily_tokens=1)
    assert wrong.status_code == 422
    assert (await chat.client.delete("/admin/quotas/99", headers=ADMIN)).status_code == 404
    far = await chat.client.delete(f"/admin/quotas/{2**63}", headers=ADMIN)
    assert far.status_code == 422
    assert await shown(chat, until="0001-01-02") == []
