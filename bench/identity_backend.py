"""What stands behind the gateway when identity alone is measured.

Two routes of the same body at their plainest, one public and one identified; questions about
identity go on to the real auth_service, as the gateway asks them.

Run: python -m bench.identity_backend PORT AUTH_URL
"""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import uvicorn
from fastapi import FastAPI, Request, Response

PUBLIC, IDENTIFIED = "/auth/exchange", "/knowledge_base/search_docs"


def create_app(auth_url: str) -> FastAPI:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with httpx.AsyncClient(base_url=auth_url) as app.state.auth:
            yield

    app = FastAPI(lifespan=lifespan)

    @app.post(PUBLIC)
    @app.post(IDENTIFIED)
    async def plain(request: Request) -> Response:
        await request.body()
        return Response(b"[]", media_type="application/json")

    @app.api_route("/internal/{path}", methods=["GET", "POST"])
    async def ask_auth(path: str, request: Request) -> Response:
        headers = {"Authorization": request.headers["Authorization"]}
        headers |= {"Content-Type": "application/json"}
        answer = await request.app.state.auth.request(
            request.method, f"/internal/{path}", content=await request.body(), headers=headers
        )
        return Response(answer.content, answer.status_code, media_type="application/json")

    return app


if __name__ == "__main__":
    uvicorn.run(create_app(sys.argv[2]), port=int(sys.argv[1]), log_level="warning")
