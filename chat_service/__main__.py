"""Runs chat_service: `python -m chat_service`."""

from chat_service.settings import ChatSettings
from servicekit.app import serve


def _address() -> tuple[str, int]:
    settings = ChatSettings.load()
    return settings.chat_host, settings.chat_port


if __name__ == "__main__":
    serve("chat_service.app:create_app", _address)
