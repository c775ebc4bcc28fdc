"""Documents to sections of text, each format in a file of its own that is imported when needed.

Loaders run in a parser process, never in the serving one.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


class LoadFault(Exception):
    """Why a document could not be read, in the words of a sentence to its user."""


@dataclass(frozen=True, slots=True)
class Section:
    """Text that belongs together; an atomic one is never split. A title path goes in metadata."""

    text: str
    metadata: dict[str, Any] = field(default_factory=dict)
    atomic: bool = False


# Extension -> name of the loader; the names are what the file table shows.
FORMATS = {
    ".txt": "TextLoader",
    ".md": "MarkdownLoader",
    ".markdown": "MarkdownLoader",
    ".csv": "CSVLoader",
    ".json": "JSONLoader",
    ".jsonl": "JSONLinesLoader",
    ".html": "HTMLLoader",
    ".htm": "HTMLLoader",
    ".pdf": "PDFLoader",
    ".docx": "DocxLoader",
    ".xlsx": "XlsxLoader",
    ".pptx": "PptxLoader",
}


def open_document(path: Path, extension: str) -> Iterator[Section]:
    """Checks that the content is what the extension says, then reads it. Raises LoadFault."""
    if path.stat().st_size == 0:
        raise LoadFault("文件为空。The file is empty.")
    loader = FORMATS[extension]
    if loader == "PDFLoader":
        from kb_service.loaders import pdf

        return pdf.load(path)
    if loader in {"DocxLoader", "XlsxLoader", "PptxLoader"}:
        from kb_service.loaders import office

        return office.load(path, extension)
    from kb_service.loaders import text

    return text.load(path, loader)
