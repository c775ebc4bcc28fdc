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
