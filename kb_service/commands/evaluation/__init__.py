"""`python -m kb_service eval ...`: sets of questions, runs over them, and what a change made."""

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from kb_service.commands.evaluation.sets import EvalRemote
from kb_service.commands.remote import Remote

_ABOUT = "Measure retrieval with questions whose answers are known. 用已知答案的问题评测检索效果。"
_KEY = (
    "The API key comes from --key-file or the environment variable CHAT2LLM_API_KEY. "
    "密钥取自 --key-file 或环境变量 CHAT2LLM_API_KEY。"
)
_VERDICTS = ("hit", "missed", "refused", "answered", "unjudged")


def add_commands(commands: Any) -> Iterator[argparse.ArgumentParser]:
    """Adds `eval` and gives its parts."""
    group = commands.add_parser("eval", help=_ABOUT, description=_ABOUT)
    parts = group.add_subparsers(dest="part", metavar="COMMAND", required=True)
    for name, about, arguments in _PARTS:
        part: argparse.ArgumentParser = parts.add_parser(
            name, help=about, description=f"{about} {_KEY}"
        )
        part.add_argument("--kb", required=True, metavar="NAME", help="knowledge base 知识库名称")
        arguments(part)
        part.add_argument("--json", action="store_true", help="for programs 输出 JSON")
        yield part


def run(arguments: argparse.Namespace, remote: Remote) -> int:
    """The exit code. Raises CommandFault."""
    from kb_service.commands.evaluation.actions import ACTIONS  # the service does without

    remote.find_knowledge_base(create=False)
    found = ACTIONS[arguments.part](EvalRemote(remote), arguments)
    if found.shown is not None:
        if arguments.json:
            json.dump(found.shown, sys.stdout, ensure_ascii=False, indent=1)
            print()
        else:
            found.show(found.shown)
    return found.code


def _set(part: argparse.ArgumentParser) -> None:
    part.add_argument("--set", required=True, metavar="NAME", help="evaluation set 评测集名称")


def _importing(part: argparse.ArgumentParser) -> None:
    _set(part)
    part.add_argument("file", metavar="FILE", type=Path, help="csv, tsv, xlsx or jsonl 题目文件")
    part.add_argument("--qrels", metavar="FILE", type=Path, help="BEIR: qrels/test.tsv")
    part.add_argument("--corpus", metavar="FILE", type=Path, help="BEIR: corpus.jsonl")
    part.add_argument(
        "--keep", action="store_true", help="do not replace questions that are there 不覆盖已有题目"
    )


def _running(part: argparse.ArgumentParser) -> None:
    _set(part)
    part.add_argument("--label", default="", help="what is tried 本次尝试的说明")
    part.add_argument("--top-k", type=int, metavar="N", help="passages to find 检索条数 (10)")
    part.add_argument(
        "--score-threshold", type=float, metavar="X", help="largest distance 距离上限 (1.0)"
    )
    part.add_argument(
        "--rerank",
        action=argparse.BooleanOptionalAction,
        help="by default where a reranker is configured 是否重排，默认按配置",
    )
    part.add_argument("--no-wait", action="store_true", help="do not wait for its end 不等待完成")


def _showing(part: argparse.ArgumentParser) -> None:
    part.add_argument("--set", metavar="NAME", help="all sets without it 不填则列出全部评测集")
    part.add_argument("--run", type=int, metavar="ID", help="one run 某次运行")
    part.add_argument(
        "--verdict", choices=_VERDICTS, default="missed", help="its questions 题目 (missed)"
    )


def _comparing(part: argparse.ArgumentParser) -> None:
    _set(part)
    part.add_argument(
        "runs", metavar="ID", type=int, nargs="*", help="two runs, else the last two 两次运行的编号"
    )
    part.add_argument("--all", action="store_true", help="also what stayed the same 也列出不变的")


def _pulling(part: argparse.ArgumentParser) -> None:
    _set(part)
    part.add_argument(
        "--max-score", type=int, default=50, metavar="N", help="ratings up to 评分上限 (50)"
    )
    part.add_argument("--since", metavar="TIME", help="2026-01-31T08:00:00+08:00")


def _exporting(part: argparse.ArgumentParser) -> None:
    _set(part)
    part.add_argument("file", metavar="FILE", type=Path, nargs="?", help="standard output if none")


_PARTS: tuple[tuple[str, str, Callable[[argparse.ArgumentParser], None]], ...] = (
    ("import", "Add questions to a set. 导入题目。", _importing),
    ("run", "Ask all questions of a set. 运行评测。", _running),
    ("show", "Show sets, runs or what was missed. 查看评测集与结果。", _showing),
    ("compare", "Did it help? 比较两次运行。", _comparing),
    ("pull-feedback", "Add questions that users rated badly. 导入用户评价差的问题。", _pulling),
    ("export", "Write a set as csv. 导出为 csv。", _exporting),
)
