"""What each of the commands does; it gives what is shown and the exit code."""

import sys
import time
from argparse import Namespace
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kb_service.commands.evaluation import screens
from kb_service.commands.evaluation.beir import judged_corpus
from kb_service.commands.evaluation.sets import EvalRemote
from kb_service.commands.progress import Progress
from kb_service.commands.remote import CommandFault

_LOOK_AFTER = 0.5
_NOTE_MAX = 1_900
_OPTIONS = ("label", "top_k", "score_threshold", "rerank")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What is shown, how, and the exit code."""

    shown: Any
    show: Callable[[Any], None]
    code: int = 0


def take_in(remote: EvalRemote, given: Namespace) -> Outcome:
    """1 when lines were not taken."""
    if given.corpus and not given.qrels:
        raise CommandFault("--corpus 需要 --qrels。--corpus needs --qrels.")
    with ExitStack() as opened:
        parts = {"file": (given.file.name, given.file)}
        if given.qrels:
            parts["qrels"] = (given.qrels.name, given.qrels)
        if given.corpus:
            part = opened.enter_context(judged_corpus(given.corpus, given.qrels))
            parts["corpus"] = (part.name, part)
        done = remote.take_in(remote.set_made(given.set), parts, keep=given.keep)
    return Outcome(done, screens.imported, 1 if done["invalid"] else 0)


def ask_all(remote: EvalRemote, given: Namespace) -> Outcome:
    """1 when it did not come to its end."""
    set_id = remote.set_named(given.set)
    asked = {name: getattr(given, name) for name in _OPTIONS}
    run = remote.start(set_id, {key: value for key, value in asked.items() if value is not None})
    if given.no_wait:
        return Outcome(run, screens.run)
    run = _followed(remote, set_id, run)
    return Outcome(run, screens.run, 0 if run["state"] == "done" else 1)


def show(remote: EvalRemote, given: Namespace) -> Outcome:
    if given.set is None:
        return Outcome(remote.sets(), screens.sets)
    set_id = remote.set_named(given.set)
    if given.run is None:
        return Outcome(remote.runs(set_id), screens.runs)
    run = remote.run(set_id, given.run)
    results = remote.results(set_id, given.run, given.verdict)
    return Outcome({**run, "verdict": given.verdict, "results": results}, screens.run_with_results)


def compare(remote: EvalRemote, given: Namespace) -> Outcome:
    """1 when the second run is worse, and not by chance."""
    set_id = remote.set_named(given.set)
    before, after = given.runs if len(given.runs) == 2 else _last_two(remote, set_id, given.runs)
    outcomes = ["worse", "better", *(["same", "incomparable"] if given.all else [])]
    found = remote.compared(set_id, before, after, outcomes)
    return Outcome(found, screens.comparison, 1 if found["direction"] == "worse" else 0)


def pull_feedback(remote: EvalRemote, given: Namespace) -> Outcome:
    set_id = remote.set_made(given.set)
    wanted = {"kb": given.kb, "max_score": given.max_score, "since": given.since}
    rated = remote.feedback(**{key: value for key, value in wanted.items() if value is not None})
    items = [{"question": one["question"], "note": _note(one)} for one in rated]
    if not items:
        return Outcome({"found": 0, "added": 0}, screens.pulled)
    done = remote.add(set_id, items)
    return Outcome({"found": len(items), "added": done["added"]}, screens.pulled)


def export(remote: EvalRemote, given: Namespace) -> Outcome:
    table = remote.export(remote.set_named(given.set))
    if given.file is None:
        sys.stdout.buffer.write(table)
        return Outcome(None, screens.exported)
    _write(given.file, table)
    return Outcome({"file": str(given.file), "bytes": len(table)}, screens.exported)


ACTIONS = {
    "import": take_in,
    "run": ask_all,
    "show": show,
    "compare": compare,
    "pull-feedback": pull_feedback,
    "export": export,
}


def _write(path: Path, table: bytes) -> None:
    try:
        path.write_bytes(table)
    except OSError as error:
        raise CommandFault(f"无法写入文件。The file cannot be written: {error}") from None


def _followed(remote: EvalRemote, set_id: int, run: dict[str, Any]) -> dict[str, Any]:
    with Progress(run["total"], "eval 评测") as progress:
        while run["state"] in {"queued", "running"}:
            time.sleep(_LOOK_AFTER)
            done = run["done"]
            run = remote.run(set_id, run["id"])
            progress.expect(run["total"])
            progress.advance(run["done"] - done)
    return run


def _last_two(remote: EvalRemote, set_id: int, given: list[int]) -> tuple[int, int]:
    done = [run["id"] for run in remote.runs(set_id) if run["state"] == "done"]
    if given or len(done) < 2:
        raise CommandFault(
            "请给出两次已完成运行的编号。Name two runs that came to their end: eval show --set ..."
        )
    return done[1], done[0]


def _note(rated: dict[str, Any]) -> str:
    """Why it is there, for whoever says what should have been found."""
    said = f"；{rated['reason']}" if rated["reason"] else ""
    return f"评分 rated {rated['score']}{said}\n回答 answered: {rated['answer']}"[:_NOTE_MAX]
