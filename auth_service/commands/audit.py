"""`audit`: who did what, and which logins were refused."""

import argparse
import time
from typing import Any

from auth_service.administration import Administration
from auth_service.api.admin_audit import AuditAnswer
from auth_service.commands.options import Topic, add_paging, paging
from auth_service.commands.output import print_page, utc
from auth_service.store.audit import AuditFilter

_COLUMNS = {
    "AT (UTC)": lambda entry: utc(entry.at),
    "ACTION": lambda entry: entry.action,
    "OUTCOME": lambda entry: entry.outcome,
    "COUNT": lambda entry: entry.count,
    "ACTOR": lambda entry: entry.actor,
    "ADDRESS": lambda entry: entry.address or "-",
    "TARGET": lambda entry: entry.target,
    "DETAIL": lambda entry: " ".join(f"{key}={value}" for key, value in entry.detail.items()),
}


def add_topic(topics: Any) -> None:
    topic = Topic(topics, "audit", "the audit log 审计日志")
    listed = topic.command("list", _list, "Show entries, newest first. 显示审计日志。")
    listed.add_argument("--action", help="such as client.disable 操作")
    listed.add_argument("--outcome", choices=("done", "refused"), help="结果")
    listed.add_argument("--actor", metavar="TEXT", help="part of who did it 操作者")
    listed.add_argument("--target", metavar="TEXT", help="part of what it was done to 对象")
    listed.add_argument("--address", metavar="TEXT", help="part of from where 来源地址")
    listed.add_argument("--days", type=float, help="of the last days only 最近几天")
    add_paging(listed)


async def _list(operations: Administration, arguments: argparse.Namespace) -> None:
    asked = paging(arguments)
    since = None if arguments.days is None else time.time() - arguments.days * 86400
    wanted = AuditFilter(
        action=arguments.action,
        outcome=arguments.outcome,
        actor=arguments.actor,
        target=arguments.target,
        address=arguments.address,
        since=since,
    )
    page = await operations.audit.page(wanted, asked)
    print_page(page, asked, _COLUMNS, shown=AuditAnswer, as_json=arguments.json)
