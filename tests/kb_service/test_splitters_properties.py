"""What holds for every splitter, whatever comes in."""

import random
import re
from itertools import pairwise

import pytest

from kb_service.entities import SPLITTERS, ChunkOptions, CustomDoc
from kb_service.loaders import Section
from kb_service.splitters import shown_name, split_document

_ALPHABET = [
    *"一二三四五年假报销章节条。！？，；：.,;!? \n\t()“”’》|-*>🙂你",
    *("\n\n", "\r\n", "\n1. 总则\n", "\n第2章 休假\n", "vacation ", "days", "2024", "e.g. "),
    *(
        "\n# 标题 一\n",
        "\n## Part 2\n",
        "\n问：",
        "\n答：",
        "\nQ: ",
        "\nA1. ",
        "```\n",
        "👨‍👩‍👧",
        "e\u0301",
    ),
]
_TABLE = "| 姓名 | 问题 | 答案 |\n| --- | --- | --- |\n" + "\n".join(
    f"| 员工{n} | {'为什么' * (n % 9)} | {'因为' * (n % 40)} |" for n in range(60)
)

_SEEDS = 5


def random_text(seed: int, length: int = 400) -> str:
    chosen = random.Random(seed)
    return "".join(chosen.choice(_ALPHABET) for _ in range(length))


def cut(text: str, splitter: str, size: int, overlap: int = 0, **more: object) -> list[CustomDoc]:
    options = ChunkOptions.from_json(
        {"splitter": splitter, "size": size, "overlap": overlap} | {"parent_size": 3 * size} | more
    )
    return list(split_document([Section(text, {"page": 1})], options))


def letters(text: str) -> str:
    """Without what splitters may drop: white space, the marks of headings and rules of tables."""
    return re.sub(r"[\s#|\-]", "", text)


def words(text: str) -> set[str]:
    return set(re.findall(r"[A-Za-z0-9]+|[\u4e00-\u9fff]|🙂", text))


@pytest.fixture(params=SPLITTERS)
def splitter(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.mark.parametrize("size", [1, 7, 50, 1_000])
def test_nothing_is_lost_and_nothing_is_added(splitter: str, size: int) -> None:
    for seed in range(_SEEDS):
        text = random_text(seed)
        whole = "".join(doc.content for doc in cut(text, splitter, size))
        assert letters(whole) == letters(text), seed


@pytest.mark.parametrize(("size", "overlap"), [(50, 20), (40, 39), (300, 100)])
def test_every_word_is_in_a_chunk_that_is_not_too_long(
    splitter: str, size: int, overlap: int
) -> None:
    for seed in range(_SEEDS):
        text = random_text(seed)
        docs = cut(text, splitter, size, overlap, heading_prefix=True)
        kept = set().union(*(words(doc.content) for doc in docs))
        assert words(text) <= kept, seed
        if splitter not in {"qa", "table"}:
            assert max(len(doc.content) for doc in docs) <= size, seed
            assert all(len(doc.context or "") <= 5 * size for doc in docs), seed


def test_title_enhancement_adds_the_title_and_loses_nothing(splitter: str) -> None:
    for seed in range(_SEEDS):
        text = random_text(seed)
        docs = cut(text, splitter, 50, zh_title_enhance=True)
        bare = (re.sub(r"\A下文与\(.*?\)有关。", "", doc.content) for doc in docs)
        assert letters("".join(bare)) == letters(text), seed
        if splitter == "qa":
            continue  # pairs need no title, and there may be nothing else
        assert any(doc.content.startswith("下文与(") for doc in docs), seed
        assert any(doc.metadata.get("category") == "cn_Title" for doc in docs), seed


def test_an_overlap_is_text_of_the_chunk_before_and_no_longer_than_asked(splitter: str) -> None:
    if splitter in {"sentence_window", "qa", "table"}:
        pytest.skip("cuts as the recursive one does, or has no neighbours")
    text = "".join(f"第{n}条规定如下内容，请遵守。" for n in range(200))
    docs = cut(text, splitter, 60, 20, parent_size=20_000)
    for before, after in pairwise(docs):
        shared = max(
            k for k in range(len(after.content)) if before.content.endswith(after.content[:k])
        )
        assert 0 < shared <= 20


@pytest.mark.parametrize("text", ["", " ", "\n\n", "\r\n \t", "\u3000"])
def test_nothing_gives_nothing(splitter: str, text: str) -> None:
    assert [doc for doc in cut(text, splitter, 50) if doc.content.strip()] == []


def test_records_and_fitting_tables_stay_as_they_are(splitter: str) -> None:
    record = Section("姓名: 张三\n问: " + "长" * 500, {"row": 3}, "record")
    table = Section("| a | b |\n| --- | --- |\n| 1 | 2 |", {"sheet": "一"}, "table")
    docs = list(split_document([record, table], ChunkOptions(40, 0, splitter=splitter)))
    assert docs == [CustomDoc(record.text, {"row": 3}), CustomDoc(table.text, {"sheet": "一"})]


def test_every_row_of_a_long_table_is_there_with_its_columns(splitter: str) -> None:
    section = Section(_TABLE, {"sheet": "员工", "row": 2}, "table")
    options = ChunkOptions(100, 10, splitter=splitter, parent_size=400)
    docs = list(split_document([section], options))
    for n in range(60):
        (doc,) = (doc for doc in docs if re.search(rf"员工{n}\b", doc.content))
        assert "姓名" in doc.content
        assert doc.metadata["sheet"] == "员工"
        assert 2 + n - 8 <= doc.metadata["row"] <= 2 + n
    assert sum(doc.content.count("因为") for doc in docs) == _TABLE.count("因为")


def test_line_ends_of_all_systems_are_the_same(splitter: str) -> None:
    text = "问：年假几天？\n答：十天。\n\n# 二\n病假需要证明。" * 5
    docs = cut(text, splitter, 30)
    assert cut(text.replace("\n", "\r\n"), splitter, 30) == docs
    assert cut(text.replace("\n", "\r"), splitter, 30) == docs


def test_halves_of_characters_come_together_or_are_replaced(splitter: str) -> None:
    (doc,) = cut("好\ud83d\ude42，坏\udc00。", splitter, 50)
    assert doc.content == "好🙂，坏\ufffd。"


_LINES = ["|\n", "a\n", "| a |\n| - |\n", "Q:\n", "a\tb\n", "1. a\n", "年。", "# a\n", "```x\n"]


def test_a_text_made_to_take_long_ends(splitter: str) -> None:
    """Each was quadratic or worse in some pattern once; 20,000 of it would take minutes."""
    for unit in (*"年a1🙂.?|#-`>*_， \t", "\u0301", *_LINES):
        docs = cut(unit * (20_000 // len(unit)), splitter, 250, 50, zh_title_enhance=True)
        assert letters(unit) == "" or len(docs) > 1, unit


def test_metadata_is_kept(splitter: str) -> None:
    assert all(doc.metadata["page"] == 1 for doc in cut(random_text(1), splitter, 50))


def test_the_file_table_shows_a_name(splitter: str) -> None:
    assert 0 < len(shown_name(splitter)) <= 50


def test_nothing_comes_out_that_cannot_be_stored(splitter: str) -> None:
    chunks = cut("年假\0每年十天，\ud800病假另算。", splitter, 50)
    stored = "".join(chunk.content + (chunk.context or "") for chunk in chunks)
    assert "年假每年十天，" in stored
    assert not {"\0", "\ud800"} & set(stored)
