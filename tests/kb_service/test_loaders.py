"""Documents to sections: every format, every encoding, and files that are not what they say."""

import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from kb_service.loaders import FORMATS, LoadFault, Reading, Section, open_document
from kb_service.loaders.archives import check_archive
from tests.kb_service.documents import docx_file, pdf_file, pptx_file, xlsx_file, zip_file


@pytest.fixture
def load(tmp_path: Path) -> "Load":
    return Load(tmp_path)


class Load:
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __call__(self, extension: str, content: bytes | str) -> list[Section]:
        path = self._folder / "document"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return list(open_document(path, extension, Reading()).sections)


TEXT = "标题\r\n第一行，中文。\r第二行\n"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "gbk", "utf-16"])
def test_text_in_every_usual_encoding(load: Load, encoding: str) -> None:
    assert load(".txt", TEXT.encode(encoding)) == [Section("标题\n第一行，中文。\n第二行\n")]


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf_16_without_a_mark_is_guessed(load: Load, encoding: str) -> None:
    text = (
        "员工每年享有十天带薪年假，请在系统中提交申请。\nThe rule is valid for all employees.\n"
        * 20
    )
    assert load(".txt", text.encode(encoding))[0].text == text


def test_markdown_knows_the_titles_above(load: Load) -> None:
    page = "前言\n# 一\n\n## 二\n正文二\n```\n# 不是标题\n```\n## 三 ##\n正文三\n# 四\n正文四\n"
    sections = load(".md", page)
    assert [
        (section.metadata.get("title"), section.text.split("\n")[0]) for section in sections
    ] == [
        (None, "前言"),
        ("一 > 二", "一"),
        ("一 > 三", "三"),
        ("四", "四"),
    ]
    assert "# 不是标题" in sections[1].text


def test_csv_is_one_atomic_section_a_row(load: Load) -> None:
    rows = load(".csv", '姓名,"部 门",备注\n张三,研发,"多行\n内容，逗号"\n,,\n李四,市场\n')
    assert rows == [
        Section("姓名: 张三\n部 门: 研发\n备注: 多行\n内容，逗号", {"row": 0}, "record"),
        Section("姓名: 李四\n部 门: 市场", {"row": 2}, "record"),
    ]


def test_csv_with_other_delimiters_and_too_many_cells(load: Load) -> None:
    assert load(".csv", "a;b\n1;2;3\n")[0].text == "a: 1\nb: 2\n3"
    assert load(".csv", "a\tb\n1\t2\n")[0].text == "a: 1\nb: 2"


def test_json_is_one_section_an_item_of_the_top_level(load: Load) -> None:
    assert load(".json", '[{"问": "甲", "n": [1, 2]}, "乙"]') == [
        Section("问: 甲\nn: [1,2]", {"index": 0}),
        Section("乙", {"index": 1}),
    ]
    assert load(".json", '{"年假": {"天": 10}}') == [Section("年假: 天: 10", {"key": "年假"})]
    assert load(".jsonl", '{"a": "x"}\n\n{"a": "y"}\n') == [
        Section("a: x", {"line": 1}),
        Section("a: y", {"line": 3}),
    ]


def test_html_gives_what_a_person_reads(load: Load) -> None:
    page = """<html><head><title>t</title><style>p{}</style></head><body><script>x()</script>
    <p>开头<br>换行</p><h1>一</h1><p>正文 <b>粗</b>体</p><h2>二</h2>
    <table><tr><td>甲</td><td>乙</td></tr></table><noscript>无</noscript></body></html>"""
    sections = load(".html", page)
    assert [section.metadata.get("title") for section in sections] == [None, "一", "一 > 二"]
    assert sections[0].text == "开头\n换行"
    assert sections[1].text == "一\n正文 粗体"
    assert sections[2].text == "二\n甲 乙"
    declared = '<meta charset="big5"><p>繁體中文</p>'.encode("big5")
    assert load(".htm", declared)[0].text == "繁體中文"


