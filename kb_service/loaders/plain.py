"""Plain text."""

from collections.abc import Iterator
from pathlib import Path

from kb_service.loaders import Reading, Section
from kb_service.loaders.encodings import read_text


def load(path: Path, reading: Reading) -> Iterator[Section]:
    return iter([Section(read_text(path))])
