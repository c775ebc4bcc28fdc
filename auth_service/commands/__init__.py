"""`python -m auth_service TOPIC COMMAND`: what operators do, where the data folder is."""

import argparse
import time

from auth_service.administration import administration
from auth_service.app import migrated_database
from auth_service.audit import AuditLog
from auth_service.bootstrap import ensure_secrets
from auth_service.commands import admin, audit, client, key, user
from auth_service.commands.options import Command, config_option
from auth_service.keys import MasterKey
from auth_service.passwords import Passwords
from auth_service.settings import AuthSettings
from auth_service.store.audit import AuditStore

__all__ = ["parser", "run"]


def parser() -> argparse.ArgumentParser:
    """Without a topic the service runs."""
    made = argparse.ArgumentParser(
        prog="python -m auth_service",
        description="Serve, or administer. 启动服务，或进行管理。",
        parents=[config_option()],
    )
    topics = made.add_subparsers(dest="topic", metavar="TOPIC")
    client.add_topic(topics)
    user.add_topics(topics)
    key.add_topic(topics)
    admin.add_topic(topics)
    audit.add_topic(topics)
    return made


async def run(arguments: argparse.Namespace) -> None:
    """Raises ConfigurationError, ServiceError."""
    settings = AuthSettings.load()
    secrets = ensure_secrets(settings)
    async with migrated_database(settings) as database:
        log = AuditLog(
            AuditStore(database), retention_days=settings.audit_retention_days, clock=time.time
        )
        operations = administration(
            database, MasterKey(secrets.master_key), log, Passwords(), clock=time.time
        )
        await operations.clients.check_keys()
        command: Command = arguments.command
        await command(operations, arguments)
