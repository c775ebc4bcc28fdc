"""The readable text of a web page, block by block."""

from collections.abc import Iterator

from selectolax.lexbor import LexborHTMLParser

_IGNORED = "script, style, noscript, template, svg, iframe"
_BLOCKS = (
    "p, div, li, ul, ol, tr, table, section, article, header, footer, main, aside, nav, pre, "
    "blockquote, dt, dd, figure, figcaption, form, option, address, details, summary"
)
_MARK = "\x02"  # taken out of the page first, so that it is ours alone


def blocks(page: str) -> Iterator[tuple[int, str]]:
    """(0, line) or (level, heading), in the order of reading."""
    tree = LexborHTMLParser(page.replace(_MARK, ""))
    if tree.body is None:
        return
    _mark_up(tree)
    for line in tree.body.text().split("\n"):
        text = " ".join(line.split())
        if text.startswith(_MARK):
            yield int(text[1]), text[2:]
        elif text:
            yield 0, text


def _mark_up(tree: LexborHTMLParser) -> None:
    """Turns structure into line breaks and marks that survive in the text."""
    for tag in tree.css(_IGNORED):
        tag.decompose()
    for node in tree.css("br"):
        node.insert_before("\n")
    for node in tree.css("td, th"):
        node.insert_after(" ")
    for node in tree.css(_BLOCKS):
        node.insert_before("\n")
        node.insert_after("\n")
    for level in range(1, 7):
        for node in tree.css(f"h{level}"):
            title = " ".join(node.text().split())
            node.replace_with(f"\n{_MARK}{level}{title}\n")
