"""What the search counts and sees when chunks are hidden and shown."""

from collections import Counter

from kb_service.catalog import LiveCatalog
from kb_service.chunk_entities import Hidden
from kb_service.tokens import terms

TEXTS = ("年假每年十天。", "病假须附证明。", "annual leave policy")


def hidden(position: int, replacement: str = "", context: str | None = None) -> Hidden:
    text = TEXTS[position]
    return Hidden(f"c{position}", position, text, context, replacement, frozenset(terms(text)))


def counts(*texts: str) -> dict[str, int]:
    total: Counter[str] = Counter()
    for text in texts:
        total.update(set(terms(text)))
    return dict(total)


def published(*texts: str) -> LiveCatalog:
    catalog = LiveCatalog()
    catalog.publish(1, "v", term_counts=counts(*texts), chunks=len(texts))
    return catalog


def weights(catalog: LiveCatalog) -> list[float]:
    return [catalog.idf(1, term) for term in ("年", "假", "病", "leave", "none")]


def test_a_hidden_chunk_counts_like_one_that_is_not_there() -> None:
    catalog = published(*TEXTS)
    catalog.hide(1, "v", hidden(1))
    catalog.hide(1, "v", hidden(1))  # told again, it counts once
    assert weights(catalog) == weights(published(TEXTS[0], TEXTS[2]))
    assert not catalog.answers(1, "v", "c1")
    assert catalog.answers(1, "v", "c0")


def test_what_was_hidden_is_not_taken_off_twice() -> None:
    catalog = published(*TEXTS)
    catalog.hide(1, "v", hidden(1))
    catalog.publish(1, "w", term_counts=counts(*TEXTS), chunks=3)
    catalog.withdraw(1, "v")
    assert weights(catalog) == weights(published(*TEXTS))
    catalog.withdraw(1, "w")
    assert weights(catalog) == weights(LiveCatalog())


def test_hiding_in_what_does_not_answer_changes_nothing() -> None:
    catalog = published(*TEXTS)
    catalog.hide(1, "gone", hidden(1))
    catalog.hide(2, "v", hidden(1))
    assert weights(catalog) == weights(published(*TEXTS))
    assert not catalog.answers(1, "gone", "c0")


def test_contexts_have_what_stands_there_now() -> None:
    catalog = published(*TEXTS)
    context = "".join(TEXTS)
    catalog.hide(1, "v", hidden(0, "年假每年二十天。", TEXTS[0] + TEXTS[1]))
    assert catalog.patched(1, "v", 2, context) == f"年假每年二十天。{TEXTS[1]}{TEXTS[2]}"
    assert catalog.patched(1, "v", 500, context) == context  # the same words elsewhere
    catalog.publish(1, "o", term_counts={}, chunks=1)
    catalog.place(1, "o", "v", 1)
    assert catalog.patched(1, "o", 0, context).startswith("年假每年二十天。")
    assert catalog.place_of(1, "o", 7) == ("v", 1)
