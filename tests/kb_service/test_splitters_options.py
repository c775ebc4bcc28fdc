"""Options of a split as they are stored and as a user may write them."""

from typing import Any

import pytest

from kb_service.entities import SPLITTERS, ChunkOptions, InvalidOptions
from kb_service.splitters import split_document

USUAL: dict[str, Any] = {"size": 250, "overlap": 50}


@pytest.mark.parametrize("splitter", SPLITTERS)
def test_what_is_stored_is_read_again(splitter: str) -> None:
    given = USUAL | {
        "splitter": splitter,
        "zh_title_enhance": True,
        "heading_prefix": True,
        "window": 3,
        "parent_size": 900,
        "header_row": False,
    }
    options = ChunkOptions.from_json(given)
    stored = options.to_json()
    assert ChunkOptions.from_json(stored) == options
    assert stored.items() <= given.items()
    own = {"heading_prefix", "window", "parent_size", "header_row"}
    assert own & stored.keys() == {*SPLITTERS[splitter]}


def test_every_name_has_a_splitter() -> None:
    for splitter in SPLITTERS:
        assert list(split_document([], ChunkOptions(250, 50, splitter=splitter))) == []


def test_the_old_wires_options_are_the_default_splitters() -> None:
    assert ChunkOptions.from_json(USUAL) == ChunkOptions(250, 50)
    assert ChunkOptions(250, 50).splitter == "recursive"


@pytest.mark.parametrize(
    ("given", "chinese", "english"),
    [
        ({"splitter": "spacy"}, "未知的分块方式", "recursive, markdown, fixed, sentence_window"),
        ({"splitter": None}, "未知的分块方式", "Unknown splitter"),
        ({"splitter": ["qa"]}, "未知的分块方式", "Unknown splitter"),
        ({"chunk_size": 100}, "未知的分块选项", "size, overlap"),
        ({"size": 0}, "size 必须是 1 到 10000 的整数", "a whole number from 1 to 10000"),
        ({"size": "250"}, "size 必须是", "size must be"),
        ({"size": True}, "size 必须是", "size must be"),
        ({"overlap": -1}, "overlap 必须是", "overlap must be"),
        ({"overlap": 250}, "必须小于分块长度", "must be smaller"),
        ({"zh_title_enhance": 1}, "true 或 false", "true or false"),
        ({"window": 11}, "window 必须是", "window must be"),
        ({"splitter": "parent_child", "parent_size": 250}, "必须大于分块长度", "must be larger"),
    ],
)
def test_what_cannot_be_used_is_refused(given: dict[str, Any], chinese: str, english: str) -> None:
    with pytest.raises(InvalidOptions) as refusal:
        ChunkOptions.from_json(USUAL | given)
    assert chinese in str(refusal.value)
    assert english in str(refusal.value)


def test_lengths_must_be_given() -> None:
    with pytest.raises(InvalidOptions, match="overlap"):
        ChunkOptions.from_json({"size": 250})
