"""What tests of the whole product share: its front doors, and one before a scripted vendor."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiohttp import web

from tests.conftest import OpenStack
from tests.fakes.vendor import VendorServer
from tests.fakes.web import WebServer
from tests.front import nginx_in_front
from tests.stack import Stack


@pytest.fixture(scope="module", params=["gateway", "nginx"])
def door(
    request: pytest.FixtureRequest, stack: Stack, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """Where the browser goes."""
    if request.param == "gateway":
        yield stack.url
        return
    folder: Path = tmp_path_factory.mktemp("nginx")
    with nginx_in_front(stack.url, folder) as url:
        yield url


@dataclass(frozen=True, slots=True)
class Scripted:
    """The product before a scripted vendor, and `client`, an operator's."""

    stack: Stack
    vendor: VendorServer
    internet: WebServer
    client: httpx.AsyncClient

    async def knowledge_base(self, name: str, **files: str) -> None:
        """A new one that is searched by words."""
        new = {"name": name, "zh_name": name, "embed_model": "lexical"}
        made = await self.client.post("/admin/knowledge-bases", json=new)
        assert made.status_code == 201, made.text
        uploaded = await self.client.post(
            "/knowledge_base/upload_docs",
            data={"knowledge_base_name": name},
            files=[("files", (f"{file}.txt", text)) for file, text in files.items()],
        )
        assert uploaded.json()["data"] == {"failed_files": {}}

    async def api_key(self, *scopes: str, **fields: Any) -> str:
        wanted = {"name": "key", "scopes": scopes, "client_id": None} | fields
        made = await self.client.post("/admin/api-keys", json=wanted)
        assert made.status_code == 201, made.text
        key: str = made.json()["key"]
        return key


@pytest.fixture(scope="session")
async def scripted(open_stack: OpenStack) -> AsyncIterator[Scripted]:
    """One for all tests that script what the model says."""
    async with VendorServer() as vendor, WebServer() as internet:
        internet.put("/v1/embeddings", _vectors)
        with open_stack(
            CUSTOM_API_BASE_URL=vendor.base_url,
            SEARXNG_URL=internet.url,
            EMBEDDING_API_BASE_URL=f"{internet.url}/v1",
            EMBEDDING_API_MODEL="lengths",
            LLM_FIRST_TOKEN_TIMEOUT="2",
            LLM_TOKEN_TIMEOUT="1",
        ) as stack:
            headers = {"Authorization": f"Bearer {stack.admin_key}"}
            async with httpx.AsyncClient(base_url=stack.url, headers=headers, timeout=60) as client:
                yield Scripted(stack, vendor, internet, client)


async def _vectors(request: web.Request) -> web.Response:
    texts = (await request.json())["input"]
    data = [{"index": n, "embedding": [1.0, float(len(text))]} for n, text in enumerate(texts)]
    return web.json_response({"data": data, "usage": {"prompt_tokens": 7 * len(texts)}})
