"""What a split would give, told by the parser process without storing anything."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from kb_service.entities import ChunkOptions, CustomDoc
from kb_service.loaders import LoadFault
from kb_service.parsers import ParserPool


@pytest.fixture
async def parsers() -> AsyncIterator[ParserPool]:
    pool = ParserPool(size=1)
    yield pool
    await pool.close()


@pytest.fixture
def manual(tmp_path: Path) -> Path:
    path = tmp_path / "manual"
    path.write_text("# 年假\n" + "十天。" * 4 + "\n# 病假\n凭证明请假。\n", encoding="utf-8")
    return path


async def test_the_first_chunks_and_the_size_of_all(parsers: ParserPool, manual: Path) -> None:
    options = ChunkOptions(8, 0, splitter="markdown")
    preview = await parsers.preview(manual, ".md", options, first=2)
    assert preview.chunks == [
        CustomDoc("年假", {"title": "年假"}),
        CustomDoc("十天。十天。", {"title": "年假"}),
    ]
    assert (preview.total, preview.characters) == (5, 2 + 6 + 6 + 2 + 6)
    assert (preview.shortest, preview.median, preview.longest) == (2, 6, 6)
    assert (preview.loader, preview.splitter) == ("MarkdownLoader", "MarkdownHeaderTextSplitter")
    assert preview.notes == []


async def test_it_is_what_indexing_gives(parsers: ParserPool, manual: Path) -> None:
    options = ChunkOptions(5, 0, splitter="parent_child", parent_size=12)
    preview = await parsers.preview(manual, ".md", options)
    batches = [batch async for batch in parsers.parse(manual, ".md", options)]
    assert preview.chunks == [one.doc for batch in batches for one in batch.chunks]
    assert any(chunk.context for chunk in preview.chunks)
    summary = batches[-1].summary
    assert summary is not None
    assert (summary.loader, summary.splitter) == (preview.loader, preview.splitter)


async def test_chunks_that_were_cut_before_keep_their_context(parsers: ParserPool) -> None:
    kept = [CustomDoc("十天。", {"page": 1}, "年假为十天。"), CustomDoc("凭证明。", {})]

    async def pages() -> AsyncIterator[list[CustomDoc]]:
        yield kept

    batches = [batch async for batch in parsers.index(pages())]
    assert [one.doc for batch in batches for one in batch.chunks] == kept


@pytest.mark.parametrize(
    ("content", "extension", "options", "why"),
    [
        ("  \n", ".txt", ChunkOptions(50, 0), "没有文字"),
        ("年" * 200_001, ".txt", ChunkOptions(2, 1), "请拆分文件"),
        ("%PDF-1.4 nothing", ".pdf", ChunkOptions(50, 0), "damaged"),
        ("年假", ".txt", ChunkOptions(50, 0, splitter="spacy"), "Unknown splitter"),
    ],
)
async def test_what_cannot_be_cut_has_its_reason(
    parsers: ParserPool,
    tmp_path: Path,
    content: str,
    extension: str,
    options: ChunkOptions,
    why: str,
) -> None:
    path = tmp_path / "document"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(LoadFault, match=why):
        await parsers.preview(path, extension, options)
