"""`python -m kb_service` runs the service."""

from kb_service.settings import KbSettings
from servicekit.app import serve


def _address() -> tuple[str, int]:
    settings = KbSettings.load()
    return settings.kb_host, settings.kb_port


if __name__ == "__main__":
    serve("kb_service.app:create_app", _address)
