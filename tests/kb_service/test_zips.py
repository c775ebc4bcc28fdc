"""A zip of files through the upload routes: each entry has its own job or its own reason."""

import io
import json
import struct
import zipfile
from typing import Any

import pytest

from kb_service.archive import entries
from kb_service.loaders import LoadFault
from tests.kb_service.conftest import ADMIN, Kb
from tests.kb_service.documents import docx_file, zip_file

MB = 1 << 20


async def accepted(kb: Kb, *files: tuple[str, bytes], **fields: str) -> dict[str, Any]:
    answer = await kb.http.post(
        "/admin/knowledge-bases/kb1/files",
        data=fields,
        files=[("files", file) for file in files],
        headers=ADMIN,
    )
    assert answer.status_code == 202, answer.text
    body: dict[str, Any] = answer.json()
    return body


def unpacked(content: bytes, **limits: int) -> dict[str, str | bytes]:
    """What came out, or the reason."""
    limits = {"file_max": MB, "total_max": 20 * MB} | limits
    out: dict[str, str | bytes] = {}
    for entry in entries(io.BytesIO(content), **limits):
        if entry.file is None:
            out[entry.name] = entry.fault
        else:
            with entry.file as file:
                file.seek(0)
                out[entry.name] = file.read()
    return out


async def test_each_entry_is_a_file_with_its_job(kb: Kb) -> None:
    await kb.create()
    content = zip_file(
        {
            "年假.txt": "年假每年十五天。".encode(),
            "sub/手册.docx": docx_file(("Normal", "打印机在三楼。")),
            "../up.txt": b"up",
            "film.mp4": b"film",
            "inner.zip": zip_file({"a.txt": b"a"}),
            "__MACOSX/._a": b"",
        }
    )
    body = await accepted(kb, ("all.zip", content), ("single.txt", "门禁卡在前台。".encode()))
    assert {job["file_name"] for job in body["jobs"]} == {"年假.txt", "sub/手册.docx", "single.txt"}
    assert set(body["refused"]) == {"../up.txt", "film.mp4", "inner.zip", "__MACOSX/._a"}
    assert "暂未支持的文件格式" in body["refused"]["film.mp4"]
    assert "An archive inside an archive" in body["refused"]["inner.zip"]


async def test_the_old_wire_takes_archives_too(kb: Kb) -> None:
    await kb.create()
    failed = await kb.uploaded(("all.zip", zip_file({"a.txt": "打印机在三楼。".encode()})))
    assert failed == {}
    assert (await kb.search("打印机", top_k=1))[0]["metadata"]["source"] == "a.txt"
    assert list(await kb.uploaded(("all.zip", b"PK\x03\x04 no archive"))) == ["all.zip"]


async def test_passages_of_an_entry_are_indexed_once(kb: Kb) -> None:
    await kb.create()
    docs = json.dumps({"a.txt": [{"page_content": "年假每年二十天。"}]})
    content = zip_file({"a.txt": "年假每年十天。".encode()})
    assert await kb.uploaded(("all.zip", content), docs=docs) == {}
    assert (await kb.get("/admin/jobs")).json()["total"] == 1
    assert [one["page_content"] for one in await kb.search("年假")] == ["年假每年二十天。"]


def test_names_of_chinese_windows() -> None:
    def named(raw: bytes) -> bytes:
        content = zip_file({"x" * len(raw): b"text"})
        return content.replace(b"x" * len(raw), raw)

    assert list(unpacked(named("制度/年假.txt".encode("gbk")))) == ["制度/年假.txt"]
    assert list(unpacked(named("誠文.txt".encode("gb18030")))) == [
        "誠文.txt"
    ]  # with a byte of "\\"
    assert list(unpacked(named("年假.txt".encode()))) == ["年假.txt"]
    assert list(unpacked(zip_file({"年假.txt": b"text"}))) == ["年假.txt"]


@pytest.mark.parametrize(
    "name", ["../a.txt", "/etc/a.txt", "a/../../b.txt", "C:\\a.txt", "a\\b.txt", "con.txt", "a‮.txt"]
)
def test_hostile_names(name: str) -> None:
    ((_, fault),) = unpacked(zip_file({name: b"text", "good.txt": b"good"})).items() - {
        ("good.txt", b"good")
    }
    assert "名" in str(fault)


def test_a_name_that_ends_early() -> None:
    content = zip_file({"a.txtX.exe": b"text"}).replace(b"a.txtX.exe", b"a.txt\0.exe")
    assert "控制字符" in str(unpacked(content)["a.txt\0.exe"])


def test_what_comes_out_is_counted() -> None:
    big = zip_file({f"{n}.txt": b"a" * MB for n in range(4)}, lie=True)
    assert any("damaged" in str(fate) for fate in unpacked(big).values())
    honest = zip_file({f"{n}.txt": b"a" * MB for n in range(4)})
    fates = unpacked(honest, total_max=2 * MB)
    assert [isinstance(fate, bytes) for fate in fates.values()] == [True, True, False, False]
    assert "inflates to too much" in str(fates["3.txt"])
    (cut,) = unpacked(zip_file({"a.txt": b"a" * 3 * MB})).values()
    assert len(cut) == MB + 1  # the byte too many, by which an upload is known to be too large


async def test_a_file_in_an_archive_has_the_same_limit_as_another(kb: Kb) -> None:
    await kb.create()
    content = zip_file({"big.txt": b"a" * (101 * MB), "small.txt": b"good text"})
    body = await accepted(kb, ("all.zip", content))
    assert "larger than 100 MB" in body["refused"]["big.txt"]
    assert [job["file_name"] for job in body["jobs"]] == ["small.txt"]


def test_encrypted_and_oddly_packed_entries() -> None:
    content = bytearray(zip_file({"a.txt": b"text"}))
    for signature, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(signature) + at] |= 1
    assert "encrypted" in str(unpacked(bytes(content))["a.txt"])
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("a.txt", "text")
    assert "not supported" in str(unpacked(out.getvalue())["a.txt"])


def test_too_many_entries() -> None:
    content = zip_file({f"{n}.txt": b"" for n in range(12)})
    with pytest.raises(LoadFault, match="more than 10 files"):
        unpacked(content, entries_max=10)
    at = content.rindex(b"PK\x05\x06") + 12
    huge = content[:at] + struct.pack("<L", 50 * MB) + content[at + 4 :]
    with pytest.raises(LoadFault, match="too many entries"):
        unpacked(huge)


@pytest.mark.parametrize(
    "content", [b"", b"PK", b"PK\x05\x06", b"a" * 100, b"PK\x05\x06" + b"\xff" * 18]
)
def test_what_is_no_archive(content: bytes) -> None:
    with pytest.raises(LoadFault):
        unpacked(content)


def test_the_same_name_twice() -> None:
    content = zip_file({"a.txt": b"first", "b.txt": b"second"}).replace(b"b.txt", b"a.txt")
    assert "another file of this name" in str(unpacked(content)["a.txt"])
