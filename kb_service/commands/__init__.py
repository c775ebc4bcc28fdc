"""`python -m kb_service COMMAND`: what people do with the running service, over HTTP."""

import argparse
from pathlib import Path

from kb_service.commands import evaluation
from kb_service.commands.importing import Import
from kb_service.commands.remote import CommandFault, Remote

__all__ = ["CommandFault", "parser", "run"]
_URL = "http://127.0.0.1:7861"


def parser() -> argparse.ArgumentParser:
    """Without a command the service runs."""
    made = argparse.ArgumentParser(
        prog="python -m kb_service",
        description="Serve, import files, or measure retrieval. 启动服务、导入文件或评测检索。",
    )
    made.add_argument("--config", metavar="FILE", help="config.ini to read 配置文件")
    commands = made.add_subparsers(dest="command", metavar="COMMAND")
    about = "Send the files of a folder or zip to the running service. 将文件夹或 zip 导入知识库。"
    importing = commands.add_parser(
        "import",
        help=about,
        description=f"{about} Interrupted, it goes on where it stopped when it is called again. "
        "中断后重新运行即可继续。 The API key comes from --key-file or the environment variable "
        "CHAT2LLM_API_KEY. 密钥取自 --key-file 或环境变量 CHAT2LLM_API_KEY。",
    )
    importing.add_argument("folder", metavar="DIR", type=Path, help="folder, or zip file 文件夹")
    importing.add_argument("--kb", required=True, metavar="NAME", help="knowledge base 知识库名称")
    importing.add_argument("--create", action="store_true", help="make it if need be 不存在时新建")
    importing.add_argument(
        "--tag",
        action="append",
        metavar="NAME",
        help="of the files that are sent, may be repeated 为所发送的文件设置标签，可重复",
    )
    _add_gateway(importing)
    about = (
        "Copy all vectors to a Qdrant server while the service is stopped. "
        "停止服务后将全部向量复制到 Qdrant 服务。"
    )
    migrating = commands.add_parser("migrate-vectors", help=about, description=about)
    migrating.add_argument("--to", required=True, metavar="URL", help="of the server 服务地址")
    for one in evaluation.add_commands(commands):
        _add_gateway(one)
    return made


def _add_gateway(command: argparse.ArgumentParser) -> None:
    command.add_argument("--url", default=_URL, help=f"of the gateway 网关地址 ({_URL})")
    command.add_argument("--key-file", metavar="FILE", type=Path, help="API key 密钥文件")


def run(arguments: argparse.Namespace, key: str) -> int:
    """The exit code: 1 when not all went well. Raises CommandFault."""
    if arguments.key_file:
        try:
            key = arguments.key_file.read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise CommandFault(f"无法读取密钥文件。The key file cannot be read: {error}") from None
    if not key or not key.isascii():
        raise CommandFault(
            "缺少 API 密钥：请使用 --key-file 或环境变量 CHAT2LLM_API_KEY。"
            "No API key: give --key-file or set CHAT2LLM_API_KEY."
        )
    if arguments.command == "eval":
        with Remote(arguments.url, key, arguments.kb) as remote:
            return evaluation.run(arguments, remote)
    if not arguments.folder.exists():
        raise CommandFault(f"找不到 {arguments.folder}。There is no such folder.")
    with Remote(arguments.url, key, arguments.kb) as remote:
        remote.find_knowledge_base(create=arguments.create)
        return Import(remote, arguments.folder, arguments.tag or []).run()
