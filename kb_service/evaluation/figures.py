"""The aggregates of a run."""

import math
from collections.abc import Iterable, Sequence

from kb_service.evaluation_entities import Figures, Outline


def figures_of(results: Sequence[Outline], *, top_k: int) -> Figures:
    judged = [one for one in results if one.verdict in {"hit", "missed"}]
    refusals = [one for one in results if one.verdict in {"refused", "answered"}]
    latencies = sorted(one.latency_ms for one in results)
    return Figures(
        questions=len(results),
        judged=len(judged),
        unjudged=sum(one.verdict == "unjudged" for one in results),
        refusals=len(refusals),
        hit_at_1=_hit_rate(judged, 1, top_k),
        hit_at_3=_hit_rate(judged, 3, top_k),
        hit_at_5=_hit_rate(judged, 5, top_k),
        hit_at_k=_hit_rate(judged, top_k, top_k),
        mrr=_mean(1 / one.rank if one.rank else 0 for one in judged),
        ndcg_at_10=_mean(one.ndcg for one in judged) if top_k >= 10 else None,
        refusal_rate=_mean(one.verdict == "refused" for one in refusals),
        wrongly_refused=sum(not one.found for one in judged),
        wrongly_answered=sum(one.verdict == "answered" for one in refusals),
        by_meaning=sum(one.by_meaning for one in results),
        reranked=sum(one.reranked for one in results),
        latency_p50_ms=_percentile(latencies, 0.50),
        latency_p95_ms=_percentile(latencies, 0.95),
    )


def _hit_rate(judged: Sequence[Outline], k: int, top_k: int) -> float | None:
    if k > top_k:
        return None
    return _mean(one.rank is not None and one.rank <= k for one in judged)


def _mean(values: Iterable[float]) -> float | None:
    listed = list(values)
    return round(sum(listed) / len(listed), 4) if listed else None


def _percentile(ordered: Sequence[float], share: float) -> float | None:
    """The smallest one that so many are not above."""
    if not ordered:
        return None
    return round(ordered[math.ceil(share * len(ordered)) - 1], 2)
