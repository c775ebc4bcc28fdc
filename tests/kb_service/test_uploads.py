"""Files into a knowledge base, anew, and out of it, over HTTP."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
from starlette.datastructures import Headers, UploadFile

from kb_service.api.uploads import CappedParser
from kb_service.settings import KbSettings
from tests.kb_service.conftest import ADMIN, Kb, connected, on_a_socket
from tests.kb_service.documents import docx_file, pdf_file, pptx_file, xlsx_file

P = "/knowledge_base"
LEAVE = "员工每年享有十天带薪年假，请在系统中提交申请。".encode()
TRAVEL = "出差住宿标准为每晚五百元，凭发票报销交通费用。".encode()
Make = Callable[..., KbSettings]


async def update(kb: Kb, *names: str, **options: Any) -> dict[str, str]:
    body = {"knowledge_base_name": "kb1", "file_names": list(names)} | options
    answer = (await kb.post(f"{P}/update_docs", body)).json()
    assert (answer["code"], answer["msg"]) == (200, "更新文档完成")
    failed: dict[str, str] = answer["data"]["failed_files"]
    return failed


async def delete(kb: Kb, *names: str, delete_content: bool = False) -> dict[str, str]:
    body = {"knowledge_base_name": "kb1", "file_names": list(names)}
    answer = await kb.post(f"{P}/delete_docs", body | {"delete_content": delete_content})
    assert (answer.json()["code"], answer.json()["msg"]) == (200, "文件删除完成")
    failed: dict[str, str] = answer.json()["data"]["failed_files"]
    return failed


async def test_every_format_is_found_by_what_it_says(kb: Kb) -> None:
    await kb.create()
    files = {
        "a.txt": LEAVE,
        "b.md": "# 差旅\n出差住宿标准为每晚五百元。".encode(),
        "c.csv": "姓名,分机\n王小明,八六零三\n".encode("gb18030"),
        "d.json": '[{"问题": "班车几点出发"}]'.encode(),
        "e.html": "<h1>食堂</h1><p>午餐供应时间</p>".encode(),
        "f.docx": docx_file(("Heading 1", "着装"), ("Normal", "周五可以穿便装。")),
        "g.xlsx": xlsx_file({"s": [["会议室", "容量"], ["青松厅", 20]]}),
        "h.pptx": pptx_file(("战略", "拓展海外市场", "")),
        "i.pdf": pdf_file(["Fire drill every March."]),
        "子目录/j.jsonl": '{"车位": "地下二层"}\n'.encode(),
    }
    assert await kb.uploaded(*files.items()) == {}
    assert await kb.files() == list(files)
    for query, name, key in (
        ("年假", "a.txt", None),
        ("住宿标准", "b.md", "title"),
        ("王小明的分机", "c.csv", "row"),
        ("班车", "d.json", "index"),
        ("午餐供应时间", "e.html", "title"),
        ("便装", "f.docx", "title"),
        ("青松厅容量", "g.xlsx", "sheet"),
        ("海外市场", "h.pptx", "slide"),
        ("fire drill", "i.pdf", "page"),
        ("车位", "子目录/j.jsonl", "line"),
    ):
        first = (await kb.search(query))[0]
        assert first["metadata"]["source"] == name
        assert list(first) == ["page_content", "metadata", "type", "score"]
        assert first["type"] == "Document"
        assert key is None or key in first["metadata"]


async def test_bug_security_8_no_path_of_the_server_is_told(kb: Kb, tmp_path: Path) -> None:
    await kb.create()
    docs = {"a.txt": [{"page_content": "年假十天", "metadata": {"source": "/etc/passwd"}}]}
    await kb.uploaded(("a.txt", LEAVE), docs=json.dumps(docs))
    found = await kb.search("年假")
    assert found[0]["metadata"] == {"source": "a.txt"}
    assert str(tmp_path) not in json.dumps(found)


async def test_names_that_are_no_good_have_a_reason_and_nothing_is_stored(
    kb: Kb, tmp_path: Path
) -> None:
    await kb.create()
    names = [
        *("../../x.txt", "/etc/x.txt", "a/../x.txt", "C:x.txt", "con.txt", "a/NUL.txt"),
        *("．．/x.txt", "‥/x.txt", ".txt", "a\u202etxt.txt", "好" * 84 + ".txt", "x.txt "),
        "a\\x.txt",
    ]
    for name in names:
        failed = await kb.uploaded((name, LEAVE))
        assert len(failed) == 1, name
        (shown, reason), *_ = failed.items()
        assert shown.isprintable()
        assert shown in reason
    assert await kb.files() == []
    assert not [path for path in (tmp_path / "kb").rglob("*") if path.suffix == ".txt"]
    assert not list((tmp_path / "kb" / "content").glob("*/*"))


async def test_one_bad_file_does_not_stop_the_others(kb: Kb) -> None:
    await kb.create()
    failed = await kb.uploaded(
        ("bad.rar", b"PK"),
        ("noext", LEAVE),
        ("fake.pdf", LEAVE),
        ("empty.txt", b""),
        ("blank.pdf", pdf_file([])),
        ("head.csv", b"name,age,"),
        ("good.TXT", LEAVE),
    )
    assert failed["bad.rar"] == "加载文档 bad.rar 时出错：暂未支持的文件格式 .rar"
    assert failed["noext"] == "加载文档 noext 时出错：暂未支持的文件格式 "
    assert failed["fake.pdf"].startswith("从文件 kb1/fake.pdf 加载文档时出错：内容是文本")
    assert failed["empty.txt"].startswith("从文件 kb1/empty.txt 加载文档时出错：文件为空")
    for name in ("blank.pdf", "head.csv"):  # a scan would have another reason
        assert failed[name].endswith("加载文档时出错：未提取到文字。No text was found in it.")
    assert len(failed) == 6
    assert await kb.files() == ["good.TXT"]


async def test_bug_11_a_file_that_is_there_is_neither_replaced_nor_indexed_again(kb: Kb) -> None:
    await kb.create()
    await kb.uploaded(("a.txt", LEAVE))
    other = LEAVE.replace("十".encode(), "九".encode())
    assert await kb.uploaded(("a.txt", other)) == {"a.txt": "文件 a.txt 已存在。"}
    assert "十天" in (await kb.search("年假"))[0]["page_content"]
    assert await kb.uploaded(("a.txt", other), override="true") == {}
    assert [found["page_content"] for found in await kb.search("年假")] == [other.decode()]
    assert await kb.uploaded(("a.txt", TRAVEL + LEAVE)) == {}  # another size replaces by itself
    assert await kb.files() == ["a.txt"]


async def test_a_bad_replacement_leaves_the_old_file_as_it_was(kb: Kb) -> None:
    await kb.create()
    await kb.uploaded(("a.txt", LEAVE))
    assert "a.txt" in await kb.uploaded(("a.txt", b"\x89PNG\r\n\x1a\n"), override="true")
    assert len(await kb.search("年假")) == 1
    kept = await kb.get(f"{P}/download_doc", knowledge_base_name="kb1", file_name="a.txt")
    assert kept.content == LEAVE


async def test_chunks_have_the_length_that_was_asked_for(kb: Kb) -> None:
    await kb.create()
    text = "".join(f"第{number}类员工每年享有十天带薪年假。" for number in range(100, 200)).encode()
    await kb.uploaded(("a.txt", text))
    assert max(len(found["page_content"]) for found in await kb.search("年假", top_k=50)) > 200
    await kb.uploaded(("a.txt", text), override="true", chunk_size="30", chunk_overlap="0")
    lengths = [len(found["page_content"]) for found in await kb.search("年假", top_k=200)]
    assert len(lengths) == 100
    assert max(lengths) <= 30
    titled = "1. 年假\n每年十天。".encode()
    await kb.uploaded(("b.txt", titled), zh_title_enhance="true")
    assert "下文与(1. 年假)有关。每年十天。" in [
        found["page_content"] for found in await kb.search("每年十天", top_k=200)
    ]


async def test_metadata_that_the_engine_could_not_read_again_is_refused(kb: Kb) -> None:
    """It would be written, and then stop every later start of the vector engine."""
    await kb.create()
    deep: dict[str, Any] = {}
    for _ in range(130):
        deep = {"a": deep}
    docs = json.dumps({"d.txt": [{"page_content": "年假十天", "metadata": deep}]})
    failed = await kb.uploaded(("d.txt", LEAVE), docs=docs)
    assert "32" in failed["d.txt"]
    assert await kb.uploaded(("e.txt", LEAVE)) == {}
    assert [found["metadata"]["source"] for found in await kb.search("年假")] == ["e.txt"]


async def test_wrong_chunking_is_refused_as_a_whole(kb: Kb) -> None:
    await kb.create()
    answer = await kb.upload(("a.txt", LEAVE), chunk_size="50", chunk_overlap="50")
    assert (answer.status_code, answer.json()["detail"][0]["loc"]) == (
        422,
        ["body", "chunk_overlap"],
    )
    assert (await kb.upload(("a.txt", LEAVE), chunk_size="0")).status_code == 422
    assert (await kb.upload(("a.txt", LEAVE), chunk_overlap="-1")).status_code == 422
    assert (await kb.upload(("a.txt", LEAVE), chunk_size="many")).status_code == 422
    assert await kb.files() == []


async def test_missing_fields_are_422(kb: Kb) -> None:
    await kb.create()
    answer = await kb.http.post(f"{P}/upload_docs", data={"x": "y"}, headers=ADMIN)
    places = [item["loc"] for item in answer.json()["detail"]]
    assert (answer.status_code, places) == (
        422,
        [["body", "files"], ["body", "knowledge_base_name"]],
    )


async def test_stored_without_vectors_until_update_docs(kb: Kb) -> None:
    await kb.create()
    assert await kb.uploaded(("a.txt", LEAVE), to_vector_store="false") == {}
    assert await kb.files() == ["a.txt"]
    assert await kb.search("年假") == []
    assert await update(kb, "a.txt") == {}
    assert len(await kb.search("年假")) == 1
    assert "b.pdf" in await kb.uploaded(("b.pdf", LEAVE), to_vector_store="false")
    assert await kb.files() == ["a.txt"]


async def test_what_was_replaced_without_vectors_is_read_by_a_rebuild(kb: Kb) -> None:
    await kb.create()
    await kb.uploaded(("a.txt", LEAVE))
    await kb.uploaded(("a.txt", TRAVEL), to_vector_store="false", override="true")
    assert len(await kb.search("年假")) == 1  # the old ones answer until then
    await kb.post(f"{P}/recreate_vector_store", {"knowledge_base_name": "kb1"})
    assert await kb.search("年假") == []
    assert len(await kb.search("住宿标准")) == 1


async def test_custom_docs_are_taken_as_they_are(kb: Kb) -> None:
    await kb.create()
    docs = {
        "a.txt": [
            {"page_content": "自定义的年假段落", "metadata": {"章": 3, "嵌套": {"a": [1, None]}}},
            {"page_content": "  "},
            {"page_content": "另一段"},
        ]
    }
    assert await kb.uploaded(("a.txt", LEAVE), docs=json.dumps(docs)) == {}
    found = await kb.search("年假段落", top_k=10)
    assert found[0]["page_content"] == "自定义的年假段落"
    assert found[0]["metadata"] == {"source": "a.txt", "章": 3, "嵌套": {"a": [1, None]}}
    assert LEAVE.decode() not in [one["page_content"] for one in found]
    # Files with passages of their own are skipped until that is overridden.
    assert await update(kb, "a.txt") == {}
    assert (await kb.search("自定义"))[0]["page_content"] == "自定义的年假段落"
    assert await update(kb, "a.txt", override_custom_docs=True) == {}
    assert [one["page_content"] for one in await kb.search("年假")] == [LEAVE.decode()]
    replaced = json.dumps({"a.txt": [{"page_content": "年假改为十五天"}]})
    assert await update(kb, docs=replaced) == {}
    assert [one["page_content"] for one in await kb.search("年假")] == ["年假改为十五天"]


async def test_bad_custom_docs(kb: Kb) -> None:
    await kb.create()
    broken = await kb.upload(("a.txt", LEAVE), docs="{not json")
    assert broken.status_code == 422
    assert "Invalid JSON" in broken.json()["detail"][0]["msg"]
    assert (await kb.upload(("a.txt", LEAVE), docs="[]")).status_code == 422
    malformed: list[Any] = ["x", [{"metadata": {}}], [{"page_content": 5}]]
    for value in (*malformed, [{"page_content": "字" * 20_001}]):
        docs = json.dumps({"b.txt": value})
        failed = await kb.uploaded(("a.txt", LEAVE), docs=docs, override="true")
        assert failed["b.txt"].startswith("为 b.txt 添加自定义docs时出错：")
    unknown = json.dumps({"none.txt": [{"page_content": "x"}]})
    assert (await update(kb, docs=unknown))["none.txt"] == (
        "为 none.txt 添加自定义docs时出错：未找到文件 none.txt"
    )
    huge = '{"a.txt": [{"page_content": "x", "metadata": {"n": 1' + "0" * 40 + "}}]}"
    assert "a.txt" in await update(kb, docs=huge)
    assert await kb.files() == ["a.txt"]


async def test_updating_what_is_not_there(kb: Kb) -> None:
    await kb.create()
    failed = await update(kb, "none.txt", "../../etc/passwd", "none.txt")
    assert failed == {
        "none.txt": "加载文档 none.txt 时出错：未找到文件 none.txt",
        "../../etc/passwd": "加载文档 ../../etc/passwd 时出错：未找到文件 ../../etc/passwd",
    }


async def test_deleting_keeps_the_content_unless_told(kb: Kb) -> None:
    await kb.create()
    await kb.uploaded(("a.txt", LEAVE), ("b.txt", TRAVEL))
    assert await delete(kb, "a.txt") == {}
    assert await kb.files() == ["b.txt"]
    assert await kb.search("年假") == []
    where = {"knowledge_base_name": "kb1", "file_name": "a.txt"}
    assert (await kb.get(f"{P}/download_doc", **where)).content == LEAVE
    assert await update(kb, "a.txt") == {}
    assert len(await kb.search("年假")) == 1
    assert await delete(kb, "a.txt", delete_content=True) == {}
    gone = await kb.get(f"{P}/download_doc", **where)
    assert gone.json() == {"code": 500, "msg": "a.txt 读取文件失败", "data": None}


async def test_bug_11_deleting_what_is_not_there_or_of_another_kind(kb: Kb) -> None:
    await kb.create()
    await kb.uploaded(("a.txt", LEAVE))
    failed = await delete(kb, "x.zip", "../../kb.db", "a.txt", delete_content=True)
    assert failed == {"x.zip": "未找到文件 x.zip", "../../kb.db": "未找到文件 ../../kb.db"}
    assert await kb.files() == []


async def test_a_deleted_file_can_come_again(kb: Kb) -> None:
    await kb.create()
    await kb.uploaded(("a.txt", LEAVE))
    await delete(kb, "a.txt")
    assert await kb.uploaded(("a.txt", LEAVE)) == {}
    assert len(await kb.search("年假", top_k=10)) == 1


async def test_two_uploads_of_one_name_end_as_one_file(kb: Kb) -> None:
    await kb.create()
    contents = [f"员工每年享有带薪年假 {number} 天。".encode() for number in range(4)]
    failures = await asyncio.gather(
        *(kb.uploaded(("a.txt", content), override="true") for content in contents)
    )
    assert await kb.files() == ["a.txt"]
    found = await kb.search("年假", top_k=10)
    assert len(found) == 1
    where = {"knowledge_base_name": "kb1", "file_name": "a.txt"}
    kept = await kb.get(f"{P}/download_doc", **where)
    assert kept.text == found[0]["page_content"]
    for failed in failures:
        assert set(failed) <= {"a.txt"}
    assert sum(not failed for failed in failures) >= 1


async def test_the_same_name_in_two_knowledge_bases(kb: Kb) -> None:
    await kb.create("kb1")
    await kb.create("kb2")
    await kb.uploaded(("a.txt", LEAVE), kb="kb1")
    await kb.uploaded(("a.txt", TRAVEL), kb="kb2")
    assert await kb.search("年假", kb="kb2") == []
    await kb.post(f"{P}/delete_knowledge_base", "kb1")
    assert len(await kb.search("住宿标准", kb="kb2")) == 1


async def test_replacing_never_opens_a_hole_and_never_shows_both(kb: Kb) -> None:
    await kb.create()
    old, new = (f"员工每年享有带薪年假{days}天。" * 300 for days in (10, 20))
    await kb.uploaded(("a.txt", old.encode()))
    replacing = asyncio.create_task(kb.uploaded(("a.txt", new.encode()), override="true"))
    seen = set()
    while True:
        await asyncio.sleep(0)  # a search in this process never waits for anything by itself
        is_last = replacing.done()
        contents = "".join(one["page_content"] for one in await kb.search("年假", top_k=50))
        seen.add(("10天" in contents, "20天" in contents))
        if is_last:
            break
    assert await replacing == {}
    assert seen == {(True, False), (False, True)}


async def test_files_beyond_the_cap_are_refused_while_they_come(
    make_settings: Make, tmp_path: Path
) -> None:
    async with connected(make_settings(upload_max_mb=1)) as kb:
        await kb.create()
        exactly = b"a" * (1 << 20)
        failed = await kb.uploaded(
            ("big.txt", exactly + b"a"), ("good.txt", LEAVE), ("just.csv", b"x\n" + exactly[2:])
        )
        assert list(failed) == ["big.txt"]
        assert "超过 1 MB" in failed["big.txt"]
        assert await kb.files() == ["good.txt", "just.csv"]
        assert len(list((tmp_path / "kb" / "content").glob("*/*"))) == 2


async def test_nothing_beyond_the_cap_is_kept_while_it_comes() -> None:
    async def body() -> AsyncGenerator[bytes, None]:
        for name in ("a", "b"):
            yield b"--B\r\nContent-Disposition: form-data; "
            yield f'name="files"; filename="{name}.txt"\r\n\r\n'.encode()
            for _ in range(10 if name == "a" else 1):
                yield b"x" * 1_000
            yield b"\r\n"
        yield b"--B--\r\n"

    headers = Headers({"content-type": "multipart/form-data; boundary=B"})
    form = await CappedParser(headers, body(), 2_500).parse()
    uploads = [item for _, item in form.multi_items() if isinstance(item, UploadFile)]
    assert [upload.size for upload in uploads] == [2_501, 1_000]
    await form.close()


async def test_a_request_without_end_is_cut_off(make_settings: Make) -> None:
    """Over a socket: neither the announced nor the real length gets past the limit."""
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        yield b'--B\r\nContent-Disposition: form-data; name="files"; filename="a.txt"\r\n\r\n'
        for _ in range(4_000):
            sent += 1 << 16
            yield b"x" * (1 << 16)

    headers = ADMIN | {"content-type": "multipart/form-data; boundary=B"}
    async with (
        on_a_socket(make_settings(upload_max_mb=1)) as url,
        httpx.AsyncClient(base_url=url, timeout=60) as http,
    ):
        try:
            answer = await http.post(f"{P}/upload_docs", content=endless(), headers=headers)
            assert answer.status_code == 413
        except httpx.TransportError:
            pass  # the server has hung up while we were still sending
        assert sent < 60 << 20
        lines = [f"{name}: {value}" for name, value in (headers | {"host": "kb"}).items()]
        reader, writer = await asyncio.open_connection("127.0.0.1", httpx.URL(url).port)
        head = [f"POST {P}/upload_docs HTTP/1.1", *lines, f"content-length: {10**12}", "", ""]
        writer.write("\r\n".join(head).encode())
        assert (await reader.readline()).split()[1] == b"413"
        writer.close()


async def test_forms_that_are_none(kb: Kb) -> None:
    for kind, body in (
        ("multipart/form-data", b"x"),
        ("multipart/form-data; boundary=B", b"--B\r\nnonsense"),
        ("multipart/form-data; boundary=B", b"--B\r\n\r\nx\r\n--B--"),
        ("application/json", b"{}"),
        ("text/plain", b""),
    ):
        answer = await kb.http.post(
            f"{P}/upload_docs", content=body, headers=ADMIN | {"content-type": kind}
        )
        assert 400 <= answer.status_code < 500, kind
        assert "detail" in answer.json()
