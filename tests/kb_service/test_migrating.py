"""Vectors that were embedded move to a server, and nothing is computed or found differently."""

from collections.abc import Callable

import pytest

from kb_service.commands import CommandFault
from kb_service.commands.migrating import migrate
from kb_service.embeddings.available import Embedders
from kb_service.settings import KbSettings
from tests.kb_service.conftest import connected
from tests.kb_service.qdrant_server import qdrant_server

COLLECTION = Embedders().default.collection
Make = Callable[..., KbSettings]
ANNUAL, SICK = "年假每年十天。".encode(), "病假须附医院证明。".encode()


async def test_a_stopped_service_starts_again_on_a_server(
    make_settings: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    async with connected(make_settings()) as kb:
        await kb.create()
        await kb.uploaded(("a.txt", ANNUAL), ("b.txt", SICK))
        before = await kb.search("年假 医院")
        assert len(before) == 2
        with pytest.raises(CommandFault, match="stop kb_service"):
            await migrate(make_settings(), "http://127.0.0.1:1")
    async with qdrant_server() as server:
        assert await migrate(make_settings(), server.url) == 0
        assert f"{COLLECTION}: 1: 2 / 2" in capsys.readouterr().out
        server.asked.clear()
        assert await migrate(make_settings(), server.url) == 0
        assert f"PUT /collections/{COLLECTION}/points" not in server.asked, "they are there already"
        async with connected(make_settings(qdrant_url=server.url)) as kb:
            assert await kb.search("年假 医院") == before
            assert await kb.uploaded(("a.txt", "年假每年二十天。".encode()), override="true") == {}
        with pytest.raises(CommandFault, match="the newer one"):
            await migrate(make_settings(), server.url)
        assert (await server.engine.count(COLLECTION)).count == 2
