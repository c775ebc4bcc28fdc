"""EPUB books: their chapters in the order of reading."""

import posixpath
import re
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from itertools import chain
from pathlib import Path
from urllib.parse import unquote

from kb_service.loaders import LoadFault, Reading, Section
from kb_service.loaders.archives import check_archive
from kb_service.loaders.html import blocks, page_text
from kb_service.loaders.safe_xml import parse_xml
from kb_service.loaders.titles import sections_by_title

_CONTENTS = "application/x-dtbncx+xml"
_PAGES = {"application/xhtml+xml", "text/html"}
# XHTML may close an element where HTML would go on reading: <title/> would swallow the page.
_CLOSED = re.compile(r"<(title|script|style|a|i|b|em|span|div|p|td|th|li)(\s[^<>]*)?/>", re.I)


def load(path: Path, reading: Reading) -> Iterator[Section]:
    check_archive(path)
    archive = zipfile.ZipFile(path)
    chapters = _chapters(archive)
    names = set(archive.namelist())
    locked = archive.read("META-INF/encryption.xml") if "META-INF/encryption.xml" in names else b""
    if any(chapter.encode() in locked for chapter in chapters):
        raise LoadFault("电子书受 DRM 保护，无法读取。The book is protected by DRM.")
    return chain.from_iterable(
        _sections(archive, name, label) for name, label in chapters.items() if name in names
    )


def _chapters(archive: zipfile.ZipFile) -> dict[str, str]:
    """The pages in the order of reading, with what the table of contents calls them."""
    try:
        container = parse_xml(archive.read("META-INF/container.xml"))
        package_name = container.find(".//{*}rootfile").get("full-path")
        package = parse_xml(archive.read(package_name))
    except (KeyError, AttributeError, TypeError):
        raise LoadFault("EPUB 缺少目录。The EPUB has no list of its contents.") from None
    items = list(package.iterfind("{*}manifest/{*}item"))
    places = {item.get("id"): _place(package_name, item.get("href", "")) for item in items}
    pages = {item.get("id") for item in items if item.get("media-type") in _PAGES}
    labels: dict[str, str] = {}
    for item in items:
        if item.get("media-type") == _CONTENTS or "nav" in item.get("properties", "").split():
            labels = _labels(archive, places[item.get("id")]) | labels
    spine = [entry.get("idref") for entry in package.iterfind("{*}spine/{*}itemref")]
    return {places[id_]: labels.get(places[id_], "") for id_ in spine if id_ in pages}


def _labels(archive: zipfile.ZipFile, name: str) -> dict[str, str]:
    """Page -> the first entry of a table of contents (of either kind) that leads there."""
    labels: dict[str, str] = {}
    with suppress(KeyError, LoadFault):
        contents = parse_xml(archive.read(name))
        for entry in contents.iter("{*}navPoint", "{*}a"):
            target = entry.find("{*}content")
            link = entry.get("href") if target is None else target.get("src")
            words = entry if target is None else entry.find("{*}navLabel")
            if link and words is not None:
                labels.setdefault(_place(name, link), " ".join("".join(words.itertext()).split()))
    return labels


def _place(name: str, link: str) -> str:
    path = unquote(link.partition("#")[0])
    return posixpath.normpath(posixpath.join(posixpath.dirname(name), path))


def _sections(archive: zipfile.ZipFile, name: str, label: str) -> Iterator[Section]:
    page = page_text(archive.read(name))
    found = blocks(_CLOSED.sub(r"<\1\2></\1>", page))
    return sections_by_title(found, {"title": label} if label else None)
