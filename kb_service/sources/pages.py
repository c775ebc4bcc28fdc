"""Fetched pages as files: what they are, what they are called, and whether they have changed."""

import hashlib
import html
import io
import re
from dataclasses import dataclass
from typing import BinaryIO
from urllib.parse import unquote, urlsplit

from kb_service.content import sha256_of
from kb_service.loaders import LoadFault
from kb_service.loaders.encodings import decode
from kb_service.names import MAX_BYTES, extension_of, fault_of
from kb_service.sources.faults import FetchFault
from kb_service.sources.fetching import Fetched

_HEAD = 2048
_TITLE_IN = 1 << 16
_TITLE_MAX = 200
_TITLE = re.compile(r"<title(?:\s[^<>]{0,200})?>([^<]{1,2000})", re.I)
_CHARSET = re.compile(r"charset\s{0,9}=\s{0,9}[\"']?([\w.:-]{1,40})", re.I)
_PAGE = re.compile(rb"<(!doctype\s+html|html|head|body)\b", re.I)
_UNSAFE = re.compile(r"[^\w.~()+=,@%\-]+")  # in a part of a name; letters of all languages stay
_ARCHIVES = (".docx", ".xlsx", ".pptx", ".odt", ".epub")
_OLD_OFFICE = (".doc", ".xls", ".ppt", ".msg")
_TEXTS = (".md", ".markdown", ".rst", ".csv", ".tsv", ".json", ".jsonl", ".xml", ".txt", ".eml")
_IMAGES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp")
_BY_SIGNATURE = {
    b"%PDF-": (".pdf",),
    b"PK\x03\x04": _ARCHIVES,
    b"\xd0\xcf\x11\xe0": _OLD_OFFICE,
    b"{\\rtf": (".rtf",),
    b"\x89PNG": _IMAGES,
    b"\xff\xd8\xff": _IMAGES,
    b"RIFF": _IMAGES,
}
_SKIPPED = {"<!--": "-->", "<script": "</script", "<style": "</style"}
_OFFICE = "application/vnd.openxmlformats-officedocument."
_BY_TYPE = {
    "text/html": ".html",
    "application/xhtml+xml": ".html",
    "text/markdown": ".md",
    "text/csv": ".csv",
    "application/json": ".json",
    "application/xml": ".xml",
    "text/xml": ".xml",
    "application/msword": ".doc",
    "application/vnd.ms-excel": ".xls",
    "application/vnd.ms-powerpoint": ".ppt",
    f"{_OFFICE}wordprocessingml.document": ".docx",
    f"{_OFFICE}spreadsheetml.sheet": ".xlsx",
    f"{_OFFICE}presentationml.presentation": ".pptx",
    "application/vnd.oasis.opendocument.text": ".odt",
    "application/epub+zip": ".epub",
    "image/png": ".png",
    "image/jpeg": ".jpg",
    "image/webp": ".webp",
}


@dataclass(frozen=True, slots=True)
class PageFile:
    """A page, ready to become a file; `digest` is of what a reader would notice."""

    extension: str
    title: str
    digest: str
    size: int
    body: BinaryIO


def page_file(fetched: Fetched) -> PageFile:
    """Reads it all, so not for the event loop. Raises FetchFault."""
    body = fetched.body
    assert body is not None
    body.seek(0)
    extension = _extension(body.read(_HEAD), fetched)
    body.seek(0)
    if extension != ".html":
        return PageFile(extension, "", sha256_of(body), fetched.size, body)
    try:
        text = decode(body.read(), _charset(fetched.content_type))
    except LoadFault as fault:
        raise FetchFault(str(fault)) from None
    raw = text.encode(errors="replace")
    title = _TITLE.search(text[:_TITLE_IN])
    return PageFile(
        extension,
        _one_line(title[1]) if title else "",
        hashlib.sha256(_visible(text).encode(errors="replace")).hexdigest(),
        len(raw),
        io.BytesIO(raw),  # as UTF-8: what the header said of the encoding is not in the page
    )


def file_name(url: str, extension: str, *, is_taken: bool = False) -> str:
    """The address, without what no file name may have; with a mark where that may be another's.

    Never a name that `fault_of` would refuse.
    """
    parts = urlsplit(url)
    path = unquote(parts.path, errors="replace").rstrip("/")
    if extension_of(path) == extension:
        path = path[: -len(extension)]
    segments = [_UNSAFE.sub("_", part).strip(" .") for part in path.split("/")]
    name = "/".join([_UNSAFE.sub("_", parts.netloc.lower()), *filter(None, segments)])
    is_whole = not parts.query and f"https://{name}" == f"{parts.scheme}://{parts.netloc}{path}"
    room = MAX_BYTES - len(extension)
    if is_taken or not is_whole or len(name.encode()) > room or fault_of(name + extension):
        mark = f"-{hashlib.sha256(url.encode()).hexdigest()[:8]}"
        kept = name.encode()[: room - len(mark)].decode(errors="ignore").rstrip(" ./")
        name = f"{kept}{mark}" if fault_of(kept + mark + extension) is None else f"page{mark}"
    return name + extension


def _extension(head: bytes, fetched: Fetched) -> str:
    """By the content; where that leaves a choice, by the address, then by what the site says."""
    kind = fetched.content_type.partition(";")[0].strip().lower()
    claims = (extension_of(urlsplit(fetched.url).path), _BY_TYPE.get(kind, ""))
    for signature, extensions in _BY_SIGNATURE.items():
        if head.startswith(signature):
            claimed = next((claim for claim in claims if claim in extensions), "")
            return _known(claimed or (extensions[0] if len(extensions) == 1 else ""), kind)
    if _PAGE.search(head.replace(b"\0", b"")) or claims[1] == ".html":
        return ".html"
    if b"\0" in head and not head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return _known("", kind)
    return next((claim for claim in claims if claim in _TEXTS), ".txt")


def _known(extension: str, kind: str) -> str:
    if not extension:
        raise FetchFault(f"暂不支持的内容类型 {kind}。This kind of content is not supported.")
    return extension


def _charset(content_type: str) -> str | None:
    found = _CHARSET.search(content_type)
    return found[1] if found else None


def _visible(page: str) -> str:
    """The text between the tags, in one pass: a new token in a form is no change."""
    shown: list[str] = []
    at, lower = 0, page.lower()
    while (start := page.find("<", at)) != -1:
        shown.append(page[at:start])
        closing = next((end for tag, end in _SKIPPED.items() if lower.startswith(tag, start)), ">")
        end = lower.find(closing, start)
        if end == -1:
            break
        at = end + len(closing)
    else:
        shown.append(page[at:])
    return " ".join(" ".join(shown).split())


def _one_line(text: str) -> str:
    return " ".join(html.unescape(text).split())[:_TITLE_MAX]
