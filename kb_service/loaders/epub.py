"""EPUB books: their chapters in the order of reading."""

import posixpath
import re
import zipfile
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from urllib.parse import unquote

from kb_service.loaders import LoadFault, Reading, Section
from kb_service.loaders.archives import check_archive
from kb_service.loaders.html import blocks, page_text
from kb_service.loaders.safe_xml import parse_xml
from kb_service.loaders.titles import sections_by_title

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
    return chain.from_iterable(_sections(archive, name) for name in chapters if name in names)


def _chapters(archive: zipfile.ZipFile) -> list[str]:
    try:
        container = parse_xml(archive.read("META-INF/container.xml"))
        package_name = container.find(".//{*}rootfile").get("full-path")
        package = parse_xml(archive.read(package_name))
    except (KeyError, AttributeError, TypeError):
        raise LoadFault("EPUB 缺少目录。The EPUB has no list of its contents.") from None
    items = {
        item.get("id"): unquote(item.get("href", ""))
        for item in package.iterfind("{*}manifest/{*}item")
        if item.get("media-type") in _PAGES
    }
    folder = posixpath.dirname(package_name)
    spine = [entry.get("idref") for entry in package.iterfind("{*}spine/{*}itemref")]
    return [posixpath.normpath(posixpath.join(folder, items[id_])) for id_ in spine if id_ in items]


def _sections(archive: zipfile.ZipFile, name: str) -> Iterator[Section]:
    page = page_text(archive.read(name))
    return sections_by_title(blocks(_CLOSED.sub(r"<\1\2></\1>", page)))
