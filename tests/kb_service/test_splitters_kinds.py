"""What each way of cutting does that the others do not."""

import pytest

from kb_service.entities import ChunkOptions, CustomDoc
from kb_service.loaders import Section
from kb_service.splitters import split_document


def split(
    text: str, splitter: str, size: int = 250, *, title: str = "", **options: int | bool
) -> list[CustomDoc]:
    values = {"splitter": splitter, "size": size, "overlap": 0} | options
    section = Section(text, {"title": title} if title else {})
    return list(split_document([section], ChunkOptions.from_json(values)))


def contents(docs: list[CustomDoc]) -> list[str]:
    return [doc.content for doc in docs]


def test_fixed_cuts_after_so_many_characters_but_beside_words_and_emoji() -> None:
    assert contents(split("一二三四五六七八九十", "fixed", 4)) == ["一二三四", "五六七八", "九十"]
    assert contents(split("the vacation days", "fixed", 10)) == ["the", "vacation", "days"]
    assert contents(split("一二三👨‍👩‍👧四五", "fixed", 5)) == ["一二三", "👨‍👩‍👧", "四五"]
    assert contents(split("一二三四五六七八", "fixed", 4, overlap=2)) == [
        "一二三四",
        "三四五六",
        "五六七八",
    ]
    assert contents(split("abcdefghijklmnopqrst", "fixed", 8)) == ["abcdefgh", "ijklmnop", "qrst"]


def test_markdown_never_reaches_over_a_heading_and_knows_the_path() -> None:
    text = "前言。\n# 假期\n总则。\n## 年假 ##\n十天。\n```\n# 代码\n```\n# 报销\n\n发票。"
    assert split(text, "markdown", title="手册") == [
        CustomDoc("前言。", {"title": "手册"}),
        CustomDoc("假期\n总则。", {"title": "手册 > 假期"}),
        CustomDoc("年假\n十天。\n```\n# 代码\n```", {"title": "手册 > 假期 > 年假"}),
        CustomDoc("报销\n发票。", {"title": "手册 > 报销"}),
    ]


def test_markdown_can_say_the_path_in_each_chunk() -> None:
    text = "# 假期\n## 年假\n每年十天整。\n需要先申请。"
    assert contents(split(text, "markdown", 13, heading_prefix=True)) == [
        "年假\n假期\n每年十天整。",
        "年假\n需要先申请。",
    ]
    assert contents(split(text, "markdown", 20, heading_prefix=True)) == [
        "假期 > 年假\n每年十天整。",
        "假期 > 年假\n需要先申请。",
    ]
    assert contents(split("# 只有标题", "markdown", heading_prefix=True)) == ["只有标题"]
    assert contents(split("# 很长很长的标题\n正文在此。", "markdown", 12, heading_prefix=True)) == [
        "很长很长的标题",
        "正文在此。",
    ]


def test_markdown_keeps_code_whole() -> None:
    code = "```python\nfor a in b:\n\n    print(a)\n```"
    docs = split(f"说明一。说明二。\n{code}\n说明三。说明四。", "markdown", 40)
    assert contents(docs) == ["说明一。说明二。", code, "说明三。说明四。"]


def test_a_sentence_is_searched_and_its_neighbours_answer() -> None:
    docs = split(
        "一是年假。二是病假。三是事假。\n四是婚假。Five is it. 完毕。", "sentence_window", window=1
    )
    assert [(doc.content, doc.context) for doc in docs] == [
        ("一是年假。", "一是年假。二是病假。"),
        ("二是病假。", "一是年假。二是病假。三是事假。"),
        ("三是事假。", "二是病假。三是事假。\n四是婚假。"),
        ("四是婚假。", "三是事假。\n四是婚假。Five is it."),
        ("Five is it.", "四是婚假。Five is it. 完毕。"),
        ("完毕。", "Five is it. 完毕。"),
    ]


def test_what_says_nothing_is_no_sentence_of_its_own() -> None:
    docs = split("1. 员工享有年假。（2）须先申请批准。", "sentence_window")
    assert contents(docs) == ["1. 员工享有年假。", "（2）须先申请批准。"]


def test_a_sentence_that_begins_with_figures_ends_where_it_does() -> None:
    docs = split("2024-01-01 起执行。12345678，是总数。另行通知。", "sentence_window")
    assert contents(docs) == ["2024-01-01 起执行。", "12345678，是总数。", "另行通知。"]


def test_a_window_never_reaches_into_another_section() -> None:
    sections = [Section("第一页的内容。", {"page": 1}), Section("第二页的内容。", {"page": 2})]
    docs = list(split_document(sections, ChunkOptions(250, 0, splitter="sentence_window")))
    assert [doc.context for doc in docs] == [None, None]


def test_a_child_is_searched_and_its_parent_answers() -> None:
    docs = split("一二三。四五六。七八九。\n十一二。", "parent_child", 4, parent_size=8)
    assert [(doc.content, doc.context) for doc in docs] == [
        ("一二三。", "一二三。四五六。"),
        ("四五六。", "一二三。四五六。"),
        ("七八九。", None),
        ("十一二。", None),
    ]


