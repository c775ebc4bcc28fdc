"""How commands and their options are declared."""

import argparse
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from auth_service.administration import Administration
from auth_service.audit import Actor
from auth_service.store.paging import Paging
from servicekit.errors import Invalid

Command = Callable[[Administration, argparse.Namespace], Awaitable[None]]
Subparsers = "argparse._SubParsersAction[argparse.ArgumentParser]"
BY = Actor("cli", "")


def config_option() -> argparse.ArgumentParser:
    """A parent parser: --config may stand at every level."""
    parent = argparse.ArgumentParser(add_help=False, argument_default=argparse.SUPPRESS)
    parent.add_argument("--config", metavar="FILE", help="config.ini to read 配置文件")
    return parent


class Topic:
    """`python -m auth_service TOPIC COMMAND ...`: adds commands to one topic."""

    def __init__(self, topics: Any, name: str, about: str) -> None:
        self._config = config_option()
        topic = topics.add_parser(name, help=about, description=about, parents=[self._config])
        self._commands = topic.add_subparsers(required=True, metavar="COMMAND")

    def command(self, name: str, run: Command, about: str) -> argparse.ArgumentParser:
        made: argparse.ArgumentParser = self._commands.add_parser(
            name, help=about, description=about, parents=[self._config]
        )
        made.set_defaults(command=run)
        return made

    def switches(self, run: Command, about: str, *names: tuple[str, type]) -> None:
        """`enable` and `disable` of what these arguments name."""
        for name, chinese in (("enable", "启用"), ("disable", "停用")):
            switch = self.command(name, run, f"{name.capitalize()} {about}. {chinese}。")
            switch.set_defaults(enable=name == "enable")
            add_names(switch, *names)


def add_names(command: argparse.ArgumentParser, *names: tuple[str, type]) -> None:
    for name, kind in names:
        command.add_argument(name, type=kind, metavar=name.upper())


def add_json(command: argparse.ArgumentParser) -> None:
    command.add_argument("--json", action="store_true", help="for programs 供程序读取")


def add_paging(command: argparse.ArgumentParser) -> None:
    """And --json: lists are what programs read."""
    command.add_argument("--page", type=_number, default=1, help="first is 1 页码")
    command.add_argument("--page-size", type=_number, default=200, help="每页条数")
    add_json(command)


def add_several(command: argparse.ArgumentParser, option: str, metavar: str, about: str) -> None:
    command.add_argument(
        option, metavar=metavar, action="append", help=f"{about}, repeatable 可多次"
    )


def paging(arguments: argparse.Namespace) -> Paging:
    return Paging(arguments.page, arguments.page_size)


def given(arguments: argparse.Namespace, **options: str) -> dict[str, Any]:
    """Values of the options that were used, under the names that use cases have for them."""
    values = {name: getattr(arguments, option) for name, option in options.items()}
    return {name: value for name, value in values.items() if value is not None}


def read_text(path: Path) -> str:
    """Raises Invalid."""
    try:
        return sys.stdin.read() if str(path) == "-" else path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Invalid(f"{path} cannot be read. 文件无法读取: {error}") from None


def _number(text: str) -> int:
    number = int(text)
    if not 1 <= number <= 1_000_000:
        raise argparse.ArgumentTypeError("must be 1 or more 须为正整数")
    return number
