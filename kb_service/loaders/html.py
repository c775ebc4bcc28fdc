"""The readable text of a web page, block by block."""

import re
from collections.abc import Iterator, Set
from pathlib import Path

from selectolax.lexbor import LexborHTMLParser, LexborNode

from kb_service.loaders import LoadFault, Reading, Section
from kb_service.loaders.encodings import decode
from kb_service.loaders.furniture import furniture
from kb_service.loaders.tables import table_or_text
from kb_service.loaders.titles import TABLE, TEXT, sections_by_title

_IGNORED = frozenset(
    (
        "script",
        "style",
        "noscript",
        "template",
        "svg",
        "iframe",
        "head",
        "select",
        "object",
        "canvas",
    )
)
_BLOCKS = frozenset(
    (
        *("p", "div", "li", "ul", "ol", "dl", "dt", "dd", "tr", "table", "tbody", "thead", "tfoot"),
        *("td", "th", "caption", "section", "article", "header", "footer", "main", "aside", "nav"),
        *("pre", "blockquote", "figure", "figcaption", "form", "option", "address", "details"),
        *("summary", "body", "fieldset", "legend", "hr"),
    )
)
_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_LAYOUT = "table, ul, ol, h1, h2, h3, h4, h5, h6, pre, blockquote, form"
_SPAN_MAX = 100
_CJK = r"\u2e80-\u9fff\uff00-\uffef"
_WRAPPED = re.compile(rf"(?<=[{_CJK}])[ \t]*\r?\n\s*(?=[{_CJK}])")
_CHARSET = re.compile(
    rb"<(?:meta|\?xml)[^>]{0,200}(?:charset|encoding)\s*=\s*[\"']?\s*([\w.:-]+)", re.I
)
_TAG = re.compile(r"<(/?)([a-z][a-z0-9]*)\b", re.IGNORECASE)
# Without an end tag in much HTML, or by their nature: they say nothing of the depth.
_UNCLOSED = frozenset(
    (
        *("p", "li", "dt", "dd", "tr", "td", "th", "thead", "tbody", "tfoot", "option", "optgroup"),
        *("colgroup", "br", "img", "input", "hr", "meta", "link", "area", "base", "col", "embed"),
        *("source", "track", "wbr", "param", "html", "body", "head"),
    )
)
_LEAST_OWN = 0.2  # of a page's text; where less is left, the marks of its site mean something else
_DEPTH_MAX = 5_000  # the parser takes time by the square of it


def load(path: Path, reading: Reading) -> Iterator[Section]:
    sections = list(sections_by_title(_own_blocks(page_text(path.read_bytes()))))
    if not sections:
        raise LoadFault("文件中没有文字。The file has no text.")
    return iter(sections)


def page_text(raw: bytes) -> str:
    declared = _CHARSET.search(raw[:4096])
    return decode(raw, declared[1].decode() if declared else None)


def blocks(page: str) -> Iterator[tuple[int, str]]:
    """Texts, headings and tables in the order of reading. Raises LoadFault."""
    _check_depth(page)
    tree = LexborHTMLParser(page)
    if tree.body is not None:
        yield from _Walk().over(tree.body)


def _own_blocks(page: str) -> list[tuple[int, str]]:
    """Without what its site repeats on every page, unless that is nearly all that there is."""
    _check_depth(page)
    tree = LexborHTMLParser(page)
    if tree.body is None:
        return []
    everything = list(_Walk().over(tree.body))
    if not (skipped := furniture(tree)):
        return everything
    own = list(_Walk(skipped).over(tree.body))
    is_page = _length(own) >= _LEAST_OWN * _length(everything)
    return own if is_page else everything


def _length(found: list[tuple[int, str]]) -> int:
    return sum(len(text) for _, text in found)


def _check_depth(page: str) -> None:
    depth = 0
    for end, tag in _TAG.findall(page):
        if tag.lower() in _UNCLOSED:
            continue
        depth = max(0, depth - 1) if end else depth + 1
        if depth > _DEPTH_MAX:
            raise LoadFault(
                f"网页嵌套超过 {_DEPTH_MAX} 层。The page is nested more than {_DEPTH_MAX} deep."
            )


