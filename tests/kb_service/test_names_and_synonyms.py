"""An installation's own names and synonyms, from its files to what is found."""

from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import ValidationError

from kb_service.settings import KbSettings
from tests.kb_service.conftest import connected

Make = Callable[..., KbSettings]


async def test_names_and_synonyms_are_read_at_start(make_settings: Make, tmp_path: Path) -> None:
    names, synonyms = tmp_path / "names.txt", tmp_path / "synonyms.txt"
    names.write_text("# 产品\n蓝莓通\n", "utf-8")
    synonyms.write_text("差旅费，出差费用\n", "utf-8")
    texts = {"a.txt": "出差费用在周二结算。", "b.txt": "蓝莓通的说明", "c.txt": "蓝莓与草莓通关"}
    async with connected(make_settings(kb_dictionary=names, kb_synonyms=synonyms)) as kb:
        await kb.create()
        await kb.uploaded(*((name, text.encode()) for name, text in texts.items()))
        for question, right in (("差旅费", "a.txt"), ("蓝莓通", "b.txt")):
            found = await kb.search(question, top_k=3)
            assert [one["page_content"] for one in found] == [texts[right]]


def test_a_file_that_is_not_there_stops_the_start(make_settings: Make, tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="kb_dictionary"):
        make_settings(kb_dictionary=tmp_path / "none.txt")
