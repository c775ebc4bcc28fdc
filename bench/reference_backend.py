"""A service at its plainest: one FastAPI route that answers a small JSON body.

Run: python -m bench.reference_backend PORT
"""

import sys
from typing import Any

import uvicorn
from fastapi import FastAPI


def create_app() -> FastAPI:
    app = FastAPI()

    @app.get("/session/list")
    async def list_sessions() -> dict[str, Any]:
        return {"code": 200, "msg": "success", "data": []}

    return app


if __name__ == "__main__":
    uvicorn.run(create_app(), port=int(sys.argv[1]), log_level="warning")
