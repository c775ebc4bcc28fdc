"""`user` and `session`: who logged in, and what ends it."""

import argparse
from typing import Any

from auth_service.administration import Administration
from auth_service.api.admin_users import SessionAnswer, UserAnswer
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
from auth_service.store.user_registry import UserFilter

_USER = (("client", int), ("user", str))
_COLUMNS = {
    "CLIENT": lambda user: user.client_id,
    "STATE": lambda user: state(user.enable),
    "CREATED (UTC)": lambda user: user.create_time.isoformat(timespec="seconds"),
    "USER": lambda user: user.user_id,
    "GROUPS": lambda user: ",".join(user.groups) or "-",
    "NAME": lambda user: user.username,
}
_SESSION_COLUMNS = {
    "SESSION": lambda session: session.token_hash,
    "CLIENT": lambda session: session.client_id,
    "HOW": lambda session: session.method,
    "SINCE (UTC)": lambda session: utc(session.created_at),
    "UNTIL (UTC)": lambda session: "revoked" if session.revoked else utc(session.expires_at),
    "USER": lambda session: session.user_id,
}


def add_topics(topics: Any) -> None:
    topic = Topic(topics, "user", "users of the host apps 用户")
    listed = topic.command("list", _list, "List users. 列出用户。")
    listed.add_argument("--client", type=int, metavar="ID", help="of this client 客户端编号")
    listed.add_argument("--search", metavar="TEXT", help="part of id or name 搜索")
    add_paging(listed)
    add_names(topic.command("show", _show, "Show a user as JSON. 以 JSON 显示用户。"), *_USER)
    add = topic.command("add", _add, "Add a user before the first login. 预先添加用户。")
    change = topic.command("change", _change, "Change what is given. 修改用户。")
    for command in (add, change):
        add_names(command, *_USER)
        command.add_argument("--name", help="名称")
        add_several(command, "--group", "GROUP", "department 分组")
    add_json(add)
    change.add_argument("--no-groups", action="store_true", help="清空分组")
    topic.switches(_switch, "a user", *_USER)
    for name, run, about in (
        ("revoke", _revoke, "End all sessions and tokens of a user. 使用户重新登录。"),
        ("delete", _delete, "Delete a user with sessions and API keys. 删除用户。"),
    ):
        add_names(topic.command(name, run, about), *_USER)
    _add_sessions(Topic(topics, "session", "browser sessions 浏览器会话"))


def _add_sessions(topic: Topic) -> None:
    listed = topic.command("list", _sessions, "List sessions, newest first. 列出会话。")
    listed.add_argument("--client", type=int, metavar="ID", help="of this client 客户端编号")
    listed.add_argument("--user", help="of this user 用户编号")
    listed.add_argument("--all", action="store_true", help="also ended ones 包含已结束的")
    add_paging(listed)
    revoke = topic.command("revoke", _revoke_session, "End a session. 结束会话。")
    add_names(revoke, ("session", str))


async def _list(operations: Administration, arguments: argparse.Namespace) -> None:
    asked = paging(arguments)
    page = await operations.users.page(UserFilter(arguments.client, arguments.search), asked)
    print_page(page, asked, _COLUMNS, shown=UserAnswer, as_json=arguments.json)


async def _show(operations: Administration, arguments: argparse.Namespace) -> None:
    found = await operations.users.find(arguments.client, arguments.user)
    print_json(UserAnswer.model_validate(found))


async def _add(operations: Administration, arguments: argparse.Namespace) -> None:
    values = given(arguments, username="name", groups="group")
    added = await operations.users.add(BY, arguments.client, arguments.user, **values)
    if arguments.json:
        print_json(UserAnswer.model_validate(added))
    else:
        print(f"User {added.client_id}/{added.user_id} is added. 用户已添加。")


async def _change(operations: Administration, arguments: argparse.Namespace) -> None:
    values = given(arguments, username="name", groups="group")
    if arguments.no_groups:
        values["groups"] = []
    changed = await operations.users.change(BY, arguments.client, arguments.user, **values)
    print_json(UserAnswer.model_validate(changed))


async def _switch(operations: Administration, arguments: argparse.Namespace) -> None:
    user = await operations.users.change(
        BY, arguments.client, arguments.user, enable=arguments.enable
    )
    print(f"User {user.client_id}/{user.user_id} {told_state(arguments.enable)}")


async def _revoke(operations: Administration, arguments: argparse.Namespace) -> None:
    ended = await operations.users.revoke(BY, arguments.client, arguments.user)
    print(f"{ended} sessions ended; older tokens are refused. 已结束 {ended} 个会话。")


async def _delete(operations: Administration, arguments: argparse.Namespace) -> None:
    gone = await operations.users.delete(BY, arguments.client, arguments.user)
    print(
        f"User {arguments.client}/{arguments.user} is deleted with {gone.sessions} sessions and"
        f" {gone.api_keys} API keys. Conversations stay. 用户已删除，会话记录保留。"
    )


async def _sessions(operations: Administration, arguments: argparse.Namespace) -> None:
    asked = paging(arguments)
    page = await operations.users.sessions(
        asked, client_id=arguments.client, user_id=arguments.user, live=not arguments.all
    )
    print_page(page, asked, _SESSION_COLUMNS, shown=SessionAnswer, as_json=arguments.json)


async def _revoke_session(operations: Administration, arguments: argparse.Namespace) -> None:
    await operations.users.revoke_session(BY, arguments.session)
    print("The session is ended. 会话已结束。")
