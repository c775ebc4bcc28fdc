"""One real document of each format, through a parser process: its chunks and their metadata."""

import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import olefile
import pytest
import pytest_asyncio

from kb_service.entities import ChunkOptions, ParseOptions
from kb_service.loaders import FORMATS, LoadFault, ocr
from kb_service.parsers import ParserPool, Summary
from tests.kb_service.files.make import FOLDER, RULE

pytestmark = pytest.mark.asyncio(loop_scope="module")
needs_office = pytest.mark.skipif(
    shutil.which("soffice") is None and not os.environ.get("CI"), reason="LibreOffice is missing"
)
needs_ocr = pytest.mark.skipif(
    not ocr.is_installed() and not os.environ.get("CI"), reason="the extra `ocr` is missing"
)
RULES = "| 级别 | 天数 | 审批人 |\n| --- | --- | --- |\n| 职员 | 10 | 主管 |\n| 经理 | 15 | 总监 |"
STAFF = "| 姓名 | 部门 | 入职日期 | 工资 |\n| --- | --- | --- | --- |\n"
STAFF += "| 张三 | 研发 | 2020-03-01 | 12000 |\n| 李四 | 市场 | 2021-07-15 | 9800.5 |"
ENGLISH = "The rule is valid for all employees."
LEAVE, EXPENSES = "第三章 休假 > 3.2 年假", "第四章 报销"
Chunks = list[tuple[str, dict[str, object]]]

# As Word, Writer and browsers show it, under its headings.
MANUAL: Chunks = [
    ("员工手册\n本手册适用于全体员工，自二〇二四年一月一日起施行。", {"title": "员工手册"}),
    (f"第三章 休假\n3.2 年假\n{RULE}{ENGLISH}", {"title": LEAVE}),
    (f"{LEAVE}\n\n{RULES}", {"title": LEAVE}),
    ("未休年假可顺延至次年三月底。", {"title": LEAVE}),
    ("第四章 报销\n差旅费凭发票报销，每月二十五日前提交。", {"title": EXPENSES}),
]
PRODUCT: Chunks = [
    (
        f"休假制度\n{RULE}\n未休年假可顺延。\n这一页讲三分钟。",
        {"slide": 1, "title": "休假制度"},
    ),
    (f"年假天数\n\n{RULES}", {"slide": 2, "title": "年假天数"}),
]
WORKBOOK: Chunks = [
    ("二〇二四年员工表", {"sheet": "员工", "row": 1}),
    (STAFF, {"sheet": "员工", "row": 3}),
    ("问题\n回答", {"sheet": "问答", "row": 1}),
    (f"问题: 年假有几天？\n回答: {RULE * 4}", {"sheet": "问答", "row": 2}),
]
PAGES: Chunks = [
    (MANUAL[0][0], {"page": 1}),
    (
        f"{MANUAL[1][0]}\n级别 天数 审批人\n职员 10 主管\n经理 15 总监\n{MANUAL[3][0]}",
        {"page": 1, "title": LEAVE},
    ),
    (MANUAL[4][0], {"page": 2, "title": EXPENSES}),
]
WITHOUT_TITLES: Chunks = [
    (f"{MANUAL[0][0]}\n{MANUAL[1][0]}", {}),
    (RULES, {}),
    (f"{MANUAL[3][0]}\n{MANUAL[4][0]}", {}),
]
# The writer of books makes headings of its own out of paragraphs; its contents name the pages.
BOOK: Chunks = [
    (MANUAL[0][0], {"title": "Section 1"}),
    (MANUAL[1][0], {"title": "第三章 休假"}),
    (f"第三章 休假\n\n{RULES}", {"title": "第三章 休假"}),
    (MANUAL[3][0], {"title": "第三章 休假"}),
    (MANUAL[4][0], {"title": EXPENSES}),
]
SUBJECT = "关于年假的通知"
MAIL = f"From: 人事部 <hr@example.com>\nTo: 全体员工%s\nDate: %s\nSubject: {SUBJECT}\n"
MAIL += f"Attachments: 员工表.xlsx\n{RULE}\n人事部"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def parsers() -> AsyncIterator[ParserPool]:
    pool = ParserPool(size=1)
    yield pool
    await pool.close()


