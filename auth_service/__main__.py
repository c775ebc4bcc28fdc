"""`python -m auth_service` serves; `python -m auth_service client ...` manages host apps."""

import argparse
import asyncio
import os
import sys
from collections.abc import Awaitable, Callable

from auth_service.app import migrated_database
from auth_service.bootstrap import ensure_secrets
from auth_service.keys import DEFAULT_BITS, MasterKey
from auth_service.registration import Registered, Registration
from auth_service.settings import AuthSettings
from auth_service.snippets import snippets
from auth_service.store.credentials import Store
from servicekit.app import serve
from servicekit.errors import ServiceError
from servicekit.settings import CONFIG_VARIABLE, ConfigurationError

_WARNING = (
    "Keep this key secret: despite its name, whoever holds it can log in as any user of this"
    " client.\n请妥善保管此密钥：它名为公钥，但持有者可冒充该客户端的任何用户。"
)
Command = Callable[[Registration, argparse.Namespace], Awaitable[None]]


def main() -> None:
    arguments = _parser().parse_args()
    if arguments.topic is None:
        serve("auth_service.app:create_app", _address)
        return
    if "config" in arguments:
        os.environ[CONFIG_VARIABLE] = arguments.config
    try:
        asyncio.run(_run(arguments))
    except ConfigurationError as error:
        print(f"python -m auth_service: {error}", file=sys.stderr)
        sys.exit(2)
    except ServiceError as error:
        sys.exit(str(error))


def _address() -> tuple[str, int]:
    settings = AuthSettings.load()
    ensure_secrets(settings)  # a folder that cannot be used is told before anything starts
    return settings.auth_host, settings.auth_port


async def _run(arguments: argparse.Namespace) -> None:
    settings = AuthSettings.load()
    secrets = ensure_secrets(settings)
    async with migrated_database(settings) as database:
        registration = Registration(Store(database), MasterKey(secrets.master_key))
        await registration.check_keys()
        command: Command = arguments.command
        await command(registration, arguments)


async def _add(registration: Registration, arguments: argparse.Namespace) -> None:
    print("Making a key pair... 正在生成密钥...", file=sys.stderr)
    added = await registration.add(
        arguments.name, description=arguments.description, bits=arguments.bits
    )
    _print_registered(added, arguments.name)


async def _list(registration: Registration, _: argparse.Namespace) -> None:
    print("ID  STATE     KIND    CREATED (UTC)        NAME")
    for client in await registration.clients():
        state = "enabled" if client.enable else "disabled"
        created = client.create_time.isoformat(timespec="seconds")
        about = f" - {client.description}" if client.description else ""
        print(f"{client.id:<3} {state:<9} {client.kind:<7} {created:<20} {client.name}{about}")


async def _switch(registration: Registration, arguments: argparse.Namespace) -> None:
    client = await registration.enable(arguments.id, enable=arguments.enable)
    told = "enabled 已启用" if arguments.enable else "disabled 已停用"
    print(f"Client {client.id} ({client.name}) is {told}. Takes effect within 30 s. 30 秒内生效。")


async def _rotate_key(registration: Registration, arguments: argparse.Namespace) -> None:
    shown = await registration.rotate_key(arguments.id)
    print(_WARNING, file=sys.stderr)
    print(shown.public_key, end="")


def _print_registered(added: Registered, name: str) -> None:
    print(f"client id: {added.client_id}  客户端编号\nname:      {name}  名称\n")
    print(f"{_WARNING}\n\n{added.public_key}")
    print("Mint a token for each login, on your server. 每次登录时在服务端生成 token：\n")
    for snippet in snippets(added.client_id, added.public_key):
        print(f"{snippet.file_name} ({snippet.needs})\n```{snippet.language}\n{snippet.text}```\n")
    print("Then open the chat page. 然后打开对话页面： /sso?token=<URL-encoded token>")


def _parser() -> argparse.ArgumentParser:
    config = argparse.ArgumentParser(add_help=False, argument_default=argparse.SUPPRESS)
    config.add_argument("--config", metavar="FILE", help="config.ini to read 配置文件")
    parser = argparse.ArgumentParser(
        prog="python -m auth_service",
        description="Serve, or manage host apps. 启动服务，或管理接入的客户端。",
        parents=[config],
    )
    topics = parser.add_subparsers(dest="topic", metavar="client")
    client = topics.add_parser("client", help="host apps 接入的客户端", parents=[config])
    commands = client.add_subparsers(required=True, metavar="COMMAND")
    _add_commands(commands, config)
    return parser


def _add_commands(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]",
    config: argparse.ArgumentParser,
) -> None:
    def command(name: str, run: Command, about: str) -> argparse.ArgumentParser:
        made = commands.add_parser(name, help=about, description=about, parents=[config])
        made.set_defaults(command=run)
        return made

    add = command("add", _add, "Register a host app and print what it needs. 登记客户端。")
    add.add_argument("name", metavar="NAME", help="shown to operators 名称")
    add.add_argument("--description", default="", help="for operators 描述")
    add.add_argument("--bits", type=int, choices=(2048, 3072, 4096), default=DEFAULT_BITS)
    command("list", _list, "Show all clients. 列出客户端。")
    for name, about in (
        ("disable", "Refuse a client and all its users. 停用客户端。"),
        ("enable", "Accept a disabled client again. 启用客户端。"),
    ):
        switch = command(name, _switch, about)
        switch.add_argument("id", type=int, metavar="ID")
        switch.set_defaults(enable=name == "enable")
    rotate = command("rotate-key", _rotate_key, "Make a new key and print it (PEM). 更换密钥。")
    rotate.add_argument("id", type=int, metavar="ID")


if __name__ == "__main__":
    main()
