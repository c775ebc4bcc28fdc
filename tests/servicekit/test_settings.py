"""Where a setting comes from, and what stops a start."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import ClassVar

import pytest
from pydantic import Field, SecretStr, model_validator

from servicekit.settings import CONFIG_VARIABLE, ConfigurationError, ServiceSettings


class ShopSettings(ServiceSettings):
    owned_sections: ClassVar[tuple[str, ...]] = ("shop", "old")
    elsewhere: ClassVar[frozenset[str]] = frozenset({"till_port"})
    retired: ClassVar[dict[str, str]] = {"fax_number": "FAX_NUMBER has no effect now."}

    shop_port: int = Field(80, ge=1)
    shop_name: str = ""
    big_api_api_key: SecretStr = SecretStr("")
    smallest: int = 1
    largest: int = 2

    @model_validator(mode="after")
    def _ordered(self) -> "ShopSettings":
        if self.smallest > self.largest:
            raise ValueError("SMALLEST must not be over LARGEST")
        return self


class StrictSettings(ServiceSettings):
    known_sections: ClassVar[tuple[str, ...]] = ("shop",)


@pytest.fixture
def environment() -> Iterator[dict[str, str]]:
    """Environment variables of this test only."""
    before, given = dict(os.environ), dict[str, str]()
    yield given
    os.environ.clear()
    os.environ.update(before)


Write = Callable[..., None]


@pytest.fixture
def write(tmp_path: Path, environment: dict[str, str]) -> Write:
    """Writes the file that CHAT2LLM_CONFIG names; keyword arguments go to the environment."""

    def write(text: str, **variables: str) -> None:
        path = tmp_path / "some config.ini"
        path.write_text(text, encoding="utf-8")
        os.environ.update(variables | {CONFIG_VARIABLE: str(path)})

    return write


def test_without_file_or_environment_the_default_counts(write: Write) -> None:
    write("")

    assert ShopSettings.load().shop_port == 80


def test_the_file_beats_the_default(write: Write) -> None:
    write("[shop]\nSHOP_PORT = 81")

    assert ShopSettings.load().shop_port == 81


def test_the_environment_beats_the_file(write: Write) -> None:
    write("[shop]\nSHOP_PORT = 81", SHOP_PORT="82")

    assert ShopSettings.load().shop_port == 82


def test_an_empty_value_is_unset_in_the_file(write: Write) -> None:
    write("[shop]\nSHOP_PORT =\nSHOP_NAME =   ")

    assert (ShopSettings.load().shop_port, ShopSettings.load().shop_name) == (80, "")


def test_an_empty_environment_variable_leaves_the_file_s_value(write: Write) -> None:
    write("[shop]\nSHOP_PORT = 81", SHOP_PORT="")

    assert ShopSettings.load().shop_port == 81


@pytest.mark.parametrize("name", ["BIG-API.API_KEY", "big_api_api_key", "Big-Api.Api_Key"])
def test_old_key_names_with_hyphens_and_dots(write: Write, name: str) -> None:
    write(f"[shop]\n{name} = hidden%41")

    assert ShopSettings.load().big_api_api_key.get_secret_value() == "hidden%41"


def test_old_key_names_from_the_environment(write: Write) -> None:
    write("[shop]\nBIG-API.API_KEY = from-file", BIG_API_API_KEY="from-environment")

    assert ShopSettings.load().big_api_api_key.get_secret_value() == "from-environment"


def test_sections_are_labels(write: Write) -> None:
    write("[anything]\nSHOP_PORT = 83")

    assert ShopSettings.load().shop_port == 83


@pytest.mark.parametrize("section", ["shop", "old"])
def test_a_misspelt_key_stops_with_its_name(write: Write, section: str) -> None:
    write(f"[{section}]\nSHOP-PROT = 81")

    with pytest.raises(ConfigurationError, match=rf"SHOP_PROT in \[{section}\]"):
        ShopSettings.load()


def test_keys_of_other_owners_are_not_refused(write: Write) -> None:
    write("[shop]\nTILL_PORT = 9\n[theirs]\nNOBODY_KNOWS = 1")

    assert ShopSettings.load().shop_port == 80


def test_an_unknown_section_is_refused_by_who_knows_them_all(write: Write) -> None:
    write("[shopp]\nSHOP_PORT = 1")

    with pytest.raises(ConfigurationError, match=r"\[shopp\]"):
        StrictSettings.load()


def test_a_retired_key_warns_only_when_it_has_a_value(
    write: Write, caplog: pytest.LogCaptureFixture
) -> None:
    write("[old]\nFAX_NUMBER =")
    ShopSettings.load()
    assert caplog.messages == []

    write("[old]\nFAX_NUMBER = 12")
    ShopSettings.load()
    assert caplog.messages == ["FAX_NUMBER has no effect now."]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("SHOP_PORT = eighty", "SHOP_PORT"),
        ("SHOP_PORT = 0", "SHOP_PORT"),
        ("SMALLEST = 3", "SMALLEST must not be over LARGEST"),
    ],
)
def test_a_bad_value_is_named(write: Write, text: str, shown: str) -> None:
    write(f"[shop]\n{text}")

    with pytest.raises(ConfigurationError, match=shown):
        ShopSettings.load()


def test_a_bad_secret_is_not_shown(write: Write) -> None:
    write("[shop]\nBIG-API.API_KEY = the-secret\nSHOP_PORT = x")

    with pytest.raises(ConfigurationError) as refused:
        ShopSettings.load()
    assert "the-secret" not in str(refused.value)
    assert "the-secret" not in repr(ShopSettings(big_api_api_key=SecretStr("the-secret")))


def test_a_named_file_that_is_missing_is_an_error(write: Write, tmp_path: Path) -> None:
    os.environ[CONFIG_VARIABLE] = str(tmp_path / "none.ini")

    with pytest.raises(ConfigurationError, match=r"none\.ini"):
        ShopSettings.load()


@pytest.mark.parametrize("content", [b"SHOP_PORT = 1", b"[shop]\nSHOP_NAME = \xff\xfe", b"[shop"])
def test_a_file_that_cannot_be_read_is_named(write: Write, tmp_path: Path, content: bytes) -> None:
    write("")
    (tmp_path / "some config.ini").write_bytes(content)

    with pytest.raises(ConfigurationError, match=r"some config\.ini"):
        ShopSettings.load()


def test_a_folder_in_the_place_of_the_file_is_not_overlooked(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    """Docker makes one when it mounts a file that is not there."""
    (tmp_path / "config.ini").mkdir()
    before = Path.cwd()
    os.environ.pop(CONFIG_VARIABLE, None)
    os.chdir(tmp_path)
    try:
        with pytest.raises(ConfigurationError, match=r"config\.ini"):
            ShopSettings.load()
    finally:
        os.chdir(before)


def test_a_byte_order_mark_is_no_hindrance(write: Write, tmp_path: Path) -> None:
    write("")
    (tmp_path / "some config.ini").write_bytes(
        b"\xef\xbb\xbf[shop]\r\nSHOP_NAME = \xe5\xba\x97\r\n"
    )

    assert ShopSettings.load().shop_name == "店"


def test_settings_do_not_change(write: Write) -> None:
    with pytest.raises(ValueError, match="frozen"):
        ShopSettings().shop_port = 1  # type: ignore[misc]  # the point of the test
