"""The text of PDF pages."""

import re
from collections.abc import Iterator
from pathlib import Path

import pypdfium2

from kb_service.loaders import LoadFault, Section

_PAGES_MAX = 5_000
_SENTENCE_END = re.compile(r"[。！？；：.!?;:]\s*$")


def load(path: Path) -> Iterator[Section]:
    with path.open("rb") as file:
        if b"%PDF-" not in file.read(1024):
            raise LoadFault("内容不是 PDF，与扩展名不符。The content is not a PDF.")
    try:
        document = pypdfium2.PdfDocument(path)
    except pypdfium2.PdfiumError as error:
        if "password" in str(error).lower():
            raise LoadFault("PDF 已加密。The PDF is encrypted.") from None
        raise LoadFault("PDF 已损坏。The PDF is damaged.") from None
    if len(document) > _PAGES_MAX:
        raise LoadFault(f"PDF 超过 {_PAGES_MAX} 页。More than {_PAGES_MAX} pages.")
    return _pages(document)


def _pages(document: pypdfium2.PdfDocument) -> Iterator[Section]:
    for number in range(len(document)):
        try:
            page = document[number]
            text_page = page.get_textpage()
            text = text_page.get_text_bounded()
        except pypdfium2.PdfiumError:
            raise LoadFault(f"第 {number + 1} 页已损坏。Page {number + 1} is damaged.") from None
        text_page.close()
        page.close()
        if text.strip():
            yield Section(unwrap(text), {"page": number + 1})


def unwrap(text: str) -> str:
    """Joins lines that end only because the page did; a short line or a full stop ends one."""
    lines = [line.strip() for line in text.replace("\ufffe", "").splitlines()]
    full = 0.8 * max(map(len, lines), default=0)
    joined = ""
    for line in lines:
        joined += line
        if len(line) < full or _SENTENCE_END.search(line):
            joined += "\n"
        elif line[-1:].isascii():
            joined += " "
    return joined
