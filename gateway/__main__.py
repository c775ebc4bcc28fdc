"""`python -m gateway`: serve."""

from gateway.settings import GatewaySettings
from servicekit.app import serve


def _address() -> tuple[str, int]:
    settings = GatewaySettings.load()
    return settings.gateway_host, settings.gateway_port


if __name__ == "__main__":
    serve("gateway.app:create_app", _address, proxy_headers=False)
