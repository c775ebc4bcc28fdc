"""The bytes of the old wire, whatever the text."""

import json
import random

import pytest

from chat_service.wire import Citation, Format, docs_chunk, document_list, dump

AWKWARD = [
    "}{",
    "}",
    "{",
    "}}{{",
    '"',
    "\\",
    "\n",
    "\x00",
    "\x1f",
    "\u2028",
    "🙂",
    "é",
    "\ud83d",
    "",
]


@pytest.mark.parametrize("seed", range(20))
def test_any_text_survives_the_published_parser(seed: int) -> None:
    chosen = random.Random(seed)
    tokens = ["".join(chosen.choices(AWKWARD, k=chosen.randint(0, 30))) for _ in range(50)]
    for fmt, key in ((Format.llm("a" * 32), "text"), (Format.with_sources(), "answer")):
        said = ""
        for write in fmt.text(tokens):
            text = write.decode()
            for item in json.loads("[" + text.replace("}{", "},{") + "]"):
                said += item[key]
        assert said == "".join(tokens).replace("\ud83d", "?")


def test_like_python_s_json() -> None:
    for value in ("你好\t\x01\x7f\u2028/", ["a", "b"], '"\\'):
        assert dump(value).decode() == json.dumps(value, ensure_ascii=False)


def test_keep_alive() -> None:
    assert Format.llm("x").keep_alive == b'{"text": ""}'
    assert Format.with_sources().keep_alive == b'{"answer": ""}'


def test_tokens_of_one_moment_share_a_write() -> None:
    writes = list(Format.with_sources().text(["字"] * 500))
    assert len(writes) < 5
    assert max(map(len, writes)) <= 4096


@pytest.mark.parametrize("length", [0, 1, 100, 500, 700, 1_000, 10_000])
@pytest.mark.parametrize("count", [1, 3, 20, 100])
def test_document_list_is_small_and_trims_little(length: int, count: int) -> None:
    citations = [Citation("kb", f"文件{n}.md", "字}{" * length) for n in range(count)]
    chunk = docs_chunk(citations)
    assert len(chunk) < 8192
    docs = json.loads(chunk)["docs"]
    full = dump({"docs": document_list(citations)})
    if len(full) < 8192:
        assert docs == document_list(citations)
    else:
        assert len(chunk) > 7000


@pytest.mark.parametrize(
    ("metadata", "text", "place"),
    [
        ({"page": 12, "title": "3.2 Leave"}, "Ten days.", "page 12 · 3.2 Leave"),
        ({"page": 12, "page_to": 13}, "年假为十天。", "第 12–13 页"),
        ({"sheet": "员工", "title": ""}, "|姓名|", "工作表 员工"),
        ({"title": "3.2 Leave"}, "3.2 Leave\nTen days.", ""),
        ({"slide": 3, "title": "a\n" + "b" * 200}, "Ten", f"slide 3 · a {'b' * 98}…"),
        ({"page": "12", "row": 4}, "年假", ""),
        ({"title": "![a](http://e.test)"}, "Ten", "[a](http://e.test)"),
    ],
)
def test_a_passage_says_where_it_stands(metadata: dict[str, object], text: str, place: str) -> None:
    (line,) = document_list([Citation("kb", "m.pdf", text, metadata)])
    shown = f"{place}\n\n{text}" if place else text
    link = "/api/knowledge_base/download_doc?knowledge_base_name=kb&file_name=m.pdf"
    assert line == f"出处 [1] [m.pdf]({link}) \n\n{shown}\n\n"


def test_a_file_name_is_no_picture() -> None:
    (line,) = document_list([Citation("kb", "![a](http:/e.test).md", "年假")])
    assert line.startswith("出处 [1] [[a](http:/e.test).md](/api/")


def test_a_web_page_is_cited_as_the_page_that_it_is() -> None:
    page = {"url": 'https://a.example/x_(1)?q=年")', "page_title": "关于[我们]\n!"}
    (line,) = document_list([Citation("kb", "a.example/x.html", "年假", page)])
    link = "https://a.example/x_%281%29?q=%E5%B9%B4%22%29"
    assert line == f"出处 [1] [关于\\[我们\\] \\!]({link}) \n\n年假\n\n"
    for url in ("javascript:alert(1)", "ftp://a.example/", ""):
        (line,) = document_list([Citation("kb", "x.html", "年假", {"url": url})])
        assert line.startswith("出处 [1] [x.html](/api/knowledge_base/download_doc?")
