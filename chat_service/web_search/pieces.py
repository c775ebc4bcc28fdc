"""Long results in pieces, of which the best are kept: what the old wire calls `split_result`."""

import re

from chat_service.offline import relevance
from chat_service.web_search import Found

_PIECE = 500
_OVERLAP = 50
_SENTENCE_END = re.compile(r"(?<=[。！？!?；;\n])|(?<=\. )")


def best_pieces(query: str, results: list[Found], *, limit: int) -> list[Found]:
    """All pieces in their order when they are few, else the most relevant, the best first."""
    pieces = [
        Found(result.url, result.title, piece)
        for result in results
        for piece in split(result.snippet)
    ]
    if len(pieces) <= limit:
        return pieces
    scores = relevance(query, [piece.snippet for piece in pieces])
    order = sorted(range(len(pieces)), key=lambda i: (-scores[i], i))
    return [pieces[i] for i in order[:limit]]


def split(text: str) -> list[str]:
    """Whole sentences up to a length; a short last one also begins the next piece."""
    pieces: list[str] = []
    piece, last = "", ""
    for sentence in _sentences(text):
        if piece and len(piece) + len(sentence) > _PIECE:
            pieces.append(piece.strip())
            piece = last if len(last) <= _OVERLAP else ""
        piece += sentence
        last = sentence
    return [*pieces, piece.strip()] if piece.strip() else pieces


def _sentences(text: str) -> list[str]:
    """None longer than a piece."""
    return [
        sentence[start : start + _PIECE]
        for sentence in _SENTENCE_END.split(text)
        for start in range(0, len(sentence), _PIECE)
    ]
