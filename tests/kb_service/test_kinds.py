"""What a file is, by its content, and the reasons that its owner is given when it is refused."""

import shutil
import sys
from pathlib import Path
from subprocess import run

import olefile
import pytest

from kb_service.loaders import FORMATS, LoadFault, Reading, Section, open_document
from tests.kb_service.documents import docx_file, pdf_file, pptx_file, xlsx_file, zip_file
from tests.kb_service.files.make import FOLDER
from tests.stack import ROOT

PAGE = "<html><body><h1>休假</h1><p>每年十天。</p></body></html>"
TABLE = "<html><table><tr><td>姓名</td><td>天数</td></tr><tr><td>张三</td><td>10</td></tr></table>"
PNG = (FOLDER / "line.png").read_bytes()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "document"


def opened(path: Path, extension: str, content: bytes) -> tuple[str, list[Section]]:
    path.write_bytes(content)
    document = open_document(path, extension, Reading())
    return document.loader, list(document.sections)


OTHER_NAMES = [
    (".doc", PAGE.encode(), "HTMLLoader", "休假\n每年十天。"),
    (".doc", PAGE.encode("utf-16"), "HTMLLoader", "休假\n每年十天。"),
    (".doc", b"{\\rtf1\\ansi\\ansicpg936 Leave}", "RTFLoader", "Leave"),
    (".doc", docx_file(("Normal", "年假")), "DocxLoader", "年假"),
    (".xls", TABLE.encode(), "HTMLLoader", "| 姓名 | 天数 |\n| --- | --- |\n| 张三 | 10 |"),
    (".xls", "姓名\t天数\n张三\t10\n".encode("gbk"), "CSVLoader", "姓名: 张三\n天数: 10"),
    (".xls", xlsx_file({"s": [["x"]]}), "XlsxLoader", "x"),
    (".ppt", pptx_file(("一", "二", "")), "PptxLoader", "一\n二"),
    (".txt", PAGE.encode(), "TextLoader", PAGE),
    (".txt", b"A file begins with %PDF-1.7", "TextLoader", "A file begins with %PDF-1.7"),
    (".pdf", b"\r\n" + pdf_file(["x"]), "PDFLoader", "x"),
    (".tsv", "姓名\t天数\n张三\t10\n".encode(), "CSVLoader", "姓名: 张三\n天数: 10"),
]


@pytest.mark.parametrize(
    ("extension", "content", "loader", "text"), OTHER_NAMES, ids=range(len(OTHER_NAMES))
)
def test_what_office_opens_under_another_name_is_read(
    path: Path, extension: str, content: bytes, loader: str, text: str
) -> None:
    found, sections = opened(path, extension, content)
    assert (found, sections[0].text.strip()) == (loader, text)


REFUSED = [
    (".pdf", zip_file({"a.txt": b"x"}), "内容是ZIP 压缩包，与扩展名 .pdf 不符。"),
    (".docx", pdf_file(["x"]), "内容是PDF，与扩展名 .docx 不符。"),
    (".docx", (FOLDER / "manual.doc").read_bytes(), "内容是旧版 Word 文档 (doc)，"),
    (".doc", (FOLDER / "staff.xls").read_bytes(), "内容是旧版 Excel 工作簿 (xls)，"),
    (".msg", (FOLDER / "product.ppt").read_bytes(), "内容是旧版 PowerPoint 演示文稿 (ppt)，"),
    (".xls", (FOLDER / "mail.msg").read_bytes(), "内容是Outlook 邮件 (msg)，"),
    (".epub", (FOLDER / "manual.odt").read_bytes(), "内容是OpenDocument 文本 (odt)，"),
    (".odt", (FOLDER / "manual.epub").read_bytes(), "内容是EPUB 电子书，"),
    (".rtf", PAGE.encode(), "内容是HTML 网页，"),
    (".txt", b"{\\rtf1 x}", "内容是RTF 文档，"),
    (".png", "文字".encode(), "内容是文本，与扩展名 .png 不符。"),
    (".md", PNG, "内容是图片，与扩展名 .md 不符。"),
    (".png", b"GIF89a" + bytes(99), "内容是其他二进制文件，"),
    (".txt", b"\x7fELF" + bytes(99), "内容是其他二进制文件，"),
    (".docx", xlsx_file({"s": [["x"]]}), "内容是Excel 工作簿 (xlsx)，"),
    (".xlsx", pptx_file(("一", "二", "")), "内容是PowerPoint 演示文稿 (pptx)，"),
    (".pptx", docx_file(("Normal", "x")), "内容是Word 文档 (docx)，"),
    (".docx", docx_file(("Normal", "x"))[:-200], "文件已损坏，无法打开。"),
    (".doc", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(2_000), "文件已损坏，无法打开。"),
    (
        ".xls",
        b'<?xml version="1.0"?><?mso-application?><W/>',
        "内容是XML 文档，",
    ),
    (".eml", "只是文本".encode(), "内容不是电子邮件，"),
    (".xml", b"<a><b></a>", "XML 格式错误。"),
    (".epub", zip_file({"mimetype": b"application/epub+zip"}), "EPUB 缺少目录。"),
    *[(extension, b"", "文件为空。") for extension in FORMATS],
]


