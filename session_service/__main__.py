"""Run the service: `python -m session_service [--config FILE]`."""

from servicekit.app import serve
from session_service.settings import SessionSettings


def _address() -> tuple[str, int]:
    settings = SessionSettings.load()
    return settings.session_host, settings.session_port


if __name__ == "__main__":
    serve("session_service.app:create_app", _address)
