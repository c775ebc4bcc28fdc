"""How results look on a terminal."""

import shutil
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from wcwidth import clip, ljust, rjust, width

_NAMES = {
    "hit_at_1": "hit@1",
    "hit_at_3": "hit@3",
    "hit_at_5": "hit@5",
    "hit_at_k": "hit@k",
    "mrr": "MRR",
    "ndcg_at_10": "nDCG@10",
    "refusal_rate": "正确拒答率 refusals",
    "wrongly_refused": "有答案却未检索到 nothing found",
    "wrongly_answered": "应拒答却有结果 answered",
    "by_meaning": "用到向量 with vectors",
    "reranked": "用到重排 reranked",
    "latency_p50_ms": "延迟 latency p50 ms",
    "latency_p95_ms": "延迟 latency p95 ms",
}
_COUNTS = {"wrongly_refused", "wrongly_answered", "by_meaning", "reranked"}
_ABSENT = {"by_meaning", "reranked"}
_STATES = {
    "queued": "排队 queued",
    "running": "运行中 running",
    "done": "完成 done",
    "failed": "失败 failed",
    "cancelled": "已取消 cancelled",
}
_OUTCOMES = {"worse": "变差 worse", "better": "变好 better", "same": "不变 same"}
_SHOWN = 3
_QUESTIONS = 50
_CELL = 40
# What users and documents wrote must neither break lines nor command the terminal.
_CONTROLS = dict.fromkeys((*range(0x20), *range(0x7F, 0xA0), 0x2028, 0x2029), " ")


def sets(found: list[dict[str, Any]]) -> None:
    _print_table(
        ("评测集 set", "备注 note", "题目 items", "可判定 judged", "运行 runs"),
        ([str(one[name]) for name in ("name", "note", "items", "judged", "runs")] for one in found),
        texts=2,
    )


def imported(done: dict[str, Any]) -> None:
    _print(
        f"新增 added {done['added']} · 更新 replaced {done['replaced']} · "
        f"未变 unchanged {done['unchanged']} · 无效 invalid {done['invalid']}"
    )
    for bad in done["lines"]:
        _print(f"  第 {bad['line']} 行 line {bad['line']}: {bad['reason']}")
    if done["unknown_files"]:
        names = ", ".join(done["unknown_files"][:20])
        _print(f"知识库中没有的文件 Not in the knowledge base: {names}")


def pulled(done: dict[str, Any]) -> None:
    _print(f"评价 rated {done['found']} · 新增题目 added {done['added']}")
    if done["added"]:
        _print(
            "请为新题目填写期望的文件或段落后再评测。"
            "Say what should be found for them (eval export, edit, eval import), then run."
        )


def exported(done: dict[str, Any]) -> None:
    _print(f"{done['file']} ({done['bytes']} bytes)")


def runs(found: list[dict[str, Any]]) -> None:
    names = ("#", "状态 state", "说明 label", "hit@1", "hit@5", "MRR", "分块 chunks", "时间 time")
    _print_table(names, map(_run_row, found), texts=3)


def _run_row(one: dict[str, Any]) -> list[str]:
    figures, around = one["figures"] or {}, one["circumstances"] or {}
    return [
        str(one["id"]),
        _state(one),
        one["label"],
        *(_share(figures.get(name)) for name in ("hit_at_1", "hit_at_5", "mrr")),
        str(around.get("chunks", "")),
        _time(one["create_time"]),
    ]


def run(found: dict[str, Any]) -> None:
    _print(f"运行 run {_head(found)}: {_state(found)} {found['reason']}".rstrip())
    if around := found["circumstances"]:
        _print(_around(around))
    if figures := found["figures"]:
        _print(
            f"题目 questions {figures['questions']} · 可判定 judged {figures['judged']} · "
            f"应拒答 refusals {figures['refusals']} · 未判定 unjudged {figures['unjudged']} · "
            f"top_k {found['options']['top_k']} · "
            f"score_threshold {found['options']['score_threshold']}"
        )
        rows = (
            (_name(name, found), _value(name, figures[name]))
            for name in _NAMES
            if _is_shown(name, figures[name])
        )
        _print_table(("指标 figure", "值 value"), rows)


def run_with_results(found: dict[str, Any]) -> None:
    run(found)
    print()
    _print(f"{found['verdict']} ({len(found['results'])})")
    for one in found["results"][:_QUESTIONS]:
        print()
        _print(one["question"])
        _print_clipped(f"  期望 expected: {_expected(one)}")
        _print_found(one)
    _print_rest(len(found["results"]))


def comparison(found: dict[str, Any]) -> None:
    _print(found["summary"]["zh"])
    _print(found["summary"]["en"])
    if found["counts"]["incomparable"]:
        _print(
            f"另有 {found['counts']['incomparable']} 题无法比较：只在一次运行中、期望已改或未判定。"
            "These cannot be compared: in one run only, other expectations, or none."
        )
    _print_figures(found)
    _print_changes(found)
    for outcome, shown in _OUTCOMES.items():
        questions = [one for one in found["items"] if one["outcome"] == outcome]
        if questions:
            print()
            _print(f"{shown} ({len(questions)})")
            for one in questions[:_QUESTIONS]:
                _print_pair(one)
            _print_rest(len(questions))


