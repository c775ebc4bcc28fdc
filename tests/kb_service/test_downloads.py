"""Downloads: what a browser may do with a file, ranges, and what is not there."""

from pathlib import Path
from urllib.parse import quote

import pytest

from tests.kb_service.conftest import READER, Kb
from tests.kb_service.documents import docx_file, pdf_file

PATH = "/knowledge_base/download_doc"
HTML = b"<script>alert(1)</script><p>x</p>"


@pytest.fixture
async def filled(kb: Kb) -> Kb:
    await kb.create()
    await kb.uploaded(
        ("年假 (1).txt", "员工每年享有十天带薪年假。".encode()),
        ("a.html", HTML),
        ("b.pdf", pdf_file(["x"])),
        ("目录/c.docx", docx_file(("Normal", "x"))),
    )
    return kb


async def test_bug_11_a_download_is_an_attachment_under_its_name(filled: Kb) -> None:
    for name in ("年假 (1).txt", "a.html", "b.pdf"):
        answer = await filled.get(PATH, READER, knowledge_base_name="kb1", file_name=name)
        assert answer.status_code == 200
        disposition = answer.headers["content-disposition"]
        assert disposition.startswith("attachment; filename")
        assert quote(name) in disposition or f'filename="{name}"' in disposition
        assert answer.headers["content-type"] == "multipart/form-data"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["content-security-policy"] == "sandbox"
    folder = await filled.get(PATH, READER, knowledge_base_name="kb1", file_name="目录/c.docx")
    assert folder.headers["content-disposition"] == 'attachment; filename="c.docx"'


async def test_a_preview_is_inline_only_where_nothing_can_run(filled: Kb) -> None:
    kinds = {}
    for name in ("年假 (1).txt", "a.html", "b.pdf", "目录/c.docx"):
        answer = await filled.get(
            PATH, READER, knowledge_base_name="kb1", file_name=name, preview="true"
        )
        disposition = answer.headers["content-disposition"].partition(";")[0]
        kinds[name] = (disposition, answer.headers["content-type"])
        assert answer.headers["content-security-policy"] == "sandbox"
    assert kinds == {
        "年假 (1).txt": ("inline", "text/plain; charset=utf-8"),
        "a.html": ("attachment", "multipart/form-data"),
        "b.pdf": ("inline", "application/pdf"),
        "目录/c.docx": ("attachment", "multipart/form-data"),
    }


async def test_ranges_and_validators(filled: Kb) -> None:
    where = {"knowledge_base_name": "kb1", "file_name": "a.html"}
    whole = await filled.get(PATH, **where)
    assert whole.content == HTML
    assert {"etag", "last-modified", "accept-ranges"} <= set(whole.headers)
    part = await filled.http.get(PATH, params=where, headers=READER | {"range": "bytes=3-5"})
    assert (part.status_code, part.content) == (206, HTML[3:6])
    beyond = await filled.http.get(PATH, params=where, headers=READER | {"range": "bytes=9999-"})
    assert beyond.status_code == 416


async def test_a_content_that_somebody_removed_from_the_disk(filled: Kb, tmp_path: Path) -> None:
    for path in (tmp_path / "kb" / "content").glob("*/*"):
        path.unlink()
    answer = await filled.get(PATH, READER, knowledge_base_name="kb1", file_name="a.html")
    assert answer.json() == {"code": 500, "msg": "a.html 读取文件失败", "data": None}
    update = {"knowledge_base_name": "kb1", "file_names": ["a.html"]}
    failed = (await filled.post("/knowledge_base/update_docs", update)).json()["data"]
    assert "a.html" in failed["failed_files"]
    assert len(await filled.search("带薪年假")) == 1


async def test_what_is_not_there(filled: Kb) -> None:
    for name in ("none.txt", "../kb.db", "/etc/passwd", "x.zip", "a.html/", "a\\b", "\u202ex"):
        answer = await filled.get(PATH, READER, knowledge_base_name="kb1", file_name=name)
        assert answer.status_code == 200
        assert answer.json()["code"] == 500
        assert answer.json()["msg"].endswith(" 读取文件失败")
        assert answer.json()["msg"].isprintable()
    assert (await filled.get(PATH, READER, knowledge_base_name="kb1")).status_code == 422