class _Walk:
    """One pass over the nodes, without recursion: pages may be nested deeper than Python calls."""

    def __init__(self, skipped: Set[int] = frozenset()) -> None:
        self._skipped = skipped
        self._words: list[str] = []
        self._preformatted = 0

    def over(self, root: LexborNode) -> Iterator[tuple[int, str]]:
        stack: list[tuple[LexborNode, bool]] = [(root, True)]
        while stack:
            node, is_entering = stack.pop()
            if not is_entering:
                yield from self._leave(node)
                continue
            whole = self._whole(node)
            if whole is not None:
                yield from whole
                continue
            stack.append((node, False))
            yield from self._enter(node)
            stack += [(child, True) for child in reversed(list(_children(node)))]
        yield from self._flush()

    def _whole(self, node: LexborNode) -> Iterator[tuple[int, str]] | None:
        """What a node gives that is not walked into; None for the others."""
        tag = node.tag or ""
        if tag in _IGNORED or tag == "-comment" or node.mem_id in self._skipped:
            return iter(())
        if tag in _HEADINGS:
            return self._after_text(_HEADINGS[tag], " ".join(node.text().split()))
        if tag == "table" and (rows := _rows(node)):
            return self._table(rows)
        return None

    def _after_text(self, level: int, text: str) -> Iterator[tuple[int, str]]:
        yield from self._flush()
        if text:
            yield level, text

    def _table(self, rows: list[list[str]]) -> Iterator[tuple[int, str]]:
        yield from self._flush()
        for is_table, text in table_or_text(rows):
            yield (TABLE if is_table else TEXT), text

    def _enter(self, node: LexborNode) -> Iterator[tuple[int, str]]:
        tag = node.tag or ""
        if tag == "-text":
            self._words.append(node.text_content or "")
        if tag in _BLOCKS or tag == "br":
            yield from self._flush()
        self._preformatted += tag == "pre"

    def _leave(self, node: LexborNode) -> Iterator[tuple[int, str]]:
        if node.tag in _BLOCKS:
            yield from self._flush()
        self._preformatted -= node.tag == "pre"

    def _flush(self) -> Iterator[tuple[int, str]]:
        text, self._words = "".join(self._words), []
        if self._preformatted and text.strip():
            yield TEXT, text.strip("\n")
        elif joined := " ".join(_WRAPPED.sub("", text).split()):
            yield TEXT, joined


def _children(node: LexborNode) -> Iterator[LexborNode]:
    child = node.child
    while child is not None:
        yield child
        child = child.next


def _rows(table: LexborNode) -> list[list[str]] | None:
    """The cells, spans filled out; None for a table that only lays out a page."""
    if len(table.css(_LAYOUT)) > 1:  # the table itself is among them
        return None
    rows: list[list[str]] = []
    pending: dict[int, tuple[int, str]] = {}  # column -> rows to go, text: cells that reach down
    for line in table.css("tr"):
        row: list[str] = []
        for cell in _children(line):
            if cell.tag not in {"td", "th"}:
                continue
            _take_pending(row, pending)
            text = " ".join(text for _, text in _Walk().over(cell))
            if (down := _span(cell, "rowspan")) > 1:
                pending[len(row)] = (down - 1, text)
            row += [text, *[""] * (_span(cell, "colspan") - 1)]
        _take_pending(row, pending)
        rows.append(row)
    return rows


def _take_pending(row: list[str], pending: dict[int, tuple[int, str]]) -> None:
    while len(row) in pending:
        left, text = pending.pop(len(row))
        if left > 1:
            pending[len(row)] = (left - 1, text)
        row.append(text)


def _span(cell: LexborNode, name: str) -> int:
    value = cell.attributes.get(name) or "1"
    return min(int(value), _SPAN_MAX) if value.isdecimal() and value.isascii() else 1