def _print_figures(found: dict[str, Any]) -> None:
    before, after = found["before"], found["after"]
    rows = []
    for one in found["figures"]:
        name, sides = one["figure"], (one["before"], one["after"])
        if name in _NAMES and any(_is_shown(name, value) for value in sides):
            values = (_value(name, value) for value in sides)
            difference = _difference(name, one["difference"])
            rows.append((_name(name, before, after), *values, difference))
    _print_table(("", _head(before), _head(after), "差 difference"), rows)


def _print_changes(found: dict[str, Any]) -> None:
    olds, news = (
        found[side]["options"] | (found[side]["circumstances"] or {})
        for side in ("before", "after")
    )
    for name in found["changed"]:
        _print(f"  {name}: {_plain(olds.get(name))} → {_plain(news.get(name))}")


def _print_pair(one: dict[str, Any]) -> None:
    before, after = one["before"], one["after"]
    print()
    _print(f"{one['question']}  {_place(before)} → {_place(after)}")
    if expected := _expected(after or before):
        _print_clipped(f"  期望 expected: {expected}")
    for shown, side in (("前 before", before), ("后 after", after)):
        if side is not None and (best := _best(side)):
            mark = "✓" if best["right"] else "✗"
            _print_clipped(f"  {shown} {mark} {best['file_name']}: {best['excerpt']}")


def _print_rest(number: int) -> None:
    if number > _QUESTIONS:
        rest = number - _QUESTIONS
        print()
        _print(f"… 另有 {rest} 题，用 --json 查看全部。{rest} more: --json has all.")


def _print_found(one: dict[str, Any]) -> None:
    for rank, passage in enumerate(one["found"][:_SHOWN], 1):
        mark = f"{rank} {'✓' if passage['right'] else '✗'} {passage['score']:.2f}"
        _print_clipped(f"  {mark} {passage['file_name']}: {passage['excerpt']}")
    if not one["found"]:
        _print("  未检索到内容 nothing found")


def _best(result: dict[str, Any]) -> dict[str, Any] | None:
    """The right passage, else the first."""
    found: list[dict[str, Any]] = result["found"]
    return next((one for one in found if one["right"]), found[0] if found else None)


def _place(result: dict[str, Any] | None) -> str:
    if result is None:
        return "-"
    if result["rank"]:
        return f"#{result['rank']}"
    return {"refused": "拒答 refused", "answered": "有结果 answered"}.get(
        result["verdict"], "未找到 not found"
    )


def _expected(result: dict[str, Any]) -> str:
    if result["refuse"]:
        return "不应检索到内容 nothing"
    return " | ".join(result["passages"] or result["files"])


def _name(name: str, *runs: dict[str, Any]) -> str:
    asked = {run["options"]["top_k"] for run in runs}
    return f"hit@{asked.pop()}" if name == "hit_at_k" and len(asked) == 1 else _NAMES[name]


def _head(run: dict[str, Any]) -> str:
    return f"#{run['id']} {run['label']}".rstrip()


def _around(around: dict[str, Any]) -> str:
    cuts = ", ".join(f"{name} ×{count}" for name, count in around["chunkings"].items())
    return (
        f"文件 files {around['files']} · 分块 chunks {around['chunks']} ({cuts}) · "
        f"向量 embedding {around['embed_model']} · recipe {around['recipe']}"
    )


def _state(one: dict[str, Any]) -> str:
    running = f" {one['done']}/{one['total']}" if one["state"] == "running" else ""
    return _STATES[one["state"]] + running


def _value(name: str, value: float | None) -> str:
    if value is None:
        return ""
    if name.startswith("latency"):
        return f"{value:.1f}"
    return str(int(value)) if name in _COUNTS else _share(value)


def _is_shown(name: str, value: float | None) -> bool:
    """Vectors and rerankers that are not there need no line."""
    return bool(value) if name in _ABSENT else value is not None


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def _difference(name: str, value: float | None) -> str:
    if value is None:
        return ""
    if name in _COUNTS:
        return f"{int(value):+d}"
    return f"{value:+.1f}" if name.startswith("latency") else f"{value:+.3f}"


def _time(text: str) -> str:
    return datetime.fromisoformat(text).astimezone().strftime("%m-%d %H:%M")


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {part}" for name, part in value.items())
    return str(value)


def _print(text: str) -> None:
    print(text.translate(_CONTROLS))


def _print_clipped(text: str) -> None:
    """What does not fit into the line is left away."""
    print(_clipped(text, shutil.get_terminal_size().columns))


def _print_table(names: Sequence[str], rows: Iterable[Sequence[str]], texts: int = 1) -> None:
    """The first so many columns are texts, the others numbers."""
    lines = [[_clipped(cell, _CELL) for cell in row] for row in (names, *rows)]
    widths = [max(map(width, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        cells = (
            (ljust if number < texts else rjust)(cell, widths[number])
            for number, cell in enumerate(line)
        )
        print("  ".join(cells).rstrip())


def _clipped(text: str, columns: int) -> str:
    shown = text.translate(_CONTROLS)
    return shown if width(shown) <= columns else f"{clip(shown, 0, columns - 1)}…"
