"""The published H5 as it looks on the wire: its requests and its stream parser, in plain Python.

Facts from contract 6.1-6.4: axios calls carry `Api-Token`; the chat fetch and links carry only the
cookie that the gateway set; every network read of a stream is decoded and parsed alone.
"""

import asyncio
import json
import socket
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import urlsplit

import httpx

Mode = Literal["LLM", "Knowledge"]
MODES = ("LLM", "Knowledge", "SearchEngine", "Agent")
_READ_BYTES = 65_536


class BrokenRead(Exception):
    """The page replaces the whole answer by its error text."""


def parse_read(read: bytes) -> list[Any]:
    """What the parser makes of one network read. Raises BrokenRead."""
    text = read.decode("utf-8", "replace")
    if not text.strip():
        return []
    for attempt in (text, "[" + text.replace("}{", "},{") + "]"):
        try:
            found = json.loads(attempt, parse_constant=_refuse)
        except ValueError:
            continue
        return found if isinstance(found, list) else [found]
    raise BrokenRead(read[:90], read[-90:])


def _refuse(constant: str) -> None:
    raise ValueError(f"JSON.parse knows no {constant}")


@dataclass(slots=True)
class Streamed:
    """An answer as the page has it when the stream has ended."""

    status: int
    headers: dict[str, str]
    reads: list[bytes]
    answer: str = ""
    docs: list[str] = field(default_factory=list)

    def show(self, mode: Mode) -> None:
        for read in self.reads:
            assert "\ufffd" not in read.decode("utf-8", "replace"), read[-90:]
            for piece in parse_read(read):
                self._show_piece(mode, piece)

    def _show_piece(self, mode: Mode, piece: dict[str, Any]) -> None:
        if mode == "LLM":
            self.answer += piece.get("text", "")
        elif "docs" in piece:
            self.docs += piece["docs"]
        else:  # without `answer` the page shows the raw JSON
            self.answer += piece["answer"] if "answer" in piece else json.dumps(piece)


def complete(streamed: Streamed, mode: Mode) -> Streamed:
    """An answer that the page shows well, also when all its reads come as one."""
    assert streamed.status == 200
    assert streamed.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert streamed.headers["cache-control"] == "no-cache, no-transform"
    assert "content-encoding" not in streamed.headers
    streamed.show(mode)
    assert streamed.answer
    apart = [piece for read in streamed.reads for piece in parse_read(read)]
    assert parse_read(b"".join(streamed.reads)) == apart
    return streamed


class Body:
    """Takes HTTP/1.1 apart as it arrives: what of the body came with each network read."""

    def __init__(self) -> None:
        self.head = b""
        self.ended = False
        self._raw = b""
        self._left: int | None = None  # bytes of the current chunk; None: its size line is next
        self._chunked = True

    def feed(self, received: bytes) -> bytes:
        self._raw += received
        if not self.head:
            head, separator, rest = self._raw.partition(b"\r\n\r\n")
            if not separator:
                return b""
            self.head, self._raw = head, rest
            self._start(head.decode().lower())
        body = b""
        while not self.ended and (piece := self._next()) is not None:
            body += piece
        return body

    def _start(self, head: str) -> None:
        self._chunked = "\r\ntransfer-encoding: chunked" in head
        if not self._chunked:
            self._left = int(head.partition("\r\ncontent-length: ")[2].split("\r\n")[0])

    def _next(self) -> bytes | None:
        """The next piece of the body, None when more must come first."""
        if self._left is None:
            line, separator, rest = self._raw.removeprefix(b"\r\n").partition(b"\r\n")
            if not separator:
                return None
            self._raw, self._left = rest, int(line, 16)
            self.ended = self._left == 0
            return b""
        if not self._raw:
            return None
        piece, self._raw = self._raw[: self._left], self._raw[self._left :]
        self._left -= len(piece)
        if not self._left:
            self._left, self.ended = None, not self._chunked
        return piece


