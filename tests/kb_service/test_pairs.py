"""Questions and answers from tables: one row, one pair, one chunk."""

from pathlib import Path

import pytest

from kb_service.entities import ChunkOptions
from kb_service.loaders.pairs import pair_sections
from tests.kb_service.conftest import Kb
from tests.kb_service.documents import xlsx_file
from tests.kb_service.test_zips import accepted


def pairs(
    tmp_path: Path, content: str | bytes, *, header_row: bool = True, loader: str = "CSVLoader"
) -> tuple[list[tuple[str, object]], list[str]]:
    path, notes = tmp_path / "file", list[str]()
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    sections = pair_sections(path, loader, header_row=header_row, notes=notes)
    assert sections is not None
    return [(section.text, section.metadata["row"]) for section in sections], notes


@pytest.mark.parametrize(
    "header",
    ["问题,答案", "question,answer", "Question,Answer", "\ufeff问题,回答", "常见问题,标准答案"],
)
def test_columns_by_their_names(tmp_path: Path, header: str) -> None:
    ((text, row),), notes = pairs(tmp_path, f"{header}\n年假多少天？,十五天\n")
    question, answer = header.lstrip("\ufeff").split(",")
    assert (text, row, notes) == (f"{question}: 年假多少天？\n{answer}: 十五天", 0, [])


def test_columns_in_any_order_and_more_of_them(tmp_path: Path) -> None:
    ((text, _),), _ = pairs(tmp_path, "答案;分类;问题\n十五天;人事;年假多少天？\n")
    assert text == "答案: 十五天\n分类: 人事\n问题: 年假多少天？"


def test_without_a_row_of_names(tmp_path: Path) -> None:
    found, _ = pairs(tmp_path, "年假多少天？,十五天\nHow many days?,15\n", header_row=False)
    assert [text for text, _ in found] == [
        "问题: 年假多少天？\n答案: 十五天",
        "Question: How many days?\nAnswer: 15",
    ]


def test_duplicates_are_left_out_and_noted(tmp_path: Path) -> None:
    rows = ["问题,答案", "a?,1", "A? ,1", "a?,2", "b?,", ",3", ",", "c?,1"]
    found, notes = pairs(tmp_path, "\n".join(rows))
    assert [row for _, row in found] == [0, 2, 6]
    assert [note.partition("(")[2].partition(")")[0] for note in notes] == [
        "row 1",
        "row 3, 4",
        "row 2",
    ]


def test_other_tables_are_left_to_their_loaders(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("name,price\ntea,3\n")
    assert pair_sections(path, "CSVLoader", header_row=True, notes=[]) is None
    assert pair_sections(path, "TextLoader", header_row=True, notes=[]) is None


def test_each_sheet_by_its_own_columns(tmp_path: Path) -> None:
    content = xlsx_file(
        {
            "人事": [("问题", "答案"), ("年假多少天？", 15), ("年假多少天？", 15)],
            "价格": [("名称", "价格"), ("茶", 3)],
            "空": [],
        }
    )
    found, notes = pairs(tmp_path, content, loader="XlsxLoader")
    assert found == [
        ("问题: 年假多少天？\n答案: 15", 2),
        ("| 名称 | 价格 |\n| --- | --- |\n| 茶 | 3 |", 2),
    ]
    (note,) = notes
    assert note.startswith("人事: 重复的问答 1 (row 3)")


async def test_one_pair_is_one_chunk_and_the_job_tells_what_was_left_out(kb: Kb) -> None:
    await kb.create()
    long = "很长的答案。" * 300
    content = f"门禁卡怎么办？,{long}\n门禁卡怎么办？,{long}\n".encode("gbk")
    body = await accepted(kb, ("faq.csv", content), splitter="qa", header_row="false")
    (job,) = body["jobs"]
    await kb.get(f"/admin/jobs/{job['id']}/events")  # which ends with the job
    found = await kb.search("门禁卡怎么办", top_k=5)
    assert [hit["page_content"] for hit in found] == [f"问题: 门禁卡怎么办？\n答案: {long}"]
    done = (await kb.get(f"/admin/jobs/{job['id']}")).json()
    assert (done["state"], "重复的问答 1" in done["reason"]) == ("done", True)


def test_the_option_goes_with_its_splitter() -> None:
    options = ChunkOptions.from_json(
        {"splitter": "qa", "size": 250, "overlap": 50, "header_row": False}
    )
    assert options.to_json()["header_row"] is False
    assert "header_row" not in ChunkOptions(250, 50).to_json()
