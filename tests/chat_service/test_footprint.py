"""What the serving process does not import: start-up time and memory are budgets."""

import json
import sys
from asyncio.subprocess import PIPE, create_subprocess_exec
from pathlib import Path

from tests.chat_service.conftest import caller_header
from tests.chat_service.standins import KbStandIn, SessionStandIn
from tests.fakes.vendor import VendorServer

HEAVY = {
    *("langchain", "langchain_core", "langchain_openai", "langgraph", "openai", "mcp"),
    *("ddgs", "jsonschema", "numpy", "alembic", "jinja2"),
}
PROGRAM = """
import asyncio, json, sys
import httpx
from chat_service.app import create_app
from chat_service.settings import ChatSettings

async def main():
    data, session, kb, vendor, header = sys.argv[1:]
    settings = ChatSettings(
        chat2llm_data=data, session_url=session, kb_url=kb, custom_api_base_url=vendor
    )
    app = create_app(settings)
    async with app.router.lifespan_context(app):
        client = httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url="http://x", headers=json.loads(header)
        )
        for name in ("custom-api", "offline"):
            asked = {"query": "年假", "model_name": name, "knowledge_base_name": "kb1"}
            for path in ("/chat/chat", "/chat/knowledge_base_chat"):
                assert (await client.post(path, json=asked)).status_code == 200
        await client.aclose()
    print(json.dumps([name for name in sys.modules if "." not in name]))

asyncio.run(main())
"""


async def test_nothing_heavy_is_imported(
    data: Path, sessions: SessionStandIn, kb: KbStandIn, vendor: VendorServer
) -> None:
    arguments = (str(data), sessions.url, kb.url, vendor.base_url, json.dumps(caller_header()))
    child = await create_subprocess_exec(
        sys.executable, "-c", PROGRAM, *arguments, cwd=Path.cwd(), stdout=PIPE, stderr=PIPE
    )
    output, errors = await child.communicate()
    assert child.returncode == 0, errors.decode()
    imported = set(json.loads(output.splitlines()[-1]))
    assert "chat_service" in imported
    assert not imported & HEAVY
    assert len(vendor.requests) == 2
