"""What Word and PowerPoint documents hold besides plain paragraphs, made part by part."""

import io
import os
import signal
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import docx
import pptx
import pytest
from lxml import etree
from pptx.util import Inches

from kb_service.loaders import LoadFault, Reading, Section, docx_numbers, open_document
from kb_service.loaders.libreoffice import remove_leftovers
from tests.kb_service.documents import docx_file, xlsx_file, zip_file

W = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
MC = 'xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006"'


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "document"


def read(path: Path, extension: str, content: bytes) -> list[Section]:
    path.write_bytes(content)
    return list(open_document(path, extension, Reading()).sections)


def with_body(body: str, **parts: str) -> bytes:
    """A document of Word whose body is this XML."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(docx_file(("Heading 1", "x")))) as source:
        entries = {name: source.read(name) for name in source.namelist()}
    entries["word/document.xml"] = (
        f"<w:document {W} {MC}><w:body>{body}</w:body></w:document>".encode()
    )
    entries |= {f"word/{name}.xml": text.encode() for name, text in parts.items()}
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return out.getvalue()


def p(text: str, properties: str = "") -> str:
    return f"<w:p><w:pPr>{properties}</w:pPr><w:r><w:t>{text}</w:t></w:r></w:p>"


def test_word_text_in_wrappers_boxes_and_changes(path: Path) -> None:
    box = f"<w:txbxContent>{p('框中文字')}</w:txbxContent>"
    body = (
        f"<w:sdt><w:sdtContent>{p('目录')}</w:sdtContent></w:sdt>"
        "<w:p><w:r><w:t>年假</w:t></w:r><w:ins><w:r><w:t>十五</w:t></w:r></w:ins>"
        "<w:del><w:r><w:delText>十</w:delText></w:r></w:del><w:r><w:t>天</w:t><w:br/><w:t>起</w:t></w:r></w:p>"
        "<w:p><w:r><mc:AlternateContent><mc:Choice Requires='wps'><w:drawing>"
        f"{box}</w:drawing></mc:Choice><mc:Fallback><w:pict>{box}</w:pict></mc:Fallback>"
        "</mc:AlternateContent></w:r></w:p>"
    )
    assert read(path, ".docx", with_body(body)) == [Section("目录\n年假十五天\n起\n\n框中文字")]


def test_word_headings_by_outline_level_and_by_style(path: Path) -> None:
    body = p("休假", '<w:outlineLvl w:val="0"/>') + p("年假", '<w:pStyle w:val="Heading2"/>')
    body += p("十天。") + p("正文样式", '<w:outlineLvl w:val="9"/>')
    assert read(path, ".docx", with_body(body)) == [
        Section("休假\n年假\n十天。\n正文样式", {"title": "休假 > 年假"})
    ]


def test_word_numbers_are_written_before_the_text(path: Path) -> None:
    shapes = [("chineseCounting", "第%1章"), ("decimal", "%1.%2"), ("lowerLetter", "%3)")]
    levels = "".join(
        f'<w:lvl w:ilvl="{n}"><w:start w:val="1"/><w:numFmt w:val="{kind}"/>'
        f'{"<w:isLgl/>" if n == 1 else ""}<w:lvlText w:val="{text}"/></w:lvl>'
        for n, (kind, text) in enumerate(shapes)
    )
    bullet = '<w:lvl w:ilvl="0"><w:numFmt w:val="bullet"/><w:lvlText w:val="-"/></w:lvl>'
    numbering = (
        f'<w:numbering {W}><w:abstractNum w:abstractNumId="7">{levels}</w:abstractNum>'
        f'<w:abstractNum w:abstractNumId="8">{bullet}</w:abstractNum>'
        '<w:num w:numId="1"><w:abstractNumId w:val="7"/></w:num>'
        '<w:num w:numId="2"><w:abstractNumId w:val="8"/></w:num></w:numbering>'
    )

    def numbered(text: str, level: int, number: int = 1) -> str:
        place = f'<w:ilvl w:val="{level}"/><w:numId w:val="{number}"/>'
        style = '<w:pStyle w:val="Heading1"/>' if level == 0 else ""
        return p(text, f"{style}<w:numPr>{place}</w:numPr>")

    body = "".join(
        [
            *(numbered("总则", 0), numbered("", 0), numbered("休假", 0), numbered("年假", 1)),
            *(numbered("十天", 2), numbered("申请", 2), numbered("病假", 1), numbered("点", 0, 2)),
            *(numbered("又", 1, 9), numbered("报销", 0), numbered("发票", 1)),
        ]
    )
    sections = read(path, ".docx", with_body(body, numbering=numbering))
    text = "\n".join(section.text for section in sections)
    assert [line for line in text.split("\n") if line] == [
        *("第一章 总则", "第二章 休假", "2.1 年假", "a) 十天", "b) 申请", "2.2 病假", "点", "又"),
        *("第三章 报销", "3.1 发票"),
    ]
    assert sections[-1].metadata == {"title": "第三章 报销"}


@pytest.mark.parametrize(
    ("number", "text"),
    [(1, "一"), (10, "十"), (15, "十五"), (20, "二十"), (101, "一百零一"), (1_020, "一千零二十")],
)
def test_chinese_numbers(number: int, text: str) -> None:
    assert docx_numbers._formatted(number, "chineseCounting") == text
    assert docx_numbers._formatted(4, "upperRoman") == "IV"
    assert docx_numbers._formatted(28, "lowerLetter") == "bb"


def test_word_tables_with_merged_and_nested_cells(path: Path) -> None:
    document = docx.Document()
    table = document.add_table(4, 3)
    rows = [
        ["部门", "姓名", "天数"],
        ["研发", "张三", "10"],
        ["", "李|四", "15"],
        ["合计", "", "25"],
    ]
    for line, row in zip(table.rows, rows, strict=True):
        for cell, text in zip(line.cells, row, strict=True):
            cell.text = text
    table.cell(1, 0).merge(table.cell(2, 0))
    table.cell(3, 0).merge(table.cell(3, 1))
    inner = table.cell(1, 1).add_table(1, 2)
    inner.cell(0, 0).text, inner.cell(0, 1).text = "内", "表"
    out = io.BytesIO()
    document.save(out)
    (section,) = read(path, ".docx", out.getvalue())
    assert section.kind == "table"
    assert section.text.split("\n")[2:] == [
        "| 研发 | 张三 内 表 | 10 |",
        r"| 研发 | 李\|四 | 15 |",
        "| 合计 |  | 25 |",
    ]


def test_word_tables_that_only_lay_out_a_page_are_text(path: Path) -> None:
    long = "很长的一段文字。" * 200
    content = docx_file(("Normal", "前言"), table=[["左", "右"], [long, "短"]])
    assert [section.kind for section in read(path, ".docx", content)] == ["text"]


def test_powerpoint_groups_and_tables(path: Path) -> None:
    presentation = pptx.Presentation()
    slide = presentation.slides.add_slide(presentation.slide_layouts[5])
    slide.shapes.title.text = "休假"
    group = slide.shapes.add_group_shape()
    for number in range(2):
        box = group.shapes.add_textbox(Inches(1), Inches(number), Inches(1), Inches(1))
        box.text_frame.text = f"组内 {number}"
    table = slide.shapes.add_table(2, 2, Inches(1), Inches(3), Inches(4), Inches(1)).table
    for (row, column), text in {(0, 0): "级", (0, 1): "天", (1, 0): "经理", (1, 1): "15"}.items():
        table.cell(row, column).text = text
    out = io.BytesIO()
    presentation.save(out)
    where = {"slide": 1, "title": "休假"}
    assert read(path, ".pptx", out.getvalue()) == [
        Section("休假\n组内 0\n组内 1", where),
        Section("| 级 | 天 |\n| --- | --- |\n| 经理 | 15 |", where, "table"),
    ]


def test_long_sheets_go_out_in_parts_that_each_have_the_header(path: Path) -> None:
    rows: list[list[object]] = [["编号", "天数"]]
    rows += [[n, n % 20] for n in range(450)]
    sections = read(path, ".xlsx", xlsx_file({"员工": rows}))
    assert [section.metadata["row"] for section in sections] == [2, 202, 402]
    assert {section.text.split("\n")[0] for section in sections} == {"| 编号 | 天数 |"}
    assert sum(section.text.count("\n") - 1 for section in sections) == 450


@pytest.mark.parametrize("name", ["word/document.xml", "word/styles.xml"])
def test_entities_in_office_xml_do_not_grow(path: Path, name: str) -> None:
    entities = "".join(f"<!ENTITY a{n} '{f'&a{n - 1};' * 20}'>" for n in range(1, 12))
    bomb = f"<!DOCTYPE x [<!ENTITY a0 'x'>{entities}]><x>&a11;</x>"
    with zipfile.ZipFile(io.BytesIO(docx_file(("Normal", "x")))) as source:
        parts = {entry: source.read(entry) for entry in source.namelist()}
    path.write_bytes(zip_file(parts | {name: bomb.encode()}))
    try:
        sections = list(open_document(path, ".docx", Reading()).sections)
    except (LoadFault, ValueError, etree.XMLSyntaxError):  # the process says it is damaged
        return
    assert sum(len(section.text) for section in sections) < 1_000


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells what a process works on")
def test_a_conversion_that_outlived_the_service_is_ended() -> None:
    parser = subprocess.Popen(["true"])
    parser.wait()
    left = Path(tempfile.mkdtemp(prefix=f"chat2llm-office-{parser.pid}-"))
    own = Path(tempfile.mkdtemp(prefix=f"chat2llm-office-{os.getpid()}-"))
    asleep = (sys.executable, "-c", "import time; time.sleep(60)")
    office = subprocess.Popen([*asleep, f"-env:UserInstallation={(left / 'profile').as_uri()}"])
    other = subprocess.Popen([*asleep, f"-env:UserInstallation={(own / 'profile').as_uri()}"])
    try:
        remove_leftovers()
        assert office.wait(10) == -signal.SIGKILL
        assert (left.exists(), own.exists(), other.poll()) == (False, True, None)
    finally:
        own.rmdir()
        for process in (office, other):
            process.kill()
            process.wait()
