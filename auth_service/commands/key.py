"""`key`: API keys of programs and operators."""

import argparse
import sys
import time
from typing import Any

from auth_service.administration import Administration
from auth_service.api.admin_keys import IssuedKeyAnswer, KeyAnswer
from auth_service.api_keys import KEY_SCOPES, IssuedKey
from auth_service.commands.options import (
    BY,
    Topic,
    add_json,
    add_names,
    add_paging,
    add_several,
    given,
    paging,
)
from auth_service.commands.output import print_json, print_page, state, told_state, utc
from auth_service.store.key_registry import KeyFilter

_ID = ("id", int)
_ONCE = "It is shown this once: keep it safe. 仅显示这一次，请妥善保管。"
_COLUMNS = {
    "ID": lambda key: key.id,
    "KEY": lambda key: f"{key.prefix}...",
    "STATE": lambda key: state(key.enable),
    "CLIENT": lambda key: "operator" if key.client_id is None else key.client_id,
    "USER": lambda key: key.user_id,
    "SCOPES": lambda key: key.scopes,
    "UNTIL (UTC)": lambda key: utc(key.expires_at),
    "LAST USED (UTC)": lambda key: utc(key.last_used_at),
    "NAME": lambda key: key.name,
}


def add_topic(topics: Any) -> None:
    topic = Topic(topics, "key", "API keys API 密钥")
    add = topic.command("add", _add, "Issue an API key and print it. 签发 API 密钥。")
    add.add_argument("name", metavar="NAME", help="shown to operators 名称")
    owner = add.add_mutually_exclusive_group(required=True)
    owner.add_argument("--client", type=int, metavar="ID", help="of this client 客户端编号")
    owner.add_argument("--operator", action="store_true", help="of an operator 运维密钥")
    add.add_argument("--user", help="act as this user 代表的用户")
    add_json(add)
    change = topic.command("change", _change, "Change what is given. 修改密钥。")
    add_names(change, _ID)
    change.add_argument("--name", help="名称")
    change.add_argument("--no-end", action="store_true", help="it never expires 永不过期")
    change.add_argument("--all-knowledge-bases", action="store_true", help="不限定知识库")
    for command in (add, change):
        command.add_argument(
            "--scope", action="append", choices=KEY_SCOPES, help="repeatable 权限，可多次"
        )
        command.add_argument("--days", type=float, help="expires after 有效天数")
        add_several(command, "--knowledge-base", "NAME", "confine it to this 限定知识库")
    listed = topic.command("list", _list, "List API keys without secrets. 列出 API 密钥。")
    listed.add_argument("--client", type=int, metavar="ID", help="of this client 客户端编号")
    add_paging(listed)
    topic.switches(_switch, "an API key", _ID)
    rotate = topic.command("rotate", _rotate, "Replace the secret and print it. 更换密钥。")
    add_names(rotate, _ID)
    add_json(rotate)
    add_names(topic.command("delete", _delete, "Delete an API key. 删除 API 密钥。"), _ID)


async def _add(operations: Administration, arguments: argparse.Namespace) -> None:
    issued = await operations.api_keys.issue(
        BY, arguments.client, user_id=arguments.user, name=arguments.name, **_values(arguments)
    )
    _print_issued(issued, as_json=arguments.json)


async def _change(operations: Administration, arguments: argparse.Namespace) -> None:
    values = _values(arguments) | given(arguments, name="name")
    if arguments.no_end:
        values["expires_at"] = None
    if arguments.all_knowledge_bases:
        values["knowledge_bases"] = None
    changed = await operations.api_keys.change(BY, arguments.id, **values)
    print_json(KeyAnswer.model_validate(changed))


async def _list(operations: Administration, arguments: argparse.Namespace) -> None:
    asked = paging(arguments)
    page = await operations.api_keys.page(KeyFilter(arguments.client), asked)
    print_page(page, asked, _COLUMNS, shown=KeyAnswer, as_json=arguments.json)


async def _switch(operations: Administration, arguments: argparse.Namespace) -> None:
    key = await operations.api_keys.change(BY, arguments.id, enable=arguments.enable)
    print(f"API key {key.id} ({key.name}) {told_state(arguments.enable)}")


async def _rotate(operations: Administration, arguments: argparse.Namespace) -> None:
    _print_issued(await operations.api_keys.rotate(BY, arguments.id), as_json=arguments.json)


async def _delete(operations: Administration, arguments: argparse.Namespace) -> None:
    await operations.api_keys.delete(BY, arguments.id)
    print(f"API key {arguments.id} is deleted. API 密钥已删除。")


def _values(arguments: argparse.Namespace) -> dict[str, Any]:
    values = given(arguments, scopes="scope", knowledge_bases="knowledge_base")
    if arguments.days is not None:
        values["expires_at"] = time.time() + arguments.days * 86400
    return values


def _print_issued(issued: IssuedKey, *, as_json: bool) -> None:
    if as_json:
        print_json(IssuedKeyAnswer.model_validate(issued))
        return
    print(f"API key {issued.row.id} ({issued.row.name}). {_ONCE}", file=sys.stderr)
    print(issued.key)
