"""`client`: host apps and their keys."""

import argparse
import sys
from pathlib import Path
from typing import Any

from auth_service.administration import Administration
from auth_service.api.admin_clients import ClientAnswer, V1KeyAnswer
from auth_service.clients import V1Key
from auth_service.commands.options import (
    BY,
    Topic,
    add_json,
    add_names,
    add_paging,
    add_several,
    given,
    paging,
    read_text,
)
from auth_service.commands.output import print_json, print_page, state, told_state
from auth_service.keys import DEFAULT_BITS
from auth_service.signing_keys import read_public_key
from auth_service.snippets import snippets
from auth_service.store.registry import ClientFilter, ClientRow
from servicekit.errors import Invalid

_WARNING = (
    "Keep this key secret: despite its name, whoever holds it can log in as any user of this"
    " client.\n请妥善保管此密钥：它名为公钥，但持有者可冒充该客户端的任何用户。"
)
_ONCE = "It is shown this once. 仅显示这一次。"
_ID = ("id", int)
_COLUMNS = {
    "ID": lambda client: client.id,
    "STATE": lambda client: state(client.enable),
    "KIND": lambda client: client.kind,
    "CREATED (UTC)": lambda client: client.create_time.isoformat(timespec="seconds"),
    "NAME": lambda client: client.name + (f" - {client.description}" if client.description else ""),
}


class AddedClient(ClientAnswer):
    """A new client, and its v1 key when one was made."""

    v1_key: str | None = None


def add_topic(topics: Any) -> None:
    topic = Topic(topics, "client", "host apps 接入的客户端")
    _add_changes(topic)
    _add_keys(topic)
    listed = topic.command("list", _list, "List clients. 列出客户端。")
    listed.add_argument("--search", metavar="TEXT", help="part of name or description 搜索")
    add_paging(listed)
    shown = topic.command("show", _show, "Show a client as JSON. 以 JSON 显示客户端。")
    add_names(shown, _ID)
    topic.switches(_switch, "a client with all its users and keys", _ID)
    for name, run, about in (
        ("revoke", _revoke, "End all sessions and tokens of its users. 使其用户全部重新登录。"),
        ("delete", _delete, "Delete it with users, sessions and keys. 删除客户端及其用户与密钥。"),
    ):
        add_names(topic.command(name, run, about), _ID)


def _add_changes(topic: Topic) -> None:
    add = topic.command("add", _add, "Register a host app and print what it needs. 登记客户端。")
    add.add_argument("name", metavar="NAME", help="shown to operators 名称")
    add.add_argument("--kind", default="host", help="a label for operators 类型")
    add.add_argument("--bits", type=int, choices=(2048, 3072, 4096), default=DEFAULT_BITS)
    add.add_argument(
        "--no-v1-key", action="store_true", help="it signs tokens itself 不生成 v1 密钥"
    )
    add.add_argument("--signing-key", type=Path, metavar="FILE", help="public key (PEM) 签名公钥")
    add.add_argument("--kid", help="name of the signing key 公钥编号")
    add_json(add)
    change = topic.command("change", _change, "Change what is given. 修改客户端。")
    add_names(change, _ID)
    change.add_argument("--name", help="名称")
    change.add_argument("--no-origins", action="store_true", help="remove all origins 清空来源")
    change.add_argument(
        "--no-limits", action="store_true", help="back to the defaults 恢复默认限流"
    )
    change.add_argument("--all-knowledge-bases", action="store_true", help="不限定知识库")
    for command in (add, change):
        command.add_argument("--description", help="for operators 描述")
        add_several(command, "--origin", "ORIGIN", "pages that may embed us 允许的来源")
        command.add_argument(
            "--embeddable", action=argparse.BooleanOptionalAction, help="in other sites 可跨站嵌入"
        )
        add_several(command, "--limit", "CLASS=RATE", "such as chat=60/minute 限流")
        add_several(command, "--knowledge-base", "NAME", "confine its users to it 限定知识库")


def _add_keys(topic: Topic) -> None:
    rotate = topic.command(
        "rotate-key", _rotate_key, "Make or replace the v1 key and print it. 生成或更换 v1 密钥。"
    )
    add_names(rotate, _ID)
    rotate.add_argument("--bits", type=int, choices=(2048, 3072, 4096), default=DEFAULT_BITS)
    add_json(rotate)
    remove = topic.command("remove-key", _remove_key, "Accept no v1 token. 停用 v1 令牌。")
    add_names(remove, _ID)
    sign = topic.command(
        "add-signing-key", _add_signing_key, "Register a public key for v2. 登记签名公钥。"
    )
    add_names(sign, _ID)
    sign.add_argument("file", type=Path, metavar="FILE", help="PEM, - reads standard input")
    sign.add_argument("--kid", help="its name, else the thumbprint 公钥编号")
    unsign = topic.command(
        "remove-signing-key", _remove_signing_key, "Remove a public key. 删除签名公钥。"
    )
    add_names(unsign, _ID, ("kid", str))


