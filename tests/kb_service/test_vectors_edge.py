"""The embedded engine's own promises: durability, one owner, short calls, small imports."""

import asyncio
import shutil
import signal
import subprocess
import sys
import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from kb_service.vectors import Point, SparseVector, StoreInUse, VectorIndex, open_index
from kb_service.vectors.edge import EdgeIndex


def open_edge(folder: Path) -> VectorIndex:
    return open_index(url=None, api_key=None, folder=folder, collection="c")


def points(*numbers: int) -> list[Point]:
    return [
        Point(
            id=str(uuid.UUID(int=number)),
            kb_id=1,
            version="v1",
            sparse=SparseVector([number], [1.0]),
            dense=None,
            payload={"content": f"chunk {number}"},
        )
        for number in numbers
    ]


WRITER = """
import asyncio, sys, uuid
from pathlib import Path
from tests.kb_service.test_vectors_edge import open_edge, points

async def write():
    index = open_edge(Path(sys.argv[1]))
    await index.ensure(None)
    number = 1
    while True:
        await index.upsert(points(*range(number, number + 7)))
        number += 7
        if number % 210 == 1:
            await index.delete(2, "nothing")
        print(number - 1, flush=True)

asyncio.run(write())
"""


def test_an_acknowledged_upsert_survives_kill_9(tmp_path: Path) -> None:
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert writer.stdout is not None
    acknowledged = 0
    while acknowledged < 1500:  # past a flush, and into the log after it
        acknowledged = int(writer.stdout.readline())
    writer.kill()
    rest = writer.stdout.read().split("\n")
    writer.stdout.close()
    assert writer.wait() == -signal.SIGKILL
    acknowledged = max([acknowledged, *(int(line) for line in rest[:-1])])

    async def check() -> None:
        index = open_edge(tmp_path)
        await index.ensure(None)
        assert await index.count(1) >= acknowledged
        for number in (1, 999, acknowledged):
            (hit,) = await index.query(1, SparseVector([number], [1.0]), None, 5)
            assert hit.payload == {"content": f"chunk {number}"}
        await index.close()

    asyncio.run(check())


async def test_a_second_process_on_the_same_folder_is_refused(tmp_path: Path) -> None:
    owner = open_edge(tmp_path)
    await owner.ensure(None)
    await owner.upsert(points(1))
    other = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        "import asyncio, sys; from pathlib import Path\n"
        "from tests.kb_service.test_vectors_edge import open_edge\n"
        "asyncio.run(open_edge(Path(sys.argv[1])).ensure(None))",
        str(tmp_path),
        stderr=asyncio.subprocess.PIPE,
    )
    _, complaint = await other.communicate()
    assert other.returncode == 1
    assert "StoreInUse: Another process has" in complaint.decode()
    assert await owner.count(1) == 1
    await owner.close()


async def test_the_owner_gone_the_folder_is_free(tmp_path: Path) -> None:
    first, second = open_edge(tmp_path), open_edge(tmp_path)
    await first.ensure(None)
    with pytest.raises(StoreInUse):
        await second.ensure(None)
    await first.close()
    await second.ensure(None)
    await second.close()


async def test_a_long_upsert_lets_others_run(tmp_path: Path) -> None:
    index = open_edge(tmp_path)
    await index.ensure(None)
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    beside = asyncio.create_task(others())
    await index.upsert(points(*range(1, 1001)))
    beside.cancel()
    assert turns >= 20, "one turn a batch of 50"
    await index.close()


def test_the_embedded_default_imports_neither_client_nor_numpy() -> None:
    program = (
        "import asyncio, sys, tempfile; from pathlib import Path\n"
        "import kb_service.search, kb_service.tokens\n"
        "from tests.kb_service.test_vectors_edge import open_edge, points\n"
        "async def use():\n"
        "    with tempfile.TemporaryDirectory() as folder:\n"
        "        index = open_edge(Path(folder))\n"
        "        await index.ensure(None)\n"
        "        await index.upsert(points(1, 2))\n"
        "        assert await index.count(1) == 2\n"
        "        await index.close()\n"
        "asyncio.run(use())\n"
        "print(sorted({'qdrant_client', 'numpy', 'grpc'} & set(sys.modules)))"
    )
    answer = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert answer.stdout.strip() == "[]"


@pytest.mark.parametrize(
    "change",
    [
        lambda index: index.upsert(points(4)),
        lambda index: index.relabel(1, "v1", {"tags": ["a"]}),
        lambda index: index.remove(1, [points(3)[0].id]),
        lambda index: index.delete(1, "v1"),
    ],
    ids=["upsert", "relabel", "remove", "delete"],
)
async def test_what_is_flushed_needs_no_write_ahead_log(
    change: Callable[[EdgeIndex], Awaitable[None]], tmp_path: Path
) -> None:
    """A power cut may take what the log has not brought to the disk."""
    live, after = tmp_path / "live", tmp_path / "after"
    index = EdgeIndex(live / "c")
    await index.ensure(None)
    shutil.copytree(live / "c" / "wal", tmp_path / "early")
    await index.upsert(points(1, 2, 3))
    await index.flush()
    before = await payloads(index)
    await change(index)
    await index.flush()
    shutil.copytree(live, after)
    shutil.rmtree(after / "c" / "wal")
    shutil.copytree(tmp_path / "early", after / "c" / "wal")
    copy = EdgeIndex(after / "c")
    await copy.ensure(None)
    assert await payloads(copy) == await payloads(index) != before
    await copy.close()
    await index.close()


async def payloads(index: EdgeIndex) -> dict[str, Any]:
    pages = [page async for page in index.pages(1, "v1", 10)]
    return {point.id: point.payload for page in pages for point in page}
