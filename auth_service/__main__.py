"""`python -m auth_service` serves; `python -m auth_service client ...` and others administer."""

import asyncio
import os
import sys

from auth_service.bootstrap import ensure_secrets
from auth_service.commands import parser, run
from auth_service.settings import AuthSettings
from servicekit.app import serve
from servicekit.errors import ServiceError
from servicekit.settings import CONFIG_VARIABLE, ConfigurationError


def main() -> None:
    arguments = parser().parse_args()
    if arguments.topic is None:
        serve("auth_service.app:create_app", _address)
        return
    if "config" in arguments:
        os.environ[CONFIG_VARIABLE] = arguments.config
    try:
        asyncio.run(run(arguments))
    except ConfigurationError as error:
        print(f"python -m auth_service: {error}", file=sys.stderr)
        sys.exit(2)
    except ServiceError as error:
        sys.exit(str(error))


def _address() -> tuple[str, int]:
    settings = AuthSettings.load()
    ensure_secrets(settings)  # a folder that cannot be used is told before anything starts
    return settings.auth_host, settings.auth_port


if __name__ == "__main__":
    main()
