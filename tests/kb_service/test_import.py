"""`python -m kb_service import` against the real service, behind a front that knows one API key."""

import asyncio
import os
import shutil
import signal
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from kb_service.app import create_app
from kb_service.commands.folder import count, found
from kb_service.commands.remote import CommandFault, Remote
from kb_service.settings import KbSettings
from tests.kb_service.conftest import ADMIN
from tests.kb_service.documents import zip_file
from tests.parsers import PARSERS
from tests.serving import served
from tests.stack import ROOT
from tests.warm_interpreter import warm

KEY = "c2l-a-key-of-the-import-tests"


@dataclass
class Front:
    """Lets requests with the key in, as the administrator; the first so many are told to wait."""

    app: ASGIApp
    busy: int = 0
    asked: list[tuple[str, str]] = field(default_factory=list)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            self.asked.append((scope["method"], scope["path"]))
            if self.busy:
                self.busy -= 1
                answer = JSONResponse({"detail": "busy"}, 429, {"Retry-After": "1"})
                await answer(scope, receive, send)
                return
            headers = dict(scope["headers"])
            if headers.get(b"authorization") == f"Bearer {KEY}".encode():
                more = [(name.lower().encode(), value.encode()) for name, value in ADMIN.items()]
                scope = {**scope, "headers": [*scope["headers"], *more]}
        await self.app(scope, receive, send)

    @property
    def uploads(self) -> int:
        return sum(method == "POST" and path.endswith("/files") for method, path in self.asked)


@dataclass
class Service:
    url: str
    front: Front

    async def run(
        self, *arguments: str | Path, key: str = KEY, cwd: Path = ROOT
    ) -> tuple[int, str]:
        """Exit code and output of an import into kb1."""
        process = await self._start(warm("kb_service").command, *arguments, key=key, cwd=cwd)
        output, _ = await process.communicate()
        assert process.returncode is not None
        return process.returncode, output.decode()

    async def start(self, *arguments: str | Path) -> asyncio.subprocess.Process:
        """An import that can be sent signals."""
        return await self._start([sys.executable, "-m", "kb_service"], *arguments)

    async def _start(
        self, command: list[str], *arguments: str | Path, key: str = KEY, cwd: Path = ROOT
    ) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            *(*command, "import"),
            *map(str, arguments),
            *("--kb", "kb1", "--url", self.url),
            cwd=cwd,
            env=os.environ | {"CHAT2LLM_API_KEY": key, "PYTHONPATH": str(ROOT)},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )

    async def files(self) -> set[str]:
        async with httpx.AsyncClient(base_url=self.url, headers=ADMIN) as client:
            path = "/knowledge_base/list_files"
            answer = await client.get(path, params={"knowledge_base_name": "kb1"})
        return set(answer.json()["data"])

    async def tags(self) -> dict[str, list[str]]:
        async with httpx.AsyncClient(base_url=self.url, headers=ADMIN) as client:
            answer = await client.get("/admin/knowledge-bases/kb1/files")
        return {file["name"]: file["tags"] for file in answer.json()["items"]}


@pytest.fixture
async def service(make_settings: Callable[..., KbSettings]) -> AsyncIterator[Service]:
    front = Front(create_app(make_settings(), parsers=PARSERS))
    async with served(front) as url:
        yield Service(url, front)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "documents"
    (made / "sub").mkdir(parents=True)
    (made / "年假.txt").write_text("年假每年十五天。")
    (made / "sub" / "printer.md").write_text("# 打印机\n\n打印机在三楼。")
    return made


async def test_a_folder_goes_in_and_the_second_time_nothing_is_sent(
    service: Service, folder: Path, tmp_path: Path
) -> None:
    code, output = await service.run("documents", "--create", cwd=tmp_path)
    assert code == 0, output
    assert "imported 2 · 已存在 there already 0 · 未导入 refused 0" in output
    assert await service.files() == {"年假.txt", "sub/printer.md"}
    assert service.front.uploads == 1
    code, output = await service.run(folder)
    assert (code, service.front.uploads) == (0, 1)
    assert "imported 0 · 已存在 there already 2" in output
    (folder / "年假.txt").write_text("年假每年二十天。")  # as long as before
    code, output = await service.run(folder, "--tag", "制度", "--tag", "HR")
    assert "imported 1 · 已存在 there already 1" in output
    assert await service.tags() == {"年假.txt": ["HR", "制度"], "sub/printer.md": []}


