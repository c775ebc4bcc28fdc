"""Runs over evaluation sets, as those see them who may write the knowledge base."""

from dataclasses import dataclass

from kb_service.entities import KnowledgeBase
from kb_service.errors import EvalRefused, NoSuchEvalRun
from kb_service.evaluation.comparing import Comparison, Outcome, compared
from kb_service.evaluation.runner import Runner
from kb_service.evaluation.sets import Sets
from kb_service.evaluation_entities import Result, Run, RunOptions, Verdict
from kb_service.store import EvalResultStore, EvalRunStore

RUNS_KEPT = 50
_WAITING_MAX = 5  # of a knowledge base


@dataclass(frozen=True, slots=True)
class ComparedQuestion:
    """A question in both runs with what each found; None where a run did not have it."""

    outcome: Outcome
    before: Result | None
    after: Result | None


@dataclass(frozen=True, slots=True)
class ComparisonPage:
    """Some of the questions; `total` counts those of the wanted outcome."""

    before: Run
    after: Run
    comparison: Comparison
    questions: list[ComparedQuestion]
    total: int


class Runs:
    def __init__(
        self, store: EvalRunStore, results: EvalResultStore, sets: Sets, runner: Runner
    ) -> None:
        self._store, self._results, self._sets, self._runner = store, results, sets, runner

    async def start(self, kb: KnowledgeBase, set_id: int, label: str, options: RunOptions) -> Run:
        """It waits for its turn. Raises NoSuchEvalSet, EvalRefused."""
        known = await self._sets.find(kb, set_id)
        if not known.items:
            raise EvalRefused("评测集中没有条目。The set has no items.")
        run_id = await self._store.add(
            known, kb.owner_client, label, options, waiting_max=_WAITING_MAX
        )
        await self._store.keep_newest(known.id, RUNS_KEPT)
        self._runner.call()
        return await self.find(kb, set_id, run_id)

    async def page(
        self, kb: KnowledgeBase, set_id: int, *, page: int, page_size: int
    ) -> tuple[list[Run], int]:
        """The newest first. Raises NoSuchEvalSet."""
        known = await self._sets.find(kb, set_id)
        return await self._store.page(known.id, start=(page - 1) * page_size, limit=page_size)

    async def find(self, kb: KnowledgeBase, set_id: int, run_id: int) -> Run:
        """Raises NoSuchEvalSet, NoSuchEvalRun."""
        known = await self._sets.find(kb, set_id)
        found = await self._store.find(known.id, run_id)
        if found is None:
            raise NoSuchEvalRun
        return found

    async def cancel(self, kb: KnowledgeBase, set_id: int, run_id: int) -> Run:
        """Raises NoSuchEvalSet, NoSuchEvalRun, EvalRefused when it is over."""
        run = await self.find(kb, set_id, run_id)
        if not await self._store.cancel(run.id):
            raise EvalRefused("运行已结束，无法取消。The run is over already.")
        return await self.find(kb, set_id, run_id)

    async def remove(self, kb: KnowledgeBase, set_id: int, run_id: int) -> None:
        """One that is going on ends. Raises NoSuchEvalSet, NoSuchEvalRun."""
        await self._store.remove((await self.find(kb, set_id, run_id)).id)

    async def results(
        self,
        kb: KnowledgeBase,
        set_id: int,
        run_id: int,
        verdict: Verdict | None,
        *,
        page: int,
        page_size: int,
    ) -> tuple[list[Result], int]:
        """Raises NoSuchEvalSet, NoSuchEvalRun."""
        run = await self.find(kb, set_id, run_id)
        start = (page - 1) * page_size
        return await self._results.page(run.id, verdict, start=start, limit=page_size)

    async def compare(
        self,
        kb: KnowledgeBase,
        set_id: int,
        run_ids: tuple[int, int],
        outcome: Outcome | None,
        *,
        page: int,
        page_size: int,
    ) -> ComparisonPage:
        """Raises NoSuchEvalSet, NoSuchEvalRun, EvalRefused unless both have come to their end."""
        before, after = [await self.find(kb, set_id, run_id) for run_id in run_ids]
        if before.state != "done" or after.state != "done":
            raise EvalRefused(
                "只能比较已完成的运行。Only runs that came to their end can be compared."
            )
        earlier, later = [await self._results.outlines(run.id) for run in (before, after)]
        comparison = compared(before, earlier, after, later)
        pairs = [one for one in comparison.pairs if outcome in (None, one.outcome)]
        shown = pairs[(page - 1) * page_size : page * page_size]
        olds = await self._results.at(
            before.id, [one.before.position for one in shown if one.before]
        )
        news = await self._results.at(after.id, [one.after.position for one in shown if one.after])
        questions = [
            ComparedQuestion(
                one.outcome,
                olds.get(one.before.position) if one.before else None,
                news.get(one.after.position) if one.after else None,
            )
            for one in shown
        ]
        return ComparisonPage(before, after, comparison, questions, len(pairs))
