"""`admin`: people who log in to the console with a password."""

import argparse
import sys
from typing import Any

from auth_service.administration import Administration
from auth_service.api.admin_keys import AdminAnswer, NewAdminAnswer
from auth_service.commands.options import BY, Topic, add_json, add_names, add_paging, paging
from auth_service.commands.output import print_json, print_page, state, told_state, utc
from auth_service.operators import make_password

_NAME = ("name", str)
_ONCE = "The password is shown this once. 密码仅显示这一次。"
_COLUMNS = {
    "STATE": lambda admin: state(admin.enable),
    "CREATED (UTC)": lambda admin: admin.create_time.isoformat(timespec="seconds"),
    "LOCKED UNTIL (UTC)": lambda admin: utc(admin.locked_until),
    "NAME": lambda admin: admin.username,
}


def add_topic(topics: Any) -> None:
    topic = Topic(topics, "admin", "operators of the console 管理员")
    add_paging(topic.command("list", _list, "List admins. 列出管理员。"))
    add = topic.command("add", _add, "Add an admin and print a password. 添加管理员。")
    password = topic.command("password", _password, "Set a new password. 重设密码。")
    for command in (add, password):
        add_names(command, _NAME)
        command.add_argument(
            "--password-stdin", action="store_true", help="read it from standard input 读取密码"
        )
    add_json(add)
    topic.switches(_switch, "an admin", _NAME)
    add_names(topic.command("delete", _delete, "Delete an admin. 删除管理员。"), _NAME)


async def _list(operations: Administration, arguments: argparse.Namespace) -> None:
    asked = paging(arguments)
    page = await operations.operators.page(asked)
    print_page(page, asked, _COLUMNS, shown=AdminAnswer, as_json=arguments.json)


async def _add(operations: Administration, arguments: argparse.Namespace) -> None:
    password = _read_password() if arguments.password_stdin else None
    added = await operations.operators.add(BY, arguments.name, password)
    if arguments.json:
        print_json(NewAdminAnswer.model_validate(added))
        return
    print(f"Admin {added.row.username} is added. 管理员已添加。", file=sys.stderr)
    _print_password(added.password)


async def _password(operations: Administration, arguments: argparse.Namespace) -> None:
    made = None if arguments.password_stdin else make_password()
    await operations.operators.change(BY, arguments.name, password=made or _read_password())
    told = "has a new password; every session has ended. 密码已重设，所有登录已失效。"
    print(f"Admin {arguments.name} {told}", file=sys.stderr)
    _print_password(made)


async def _switch(operations: Administration, arguments: argparse.Namespace) -> None:
    admin = await operations.operators.change(BY, arguments.name, enable=arguments.enable)
    print(f"Admin {admin.username} {told_state(arguments.enable)}")


async def _delete(operations: Administration, arguments: argparse.Namespace) -> None:
    await operations.operators.delete(BY, arguments.name)
    print(f"Admin {arguments.name} is deleted. 管理员已删除。")


def _read_password() -> str:
    return sys.stdin.readline().rstrip("\r\n")


def _print_password(made: str | None) -> None:
    if made:
        print(_ONCE, file=sys.stderr)
        print(made)
