"""An embeddings endpoint that lets tests stop a job while it writes its points."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kb_service.settings import KbSettings
from tests.serving import served


@dataclass
class Gate:
    """Open at first; while it is shut, `asked` tells that somebody waits before it."""

    url: str = ""
    status: int = 200
    is_open: asyncio.Event = field(default_factory=asyncio.Event)
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    texts: list[str] = field(default_factory=list)

    def open(self) -> None:
        self.is_open.set()

    def shut(self) -> None:
        self.is_open.clear()
        self.asked.clear()

    async def answer(self, request: Request) -> Response:
        texts = (await request.json())["input"]
        self.texts += texts
        self.asked.set()
        await self.is_open.wait()
        data = [{"index": n, "embedding": [1.0, float(len(text))]} for n, text in enumerate(texts)]
        usage = {"prompt_tokens": 7 * len(texts)}
        return Response(json.dumps({"data": data, "usage": usage}), self.status)

    def settings(self, make: Any, **options: Any) -> KbSettings:
        """Nothing is kept, so that all that is indexed passes the gate."""
        own = {"embedding_api_model": "gate", "embedding_cache_mb": 0}
        made: KbSettings = make(embedding_api_base_url=self.url, **own | options)
        return made


@asynccontextmanager
async def gated() -> AsyncIterator[Gate]:
    gate = Gate()
    gate.open()
    app = Starlette(routes=[Route("/v1/embeddings", gate.answer, methods=["POST"])])
    async with served(app) as url:
        gate.url = f"{url}/v1"
        try:
            yield gate
        finally:
            gate.open()  # whoever waits would keep the server from stopping