class H5:
    """A browser tab with the published H5 in it."""

    def __init__(self, door: str, token: str, http: httpx.AsyncClient) -> None:
        self.door, self.token, self._http = door, token, http

    @property
    def cookies(self) -> dict[str, str]:
        return {cookie.name: cookie.value or "" for cookie in self._http.cookies.jar}

    async def get(self, path: str) -> Any:
        return self._unwrap(await self._http.get(f"/api{path}", headers=self._axios()))

    async def post(self, path: str, body: Any) -> Any:
        """A string is sent as it is, as axios does: a form body."""
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        kind = form if isinstance(body, str) else {"Content-Type": "application/json"}
        content = body if isinstance(body, str) else json.dumps(body, ensure_ascii=True)
        headers = self._axios() | {"Origin": self.door} | kind
        return self._unwrap(await self._http.post(f"/api{path}", content=content, headers=headers))

    async def open_link(self, url: str) -> httpx.Response:
        """A click on a document link: no header, only what cookies there are."""
        return await self._http.get(url, headers={"Sec-Fetch-Site": "same-origin"})

    async def start(self) -> tuple[list[Any], Any, list[Any]]:
        """What every page starts with: three calls at once."""
        bases, user, sessions = await asyncio.gather(
            self.get("/knowledge_base/list_knowledge_bases_v2"),
            self.get("/user/info"),
            self.get("/session/list"),
        )
        return bases, user, sessions

    async def history(
        self, session_id: str, num: int, chat_id: str | None = None
    ) -> list[dict[str, Any]]:
        body = {"session_id": session_id, "num": num} | ({"chat_id": chat_id} if chat_id else {})
        page: list[dict[str, Any]] = await self.post("/history/latest", body)
        for item in page:
            assert isinstance(item["response"], str)
            assert isinstance(item["docs"], list)
        return page

    async def chat(
        self, mode: Mode, body: dict[str, Any], *, stop_after: int | None = None
    ) -> Streamed:
        """The chat fetch, over a socket of its own so that every network read is seen.

        The stop button, pressed after so many reads, closes the connection.
        """
        path = "/api/chat/chat" if mode == "LLM" else "/api/chat/knowledge_base_chat"
        content = json.dumps(body, ensure_ascii=False).encode()
        address = urlsplit(self.door)
        loop = asyncio.get_running_loop()
        with socket.create_connection((address.hostname, address.port)) as connection:
            connection.setblocking(False)
            await loop.sock_sendall(connection, self._fetch_head(path, len(content)) + content)
            return await asyncio.wait_for(_read(connection, stop_after), 60)

    def _fetch_head(self, path: str, length: int) -> bytes:
        cookies = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        lines = [
            f"POST {path} HTTP/1.1",
            f"Host: {urlsplit(self.door).netloc}",
            "Accept: */*",
            "Accept-Encoding: gzip, deflate, br",
            "content-type: application/json",
            f"Origin: {self.door}",
            *([f"Cookie: {cookies}"] if cookies else []),
            f"Content-Length: {length}",
            "Connection: keep-alive",
        ]
        return "\r\n".join(lines).encode() + b"\r\n\r\n"

    def _axios(self) -> dict[str, str]:
        return {"Api-Token": self.token, "Accept": "application/json, text/plain, */*"}

    @staticmethod
    def _unwrap(answer: httpx.Response) -> Any:
        """axios resolves only when the JSON says 200."""
        assert answer.status_code == 200, answer.text
        assert answer.json()["code"] == 200, answer.text
        return answer.json()["data"]


async def _read(connection: socket.socket, stop_after: int | None) -> Streamed:
    body, reads = Body(), list[bytes]()
    while not body.ended and not (body.head and len(reads) == stop_after):
        received = await asyncio.get_running_loop().sock_recv(connection, _READ_BYTES)
        assert received, f"the stream was cut after {len(reads)} reads"
        if read := body.feed(received):
            reads.append(read)
    status, *lines = body.head.decode().split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines)
    return Streamed(int(status.split()[1]), headers, reads)


@asynccontextmanager
async def opened(door: str, token: str) -> AsyncIterator[H5]:
    async with httpx.AsyncClient(base_url=door, timeout=60) as http:
        yield H5(door, token, http)


def chat_body(session_id: str, query: str, mode: Mode = "LLM", **more: Any) -> dict[str, Any]:
    """What the page sends for a question asked in it."""
    return {
        "session_id": session_id,
        "query": query,
        "stream": True,
        "temperature": 0.7 if mode == "LLM" else 0,
        "max_tokens": 2000,
        "prompt_name": "default",
        "history_count": 5,
        "history": [],
        "top_k": 3,
        "score_threshold": 1,
        "split_result": False,
    } | more


def save_body(session_id: str, name: str, mode: Mode, **more: Any) -> dict[str, Any]:
    """What the page sends when it is left: the question cut to 20 UTF-16 units as the name."""
    cut = name.encode("utf-16-le")[:40].decode("utf-16-le", "surrogatepass")
    param = chat_body(session_id, "", mode) | {"query": None} | more
    for absent in ("session_id", "history"):
        del param[absent]
    return {"session_id": session_id, "session_name": cut, "mode": mode, "param": param}


def new_id() -> str:
    return uuid.uuid4().hex
