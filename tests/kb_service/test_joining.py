"""What neighbouring chunks share is said once."""

import pytest

from kb_service.joining import joined


@pytest.mark.parametrize(
    ("chunks", "text"),
    [
        ([], ""),
        (["第一章 总则"], "第一章 总则"),
        (["年假五天。病假", "。病假十天。"], "年假五天。病假十天。"),
        (["年假五天。", "病假十天。"], "年假五天。\n病假十天。"),
        (["aaa", "aaaa", "ab"], "aaaab"),
        (["", "b"], "b"),
    ],
)
def test_chunks_become_one_text(chunks: list[str], text: str) -> None:
    assert joined(chunks) == text