async def read(
    parsers: ParserPool, name: str, parse_options: ParseOptions | None = None
) -> tuple[Chunks, Summary]:
    path = FOLDER / name
    chunks: Chunks = []
    options = ChunkOptions(250, 0)
    async for batch in parsers.parse(path, path.suffix, options, parse_options or ParseOptions()):
        chunks += [(one.doc.content, one.doc.metadata) for one in batch.chunks]
        if batch.summary:
            return chunks, batch.summary
    raise AssertionError("a document without an end")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("manual.docx", MANUAL),
        ("manual.odt", MANUAL),
        ("manual.html", [(MANUAL[0][0], {}), *MANUAL[1:]]),
        ("manual.epub", BOOK),
        ("manual.pdf", PAGES),
        ("manual.rtf", WITHOUT_TITLES),
        ("staff.xlsx", WORKBOOK),
        ("staff.xls", WORKBOOK),
        ("product.pptx", PRODUCT),
        (
            "mail.eml",
            [(MAIL % (" <all@example.com>", "2024-01-08 09:30:00+08:00"), {"title": SUBJECT})],
        ),
        ("mail.msg", [(MAIL % ("", "2024-01-08 01:30:00+00:00"), {"title": SUBJECT})]),
        pytest.param("manual.doc", MANUAL, marks=needs_office),
        pytest.param("product.ppt", PRODUCT, marks=needs_office),
    ],
)
async def test_real_documents(parsers: ParserPool, name: str, expected: Chunks) -> None:
    chunks, summary = await read(parsers, name)
    assert chunks == expected
    assert summary.loader == FORMATS[Path(name).suffix]
    assert summary.notes == []


@needs_ocr
@pytest.mark.parametrize("name", ["line.png", "line.bmp", "line.webp", "line.tif", "scan.jpg"])
async def test_real_pictures(parsers: ParserPool, name: str) -> None:
    chunks, summary = await read(parsers, name)
    text = "".join(text for text, _ in chunks).replace("\n", "")
    assert (RULE if name == "scan.jpg" else RULE[:22]) in text
    assert summary.loader == "ImageLoader"
    if name == "line.tif":
        assert chunks[1] == ("第二页", {"page": 2})


@needs_ocr
async def test_a_real_scan_in_a_pdf(parsers: ParserPool) -> None:
    chunks, summary = await read(parsers, "scan.pdf")
    assert RULE in chunks[0][0]
    assert chunks[0][1] == {"page": 1}
    assert summary.notes == ["1 页由文字识别得到。1 pages were read by OCR."]


@pytest.mark.parametrize("name", ["scan.pdf", "line.png"])
async def test_recognition_can_be_switched_off(parsers: ParserPool, name: str) -> None:
    with pytest.raises(LoadFault, match="文字识别已关闭。OCR is switched off"):
        await read(parsers, name, ParseOptions(ocr=False))


@needs_ocr
async def test_only_so_many_pages_are_recognised(parsers: ParserPool) -> None:
    chunks, summary = await read(parsers, "line.tif", ParseOptions(ocr_pages_max=1))
    assert [metadata for _, metadata in chunks] == [{"page": 1}]
    assert summary.notes == ["共 2 页，只识别了 1 页。Of 2 pages, 1 were read."]
    with pytest.raises(LoadFault, match="最多 0 页。At most 0 pages"):
        await read(parsers, "scan.pdf", ParseOptions(ocr_pages_max=0))


async def test_what_takes_long_is_checked_without_being_read(parsers: ParserPool) -> None:
    for name in ("scan.pdf", "manual.pdf"):
        await parsers.check(FOLDER / name, ".pdf")
    with pytest.raises(LoadFault, match="内容是图片，与扩展名"):
        await parsers.check(FOLDER / "line.png", ".pdf")


@needs_office
async def test_a_damaged_old_document_says_so(parsers: ParserPool, tmp_path: Path) -> None:
    path = tmp_path / "broken.doc"
    shutil.copy(FOLDER / "manual.doc", path)
    with olefile.OleFileIO(str(path), write_mode=True) as document:
        document.write_stream("WordDocument", bytes(document.get_size("WordDocument")))
    with pytest.raises(LoadFault, match="文件已损坏，无法转换。The file is damaged"):
        [batch async for batch in parsers.parse(path, ".doc", ChunkOptions(250, 0))]
