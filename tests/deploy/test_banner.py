"""What the console shows once everything is ready."""

from pathlib import Path
from typing import Any

from auth_service.settings import AuthSettings
from deploy.banner import Banner


def _text(data: Path, **settings: Any) -> str:
    auth = AuthSettings(
        chat2llm_data=data, h5_demo_secret="a b&c", chat2llm_admin_key="c2l-0123456789", **settings
    )
    return Banner({"gateway": ("0.0.0.0", 7861)}, auth, first_start=False).text(1.5)


def test_the_demo_link(tmp_path: Path) -> None:
    assert "http://127.0.0.1:7861/api/sso?client=0&secret=a%20b%26c\n" in _text(tmp_path)


def test_a_demo_that_is_switched_off_has_no_link(tmp_path: Path) -> None:
    text = _text(tmp_path, h5_demo_enabled=False)
    assert "H5_DEMO_ENABLED" in text
    assert "/api/sso" not in text
    assert "a%20b" not in text
