"""A prompt template as operators have it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

Source = Literal["built-in", "folder", "edited"]


@dataclass(frozen=True, slots=True)
class PromptVersion:
    """One version; an empty text is what was there before operators."""

    kind: str
    name: str
    version: int
    text: str
    author: str
    create_time: datetime


@dataclass(frozen=True, slots=True)
class Template:
    """What is used now, and where it comes from; version 0 is not an operator's."""

    kind: str
    name: str
    text: str
    source: Source
    version: int = 0
