"""The text of PDF pages, under the headings of the document's outline."""

import re
from collections.abc import Iterator
from math import inf
from pathlib import Path

import pypdfium2

from kb_service.loaders import LoadFault, Reading, Section, damaged, encrypted
from kb_service.loaders.pdf_page import PageText, read_page

_PAGES_MAX = 5_000
_BOOKMARKS_MAX = 20_000
_LISTED_MAX = 20
_SENTENCE_END = re.compile(r"[。！？；：.!?;:]\s*$")
_PROSE = 30  # columns that a line of prose has at least; a Chinese character takes two
_SPACE = re.compile(r"\s+")


def load(path: Path, reading: Reading) -> Iterator[Section]:
    try:
        document = pypdfium2.PdfDocument(path)
    except pypdfium2.PdfiumError as error:
        if "password" in str(error).lower():
            raise encrypted() from None
        raise damaged() from None
    if len(document) > _PAGES_MAX:
        raise LoadFault(f"PDF 超过 {_PAGES_MAX} 页。More than {_PAGES_MAX} pages.")
    return _Pages(document, reading).sections()


class _Pages:
    """All pages in turn; what could not be read of them ends up in the notes."""

    def __init__(self, document: pypdfium2.PdfDocument, reading: Reading) -> None:
        self._document, self._reading = document, reading
        self._outline = _outline(document)
        self._path: dict[int, str] = {}
        self._damaged: list[int] = []
        self._unread: list[int] = []
        self._recognised = 0

    def sections(self) -> Iterator[Section]:
        total, found = len(self._document), False
        for number in range(1, total + 1):
            text = self._text(number)
            for section in self._by_heading(number, text):
                found = True
                yield section
            self._reading.progress(number, total)
        self._report(found=found)

    def _text(self, number: int) -> str:
        try:
            page = read_page(self._document, number - 1)
        except pypdfium2.PdfiumError:
            self._damaged.append(number)
            return ""
        return self._recognise(number) or page.text if page.is_picture else page.text

    def _recognise(self, number: int) -> str:
        from kb_service.loaders import ocr

        options = self._reading.options
        if not options.ocr or self._recognised >= options.ocr_pages_max or not ocr.is_installed():
            self._unread.append(number)
            return ""
        self._recognised += 1
        try:
            return ocr.read(PageText.picture(self._document, number - 1))
        except pypdfium2.PdfiumError:
            self._damaged.append(number)
            return ""

    def _by_heading(self, number: int, text: str) -> Iterator[Section]:
        """The page, cut where the outline says that a chapter begins."""
        lines = [line.strip() for line in text.replace("\ufffe", "").splitlines()]
        full = _full(lines)
        start = headings = 0
        for level, title in self._outline.get(number, []):
            at = _line_of(title, lines, start)
            if at is not None:
                if at - start > headings:
                    yield from self._section(number, lines[start:at], full)
                    start, headings = at, 0
                headings += 1
            self._path = {known: name for known, name in self._path.items() if known < level}
            self._path[level] = title
        yield from self._section(number, lines[start:], full)

    def _section(self, number: int, lines: list[str], full: float) -> Iterator[Section]:
        if any(lines):
            title = " > ".join(name for _, name in sorted(self._path.items()))
            yield Section(
                _unwrapped(lines, full), {"page": number} | ({"title": title} if title else {})
            )

    def _report(self, *, found: bool) -> None:
        if not found and self._unread and not self._damaged:
            raise LoadFault(self._why_unread())
        if not found and self._damaged:
            raise damaged()
        if self._damaged:
            pages = _listed(self._damaged)
            self._reading.notes.append(
                f"已跳过损坏的页：{pages}。Damaged pages were skipped: {pages}."
            )
        if self._unread:
            pages = _listed(self._unread)
            self._reading.notes.append(
                f"没有文字的页：{pages}。Pages without text: {pages}. {self._why_unread()}"
            )
        if self._recognised:
            self._reading.notes.append(
                f"{self._recognised} 页由文字识别得到。{self._recognised} pages were read by OCR."
            )

    def _why_unread(self) -> str:
        from kb_service.loaders import ocr

        return ocr.why_not(self._reading.options)


def _outline(document: pypdfium2.PdfDocument) -> dict[int, list[tuple[int, str]]]:
    """Page -> (level, title) of the bookmarks that lead there, in their order."""
    headings: dict[int, list[tuple[int, str]]] = {}
    try:
        for count, bookmark in enumerate(document.get_toc()):
            destination = bookmark.get_dest()
            index = destination.get_index() if destination is not None else None
            title = " ".join(bookmark.get_title().split())
            if count >= _BOOKMARKS_MAX:
                break
            if index is not None and title:
                headings.setdefault(index + 1, []).append((bookmark.level, title))
    except pypdfium2.PdfiumError:
        return {}
    return headings


def _line_of(title: str, lines: list[str], start: int) -> int | None:
    wanted = _SPACE.sub("", title)
    for at in range(start, len(lines)):
        line = _SPACE.sub("", lines[at])
        if line.startswith(wanted) or (len(line) > 3 and line.endswith(wanted)):
            return at
    return None


def _listed(pages: list[int]) -> str:
    shown = ", ".join(map(str, pages[:_LISTED_MAX]))
    return f"{shown} … ({len(pages)})" if len(pages) > _LISTED_MAX else shown


def unwrap(text: str) -> str:
    """Joins lines that end only because the page did; a short line or a full stop ends one."""
    lines = [line.strip() for line in text.replace("\ufffe", "").splitlines()]
    return _unwrapped(lines, _full(lines))


def _full(lines: list[str]) -> float:
    """From which length a line may go on in the next; never where all are short, as in tables."""
    longest = max(lines, key=len, default="")
    columns = sum(1 if character.isascii() else 2 for character in longest)
    return 0.8 * len(longest) if columns >= _PROSE else inf


def _unwrapped(lines: list[str], full: float) -> str:
    joined: list[str] = []
    for line in lines:
        joined.append(line)
        if len(line) < full or _SENTENCE_END.search(line):
            joined.append("\n")
        elif line[-1:].isascii():
            joined.append(" ")
    return "".join(joined)
