"""What a model's cosines mean: each model has another one between texts that are unrelated.

Measured once per model with pairs of questions and passages whose subjects are known, apart for
Chinese and other languages: a model that does not know a language takes all of its texts for alike,
and would only spoil what the words find.
"""

import math
from collections.abc import Sequence
from statistics import fmean, pstdev

from kb_service.embeddings import Embedder
from kb_service.embeddings.probes import CHINESE, ENGLISH
from kb_service.entities import Calibration
from kb_service.tokens import is_ideographic

_FAR = 4.5  # standard deviations above unrelated texts: where distance 1 is
_KNOWN = 0.75  # of the questions must be nearest to their own passages
_HIGHEST = 0.95


def limit_for(calibration: Calibration, question: str) -> float | None:
    has_ideographs = any(is_ideographic(character) for character in question)
    return calibration.chinese if has_ideographs else calibration.other


def similarity_at(limit: float, cosine: float) -> float:
    """A cosine on the scale of the usual model, whose `limit` is 0.5: so 2-2x is the distance.

    From 1 to the limit and from there to -1 it stays a straight line.
    """
    if cosine >= limit:
        return 1 - (1 - cosine) / (1 - limit) / 2
    return 0.5 - (limit - cosine) / (1 + limit) / 2


async def calibrate(embedder: Embedder) -> Calibration:
    """Raises UpstreamError."""
    return Calibration(await _limit(embedder, CHINESE), await _limit(embedder, ENGLISH))


async def _limit(embedder: Embedder, pairs: Sequence[tuple[str, str]]) -> float | None:
    passages = (await embedder.embed([passage for _, passage in pairs])).vectors
    unrelated, known = list[float](), 0
    for number, (question, _) in enumerate(pairs):
        vector = await embedder.embed_query(question)
        cosines = [_cosine(vector, passage) for passage in passages]
        known += max(range(len(pairs)), key=cosines.__getitem__) == number
        del cosines[number]
        unrelated += cosines
    if known < _KNOWN * len(pairs):
        return None
    return min(fmean(unrelated) + _FAR * pstdev(unrelated), _HIGHEST)


def _cosine(left: Sequence[float], right: Sequence[float]) -> float:
    product = sum(a * b for a, b in zip(left, right, strict=True))
    lengths = math.sqrt(sum(a * a for a in left) * sum(b * b for b in right))
    return product / lengths if lengths else 0.0
