"""Characters beyond 16 bits, which JSON escapes in two halves: either may be missing."""


def whole_characters(text: str) -> str:
    """Halves in pairs as characters, and a mark for each that is alone."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
