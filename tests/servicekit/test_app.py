"""Request ids, health, and the server of every service."""

import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from fastapi import FastAPI

from servicekit.app import Check, build_app
from servicekit.errors import Unavailable
from servicekit.logs import request_id
from tests.servicekit.conftest import ClientOf
from tests.stack import ROOT, free_ports, wait_until_ready


def _app(*checks: Check) -> FastAPI:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.ready_checks = checks
        yield

    app = build_app(title="shop", lifespan=lifespan)

    @app.get("/id")
    async def show_id() -> str:
        return request_id.get()

    return app


async def _passes() -> None:
    return None


async def _fails() -> None:
    raise ConnectionError("the database of the shop")


async def _is_away() -> None:
    raise Unavailable("away")


async def test_a_well_formed_request_id_is_kept(client_of: ClientOf) -> None:
    client = await client_of(_app())

    answer = await client.get("/id", headers={"X-Request-ID": "from.outside_1-2"})

    assert answer.json() == answer.headers["X-Request-ID"] == "from.outside_1-2"


@pytest.mark.parametrize(
    "given", ["", "short", "x" * 65, "with space in", "编号编号编号编号", "a\tb12345"]
)
async def test_another_request_id_is_made(client_of: ClientOf, given: str) -> None:
    client = await client_of(_app())

    answers = [await client.get("/id", headers={b"X-Request-ID": given.encode()}) for _ in "12"]

    made = [answer.headers["X-Request-ID"] for answer in answers]
    assert [answer.json() for answer in answers] == made
    assert all(len(one) == 32 for one in made)
    assert made[0] != made[1]


async def test_live_and_ready(client_of: ClientOf) -> None:
    client = await client_of(_app(_passes))

    for path in ("/livez", "/readyz"):
        answer = await client.get(path)
        assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


async def test_a_failed_need_is_not_ready_but_live(client_of: ClientOf) -> None:
    client = await client_of(_app(_passes, _fails))

    answer = await client.get("/readyz")

    assert (answer.status_code, answer.json()["reason"]) == (503, None), "it may be a secret"
    assert answer.headers["Retry-After"] == "1"
    assert (await client.get("/livez")).status_code == 200


async def test_a_need_that_is_known_to_fail_is_named(client_of: ClientOf) -> None:
    client = await client_of(_app(_is_away))

    assert (await client.get("/readyz")).json() == {"status": "unavailable", "reason": "away"}


SHOP = """
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from servicekit.app import build_app, serve
from servicekit.settings import ServiceSettings

class ShopSettings(ServiceSettings):
    owned_sections = ("shop",)
    shop_port: int = 1

def create_app():
    @asynccontextmanager
    async def lifespan(app):
        yield
    return build_app(title="shop", lifespan=lifespan)

def address():
    return "127.0.0.1", ShopSettings.load().shop_port

if __name__ == "__main__":
    serve("shop:create_app", address)
"""


@pytest.fixture
def shop(tmp_path: Path) -> list[str]:
    """A command that serves, as `python -m <service>` does."""
    (tmp_path / "shop.py").write_text(SHOP)
    return [sys.executable, "-c", f"import sys; sys.path.append({str(ROOT)!r})\n" + _RUN_MODULE]


_RUN_MODULE = "import runpy; runpy.run_module('shop', run_name='__main__', alter_sys=True)"


def test_serving_reads_the_named_file_and_ends_on_sigterm(shop: list[str], tmp_path: Path) -> None:
    (port,) = free_ports(1)
    (tmp_path / "my.ini").write_text(f"[shop]\nSHOP_PORT = {port}\n")
    process = subprocess.Popen([*shop, "--config", "my.ini"], cwd=tmp_path)
    try:
        wait_until_ready([port], process)
    finally:
        process.terminate()
        code = process.wait(20)

    assert code in (0, -15)


@pytest.mark.parametrize("arguments", [["--config", "missing.ini"], []])
def test_a_wrong_configuration_is_one_line_and_no_traceback(
    shop: list[str], tmp_path: Path, arguments: list[str]
) -> None:
    (tmp_path / "config.ini").write_text("[shop]\nSHOP_PROT = 1\n")
    ended = subprocess.run(
        [*shop, *arguments],
        cwd=tmp_path,
        env=os.environ | {"PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert ended.returncode != 0
    assert "Traceback" not in ended.stderr
    assert "SHOP_PROT" in ended.stderr or "missing.ini" in ended.stderr