async def test_what_is_refused_is_told_with_its_reason(service: Service, folder: Path) -> None:
    (folder / "film.mp4").write_bytes(b"film")
    (folder / "fake.pdf").write_text("no PDF at all")
    (folder / "all.zip").write_bytes(zip_file({"in/门禁.txt": "前台".encode(), "../up.txt": b"up"}))
    (folder / "broken.zip").write_bytes(b"no zip")
    code, output = await service.run(folder, "--create")
    assert code == 1
    assert "imported 3 · 已存在 there already 0 · 未导入 refused 4" in output
    lines = {line.split()[0]: line for line in output.splitlines() if line.startswith("  ")}
    assert "This kind of file is not supported" in lines["film.mp4"]
    assert "不符" in lines["fake.pdf"]
    assert "not safe" in lines["../up.txt"]
    assert "damaged" in lines["broken.zip"]
    assert await service.files() == {"年假.txt", "sub/printer.md", "in/门禁.txt"}
    code, output = await service.run(folder)  # what was refused is tried again, nothing else
    assert (code, "there already 3" in output) == (1, True)


async def test_without_a_knowledge_base_or_a_good_key(service: Service, folder: Path) -> None:
    code, output = await service.run(folder)
    assert (code, "--create" in output) == (2, True)
    code, output = await service.run(folder, key="")
    assert (code, "CHAT2LLM_API_KEY" in output) == (2, True)
    code, output = await service.run(folder, key="c2l-bad")
    assert (code, "401" in output) == (2, True)
    code, output = await service.run(folder / "nowhere")
    assert (code, "no such folder" in output) == (2, True)


async def test_the_key_from_a_file(service: Service, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "key").write_text(f"{KEY}\n")
    code, output = await service.run(folder, "--create", "--key-file", tmp_path / "key", key="")
    assert code == 0, output


async def test_a_busy_server_is_waited_for(service: Service, folder: Path) -> None:
    service.front.busy = 1
    code, output = await service.run(folder, "--create")
    assert code == 0, output


async def test_interrupted_it_says_how_to_go_on(service: Service, folder: Path) -> None:
    for number in range(80):
        (folder / f"{number}.txt").write_text(f"第 {number} 条。" * 50)
    process = await service.start(folder, "--create")
    async with asyncio.timeout(20):
        while service.front.uploads < 2:  # noqa: ASYNC110 - a counter
            await asyncio.sleep(0.01)
    process.send_signal(signal.SIGINT)
    output, _ = await process.communicate()
    assert process.returncode == 130
    assert "Call the same command again to go on" in output.decode()
    code, text = await service.run(folder)
    assert (code, "there already 0" in text) == (0, False), text
    assert len(await service.files()) == 82


def test_a_server_that_stays_busy_is_given_up_after_a_while() -> None:
    slept = list[float]()
    remote = Remote("http://127.0.0.1:1", KEY, "kb1", sleep=slept.append)
    with remote, pytest.raises(CommandFault, match="cannot be reached"):
        remote.find_knowledge_base(create=False)
    assert slept == [1, 2, 4, 8, 16, 32, 60]


@contextmanager
def named(start: Path) -> Iterator[dict[str, str]]:
    """Names with what is said of them."""
    out = {}
    for one in found(start):
        out[one.name] = one.refusal or one.note
        if one.file:
            one.file.close()
    yield out


def test_links_hidden_and_temporary_files_stay_outside(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("secret")
    (folder / "out.txt").symlink_to(tmp_path / "secret.txt")
    (folder / "in.txt").symlink_to(folder / "年假.txt")
    (folder / "loop").symlink_to(folder)
    (folder / "gone.txt").symlink_to(tmp_path / "nothing")
    for name in (".hidden.txt", "~$draft.docx", "a.txt~", "b.tmp", "Thumbs.db"):
        (folder / name).write_text("x")
    (folder / ".git").mkdir()
    (folder / ".git" / "config.txt").write_text("x")
    os.mkfifo(folder / "pipe.txt")
    with named(folder) as names:
        assert {name for name, said in names.items() if not said} == {
            *("年假.txt", "sub/printer.md", "in.txt"),
        }
        assert "outside of the folder" in names["out.txt"]
        assert "outside of the folder" in names["gone.txt"]
        assert "not followed" in names["loop"]
        assert "Not a regular file" in names["pipe.txt"]
        assert {".hidden.txt", "~$draft.docx", "a.txt~", "b.tmp", "Thumbs.db", ".git"} <= set(names)
    assert count(folder) == 3


def test_names_are_written_as_one_writes_them(tmp_path: Path) -> None:
    (tmp_path / "re\u0301sume\u0301.txt").write_text("x")
    with named(tmp_path) as names:
        assert list(names) == ["r\u00e9sum\u00e9.txt"]


def test_a_folder_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "leave.txt").write_text("年假")
    walk = found(tmp_path)
    first = next(walk)
    assert first.file
    first.file.close()
    shutil.rmtree(tmp_path / "b")
    (rest,) = walk
    assert (rest.name, "It cannot be read" in rest.refusal) == ("b", True)


def test_a_zip_alone(tmp_path: Path) -> None:
    path = tmp_path / "all.zip"
    path.write_bytes(zip_file({"a/b.txt": b"x", "c.exe": b"x"}))
    with named(path) as names:
        assert names.keys() == {"a/b.txt", "c.exe"}
    assert count(path) == 2
