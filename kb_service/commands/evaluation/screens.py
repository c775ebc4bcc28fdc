"""How results look on a terminal."""

from datetime import datetime
from typing import Any

from rich.console import Console, JustifyMethod
from rich.table import Table
from rich.text import Text

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


def sets(found: list[dict[str, Any]]) -> None:
    table = _table("评测集 set", "备注 note", "题目 items", "可判定 judged", "运行 runs", texts=2)
    for one in found:
        counts = (str(one[name]) for name in ("items", "judged", "runs"))
        table.add_row(Text(one["name"]), Text(one["note"]), *counts)
    Console().print(table)


def imported(done: dict[str, Any]) -> None:
    console = Console()
    console.print(
        f"新增 added {done['added']} · 更新 replaced {done['replaced']} · "
        f"未变 unchanged {done['unchanged']} · 无效 invalid {done['invalid']}"
    )
    for bad in done["lines"]:
        console.print(Text(f"  第 {bad['line']} 行 line {bad['line']}: {bad['reason']}"))
    if done["unknown_files"]:
        names = ", ".join(done["unknown_files"][:20])
        console.print("知识库中没有的文件 Not in the knowledge base:", Text(names))


def pulled(done: dict[str, Any]) -> None:
    console = Console()
    console.print(f"评价 rated {done['found']} · 新增题目 added {done['added']}")
    if done["added"]:
        console.print(
            "请为新题目填写期望的文件或段落后再评测。"
            "Say what should be found for them (eval export, edit, eval import), then run."
        )


def exported(done: dict[str, Any]) -> None:
    Console().print(Text(f"{done['file']} ({done['bytes']} bytes)"))


def runs(found: list[dict[str, Any]]) -> None:
    table = _table(
        "#",
        "状态 state",
        "说明 label",
        "hit@1",
        "hit@5",
        "MRR",
        "分块 chunks",
        "时间 time",
        texts=3,
    )
    for one in found:
        figures, around = one["figures"] or {}, one["circumstances"] or {}
        shares = (_share(figures.get(name)) for name in ("hit_at_1", "hit_at_5", "mrr"))
        table.add_row(
            str(one["id"]),
            _state(one),
            Text(one["label"]),
            *shares,
            str(around.get("chunks", "")),
            _time(one["create_time"]),
        )
    Console().print(table)


def run(found: dict[str, Any]) -> None:
    console = Console()
    console.print(Text(f"运行 run {_head(found)}: {_state(found)} {found['reason']}".rstrip()))
    if around := found["circumstances"]:
        console.print(Text(_around(around)))
    if figures := found["figures"]:
        console.print(
            f"题目 questions {figures['questions']} · 可判定 judged {figures['judged']} · "
            f"应拒答 refusals {figures['refusals']} · 未判定 unjudged {figures['unjudged']} · "
            f"top_k {found['options']['top_k']} · "
            f"score_threshold {found['options']['score_threshold']}"
        )
        table = _table("指标 figure", "值 value")
        for name in _NAMES:
            if _is_shown(name, figures[name]):
                table.add_row(_name(name, found), _value(name, figures[name]))
        console.print(table)


def run_with_results(found: dict[str, Any]) -> None:
    run(found)
    console = Console()
    console.print(f"\n{found['verdict']} ({len(found['results'])})")
    for one in found["results"][:_QUESTIONS]:
        console.print(Text(f"\n{one['question']}", style="bold"))
        _print_line(console, f"  期望 expected: {_expected(one)}")
        _print_found(console, one)
    _print_rest(console, len(found["results"]))


def comparison(found: dict[str, Any]) -> None:
    console = Console()
    console.print(Text(found["summary"]["zh"], style="bold"))
    console.print(Text(found["summary"]["en"], style="bold"))
    if found["counts"]["incomparable"]:
        console.print(
            f"另有 {found['counts']['incomparable']} 题无法比较：只在一次运行中、期望已改或未判定。"
            "These cannot be compared: in one run only, other expectations, or none."
        )
    before, after = found["before"], found["after"]
    table = _table("", _head(before), _head(after), "差 difference")
    for one in found["figures"]:
        name, sides = one["figure"], (one["before"], one["after"])
        if name in _NAMES and any(_is_shown(name, value) for value in sides):
            values = (_value(name, value) for value in sides)
            row = _name(name, before, after)
            table.add_row(row, *values, _difference(name, one["difference"]))
    console.print(table)
    _print_changes(console, found)
    for outcome, shown in _OUTCOMES.items():
        questions = [one for one in found["items"] if one["outcome"] == outcome]
        if questions:
            console.print(f"\n{shown} ({len(questions)})")
            for one in questions[:_QUESTIONS]:
                _print_pair(console, one)
            _print_rest(console, len(questions))


def _print_changes(console: Console, found: dict[str, Any]) -> None:
    olds, news = (
        found[side]["options"] | (found[side]["circumstances"] or {})
        for side in ("before", "after")
    )
    for name in found["changed"]:
        console.print(Text(f"  {name}: {_plain(olds.get(name))} → {_plain(news.get(name))}"))


def _print_pair(console: Console, one: dict[str, Any]) -> None:
    before, after = one["before"], one["after"]
    ranks = f"{_place(before)} → {_place(after)}"
    console.print(Text.assemble((f"\n{one['question']}", "bold"), f"  {ranks}"))
    if expected := _expected(after or before):
        _print_line(console, f"  期望 expected: {expected}")
    for shown, side in (("前 before", before), ("后 after", after)):
        if side is not None and (best := _best(side)):
            mark = "✓" if best["right"] else "✗"
            _print_line(console, f"  {shown} {mark} {best['file_name']}: {best['excerpt']}")


def _print_rest(console: Console, number: int) -> None:
    if number > _QUESTIONS:
        rest = number - _QUESTIONS
        console.print(f"\n… 另有 {rest} 题，用 --json 查看全部。{rest} more: --json has all.")


def _print_line(console: Console, text: str) -> None:
    """What does not fit into the line is left away."""
    console.print(Text(" ".join(text.splitlines())), no_wrap=True, overflow="ellipsis")


def _print_found(console: Console, one: dict[str, Any]) -> None:
    for rank, passage in enumerate(one["found"][:_SHOWN], 1):
        mark = f"{rank} {'✓' if passage['right'] else '✗'} {passage['score']:.2f}"
        _print_line(console, f"  {mark} {passage['file_name']}: {passage['excerpt']}")
    if not one["found"]:
        console.print("  未检索到内容 nothing found")


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


def _table(*columns: str, texts: int = 1) -> Table:
    """The first so many columns are texts, the others numbers."""
    table = Table(box=None, pad_edge=False, header_style="")
    for number, name in enumerate(columns):
        justify: JustifyMethod = "left" if number < texts else "right"
        table.add_column(Text(name), justify=justify, overflow="fold")
    return table