def test_docx_has_titles_and_tables(load: Load) -> None:
    content = docx_file(
        ("Normal", "前言"),
        ("Heading 1", "休假"),
        ("Heading 2", "年假"),
        ("Normal", "每年十天。"),
        table=[["级别", "天数"], ["经理", "15"]],
    )
    sections = load(".docx", content)
    assert sections == [
        Section("前言"),
        Section("休假\n年假\n每年十天。", {"title": "休假 > 年假"}),
        Section("| 级别 | 天数 |\n| --- | --- |\n| 经理 | 15 |", {"title": "休假 > 年假"}, "table"),
    ]


def test_xlsx_with_short_rows_is_a_table_a_sheet(load: Load) -> None:
    rows: Sequence[Sequence[object]] = [
        *(["二〇二四年员工表"], ["姓名", "入职"], ["张三", 2024], [None, None], ["李四", 2.5])
    ]
    content = xlsx_file({"员工": rows, "空": [], "单": [["x"]]})
    head = "| 姓名 | 入职 |\n| --- | --- |\n"
    assert load(".xlsx", content) == [
        Section("二〇二四年员工表", {"sheet": "员工", "row": 1}),
        Section(head + "| 张三 | 2024 |", {"sheet": "员工", "row": 3}, "table"),
        Section(head + "| 李四 | 2.5 |", {"sheet": "员工", "row": 5}, "table"),
        Section("x", {"sheet": "单", "row": 1}),
    ]


def test_xlsx_with_long_rows_is_a_record_a_row(load: Load) -> None:
    content = xlsx_file({"问答": [["问", "答"], ["年假几天？", "十天。" * 50]]})
    assert load(".xlsx", content) == [
        Section("问\n答", {"sheet": "问答", "row": 1}, "record"),
        Section("问: 年假几天？\n答: " + "十天。" * 50, {"sheet": "问答", "row": 2}, "record"),
    ]


def test_pptx_is_one_section_a_slide_with_its_notes(load: Load) -> None:
    assert load(".pptx", pptx_file(("产品", "功能列表", "讲稿"), ("二", "正文", ""))) == [
        Section("产品\n功能列表\n讲稿", {"slide": 1, "title": "产品"}),
        Section("二\n正文", {"slide": 2, "title": "二"}),
    ]


def test_pdf_is_one_section_a_page(load: Load) -> None:
    content = pdf_file(["Annual leave is ten days."], [], ["Second page"])
    assert [(section.text.strip(), section.metadata) for section in load(".pdf", content)] == [
        ("Annual leave is ten days.", {"page": 1}),
        ("Second page", {"page": 3}),
    ]


