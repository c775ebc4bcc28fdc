"""Secrets made at first start: modes, who wins, and files that are damaged."""

import subprocess
import sys
from pathlib import Path

import pytest

from auth_service.bootstrap import admin_key_file, demo_secret, ensure_secrets
from auth_service.settings import AuthSettings
from servicekit.identity import Caller, CallerVerifier, sign_caller
from servicekit.settings import ConfigurationError

ROOT = Path(__file__).resolve().parents[2]
PRIVATE = [
    "auth/admin.key",
    "auth/caller.key",
    "auth/demo.secret",
    "auth/master.key",
    "gateway/introspection.key",
]


@pytest.fixture
def settings(tmp_path: Path) -> AuthSettings:
    return AuthSettings(chat2llm_data=tmp_path / "data")


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_everything_is_made_for_its_owner_only(settings: AuthSettings) -> None:
    ensure_secrets(settings)
    data = settings.chat2llm_data
    assert files(data) == sorted([*PRIVATE, "keys/caller.pub"])
    assert {(data / name).stat().st_mode & 0o777 for name in PRIVATE} == {0o600}
    assert (data / "keys" / "caller.pub").stat().st_mode & 0o777 == 0o644
    assert {path.stat().st_mode & 0o777 for path in data.iterdir()} == {0o700}


def test_a_second_call_changes_nothing(settings: AuthSettings) -> None:
    first = ensure_secrets(settings)
    before = {name: (settings.chat2llm_data / name).stat().st_mtime_ns for name in PRIVATE}
    second = ensure_secrets(settings)
    assert first.master_key == second.master_key
    assert first.admin_key == second.admin_key
    assert first.demo_secret == second.demo_secret == demo_secret(settings)
    assert first.introspection_key == second.introspection_key
    after = {name: (settings.chat2llm_data / name).stat().st_mtime_ns for name in PRIVATE}
    assert before == after


def test_secrets_are_long_and_differ(settings: AuthSettings, tmp_path: Path) -> None:
    first = ensure_secrets(settings)
    other = ensure_secrets(AuthSettings(chat2llm_data=tmp_path / "other"))
    made = [
        secret
        for secrets in (first, other)
        for secret in (
            secrets.master_key,
            secrets.admin_key,
            secrets.demo_secret,
            secrets.introspection_key,
        )
    ]
    assert len(set(made)) == 8
    assert all(len(secret) >= 43 for secret in made)
    assert first.admin_key.startswith("c2l-")
    assert admin_key_file(settings).read_text().strip() == first.admin_key


def test_secrets_do_not_show_in_a_repr(settings: AuthSettings) -> None:
    secrets = ensure_secrets(settings)
    assert secrets.admin_key not in repr(secrets)
    assert secrets.master_key not in repr(secrets)


def test_the_public_key_belongs_to_the_private_one(settings: AuthSettings) -> None:
    secrets = ensure_secrets(settings)
    public = settings.chat2llm_data / "keys" / "caller.pub"
    caller = Caller("2", "u1", "Tom", ("chat",))
    for _ in range(2):
        jws = sign_caller(caller, secrets.caller_key, expires_at=9e9)
        assert CallerVerifier.from_file(public).verify(jws) == caller
        public.write_text("someone else's")
        secrets = ensure_secrets(settings)


def test_settings_win_over_files(settings: AuthSettings) -> None:
    ensure_secrets(settings)
    chosen = settings.model_copy(
        update={
            name: type(settings.master_key)(f"{name}-0123456789-0123456789-0123456789")
            for name in ("master_key", "introspection_key", "h5_demo_secret", "chat2llm_admin_key")
        }
    )
    secrets = ensure_secrets(chosen)
    assert secrets.master_key.startswith("master_key-")
    assert secrets.introspection_key.startswith("introspection_key-")
    assert secrets.demo_secret.startswith("h5_demo_secret-")
    assert secrets.admin_key.startswith("chat2llm_admin_key-")


def test_given_secrets_are_not_written_down(tmp_path: Path) -> None:
    """Except the admin key, whose file tools read."""
    given = "0123456789-0123456789-0123456789"
    settings = AuthSettings(
        chat2llm_data=tmp_path,
        master_key=given,
        introspection_key=given,
        h5_demo_secret=given,
    )
    ensure_secrets(settings)
    assert files(tmp_path) == ["auth/admin.key", "auth/caller.key", "keys/caller.pub"]


def test_a_file_that_others_could_read_is_closed(settings: AuthSettings) -> None:
    ensure_secrets(settings)
    file = settings.chat2llm_data / "auth" / "master.key"
    file.chmod(0o644)
    ensure_secrets(settings)
    assert file.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("name", PRIVATE)
@pytest.mark.parametrize("content", [b"", b"\n", b"\xff\xfe\x00"])
def test_a_damaged_file_is_named(settings: AuthSettings, name: str, content: bytes) -> None:
    ensure_secrets(settings)
    (settings.chat2llm_data / name).write_bytes(content)
    with pytest.raises(ConfigurationError, match=f"{name} is damaged"):
        ensure_secrets(settings)


def test_a_data_folder_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match="data folder cannot be used"):
        ensure_secrets(AuthSettings(chat2llm_data=tmp_path / "file"))


def test_processes_that_start_at_once_agree(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path;"
        "from auth_service.bootstrap import ensure_secrets;"
        "from auth_service.settings import AuthSettings;"
        "s = ensure_secrets(AuthSettings(chat2llm_data=Path(sys.argv[1])));"
        "print(s.master_key, s.admin_key, s.demo_secret, s.introspection_key,"
        " s.caller_key.public_key().public_bytes_raw().hex())"
    )
    children = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        for _ in range(3)
    ]
    told = {child.communicate(timeout=60)[0] for child in children}
    assert len(told) == 1
    assert told.pop().strip()
    assert not list(tmp_path.rglob(".*"))
