"""The plain way to relay a model: FastAPI and the openai SDK, nothing stored; a reference.

Run: python -m bench.reference_relay VENDOR_BASE_URL PORT
"""

import sys
from collections.abc import AsyncIterator
from typing import Any

import uvicorn
from fastapi import FastAPI
from fastapi.responses import StreamingResponse
from openai import AsyncOpenAI


def create_app(base_url: str) -> FastAPI:
    app = FastAPI()
    client = AsyncOpenAI(base_url=base_url, api_key="none")

    @app.post("/chat")
    async def chat(body: dict[str, Any]) -> StreamingResponse:
        async def relay() -> AsyncIterator[str]:
            stream = await client.chat.completions.create(
                model="stub", messages=[{"role": "user", "content": body["query"]}], stream=True
            )
            async for chunk in stream:
                if chunk.choices and chunk.choices[0].delta.content:
                    yield chunk.choices[0].delta.content

        return StreamingResponse(relay(), media_type="text/event-stream")

    return app


if __name__ == "__main__":
    uvicorn.run(create_app(sys.argv[1]), port=int(sys.argv[2]), log_level="warning")
