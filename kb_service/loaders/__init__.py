"""Documents to sections of text, each format in a file of its own that is imported when needed.

Loaders run in a parser process, never in the serving one.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

from kb_service.entities import ParseOptions


class LoadFault(Exception):
    """Why a document could not be read, in the words of a sentence to its user."""


def encrypted() -> LoadFault:
    return LoadFault("文件已加密，请去除密码后上传。The file is encrypted; remove its password.")


def damaged() -> LoadFault:
    return LoadFault("文件已损坏，无法打开。The file is damaged and cannot be opened.")


@dataclass(frozen=True, slots=True)
class Section:
    """Text that belongs together.

    Metadata says where it stands: `title` (the path of headings), `page`, `sheet`, `slide`, `row`.
    A `table` is Markdown, its header first, which each of its chunks repeats; a `record` is never
    split.
    """

    text: str
    metadata: dict[str, Any] = field(default_factory=dict)
    kind: Literal["text", "table", "record"] = "text"


@dataclass(frozen=True, slots=True)
class Reading:
    """How a document is to be read, and what its loader has to say beside the text."""

    options: ParseOptions = field(default_factory=ParseOptions)
    notes: list[str] = field(default_factory=list)
    progress: Callable[[int, int], None] = lambda done, total: None


@dataclass(frozen=True, slots=True)
class Opened:
    """A document whose content is what its extension says."""

    loader: str
    sections: Iterator[Section]
    is_slow: bool


# Extension -> name of the loader; the names are what the file table shows.
FORMATS = {
    ".txt": "TextLoader",
    ".md": "MarkdownLoader",
    ".markdown": "MarkdownLoader",
    ".rst": "RSTLoader",
    ".csv": "CSVLoader",
    ".tsv": "CSVLoader",
    ".json": "JSONLoader",
    ".jsonl": "JSONLinesLoader",
    ".html": "HTMLLoader",
    ".htm": "HTMLLoader",
    ".xml": "XMLLoader",
    ".epub": "EpubLoader",
    ".pdf": "PDFLoader",
    ".docx": "DocxLoader",
    ".doc": "DocLoader",
    ".rtf": "RTFLoader",
    ".odt": "OdtLoader",
    ".xlsx": "XlsxLoader",
    ".xls": "XlsLoader",
    ".pptx": "PptxLoader",
    ".ppt": "PptLoader",
    ".eml": "EmailLoader",
    ".msg": "OutlookLoader",
    ".png": "ImageLoader",
    ".jpg": "ImageLoader",
    ".jpeg": "ImageLoader",
    ".bmp": "ImageLoader",
    ".tif": "ImageLoader",
    ".tiff": "ImageLoader",
    ".webp": "ImageLoader",
}

_MODULES = {
    "TextLoader": "plain",
    "MarkdownLoader": "markdown",
    "RSTLoader": "restructured",
    "CSVLoader": "delimited",
    "JSONLoader": "json_document",
    "JSONLinesLoader": "json_lines",
    "HTMLLoader": "html",
    "XMLLoader": "xml_document",
    "EpubLoader": "epub",
    "PDFLoader": "pdf",
    "DocxLoader": "docx",
    "DocLoader": "doc",
    "RTFLoader": "rtf",
    "OdtLoader": "odt",
    "XlsxLoader": "xlsx",
    "XlsLoader": "xls",
    "PptxLoader": "pptx",
    "PptLoader": "ppt",
    "EmailLoader": "email_message",
    "OutlookLoader": "outlook",
    "ImageLoader": "image",
}
_SLOW = {"PDFLoader", "DocLoader", "PptLoader", "ImageLoader"}  # OCR, another program


def open_document(path: Path, extension: str, reading: Reading) -> Opened:
    """Checks that the content is what the extension says, then reads it. Raises LoadFault."""
    from kb_service.loaders.kinds import loader_for

    loader = loader_for(path, extension, FORMATS[extension])
    module = import_module(f"kb_service.loaders.{_MODULES[loader]}")
    return Opened(loader, module.load(path, reading), loader in _SLOW)
