"""Word lists of operators, and what was found by them."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

Action = Literal["block", "mask", "replace"]
Place = Literal["question", "answer"]
AppliesTo = Literal["question", "answer", "both"]
BLOCK, MASK, REPLACE = "block", "mask", "replace"


@dataclass(frozen=True, slots=True)
class WordList:
    """`words` may be left out where only the list is shown."""

    name: str
    action: Action
    applies_to: AppliesTo = "both"
    replacement: str = ""
    enabled: bool = True
    words: tuple[str, ...] = field(default=(), repr=False)
    id: int = 0


@dataclass(frozen=True, slots=True)
class Hit:
    """How often words of a list were found in one question or answer, without its text."""

    list_name: str
    action: str
    found_in: Place
    mode: str
    client_id: str
    user_id: str
    hits: int
    create_time: datetime