async def _add(operations: Administration, arguments: argparse.Namespace) -> None:
    pem = read_text(arguments.signing_key) if arguments.signing_key else None
    if pem is not None:
        read_public_key(pem)  # before there is a client
    added = await operations.clients.add(
        BY, name=arguments.name, kind=arguments.kind, **_values(arguments)
    )
    if pem is not None:
        await operations.clients.add_signing_key(BY, added.id, pem, kid=arguments.kid)
    made = None
    if not arguments.no_v1_key:
        print("Making a key pair... 正在生成密钥...", file=sys.stderr)
        made = await operations.clients.make_v1_key(BY, added.id, bits=arguments.bits)
    client = await operations.clients.find(added.id)
    if arguments.json:
        shown = AddedClient.model_validate(client)
        print_json(shown.model_copy(update={"v1_key": made and made.public_key}))
    else:
        _print_added(client, made)


async def _list(operations: Administration, arguments: argparse.Namespace) -> None:
    asked = paging(arguments)
    page = await operations.clients.page(ClientFilter(arguments.search), asked)
    print_page(page, asked, _COLUMNS, shown=ClientAnswer, as_json=arguments.json)


async def _show(operations: Administration, arguments: argparse.Namespace) -> None:
    print_json(ClientAnswer.model_validate(await operations.clients.find(arguments.id)))


async def _change(operations: Administration, arguments: argparse.Namespace) -> None:
    values = _values(arguments) | given(arguments, name="name")
    if arguments.no_origins:
        values["allowed_origins"] = []
    if arguments.no_limits:
        values["limits"] = {}
    if arguments.all_knowledge_bases:
        values["knowledge_bases"] = None
    changed = await operations.clients.change(BY, arguments.id, **values)
    print_json(ClientAnswer.model_validate(changed))


async def _switch(operations: Administration, arguments: argparse.Namespace) -> None:
    client = await operations.clients.change(BY, arguments.id, enable=arguments.enable)
    print(f"Client {client.id} ({client.name}) {told_state(arguments.enable)}")


async def _revoke(operations: Administration, arguments: argparse.Namespace) -> None:
    ended = await operations.clients.revoke(BY, arguments.id)
    print(f"{ended} sessions ended; older tokens are refused. 已结束 {ended} 个会话。")


async def _delete(operations: Administration, arguments: argparse.Namespace) -> None:
    gone = await operations.clients.delete(BY, arguments.id)
    print(
        f"Client {arguments.id} is deleted with {gone.users} users, {gone.sessions} sessions,"
        f" {gone.api_keys} API keys and {gone.signing_keys} signing keys."
        " Conversations and knowledge bases stay. 客户端已删除，会话记录与知识库保留。"
    )


async def _rotate_key(operations: Administration, arguments: argparse.Namespace) -> None:
    made = await operations.clients.make_v1_key(BY, arguments.id, bits=arguments.bits)
    if arguments.json:
        print_json(V1KeyAnswer.model_validate(made))
        return
    print(f"{_WARNING}\n{_ONCE}", file=sys.stderr)
    print(made.public_key, end="")


async def _remove_key(operations: Administration, arguments: argparse.Namespace) -> None:
    await operations.clients.remove_v1_key(BY, arguments.id)
    print(f"Client {arguments.id} accepts no v1 token. 客户端 {arguments.id} 不再接受 v1 令牌。")


async def _add_signing_key(operations: Administration, arguments: argparse.Namespace) -> None:
    pem = read_text(arguments.file)
    key = await operations.clients.add_signing_key(BY, arguments.id, pem, kid=arguments.kid)
    print(f"kid: {key.kid}  ({key.algorithm})")


async def _remove_signing_key(operations: Administration, arguments: argparse.Namespace) -> None:
    await operations.clients.remove_signing_key(BY, arguments.id, arguments.kid)
    print(f"The signing key {arguments.kid} is removed. 签名公钥已删除。")


def _values(arguments: argparse.Namespace) -> dict[str, Any]:
    values = given(
        arguments,
        description="description",
        allowed_origins="origin",
        embeddable="embeddable",
        knowledge_bases="knowledge_base",
    )
    if arguments.limit is not None:
        values["limits"] = dict(_limit(text) for text in arguments.limit)
    return values


def _limit(text: str) -> tuple[str, str]:
    name, equals, rate = text.partition("=")
    if not equals:
        raise Invalid(f"{text!r} is not CLASS=RATE, such as chat=60/minute. 请写作 类别=频率。")
    return name, rate


def _print_added(client: ClientRow, made: V1Key | None) -> None:
    print(f"client id: {client.id}  客户端编号\nname:      {client.name}  名称")
    for key in client.signing_keys:
        print(f"kid:       {key.kid}  ({key.algorithm}) 签名公钥编号")
    if made is None:
        print("It has no v1 key; `client rotate-key` makes one. 未生成 v1 密钥。")
        return
    print(f"\n{_WARNING}\n{_ONCE}\n\n{made.public_key}")
    print("Mint a token for each login, on your server. 每次登录时在服务端生成 token：\n")
    for snippet in snippets(client.id, made.public_key):
        print(f"{snippet.file_name} ({snippet.needs})\n```{snippet.language}\n{snippet.text}```\n")
    print("Then open the chat page. 然后打开对话页面： /sso?token=<URL-encoded token>")
