"""One page over the guarded way: redirects, sizes and times are bounded, robots.txt is honoured."""

import asyncio
import tempfile
import zlib
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import BinaryIO, cast

import httpx

from kb_service.sources import faults
from kb_service.sources.guard import Guard, GuardedTransport, port_of
from kb_service.sources.pace import Pace
from kb_service.sources.robots import Robots
from servicekit.http import outside_client

AGENT = "Chat2LLM"
_HEADERS = {
    "User-Agent": f"{AGENT}/1.0 (knowledge base import)",
    "Accept": "text/html,application/xhtml+xml,*/*;q=0.8",
    "Accept-Encoding": "gzip",  # what is inflated here with a limit
}
_REDIRECTS_MAX = 5
_ROBOTS_MAX = 500 * 1024
_IN_MEMORY = 1 << 20
_PIECE = 1 << 16
_GZIP = 16 + zlib.MAX_WBITS


@dataclass(frozen=True, slots=True)
class Validators:
    """What a site gave to ask whether something has changed."""

    etag: str = ""
    last_modified: str = ""

    def headers(self) -> dict[str, str]:
        asked = {"If-None-Match": self.etag, "If-Modified-Since": self.last_modified}
        return {name: value for name, value in asked.items() if value}


_NOTHING_KNOWN = Validators()


@dataclass(frozen=True, slots=True)
class Fetched:
    """`body` is None when nothing has changed; `url` is where the redirects led."""

    url: str
    body: BinaryIO | None
    size: int
    content_type: str
    validators: Validators


@dataclass(frozen=True, slots=True)
class Limits:
    """`seconds` are for one answer in all, however slowly it drips."""

    page_mb: int
    seconds: float = 60


class Fetcher:
    """Of one visit to a site: cookies and what its robots.txt says are kept for so long."""

    def __init__(self, guard: Guard, pace: Pace, limits: Limits) -> None:
        # Without the environment: a proxy of the machine's would connect for us, unguarded.
        self._client = outside_client(
            transport=GuardedTransport(guard), headers=_HEADERS, trust_env=False
        )
        self._pace, self._limits = pace, limits
        self._robots: dict[str, Robots] = {}

    @classmethod
    @asynccontextmanager
    async def open(cls, guard: Guard, pace: Pace, limits: Limits) -> AsyncIterator["Fetcher"]:
        fetcher = cls(guard, pace, limits)
        try:
            yield fetcher
        finally:
            await fetcher._client.aclose()

    @asynccontextmanager
    async def fetch(
        self, url: str, validators: Validators = _NOTHING_KNOWN
    ) -> AsyncIterator[Fetched]:
        """The body is readable inside. Raises FetchFault."""
        with tempfile.SpooledTemporaryFile(_IN_MEMORY) as spooled:
            body = cast(BinaryIO, spooled)  # which it is but for the type
            fetched = await self._follow(url, validators, body)
            body.seek(0)
            yield fetched

    async def _follow(self, url: str, validators: Validators, body: BinaryIO) -> Fetched:
        target = parsed(url)
        for _ in range(_REDIRECTS_MAX + 1):
            robots = await self._robots_of(target)
            if not robots.allows(str(target)):
                raise faults.kept_out()
            headers = validators.headers()
            async with self._answer(target, headers, robots.delay) as answer:
                if answer.status_code == 304 and headers:
                    return Fetched(str(target), None, 0, "", validators)
                if not answer.has_redirect_location:
                    return await self._read(answer, body)
                target = _next(answer)
        raise faults.too_many_redirects()

    async def _read(self, answer: httpx.Response, body: BinaryIO) -> Fetched:
        if answer.status_code != 200:
            raise faults.answered(answer.status_code)
        size = 0
        async for data in _inflated(answer):
            size += len(data)
            if size > self._limits.page_mb << 20:
                raise faults.too_large(self._limits.page_mb)
            body.write(data)
        found = Validators(
            answer.headers.get("ETag", "")[:200], answer.headers.get("Last-Modified", "")[:100]
        )
        content_type = answer.headers.get("Content-Type", "")[:200]
        return Fetched(str(answer.url), body, size, content_type, found)

    async def _robots_of(self, url: httpx.URL) -> Robots:
        site = f"{url.scheme}://{url.netloc.decode()}"
        if site not in self._robots:
            self._robots[site] = await self._read_robots(site)
        return self._robots[site]

    async def _read_robots(self, site: str) -> Robots:
        """As RFC 9309 says: none means that all is allowed, a site in trouble that nothing is."""
        target = httpx.URL(f"{site}/robots.txt")
        for _ in range(_REDIRECTS_MAX + 1):
            async with self._answer(target, {}, 0) as answer:
                if answer.has_redirect_location:
                    target = _next(answer)
                elif answer.status_code >= 500 or answer.status_code == 429:
                    raise faults.no_robots(faults.answered(answer.status_code))
                elif answer.status_code != 200:
                    return Robots("", AGENT)
                else:
                    return Robots(await _text(answer, _ROBOTS_MAX), AGENT)
        return Robots("", AGENT)

    @asynccontextmanager
    async def _answer(
        self, url: httpx.URL, headers: dict[str, str], delay: float
    ) -> AsyncIterator[httpx.Response]:
        """Raises FetchFault."""
        async with self._pace.turn(f"{url.host}:{port_of(url)}", delay):
            try:
                async with (
                    asyncio.timeout(self._limits.seconds),
                    self._client.stream("GET", url, headers=headers) as answer,
                ):
                    yield answer
            except (TimeoutError, httpx.TimeoutException):
                raise faults.took_too_long() from None
            except httpx.HTTPError:
                raise faults.unreachable(url.host) from None


async def _inflated(answer: httpx.Response) -> AsyncIterator[bytes]:
    """The body in pieces of a bounded size, whatever was packed into a few bytes."""
    encoding = answer.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding in {"identity", ""}:
        async for data in answer.aiter_raw():
            yield data
        return
    if encoding not in {"gzip", "x-gzip"}:
        raise faults.damaged()
    inflate = zlib.decompressobj(_GZIP)
    async for data in answer.aiter_raw():
        for piece in _pieces(inflate, data):
            yield piece
    if not inflate.eof:
        raise faults.damaged()


def _pieces(inflate: "zlib._Decompress", data: bytes) -> Iterator[bytes]:
    try:
        while data and not inflate.eof:
            yield inflate.decompress(data, _PIECE)
            data = inflate.unconsumed_tail
    except zlib.error:
        raise faults.damaged() from None


async def _text(answer: httpx.Response, at_most: int) -> str:
    """The beginning of a text."""
    raw = bytearray()
    async for data in _inflated(answer):
        raw += data
        if len(raw) >= at_most:
            break
    return raw[:at_most].decode(errors="replace")


def parsed(text: str, base: httpx.URL | None = None) -> httpx.URL:
    """Without its fragment. Raises Forbidden."""
    try:
        url = httpx.URL(text)
        url = (base.join(url) if base else url).copy_with(fragment=None)
        str(url.host)  # a name in Punycode is not looked at before
        return url
    except (httpx.InvalidURL, ValueError):
        raise faults.bad_url("无法解析", "it cannot be read") from None


def _next(answer: httpx.Response) -> httpx.URL:
    return parsed(answer.headers["Location"], base=answer.url)
