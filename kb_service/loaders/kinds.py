"""What a file is, by its content: an extension is only a claim."""

import re
import zipfile
from pathlib import Path

from kb_service.loaders import LoadFault, damaged, encrypted
from kb_service.loaders.archives import BROKEN

# What a file can be -> what people call it.
_NAMES = {
    "pdf": ("PDF", "a PDF"),
    "docx": ("Word 文档 (docx)", "a Word document (docx)"),
    "xlsx": ("Excel 工作簿 (xlsx)", "an Excel workbook (xlsx)"),
    "pptx": ("PowerPoint 演示文稿 (pptx)", "a PowerPoint presentation (pptx)"),
    "odt": ("OpenDocument 文本 (odt)", "an OpenDocument text (odt)"),
    "epub": ("EPUB 电子书", "an EPUB book"),
    "zip": ("ZIP 压缩包", "a ZIP archive"),
    "doc": ("旧版 Word 文档 (doc)", "an old Word document (doc)"),
    "xls": ("旧版 Excel 工作簿 (xls)", "an old Excel workbook (xls)"),
    "ppt": ("旧版 PowerPoint 演示文稿 (ppt)", "an old PowerPoint presentation (ppt)"),
    "msg": ("Outlook 邮件 (msg)", "an Outlook message (msg)"),
    "ole": ("其他 OLE 文件", "another kind of OLE file"),
    "rtf": ("RTF 文档", "an RTF document"),
    "image": ("图片", "an image"),
    "binary": ("其他二进制文件", "another binary file"),
    "html": ("HTML 网页", "a web page"),
    "xml": ("XML 文档", "an XML document"),
    "text": ("文本", "text"),
}
_SIGNATURES = {
    b"PK\x03\x04": "zip",
    b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1": "ole",
    b"{\\rtf": "rtf",
    b"\x89PNG\r\n\x1a\n": "image",
    b"\xff\xd8\xff": "image",
    b"BM": "image",
    b"II*\0": "image",
    b"MM\0*": "image",
    **dict.fromkeys(
        (b"GIF8", b"\x7fELF", b"MZ\x90", b"Rar!", b"7z\xbc\xaf", b"\x1f\x8b"), "binary"
    ),
}
_IN_ARCHIVES = {
    "word/document.xml": "docx",
    "xl/workbook.xml": "xlsx",
    "ppt/presentation.xml": "pptx",
}
_MIMETYPES = {b"application/vnd.oasis.opendocument.text": "odt", b"application/epub+zip": "epub"}
_STREAMS = {
    "WordDocument": "doc",
    "Workbook": "xls",
    "Book": "xls",
    "PowerPoint Document": "ppt",
    "__properties_version1.0": "msg",
}
_PAGE = re.compile(
    rb"(<!--.*?-->|<\?xml[^>]*>|\s)*<(!doctype\s+html|html|head|body|meta|table)\b", re.I | re.S
)
_BYTE_ORDER = b"\xef\xbb\xbf\xff\xfe"
# What else an extension may hold, since programs write it so and Office opens it.
_ALSO = {
    ".doc": {"docx": "DocxLoader", "rtf": "RTFLoader", "html": "HTMLLoader"},
    ".xls": {"xlsx": "XlsxLoader", "html": "HTMLLoader", "text": "CSVLoader"},
    ".ppt": {"pptx": "PptxLoader"},
}
_TEXTS = {".txt", ".md", ".markdown", ".rst", ".csv", ".tsv", ".json", ".jsonl"}
_TEXTS |= {".html", ".htm", ".xml", ".eml"}
_IMAGES = {".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp"}


def loader_for(path: Path, extension: str, usual: str) -> str:
    """The loader for what the file is. Raises LoadFault when the extension promises otherwise."""
    kind = _kind(path, extension)
    if kind in _ALSO.get(extension, {}):
        return _ALSO[extension][kind]
    if extension in _TEXTS and kind in {"text", "html", "xml"}:
        return usual
    if kind == ("image" if extension in _IMAGES else extension.removeprefix(".")):
        return usual
    chinese, english = _NAMES[kind]
    raise LoadFault(
        f"内容是{chinese}，与扩展名 {extension} 不符。"
        f"The content is {english}, not what {extension} says."
    )


def _kind(path: Path, extension: str) -> str:
    """A key of the table of names. Raises LoadFault for an empty or an encrypted file."""
    with path.open("rb") as file:
        head = file.read(2048)
    if not head:
        raise LoadFault("文件为空。The file is empty.")
    if head.startswith(b"%PDF-") or (extension == ".pdf" and b"%PDF-" in head[:1024]):
        return "pdf"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "image"
    kind = next((kind for mark, kind in _SIGNATURES.items() if head.startswith(mark)), "text")
    if kind == "zip":
        return _archive_kind(path)
    if kind == "ole":
        return _ole_kind(path)
    return _text_kind(head) if kind == "text" else kind


def _text_kind(head: bytes) -> str:
    start = head.lstrip(_BYTE_ORDER).replace(b"\0", b"")
    if _PAGE.match(start):
        return "html"
    return "xml" if start.startswith(b"<?xml") else "text"


def _archive_kind(path: Path) -> str:
    try:
        with zipfile.ZipFile(path) as archive:
            names = set(archive.namelist())
            if kind := next((kind for part, kind in _IN_ARCHIVES.items() if part in names), ""):
                return kind
            if "mimetype" in names:
                with archive.open("mimetype") as part:
                    return _MIMETYPES.get(part.read(200).strip(), "zip")
    except BROKEN:
        raise damaged() from None
    return "zip"


def _ole_kind(path: Path) -> str:
    import olefile

    try:
        with olefile.OleFileIO(str(path)) as document:
            streams = {"/".join(entry) for entry in document.listdir()}
    except (OSError, ValueError, IndexError, TypeError):
        raise damaged() from None
    if "EncryptedPackage" in streams:
        raise encrypted()
    return next((kind for stream, kind in _STREAMS.items() if stream in streams), "ole")
