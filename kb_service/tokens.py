"""Text to search terms, and terms to the sparse vectors that the engine scores by BM25."""

from collections.abc import Iterable, Mapping

from kb_service.vectors import SparseVector


def terms(text: str) -> list[str]:
    """The search terms of a text, in order, repeats kept."""
    raise NotImplementedError


def sparse_vector(counts: Mapping[str, int]) -> SparseVector:
    """What is stored for a passage: saturated and length-normalised term frequencies."""
    raise NotImplementedError


def query_vector(terms: Iterable[str]) -> SparseVector:
    """What is asked: each distinct term once."""
    raise NotImplementedError
