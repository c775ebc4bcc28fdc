"""Questions with their right passages, read from the evaluation folder and from our own pairs."""

import json
import random
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

_TESTS = Path(__file__).parent.parent / "tests" / "kb_service"
_NEWS_LENGTH = 400
_NEWS = 2_000

Question = tuple[str, frozenset[int]]


@dataclass(frozen=True)
class EvalSet:
    """Passages, and questions with the numbers of their right passages.

    Questions of a set of the same subject are not about something else. With `among_themselves`
    questions are passages too, and none is the answer to itself.
    """

    passages: list[str]
    questions: list[Question]
    subject: str
    among_themselves: bool = False

    def sample(self, most: int) -> "EvalSet":
        """The same questions at every call."""
        chosen = random.Random(7).sample(self.questions, min(most, len(self.questions)))
        return EvalSet(self.passages, chosen, self.subject, self.among_themselves)


def load_sets(folder: Path, names: Sequence[str] = ()) -> dict[str, EvalSet]:
    return {name: load(folder) for name, load in SETS.items() if not names or name in names}


def lines(name: str) -> list[str]:
    """Of a file beside the tests."""
    return (_TESTS / name).read_text("utf-8").splitlines()


def _squad(name: str, subject: str) -> Callable[[Path], EvalSet]:
    def load(folder: Path) -> EvalSet:
        passages: list[str] = []
        questions: list[Question] = []
        for article in json.loads((folder / name).read_text("utf-8"))["data"]:
            for paragraph in article["paragraphs"]:
                right = frozenset([len(passages)])
                questions += [(qa["question"], right) for qa in paragraph["qas"]]
                passages.append(paragraph["context"])
        return EvalSet(passages, questions, subject)

    return load


def _cut(name: str, subject: str, size: int = 250, overlap: int = 50) -> Callable[[Path], EvalSet]:
    """Passages as they are cut by default; right is what the answer is in."""

    def load(folder: Path) -> EvalSet:
        passages: list[str] = []
        questions: list[Question] = []
        for article in json.loads((folder / name).read_text("utf-8"))["data"]:
            for paragraph in article["paragraphs"]:
                text, first = paragraph["context"], len(passages)
                last = max(len(text) - overlap, 1)
                passages += [text[at : at + size] for at in range(0, last, size - overlap)]
                for qa in paragraph["qas"]:
                    answer = qa["answers"][0]["text"]
                    own = range(first, len(passages))
                    right = frozenset(n for n in own if answer in passages[n])
                    questions.append((qa["question"], right or frozenset(own)))
        return EvalSet(passages, questions, subject)

    return load


def _rgb(name: str) -> Callable[[Path], EvalSet]:
    def load(folder: Path) -> EvalSet:
        passages: list[str] = []
        questions: list[Question] = []
        for line in (folder / name).read_text("utf-8").splitlines():
            row = json.loads(line)
            right = [p for ps in row["positive"] for p in (ps if isinstance(ps, list) else [ps])]
            numbers = range(len(passages), len(passages) + len(right))
            questions.append((row["query"], frozenset(numbers)))
            passages += right + row["negative"]
        return EvalSet(passages, questions, "news")

    return load


def _pairs_of(folder: Path) -> list[tuple[str, str, bool]]:
    rows = (line.split("\t") for line in (folder / "lcqmc_dev.tsv").read_text("utf-8").splitlines())
    return [(question, other, same == "1") for question, other, same in rows]


def _same_question(folder: Path) -> EvalSet:
    """Among the second questions of all pairs, those that are the same as a first one."""
    numbers: dict[str, int] = {}
    right: defaultdict[str, set[int]] = defaultdict(set)
    for question, other, same in _pairs_of(folder):
        number = numbers.setdefault(other, len(numbers))
        if same:
            right[question].add(number)
    found = [(question, frozenset(them)) for question, them in right.items()]
    return EvalSet(list(numbers), found, "everyday")


def _same_among_all(folder: Path) -> EvalSet:
    """Among all questions, those that are the same as one of them."""
    numbers: dict[str, int] = {}
    right: defaultdict[str, set[int]] = defaultdict(set)
    for question, other, same in _pairs_of(folder):
        one, two = (numbers.setdefault(text, len(numbers)) for text in (question, other))
        if same and one != two:
            right[question].add(two)
            right[other].add(one)
    found = [(question, frozenset(them)) for question, them in right.items()]
    return EvalSet(list(numbers), found, "everyday", among_themselves=True)


def _own(_: Path) -> EvalSet:
    """Deliberately paraphrased: question and passage share few words."""
    rows = [json.loads(line) for line in lines("pairs_zh.jsonl")]
    questions = [(row["question"], frozenset([n])) for n, row in enumerate(rows)]
    return EvalSet([row["passage"] for row in rows], questions, "company")


def _among_news(load: Callable[[Path], EvalSet]) -> Callable[[Path], EvalSet]:
    def with_news(folder: Path) -> EvalSet:
        known = load(folder)
        texts = [
            line
            for file in sorted((folder / "crud_news").glob("part_*.txt"))
            for line in file.read_text("utf-8").splitlines()
        ]
        news = [text[:_NEWS_LENGTH] for text in texts[:_NEWS]]
        return EvalSet(known.passages + news, known.questions, known.subject)

    return with_news


SETS: dict[str, Callable[[Path], EvalSet]] = {
    "cmrc2018": _squad("cmrc2018_dev.json", "cmrc2018"),
    "cmrc2018-cut": _cut("cmrc2018_dev.json", "cmrc2018"),
    "cmrc2018+news": _among_news(_squad("cmrc2018_dev.json", "cmrc2018")),
    "xquad.zh": _squad("xquad.zh.json", "xquad"),
    "xquad.en": _squad("xquad.en.json", "english"),
    "rgb_int": _rgb("rgb_zh_int.jsonl"),
    "rgb_fact": _rgb("rgb_zh_fact.jsonl"),
    "lcqmc": _same_question,
    "lcqmc-all": _same_among_all,
    "own": _own,
    "own+news": _among_news(_own),
}