PDF = pdf_file(["x"])
NOT_WHAT_THEY_SAY = [
    *[(extension, PDF) for extension in FORMATS if extension != ".pdf"],
    *[(extension, "只是文本".encode()) for extension in (".pdf", ".docx", ".xlsx", ".pptx")],
    (".txt", docx_file(("Normal", "x"))),
    (".docx", xlsx_file({"s": [["x"]]})),
    (".xlsx", zip_file({"a.txt": b"x"})),
    (".md", b"\x89PNG\r\n\x1a\n" + bytes(range(256))),
    (".txt", bytes(range(256)) * 50),
    (".txt", b" \n\t "),
    (".pdf", PDF[: len(PDF) // 2]),
    (".pdf", pdf_file(["secret"], encrypted=True)),
    (".docx", docx_file(("Normal", "x"))[:-200]),
    (".json", b'{"a": '),
    (".json", b"[" * 100_000),
    (".jsonl", b'{"a": 1}\n{bad}\n'),
    (".csv", b'a,b\n"' + b"x" * 10_000_001 + b'",2\n'),
]


@pytest.mark.parametrize(
    ("extension", "content"), NOT_WHAT_THEY_SAY, ids=range(len(NOT_WHAT_THEY_SAY))
)
def test_a_file_that_is_not_what_it_says_has_a_reason(
    load: Load, extension: str, content: bytes
) -> None:
    with pytest.raises(LoadFault) as fault:
        load(extension, content)
    assert any("\u4e00" <= character <= "\u9fff" for character in str(fault.value))


@pytest.mark.parametrize("lie", [False, True])
def test_archives_that_inflate_without_end_are_stopped(load: Load, lie: bool) -> None:
    xml = b"<a>" + b" " * (110 << 20)
    bomb = zip_file({"word/document.xml": xml, "[Content_Types].xml": b""}, lie=lie)
    assert len(bomb) < 1 << 20
    with pytest.raises(LoadFault):
        load(".docx", bomb)


def test_everything_that_an_archive_holds_counts(tmp_path: Path) -> None:
    path = tmp_path / "document"
    main = "word/document.xml"
    path.write_bytes(zip_file({main: b"<a/>", "a.png": b"\0" * 5_000, "b.png": b"\0" * 5_000}))
    check_archive(path, inflated_max=10_004)
    with pytest.raises(LoadFault, match="过大"):
        check_archive(path, inflated_max=10_003)


def test_sheets_that_claim_to_be_huge_are_stopped(load: Load, tmp_path: Path) -> None:
    plain = tmp_path / "plain.xlsx"
    plain.write_bytes(xlsx_file({"s": [["x"]]}))
    entries = {}
    with zipfile.ZipFile(plain) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    name = "xl/worksheets/sheet1.xml"
    row = '<row r="%d"><c r="XFD%d" t="n"><v>1</v></c></row>'
    rows = "".join(row % (number, number) for number in range(1, 500)).encode()
    start, end = entries[name].index(b"<sheetData>") + 11, entries[name].index(b"</sheetData>")
    entries[name] = entries[name][:start] + rows + entries[name][end:]
    with pytest.raises(LoadFault, match="2000000"):
        load(".xlsx", zip_file(entries))


def test_markdown_tables_and_underlined_titles(load: Load) -> None:
    page = (
        "休假\n====\n\n年假\n----\n每年十天。\n\n| 级别 | 天数 |\n|---|:-:|\n| 经理 | 15 |\n\n完\n"
    )
    assert load(".md", page) == [
        Section("休假\n\n年假\n每年十天。\n", {"title": "休假 > 年假"}),
        Section("| 级别 | 天数 |\n|---|:-:|\n| 经理 | 15 |", {"title": "休假 > 年假"}, "table"),
        Section("\n完\n", {"title": "休假 > 年假"}),
    ]


SITE = """<header><h1>年假</h1><ul><li>首页</li><li>登录</li></ul></header>
<nav>导航一 导航二</nav><div class="breadcrumb">首页 &gt; 制度</div>%s
<aside>相关文章</aside><div id="footer">版权所有</div><footer>联系我们</footer>"""


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ("<p>员工每年享有十天年假。</p>", "员工每年享有十天年假。"),
        (
            "<main><p>员工每年享有十天年假。</p><aside>注意：须提前申请。</aside></main>",
            "员工每年享有十天年假。\n注意：须提前申请。",
        ),
        (
            "<div class='sidebar'><article><p>员工每年享有十天年假。</p></article></div>",
            "员工每年享有十天年假。",
        ),
    ],
)
def test_html_leaves_out_what_a_site_repeats(load: Load, body: str, text: str) -> None:
    (section,) = load(".html", SITE % body)
    assert (section.metadata, section.text) == ({"title": "年假"}, f"年假\n{text}")


def test_html_that_is_all_frame_is_read_all_the_same(load: Load) -> None:
    page = "<nav>目录</nav><div class='nav'><p>员工每年享有十天年假，请提前申请。</p></div>"
    assert "十天年假" in load(".html", page)[0].text


