"""Operators' prompts: versions, the folder, the question's language, and every process."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.chat_service.conftest import Chat, StartChat, caller_header
from tests.chat_service.standins import KbStandIn
from tests.fakes.vendor import VendorServer, tokens

ADMIN = caller_header("admin")
PATH = "/admin/prompts/llm_chat/default"


async def put(chat: Chat, text: str, path: str = PATH) -> Any:
    return await chat.client.put(path, json={"text": text}, headers=ADMIN)


async def asked(chat: Chat, vendor: VendorServer, query: str = "你好", **body: Any) -> str:
    vendor.default = tokens(["好"])
    await chat.ask(query, **body)
    prompt: str = vendor.requests[-1].body["messages"][-1]["content"]
    return prompt


async def test_versions(chat: Chat, vendor: VendorServer) -> None:
    for text in ("甲：{{ input }}", "乙：{{input}} {% raw %}{{ other }}"):
        assert (await put(chat, text)).json()["source"] == "edited"
    assert await asked(chat, vendor) == "乙：你好 {% raw %}{{ other }}"
    history = await chat.client.get(f"{PATH}/history", headers=ADMIN)
    shown = [(one["version"], one["text"][0], one["author"]) for one in history.json()["items"]]
    assert shown == [(2, "乙", "7/u1"), (1, "甲", "7/u1")]
    await chat.post(f"{PATH}/restore", {"version": 1}, headers=ADMIN)
    assert await asked(chat, vendor) == "甲：你好"
    assert (await chat.client.delete(PATH, headers=ADMIN)).status_code == 204
    assert await asked(chat, vendor) == "你好"
    listed = (await chat.client.get("/admin/prompts", headers=ADMIN)).json()
    assert listed["total"] == 12
    assert {one["source"] for one in listed["items"]} == {"built-in"}
    again = await chat.post(f"{PATH}/restore", {"version": 9}, headers=ADMIN)
    assert again.status_code == 404


async def test_what_is_no_prompt(chat: Chat) -> None:
    for path, text in (
        (PATH, "no place for the question"),
        ("/admin/prompts/knowledge_base_chat/default", "{{ question }}"),
        ("/admin/prompts/shell/default", "{{ input }}"),
        ("/admin/prompts/llm_chat/a b", "{{ input }}"),
    ):
        assert (await put(chat, text, path)).status_code == 422, path
    assert (await chat.client.get("/admin/prompts")).status_code == 403
    unknown = await chat.client.get("/admin/prompts/llm_chat/nothing", headers=ADMIN)
    assert unknown.status_code == 404


async def test_the_language_of_the_question(
    chat: Chat, vendor: VendorServer, kb: KbStandIn
) -> None:
    kb.hold("Ten days.")
    prompt = await asked(chat, vendor, "How many days?", knowledge_base_name="kb1")
    assert "[Question]\nHow many days?" in prompt
    assert "as [1]" in prompt
    assert "【问题】" in await asked(chat, vendor, "几天", knowledge_base_name="kb1")


@pytest.mark.parametrize("other", ["folder", "process"])
async def test_what_others_change(
    other: str, start_chat: StartChat, vendor: VendorServer, tmp_path: Path
) -> None:
    folder = tmp_path / "prompts"
    (folder / "llm_chat").mkdir(parents=True)
    (folder / "llm_chat" / "bad.txt").write_text("no place", "utf-8")
    settings = {"custom_api_base_url": vendor.base_url, "prompts_folder": folder}
    chat = await start_chat(**settings)
    writer = await start_chat(**settings) if other == "process" else None
    if writer:
        await put(writer, "改：{{ input }}")
    else:
        (folder / "llm_chat" / "default.txt").write_text("改：{{ input }}", "utf-8")
    async with asyncio.timeout(20):
        while await asked(chat, vendor, session_id=None) != "改：你好":  # noqa: ASYNC110 - of another task
            await asyncio.sleep(0.1)
    unusable = await chat.client.get("/admin/prompts/llm_chat/bad", headers=ADMIN)
    assert unusable.status_code == 404
