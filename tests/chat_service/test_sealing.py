"""The models' keys at rest, and the key that seals them."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from chat_service.sealing import MasterKey, master_key


def test_only_the_same_key_opens_and_only_as_the_same_model() -> None:
    sealed = MasterKey("a" * 32).seal("sk-1", name="mine")
    assert b"sk-1" not in sealed
    assert MasterKey("a" * 32).open(sealed, name="mine") == "sk-1"
    for key, name, text in (
        ("b" * 32, "mine", sealed),
        ("a" * 32, "other", sealed),
        ("a" * 32, "mine", sealed[:-1] + b"x"),
        ("a" * 32, "mine", b""),
    ):
        with pytest.raises(ValueError, match=r"."):
            MasterKey(key).open(text, name=name)


def test_processes_that_start_together_make_one_key(tmp_path: Path) -> None:
    path = tmp_path / "chat" / "master.key"
    with ThreadPoolExecutor(8) as pool:
        keys = list(pool.map(lambda _: master_key("", path), range(8)))
    sealed = keys[0].seal("sk-1", name="mine")
    assert {key.open(sealed, name="mine") for key in keys} == {"sk-1"}
    assert [file.name for file in path.parent.iterdir()] == ["master.key"]
    assert path.stat().st_mode & 0o777 == 0o600