def test_html_tables_are_filled_out_and_layout_is_not_a_table(load: Load) -> None:
    page = """<table><thead><tr><th rowspan=2>部门</th><th colspan=2>天数</th></tr>
    <tr><th>年假</th><th>病假</th></tr></thead><tr><td>研发<br>一部</td><td>10</td><td>5</td></tr></table>
    <table><tr><td><h2>标题</h2><ul><li>甲</li></ul></td><td>乙</td></tr></table>
    <table><tr><td>只有</td><td>一行</td></tr></table>"""
    assert load(".html", page) == [
        Section(
            "| 部门 | 天数 |  |\n| --- | --- | --- |\n"
            "| 部门 | 年假 | 病假 |\n| 研发 一部 | 10 | 5 |",
            {},
            "table",
        ),
        Section("标题\n甲\n乙\n只有 一行", {"title": "标题"}),
    ]


def test_html_lines_that_only_the_source_broke_are_joined(load: Load) -> None:
    page = "<p>员工每年\n  享有 <b>十天</b>\n年假，see\nthe rules.</p><pre>第一行\n  第二行</pre>"
    assert load(".html", page)[0].text == "员工每年享有 十天年假，see the rules.\n第一行\n  第二行"


def test_xml_records_keep_the_names_of_their_fields(load: Load) -> None:
    records = "<r><p><name>张三</name><days>10</days></p><p><name>李四</name><days/></p></r>"
    assert load(".xml", records) == [
        Section("name: 张三\ndays: 10", {"index": 0}),
        Section("name: 李四", {"index": 1}),
    ]
    article = '<?xml version="1.0" encoding="gb18030"?><a><t>休假</t><p>每年<b>十</b>天。</p></a>'
    assert load(".xml", article.encode("gb18030")) == [Section("休假\n每年十天。")]


