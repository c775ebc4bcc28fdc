"""A kill -9 at each moment of an edit: the old text or the new one answers, and no orphan stays."""

import asyncio
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from kb_service.settings import KbSettings
from tests.kb_service.conftest import connected
from tests.kb_service.dying_edit import MOMENTS
from tests.kb_service.test_chunks import chunk, edit, filled, texts
from tests.kb_service.test_durability import points
from tests.kb_service.test_kill import asked
from tests.stack import ROOT

pytestmark = pytest.mark.e2e

Make = Callable[..., KbSettings]
FIRST, SECOND = "年假每年二十天。", "年假每年三十天。"


async def killed(folder: Path, moment: str, chunk_id: str) -> None:
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.kb_service.dying_edit"),
        *(str(folder), moment, chunk_id, SECOND),
        cwd=ROOT,
        stderr=asyncio.subprocess.PIPE,
    )
    _, log = await child.communicate()
    assert child.returncode == -signal.SIGKILL, log.decode()


@pytest.mark.parametrize("moment", MOMENTS)
async def test_a_kill_leaves_one_of_both(make_settings: Make, tmp_path: Path, moment: str) -> None:
    async with connected(make_settings()) as kb:
        await filled(kb)
        changed = await edit(kb, "年假", FIRST)
    folder = tmp_path / "kb"
    await killed(folder, moment, changed["id"])
    is_done = moment in MOMENTS[3:]
    async with connected(make_settings()) as kb:
        assert await texts(kb, "年假") == [SECOND if is_done else FIRST]
        assert (await chunk(kb, "年假"))["content"] == (SECOND if is_done else FIRST)
    assert asked(folder, "SELECT state FROM index_version") == [("live",)] * 2
    assert asked(folder, "SELECT count(*) FROM chunk_revision") == [(1 + is_done,)]
    assert await points(tmp_path, 1) == 4


@pytest.mark.parametrize("moment", ["indexed", "after flip"])
async def test_a_kill_at_a_chunks_first_edit(
    make_settings: Make, tmp_path: Path, moment: str
) -> None:
    async with connected(make_settings()) as kb:
        await filled(kb)
        found = await chunk(kb, "年假")
    await killed(tmp_path / "kb", moment, found["id"])
    async with connected(make_settings()) as kb:
        kept = SECOND if moment == "after flip" else found["content"]
        assert await texts(kb, "年假") == [kept]
    assert await points(tmp_path, 1) == 4
