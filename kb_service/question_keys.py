"""When two questions are the same one: width, case, spaces and punctuation do not count."""

import hashlib
import unicodedata

LONGEST = 200  # characters of a recommended question


def question_key(text: str) -> str | None:
    """Equal for equal questions; None for what no recommended question can be equal to."""
    return same_question(text) if len(text) <= 2 * LONGEST else None


def same_question(text: str) -> str:
    """The same for questions of any length."""
    plain = unicodedata.normalize("NFKC", text).casefold()
    # Where nothing but marks is left, they are what was asked.
    kept = "".join(c for c in plain if c.isalnum() or unicodedata.category(c)[0] in "MS") or plain
    return hashlib.sha256(kept.encode(errors="replace")).hexdigest()[:32]
