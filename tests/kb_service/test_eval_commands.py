"""`python -m kb_service eval ...` against the real service, behind a front that knows a key."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from wcwidth import width

from kb_service.app import create_app
from kb_service.commands import CommandFault, parser, run
from kb_service.settings import KbSettings
from tests.kb_service.conftest import ADMIN, Kb, trusting
from tests.kb_service.test_evaluation import LEAVE, MEALS, fill
from tests.kb_service.test_import import KEY, Front
from tests.parsers import PARSERS
from tests.serving import served

TABLE = """问题,文件,应拒答
年假有几天,leave.txt,
午餐几点,nowhere.txt,
量子引力,,是
,,
坏,a.txt,是
"""


@pytest.fixture(scope="module")
async def kb(tmp_path_factory: pytest.TempPathFactory, migrated: Path) -> AsyncIterator[Kb]:
    folder = trusting(tmp_path_factory.mktemp("commands"), migrated)
    settings = KbSettings(chat2llm_data=folder, kb_sample=False)
    async with (
        served(Front(create_app(settings, parsers=PARSERS))) as url,
        httpx.AsyncClient(base_url=url, headers=ADMIN, timeout=60) as http,
    ):
        running = Kb(http)
        await fill(running)
        yield running


async def evaluated(kb: Kb, *arguments: str | Path, base: str = "kb1") -> int:
    """The exit code."""
    given = [str(argument) for argument in arguments]
    where = ["--kb", base, "--url", str(kb.http.base_url)]
    return await asyncio.to_thread(run, parser().parse_args(["eval", *given, *where]), KEY)


async def shown(
    kb: Kb, capsys: pytest.CaptureFixture[str], *arguments: str | Path, base: str = "kb1"
) -> Any:
    """What a program reads."""
    capsys.readouterr()
    await evaluated(kb, *arguments, "--json", base=base)
    return json.loads(capsys.readouterr().out)


async def test_from_a_table_to_figures_and_back(
    kb: Kb, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = tmp_path / "题目.csv"
    table.write_bytes(TABLE.encode("gb18030"))
    assert await evaluated(kb, "import", table, "--set", "日常") == 1
    told = capsys.readouterr().out
    assert "新增 added 3 · 更新 replaced 0 · 未变 unchanged 0 · 无效 invalid 1" in told
    assert "line 6" in told
    assert "nowhere.txt" in told
    assert await evaluated(kb, "run", "--set", "日常", "--label", "第一次\x1b[2J") == 0
    told = capsys.readouterr().out
    assert "第一次 [2J: 完成 done" in told  # and the terminal keeps its screen
    figures = dict(line.rsplit(maxsplit=1) for line in told.splitlines() if line[-1:].isdigit())
    assert (figures["hit@1"], figures["正确拒答率 refusals"]) == ("0.500", "1.000")
    assert len({width(line) for line in told[told.index("指标") :].splitlines()}) == 1
    for arguments, expected in (
        ((), "评测集 set"),
        (("--set", "日常"), "第一次 [2J"),
        (("--set", "日常", "--run", "1"), "期望 expected: nowhere.txt"),
        (("--set", "日常", "--run", "1", "--verdict", "hit"), "1 ✓ 0."),
    ):
        assert await evaluated(kb, "show", *arguments) == 0
        assert expected in capsys.readouterr().out
    copy = tmp_path / "copy.csv"
    assert await evaluated(kb, "export", "--set", "日常", copy) == 0
    done = await shown(kb, capsys, "import", copy, "--set", "日常")
    assert (done["unchanged"], done["added"], done["replaced"]) == (3, 0, 0)


async def test_a_beir_folder(kb: Kb, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    parts = {
        "queries.jsonl": '{"_id": "1", "text": "年假有几天"}\n{"_id": "2", "text": "午餐几点"}\n',
        "qrels.tsv": "query-id\tcorpus-id\tscore\n1\ta\t1\n2\tb\t1\n",
        "corpus.jsonl": "\n".join(
            json.dumps({"_id": name, "title": "", "text": text})
            for name, text in (("a", LEAVE), ("b", MEALS), ("c", "x" * 20_000))
        ),
    }
    for name, text in parts.items():
        (tmp_path / name).write_text(text)
    queries, qrels, corpus = (tmp_path / name for name in parts)
    given = ("import", queries, "--qrels", qrels, "--corpus", corpus, "--set", "beir")
    assert (await shown(kb, capsys, *given))["added"] == 2
    done = await shown(kb, capsys, "run", "--set", "beir", "--top-k", "5", "--no-rerank")
    assert (done["figures"]["hit_at_1"], done["options"]["rerank"]) == (1, False)
    for bad in (("import", queries, "--corpus", corpus), ("import", tmp_path / "none.csv")):
        with pytest.raises(CommandFault):
            await evaluated(kb, *bad, "--set", "bad")


async def test_a_comparison_tells_whether_it_is_worse(
    kb: Kb, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    await fill(kb, "worse")
    lines = "".join(f"年假规定第{n}条有几天,leave.txt\n" for n in range(9))
    table = tmp_path / "a.csv"
    table.write_text(f"question,file\n{lines}午餐几点,meals.txt\n")
    await evaluated(kb, "import", table, "--set", "s", base="worse")
    with pytest.raises(CommandFault, match="came to their end"):
        await evaluated(kb, "compare", "--set", "s", base="worse")
    await evaluated(kb, "run", "--set", "s", base="worse")
    gone = {"knowledge_base_name": "worse", "file_names": ["leave.txt"], "delete_content": True}
    await kb.post("/knowledge_base/delete_docs", gone)
    run_of = await shown(kb, capsys, "run", "--set", "s", base="worse")
    assert run_of["figures"]["hit_at_1"] == 0.1
    assert await evaluated(kb, "compare", "--set", "s", base="worse") == 1
    told = capsys.readouterr().out
    assert "The change hurt" in told
    assert "变差 worse (9)" in told
    assert "年假规定第3条有几天  #1 → " in told
    assert "不变 same" not in told
    assert "chunks: 3 → 2" in told
    back = (str(run_of["id"]), str(run_of["id"] - 1))
    assert await evaluated(kb, "compare", "--set", "s", *back, "--all", base="worse") == 0
    told = capsys.readouterr().out
    assert "The change helped" in told
    assert "不变 same (1)" in told


async def test_what_is_not_there_is_said(kb: Kb) -> None:
    for arguments in (("run", "--set", "none"), ("compare", "--set", "日常", "1", "99")):
        with pytest.raises(CommandFault):
            await evaluated(kb, *arguments)
    with pytest.raises(CommandFault, match="no knowledge base none to write to; import --create"):
        await evaluated(kb, "show", base="none")
