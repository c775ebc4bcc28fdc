"""Chunks: where they are cut, how long they are, what they carry."""

import pytest

from kb_service.entities import ChunkOptions, CustomDoc
from kb_service.loaders import Section
from kb_service.splitters import split_document
from kb_service.splitters.pieces import split_text
from kb_service.splitters.titles import is_title


def split(text: str, size: int = 10, overlap: int = 0) -> list[str]:
    return list(split_text(text, size, overlap))


@pytest.mark.parametrize(
    ("text", "chunks"),
    [
        ("一二三四五。\n\n六七八九十。", ["一二三四五。", "六七八九十。"]),
        ("一二三四五六\n七八九十一二", ["一二三四五六", "七八九十一二"]),
        ("一二三四五。六七八九十！一二三？", ["一二三四五。", "六七八九十！一二三？"]),
        ("He ran. She too! Why? No", ["He ran.", "She too!", "Why? No"]),
        ("一二三四五；六七八九十", ["一二三四五；", "六七八九十"]),
        ("一二三四五，六七八九十", ["一二三四五，", "六七八九十"]),
        ("他说：“一二三四。”我走了一会", ["他说：“一二三四。”", "我走了一会"]),
        ("一二三四五六七八九十一二三", ["一二三四五六七八九十", "一二三"]),
        ("short", ["short"]),
        (" \n\n ", []),
    ],
)
def test_the_first_separator_that_helps_cuts_and_stays(text: str, chunks: list[str]) -> None:
    assert split(text) == chunks


def test_blank_lines_are_collapsed() -> None:
    assert split("一\n\n\n\n二", 100) == ["一\n二"]


def test_no_chunk_is_longer_and_none_of_the_text_is_lost() -> None:
    text = "员工手册第一章，总则。" * 40 + "无标点" * 200 + "\n" + "word " * 300
    for size, overlap in ((250, 50), (50, 0), (37, 36), (1, 0), (10_000, 0)):
        chunks = split(text, size, overlap)
        assert max(map(len, chunks)) <= size
    whole = "".join(split(text, 50)).replace(" ", "").replace("\n", "")
    assert whole == text.replace(" ", "").replace("\n", "")


def test_neighbours_overlap_by_whole_pieces() -> None:
    chunks = split("一二三。四五六。七八九。十一二。", 8, 4)
    assert chunks == ["一二三。四五六。", "四五六。七八九。", "七八九。十一二。"]
    assert split("一二三四五六七八九十", 4, 2) == ["一二三四", "三四五六", "五六七八", "七八九十"]


def test_sections_keep_their_metadata_and_records_their_length() -> None:
    sections = [
        Section("一二三。四五六。", {"page": 1}),
        Section("长" * 50, {"row": 1}, "record"),
    ]
    docs = list(split_document(sections, ChunkOptions(4, 0)))
    assert docs == [
        CustomDoc("一二三。", {"page": 1}),
        CustomDoc("四五六。", {"page": 1}),
        CustomDoc("长" * 50, {"row": 1}),
    ]


@pytest.mark.parametrize("line", ["1. 总则", "第2章 休假", "3 报销流程"])
def test_titles(line: str) -> None:
    assert is_title(line)


@pytest.mark.parametrize(
    "line", ["总则", "2024", "1. 员工每年享有十天带薪年假，请提前在系统中提交", "1. 总则。", ""]
)
def test_no_titles(line: str) -> None:
    assert not is_title(line)


def test_zh_title_enhance_tells_chunks_what_they_are_about() -> None:
    text = "前言\n1. 年假\n每年十天。需要申请。\n2. 病假\n凭证明。"
    docs = list(split_document([Section(text)], ChunkOptions(6, 0, zh_title_enhance=True)))
    assert docs == [
        CustomDoc("前言", {}),
        CustomDoc("1. 年假", {"category": "cn_Title"}),
        CustomDoc("下文与(1. 年假)有关。每年十天。", {}),
        CustomDoc("下文与(1. 年假)有关。需要申请。", {}),
        CustomDoc("2. 病假", {"category": "cn_Title"}),
        CustomDoc("下文与(2. 病假)有关。凭证明。", {}),
    ]


@pytest.mark.parametrize("text", ["上班时间九点。\n", "满3年。\n另议", " 满3年。 \n\n"])
def test_a_short_text_is_no_title_for_its_line_ends(text: str) -> None:
    docs = list(split_document([Section(text)], ChunkOptions(250, 0, zh_title_enhance=True)))
    assert [doc.metadata for doc in docs] == [{}]
