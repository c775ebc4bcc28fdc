"""What a search engine returns, made harmless: text that loads nothing and links nowhere."""

import re
from typing import Any

from selectolax.lexbor import LexborHTMLParser

from chat_service.web_search import Found

_LONGEST_SNIPPET = 8_000
_LONGEST_TITLE = 200
_LONGEST_URL = 2_000
_URL = re.compile(r"https?://[^\s\x00-\x1f]+", re.IGNORECASE)
_IMAGE = re.compile(r"!\[([^\]\n]*)\]\([^)\n]*\)")
_LINK = re.compile(r"\[([^\]\n]*)\]\([^)\n]*\)")
_MARK = re.compile(r"!+\[")
_DEFINITION = re.compile(r"^(\s*\[[^\]\n]+\]):", re.MULTILINE)
_SPACES = re.compile(r"[ \t\r\f\v]+")
_LINES = re.compile(r"\s*\n\s*")


def found(url: Any, title: Any, snippet: Any) -> Found | None:
    """A result of these values; None for what has no address that a browser may open."""
    if not isinstance(url, str) or len(url) > _LONGEST_URL or not _URL.fullmatch(url):
        return None
    text = plain(snippet)[:_LONGEST_SNIPPET]
    return Found(url, plain(title)[:_LONGEST_TITLE], text) if text else None


def plain(value: Any) -> str:
    """The text of HTML or markdown, or of neither."""
    if not isinstance(value, str):
        return ""
    text = value[: 4 * _LONGEST_SNIPPET].encode("utf-8", "replace").decode()
    if "<" in text or "&" in text:
        tree = LexborHTMLParser(text)
        tree.strip_tags(["script", "style", "template", "noscript"])
        text = tree.body.text(separator="") if tree.body else ""
        text = text.replace("<", "＜")  # what was escaped must not become a tag again
    text = _LINK.sub(r"\1", _IMAGE.sub(r"\1", text))
    text = _DEFINITION.sub(r"\1 :", _MARK.sub("[", text).replace("](", "] ("))
    return _LINES.sub("\n", _SPACES.sub(" ", text)).strip()