def test_rows_are_children_of_a_larger_part_of_their_table() -> None:
    table = "| a | b |\n| - | - |\n| 1 | 一 |\n| 2 | 二 |\n| 3 | 三 |"
    options = ChunkOptions(30, 0, splitter="parent_child", parent_size=45)
    docs = list(split_document([Section(table, {"row": 2}, "table")], options))
    assert [(doc.content, doc.context, doc.metadata["row"]) for doc in docs] == [
        ("| a | b |\n| - | - |\n| 1 | 一 |", "| a | b |\n| - | - |\n| 1 | 一 |\n| 2 | 二 |", 2),
        ("| a | b |\n| - | - |\n| 2 | 二 |", "| a | b |\n| - | - |\n| 1 | 一 |\n| 2 | 二 |", 3),
        ("| a | b |\n| - | - |\n| 3 | 三 |", None, 4),
    ]


def test_the_title_is_told_to_the_search_and_to_the_answer() -> None:
    docs = split("1. 年假\n每年十天。需要申请。", "parent_child", 6, zh_title_enhance=True)
    assert docs[1] == CustomDoc(
        "下文与(1. 年假)有关。每年十天。", {}, "下文与(1. 年假)有关。每年十天。需要申请。"
    )


@pytest.mark.parametrize(
    ("lines", "table"),
    [
        (
            "| 城市 | 标准 |\n|:--|--:|\n| 北京 | 500 |\n| 上海 | 600 |",
            "| 城市 | 标准 |\n|:--|--:|",
        ),
        ("城市\t标准\n北京\t500\n上海\t600", "| 城市 | 标准 |\n| --- | --- |"),
    ],
)
def test_tables_are_found_in_text(lines: str, table: str) -> None:
    docs = split(f"差旅标准如下。\n{lines}\n以上。", "table", len(table) + 16)
    assert contents(docs) == [
        "差旅标准如下。",
        f"{table}\n| 北京 | 500 |",
        f"{table}\n| 上海 | 600 |",
        "以上。",
    ]


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("Q: 年假几天？", "A: 十天。"),
        ("q1：年假几天？", "a1：十天。"),
        ("Q1. 年假几天？", "A1. 十天。"),
        ("问：年假几天？", "答：十天。"),
        ("1. 问：年假几天？", "答：十天。"),
        ("问题3：年假几天？", "答案3：十天。"),
        ("【问题】年假几天？", "【答案】十天。"),
        ("**Question:** How many?", "**Answer:** Ten."),
        ("### Q2: How many?", "\nA: Ten."),
        ("提问：年假几天？", "回答：十天。"),
    ],
)
def test_one_pair_is_one_chunk_however_long(question: str, answer: str) -> None:
    pair = f"{question}\n{answer}\n" + "补充说明。" * 100
    docs = split(f"本页是常见问题。\n{pair}\n\n{pair}", "qa")
    assert contents(docs) == ["本页是常见问题。", pair, pair]


@pytest.mark.parametrize(
    "text",
    [
        "存在的问题：太慢。\n解决的办法：等。",
        "A. 选项一\nB. 选项二",
        "问：只有问题？",
        "答：没有问题。",
    ],
)
def test_no_pairs(text: str) -> None:
    assert len(split(text * 3, "qa", 12)) > 1


def test_an_answer_without_end_is_text() -> None:
    docs = split("问：年假几天？\n答：十天。\n" + "后面还有全书。" * 2_000, "qa")
    assert max(len(doc.content) for doc in docs) <= 250


def test_a_pair_goes_on_on_the_next_page_but_not_under_the_next_heading() -> None:
    sections = [
        Section("问：年假几天？\n答：十", {"page": 1}),
        Section("天。\n问：病假？\n答：凭证明。", {"page": 2}),
        Section("其他\n另起一章。", {"page": 2, "title": "其他"}),
    ]
    assert list(split_document(sections, ChunkOptions(250, 0, splitter="qa"))) == [
        CustomDoc("问：年假几天？\n答：十\n天。", {"page": 1}),
        CustomDoc("问：病假？\n答：凭证明。", {"page": 2}),
        CustomDoc("其他\n另起一章。", {"page": 2, "title": "其他"}),
    ]


@pytest.mark.parametrize(
    ("question", "answer"),
    [("问题", "答案"), ("问", "答"), ("Question", "Answer"), ("Q", "A"), ("标准问题", "标准回答")],
)
def test_columns_of_questions_and_answers_are_pairs(question: str, answer: str) -> None:
    table = (
        f"| 类 | {question} | {answer} |\n| - | - | - |\n| 假 | 几天 | 十天 |\n| | 谁批 | 经理 |"
    )
    docs = list(
        split_document(
            [Section(table, {"sheet": "一", "row": 2}, "table")],
            ChunkOptions(250, 0, splitter="qa"),
        )
    )
    assert docs == [
        CustomDoc(f"类: 假\n{question}: 几天\n{answer}: 十天", {"sheet": "一", "row": 2}),
        CustomDoc(f"{question}: 谁批\n{answer}: 经理", {"sheet": "一", "row": 3}),
    ]


def test_other_columns_are_a_table() -> None:
    table = "| 问题 | 状态 |\n| - | - |\n| 慢 | 已解决 |\n| 旧 | 未解决 |"
    docs = list(split_document([Section(table, {}, "table")], ChunkOptions(250, 0, splitter="qa")))
    assert contents(docs) == [table]
