"""The gateway's settings refuse what cannot be meant."""

from pathlib import Path

import pytest

from gateway.settings import GatewaySettings
from servicekit.settings import ConfigurationError


def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> GatewaySettings:
    file = tmp_path / "config.ini"
    file.write_text(text, encoding="utf-8")
    monkeypatch.setenv("CHAT2LLM_CONFIG", str(file))
    return GatewaySettings.load()


def test_services_are_on_this_machine_unless_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = load(
        tmp_path, monkeypatch, "[gateway]\nCHAT_URL = http://chat:1\n[kb]\nKB_PORT = 9\n"
    )
    assert settings.upstreams == {
        "auth_service": "http://127.0.0.1:7862",
        "session_service": "http://127.0.0.1:7865",
        "kb_service": "http://127.0.0.1:9",
        "chat_service": "http://chat:1",
    }
    assert settings.origins == ()
    assert settings.proxies == ()
    assert settings.h5_dist is None


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[gateway]\nGATEWAY_PROT = 1\n", "GATEWAY_PROT"),
        ("[gatway]\nGATEWAY_PORT = 1\n", "gatway"),
        ("[gateway]\nGATEWAY_PORT = 70000\n", "GATEWAY_PORT"),
        ("[gateway]\nCORS_ORIGINS = *\n", "CORS_ORIGINS"),
        ("[gateway]\nCORS_ORIGINS = https://a.example, b.example\n", "b.example"),
        ("[gateway]\nCORS_ORIGINS = https://a.example/\n", "CORS_ORIGINS"),
        ("[gateway]\nTRUSTED_PROXIES = 10.0.0.0/33\n", "TRUSTED_PROXIES"),
        ("[gateway]\nH5_DIST = /nowhere/at/all\n", "H5_DIST"),
    ],
)
def test_a_mistake_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, named: str
) -> None:
    with pytest.raises(ConfigurationError, match=named):
        load(tmp_path, monkeypatch, text)