def test_entities_in_xml_do_not_grow_and_read_no_files(load: Load, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("geheim")
    entities = "".join(f"<!ENTITY a{n} '{f'&a{n - 1};' * 20}'>" for n in range(1, 12))
    head = f"<!ENTITY a0 'x'><!ENTITY f SYSTEM '{(tmp_path / 'secret').as_uri()}'>"
    page = f"<!DOCTYPE x [{head}{entities}]><x>年假 &a11; &f;</x>"
    try:
        text = load(".xml", page)[0].text
    except LoadFault:
        return
    assert len(text) < 100
    assert "geheim" not in text


def test_rst_has_titles_tables_and_what_only_sphinx_knows(load: Load) -> None:
    page = """
休假
====

.. toctree::

   一章

.. include:: /etc/passwd

年假
----

每年 :ref:`十天 <days>`，*须*\\ 申请。

====  ====
级别  天数
====  ====
经理  15
====  ====
"""
    sections = load(".rst", page)
    assert sections[-1] == Section(
        "| 级别 | 天数 |\n| --- | --- |\n| 经理 | 15 |", {"title": "休假 > 年假"}, "table"
    )
    text = "\n".join(section.text for section in sections)
    assert "一章" in text
    assert "十天" in text
    assert "须申请" in text
    assert "root:" not in text


def test_rst_that_would_take_minutes_is_read_as_it_is(load: Load) -> None:
    for page in ("标题\n====\n" * 70_000, "x" * 10_001):
        assert load(".rst", page) == [Section(page)]


RTF = b"{\\rtf1\\ansi\\ansicpg%d{\\fonttbl{\\f0\\fcharset134 SimSun;}}\\f0 %s\\par}"


def test_rtf_in_every_way_of_writing_chinese(load: Load) -> None:
    words = "年假朱镕基"
    escaped = b"".join(
        b"\\'%02x" % byte if byte >= 0x80 else bytes([byte]) for byte in words.encode("gbk")
    )
    unicode = b"".join(b"\\u%d?" % (ord(word) - 65536 * (ord(word) > 32767)) for word in words)
    for text in (escaped, words.encode("gbk"), unicode):
        assert load(".rtf", RTF % (936, text))[0].text.strip() == words


def test_rtf_accents_stay_accents(load: Load) -> None:
    text = b"{\\rtf1\\ansi\\ansicpg1252 caf\\'e9s et th\\'e9}"
    assert load(".rtf", text)[0].text.strip() == "cafés et thé"


def test_mail_of_several_kinds(load: Load) -> None:
    plain = b"Subject: =?gb2312?B?xOq82Q==?=\nContent-Type: text/plain; charset=gb2312\n\n"
    (section,) = load(".eml", plain + "每年十天。".encode("gbk"))
    assert section == Section("Subject: 年假\n\n每年十天。", {"title": "年假"})
    page = "From: a@b.c\nContent-Type: text/html; charset=utf-8\n\n<h1>年假</h1><p>十天</p>"
    assert [one.text for one in load(".eml", page)] == ["From: a@b.c\n", "年假\n十天"]
    hostile = "To: " + "a@b.c, " * 100_000 + "\nSubject: " + "=?utf-8?q?" * 100_000 + "\n\n年假"
    assert load(".eml", hostile)[0].text.endswith("年假")
    nested = "Content-Type: multipart/mixed; boundary=a\n\n--a\n" * 1_000
    with pytest.raises(LoadFault, match=r"邮件嵌套过深。The e-mail is nested too deep"):
        load(".eml", nested)
    odd = "From: a@b.c\nDate: nonsense\nContent-Type: text/plain; charset=x-unknown\n\n年假"
    assert load(".eml", odd)[0].text == "From: a@b.c\n\n年假"


def epub_file(*pages: str, encryption: str = "", contents: str = "<a/>") -> bytes:
    items = "".join(
        f'<item id="p{n}" href="text%20{n}.xhtml" media-type="application/xhtml+xml"/>'
        for n in range(len(pages))
    )
    items += '<item id="n" href="nav.xhtml" media-type="application/xhtml+xml" properties="nav"/>'
    spine = "".join(f'<itemref idref="p{n}"/>' for n in reversed(range(len(pages))))
    return zip_file(
        {
            "mimetype": b"application/epub+zip",
            "META-INF/container.xml": b'<container xmlns="urn:x"><rootfiles>'
            b'<rootfile full-path="OEBPS/book.opf"/></rootfiles></container>',
            "OEBPS/book.opf": f'<package xmlns="urn:y"><manifest>{items}</manifest>'
            f"<spine>{spine}</spine></package>".encode(),
            "OEBPS/nav.xhtml": contents.encode(),
            **{f"OEBPS/text {n}.xhtml": page.encode() for n, page in enumerate(pages)},
            **({"META-INF/encryption.xml": encryption.encode()} if encryption else {}),
        }
    )


def test_epub_chapters_come_in_the_order_of_reading(load: Load) -> None:
    page = "<?xml version='1.0' encoding='utf-8'?><html><head><title/></head><body>%s</body></html>"
    book = epub_file(page % "<h1>二</h1><p>后</p>", page % "<h1>一</h1><p><a id='x'/>先</p>")
    assert load(".epub", book) == [
        Section("一\n先", {"title": "一"}),
        Section("二\n后", {"title": "二"}),
    ]
    with pytest.raises(LoadFault, match="受 DRM 保护，无法读取。The book is protected by DRM"):
        load(".epub", epub_file(page, encryption='<x URI="OEBPS/text 0.xhtml"/>'))


def test_epub_contents_name_pages_that_have_no_heading(load: Load) -> None:
    contents = "<html><body><nav><a href='text%200.xhtml#a'>第 一\n 章</a></nav></body></html>"
    book = epub_file("<p>甲</p>", "<h1>乙</h1><p>丙</p>", contents=contents)
    assert load(".epub", book) == [
        Section("乙\n丙", {"title": "乙"}),
        Section("甲", {"title": "第 一 章"}),
    ]
    assert len(load(".epub", epub_file("<p>甲</p>", contents="<a>&nbsp;"))) == 1


def test_every_archive_is_checked_before_it_is_read(load: Load) -> None:
    page = "<p>" + " " * (110 << 20)
    with pytest.raises(LoadFault, match="解压后的内容过大。The document inflates to too much"):
        load(".epub", epub_file(page))