@pytest.mark.parametrize(("extension", "content", "reason"), REFUSED, ids=range(len(REFUSED)))
def test_what_is_something_else_is_refused_with_what_it_is(
    path: Path, extension: str, content: bytes, reason: str
) -> None:
    with pytest.raises(LoadFault) as fault:
        opened(path, extension, content)
    assert str(fault.value).startswith(reason)
    english = str(fault.value).rpartition("。")[2]
    assert english.isascii()
    assert len(english) > 10


def test_an_encrypted_office_document_is_refused(path: Path) -> None:
    content = (FOLDER / "manual.doc").read_bytes()
    name = "WordDocument".encode("utf-16-le")
    other = "EncryptedPackage".encode("utf-16-le")
    at = content.index(name)
    content = content[:at] + other + content[at + len(other) :]
    content = content[: at + 64] + bytes([len(other) + 2]) + content[at + 65 :]
    path.write_bytes(content)
    with olefile.OleFileIO(str(path)) as document:
        assert document.exists("EncryptedPackage")
    for extension in (".docx", ".doc"):
        with pytest.raises(LoadFault, match=r"文件已加密，请去除密码后上传。The file is encrypted"):
            opened(path, extension, content)


def without_packages(program: str, tmp_path: Path) -> str:
    """What a program prints where no third party's package and no other program is installed."""
    setup = "from pathlib import Path\nfrom kb_service.loaders import Reading\n"
    setup += f"path = Path({str(tmp_path)!r})\n"
    command = [sys.executable, "-S", "-c", setup + program]
    environment = {"PATH": str(tmp_path), "PYTHONIOENCODING": "utf-8"}
    return run(command, cwd=ROOT, env=environment, capture_output=True, check=True).stdout.decode()


def test_without_recognition_the_reason_says_how_to_install_it(tmp_path: Path) -> None:
    program = "from kb_service.loaders import ocr\nprint(ocr.why_not(Reading().options))\n"
    assert without_packages(program, tmp_path) == (
        "未安装文字识别组件，请管理员执行 make ocr 并重启后重试。"
        "OCR is not installed: make ocr, then start again.\n"
    )


@pytest.mark.parametrize("source", ["doc", "ppt"])
def test_without_libreoffice_the_reason_says_how_to_install_it(tmp_path: Path, source: str) -> None:
    if Path("/Applications/LibreOffice.app").exists() or Path("/opt/libreoffice").exists():
        pytest.skip("LibreOffice is where it is looked for without a path")
    program = (
        "from kb_service.loaders.libreoffice import converted\n"
        "try:\n"
        f"    converted(path, '{source}', '{source}x', Reading(), None)\n"
        "except Exception as fault:\n"
        "    print(type(fault).__name__, fault)\n"
    )
    reason = without_packages(program, tmp_path)
    assert reason.startswith(f"LoadFault 读取旧版 .{source} 文件需要 LibreOffice，本机未安装。")
    assert "apt install libreoffice-writer libreoffice-impress" in reason
    assert f"Old .{source} files need LibreOffice, which is not installed here" in reason
    assert shutil.which("soffice", path=str(tmp_path)) is None
