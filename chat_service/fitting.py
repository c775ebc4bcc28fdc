"""What fits into a model's context: passages before history, the best passages before others."""

from bisect import bisect_right
from collections.abc import Sequence

from chat_service.history import estimate_tokens
from chat_service.llm import Sampling
from chat_service.vendors import Vendor

_LEAST_FOR_PASSAGES = 200
_PER_PASSAGE = 30  # tokens of the fence around it
_ANSWER = 1_000


def prompt_budget(vendor: Vendor, sampling: Sampling, otherwise: int) -> int:
    """Tokens that the prompt and its history may hold: the model's context without its answer."""
    context = vendor.operation.context_tokens
    if context is None:
        return otherwise
    answer = vendor.tokens_within(sampling.max_tokens) or _ANSWER
    return max(context - answer, context // 2)


def fitting(passages: Sequence[str], budget: int) -> list[str]:
    """The first passages that fit, in their order, the last of them cut where it must be."""
    left = max(budget, _LEAST_FOR_PASSAGES)
    kept: list[str] = []
    for passage in passages:
        left -= _PER_PASSAGE
        tokens = estimate_tokens(passage)
        if tokens > left:
            return [*kept, cut] if (cut := _beginning(passage, left)) else kept
        left -= tokens
        kept.append(passage)
    return kept


def _beginning(text: str, tokens: int) -> str:
    """As much of the text as the tokens hold."""
    lengths = range(len(text) + 1)
    end = bisect_right(lengths, tokens, key=lambda length: estimate_tokens(text[:length])) - 1
    return f"{text[:end]}…" if end > 0 else ""
