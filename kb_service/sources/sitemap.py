"""Sitemaps: the pages that a site names, with limits on what it takes to read them."""

import gzip
import io
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO
from xml.etree.ElementTree import Element, ParseError

import httpx
from anyio import to_thread
from defusedxml import DefusedXmlException
from defusedxml.ElementTree import iterparse

from kb_service.sources.faults import FetchFault
from kb_service.sources.fetching import Fetcher

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_INFLATED_MAX = 50 << 20  # the protocol's own
_INDEXED_MAX = 50
_DEPTH_MAX = 20
_GZIP = b"\x1f\x8b"
# LookupError is for an encoding that nobody knows.
_BROKEN = (ParseError, DefusedXmlException, OSError, EOFError, zlib.error, ValueError, LookupError)


@dataclass(frozen=True, slots=True)
class Listed:
    """`is_whole` is False where the site names more than was asked for, or a part failed."""

    urls: list[str]
    is_whole: bool


async def read_sitemap(fetcher: Fetcher, url: str, at_most: int) -> Listed:
    """The pages, also of the sitemaps that an index names. Raises FetchFault."""
    pages, indexed = await _read(fetcher, url, at_most + 1)
    is_whole = len(indexed) <= _INDEXED_MAX
    faults: list[FetchFault] = []
    for part in indexed[:_INDEXED_MAX]:
        if len(pages) > at_most:
            break
        try:
            more, _ = await _read(fetcher, part, at_most + 1 - len(pages))
            pages += more
        except FetchFault as fault:
            faults.append(fault)
    pages = list(dict.fromkeys(pages))
    if not pages:  # a site in trouble, more often than one without pages
        raise faults[0] if faults else _no_pages()
    return Listed(pages[:at_most], is_whole and not faults and len(pages) <= at_most)


async def _read(fetcher: Fetcher, url: str, at_most: int) -> tuple[list[str], list[str]]:
    async with fetcher.fetch(url) as fetched:
        assert fetched.body is not None
        return await to_thread.run_sync(_locations, fetched.body, at_most)


def _locations(file: BinaryIO, at_most: int) -> tuple[list[str], list[str]]:
    """Pages, and further sitemaps. Raises FetchFault."""
    head = file.read(2)
    file.seek(0)
    try:
        source = _Capped(gzip.GzipFile(fileobj=file, mode="rb") if head == _GZIP else file)
        start = source.peek().lstrip(b"\xef\xbb\xbf \t\r\n")
        if start.startswith(b"<"):
            return _of_xml(source, at_most)
        return _of_lines(source, at_most), []
    except _BROKEN:
        raise _unreadable() from None


def _of_xml(source: "_Capped", at_most: int) -> tuple[list[str], list[str]]:
    found: dict[str, list[str]] = {"url": [], "sitemap": []}
    path: list[Element] = []
    for event, element in iterparse(source, events=("start", "end"), forbid_dtd=True):
        if event == "start":
            path.append(element)
            if len(path) > _DEPTH_MAX or _local(path[0]) not in {"urlset", "sitemapindex"}:
                raise _unreadable()
            continue
        path.pop()
        # A picture of a page has a location too, of another namespace.
        if path and element.tag == path[0].tag.removesuffix(_local(path[0])) + "loc":
            text = (element.text or "").strip()
            if text and (kind := _local(path[-1])) in found:
                found[kind].append(text)
        if len(path) == 1:
            path[0].clear()  # else the tree grows with the file
        if len(found["url"]) >= at_most or len(found["sitemap"]) > _INDEXED_MAX:
            break
    return found["url"], found["sitemap"]


def _of_lines(source: "_Capped", at_most: int) -> list[str]:
    text = io.TextIOWrapper(source, encoding="utf-8-sig", errors="replace")
    urls: list[str] = []
    for line in text:
        if line.strip().lower().startswith(("http://", "https://")):
            urls.append(line.strip())
        if len(urls) >= at_most:
            break
    return urls


class _Capped(io.BufferedReader):
    """Raises FetchFault when more comes out of a file than is read of one."""

    def __init__(self, file: BinaryIO | gzip.GzipFile) -> None:
        super().__init__(_Counted(file))


class _Counted(io.RawIOBase):
    def __init__(self, file: BinaryIO | gzip.GzipFile) -> None:
        self._file, self._left = file, _INFLATED_MAX

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int:
        room = memoryview(buffer)
        data = self._file.read(len(room))
        self._left -= len(data)
        if self._left < 0:
            raise _unreadable()
        room[: len(data)] = data
        return len(data)


def _local(element: Element) -> str:
    tag: str = element.tag
    return tag.rpartition("}")[2]


def _unreadable() -> FetchFault:
    return FetchFault("无法读取站点地图。The sitemap cannot be read.")


def _no_pages() -> FetchFault:
    return FetchFault("站点地图中没有网页。The sitemap names no pages.")


def same_site(sitemap: str, page: str) -> bool:
    """Whether a page is of the host of its sitemap, or of one below that."""
    try:
        site, host = httpx.URL(sitemap).host.removeprefix("www."), httpx.URL(page).host
    except (httpx.InvalidURL, ValueError):
        return False
    return host == site or host.endswith(f".{site}")
