"""`python -m kb_service` runs the service; `python -m kb_service import DIR` sends it files."""

import asyncio
import os
import sys

from kb_service.commands import CommandFault, parser, run
from kb_service.settings import KbSettings
from servicekit.app import serve
from servicekit.settings import CONFIG_VARIABLE


def main() -> None:
    arguments = parser().parse_args()
    if arguments.command is None:
        serve("kb_service.app:create_app", _address)
        return
    try:
        if arguments.command == "migrate-vectors":
            if arguments.config:
                os.environ[CONFIG_VARIABLE] = arguments.config
            from kb_service.commands.migrating import migrate  # the other commands do without

            sys.exit(asyncio.run(migrate(KbSettings.load(), arguments.to)))
        sys.exit(run(arguments, os.environ.get("CHAT2LLM_API_KEY", "")))
    except CommandFault as fault:
        print(f"python -m kb_service: {fault}", file=sys.stderr)
        sys.exit(2)


def _address() -> tuple[str, int]:
    settings = KbSettings.load()
    return settings.kb_host, settings.kb_port


if __name__ == "__main__":
    main()
