"""What evaluation speaks of: questions whose right passages are known, and runs over them."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from kb_service.entities import SearchFilter

RunState = Literal["queued", "running", "done", "failed", "cancelled"]
OVER: tuple[RunState, ...] = ("done", "failed", "cancelled")
# A question with expectations is hit or missed; one that must retrieve nothing is refused or
# answered; of one without expectations nobody can say.
Verdict = Literal["hit", "missed", "refused", "answered", "unjudged"]


@dataclass(frozen=True, slots=True)
class Expectation:
    """What should be found for a question: one of the passages, else one of the files.

    `answer` is kept for the judging of answers; retrieval is not measured with it.
    """

    files: tuple[str, ...] = ()
    passages: tuple[str, ...] = ()
    answer: str = ""
    refuses: bool = False

    @property
    def targets(self) -> tuple[str, ...]:
        return self.passages or self.files

    @property
    def is_judged(self) -> bool:
        return self.refuses or bool(self.targets)


@dataclass(frozen=True, slots=True)
class NewItem:
    question: str
    expected: Expectation
    note: str = ""


@dataclass(frozen=True, slots=True)
class Item:
    id: int
    match_key: str
    question: str
    expected: Expectation
    note: str


@dataclass(frozen=True, slots=True)
class EvalSet:
    """`judged` is how many of its items have an expectation that retrieval can be measured with."""

    id: int
    kb_id: int
    name: str
    note: str
    create_time: datetime
    items: int
    judged: int
    runs: int


@dataclass(frozen=True, slots=True)
class RunOptions:
    """How the questions are asked; `rerank` None: where there is a reranker."""

    top_k: int = 10
    score_threshold: float = 1.0
    wanted: SearchFilter | None = None
    rerank: bool | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """A passage that was found; of the first few, and of the right one, the beginning of it."""

    chunk_id: str
    file_name: str
    score: float
    excerpt: str = ""
    is_right: bool = False


@dataclass(frozen=True, slots=True)
class Outline:
    """What came out for a question, without the texts; whether vectors and a reranker took part.

    `rank` counts from 1 and is that of the first right passage; `expected_key` is another one when
    something else is expected.
    """

    position: int
    match_key: str
    expected_key: str
    verdict: Verdict
    rank: int | None
    ndcg: float
    latency_ms: float
    found: int
    by_meaning: bool
    reranked: bool


@dataclass(frozen=True, slots=True)
class Result:
    """The same with what was asked, expected and found, of long texts the beginning."""

    outline: Outline
    question: str
    expected: Expectation
    found: tuple[Found, ...] = ()


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What the knowledge base was like when the run began.

    `chunkings` says how many files are cut how; `content` is another one whenever anything that
    answers has changed, `recipe` whenever questions are searched for in another way.
    """

    chunking: dict[str, Any]
    chunkings: dict[str, int]
    embed_model: str
    recipe: str
    files: int
    chunks: int
    content: str


@dataclass(frozen=True, slots=True)
class Figures:
    """Aggregates of a run; None where no question is of that kind, or too few hits were asked for.

    Shares are from 0 to 1, times in milliseconds. hit@k, MRR and nDCG are of the `judged`
    questions, refusals of those that must find nothing. `by_meaning` and `reranked` count
    the questions that vectors and a reranker took part in.
    """

    questions: int
    judged: int
    unjudged: int
    refusals: int
    hit_at_1: float | None
    hit_at_3: float | None
    hit_at_5: float | None
    hit_at_k: float | None
    mrr: float | None
    ndcg_at_10: float | None
    refusal_rate: float | None
    wrongly_refused: int
    wrongly_answered: int
    by_meaning: int
    reranked: int
    latency_p50_ms: float | None
    latency_p95_ms: float | None


@dataclass(frozen=True, slots=True)
class Run:
    id: int
    set_id: int
    kb_id: int
    label: str
    state: RunState
    reason: str
    options: RunOptions
    circumstances: Circumstances | None
    figures: Figures | None
    done: int
    total: int
    lease_token: int
    create_time: datetime
    start_time: datetime | None
    end_time: datetime | None
