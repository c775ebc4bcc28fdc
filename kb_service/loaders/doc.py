"""Old Word documents."""

from collections.abc import Iterator
from pathlib import Path

from kb_service.loaders import Reading, Section, docx
from kb_service.loaders.libreoffice import converted


def load(path: Path, reading: Reading) -> Iterator[Section]:
    return converted(path, "doc", "docx", reading, docx.load)
