"""Ten turns with follow-ups: each finds its own passage, through the whole product."""

import json
from dataclasses import dataclass

from chat_service.prompts import CONDENSE
from tests.e2e.conftest import Scripted
from tests.fakes.vendor import Behaviour, Reply, status, tokens

KB, SESSION = "conversation-e2e", "b" * 32
HANDBOOK = {
    "年假": "员工入职满一年后，每年享有五天年假。",
    "年假折算": "当年七月入职的员工，首年年假按剩余月份折算为两天。",
    "病假": "病假须提交医院证明，每年带薪病假上限为十二天。",
    "差旅": "出差住宿标准：上海每晚不超过六百元，成都每晚不超过四百元。",
    "报销": "报销单应在出差结束后三十天内提交，逾期须部门负责人书面说明。",
    "门禁": "门禁卡遗失应立即挂失，补办工本费二十元。",
    "probation": "The probation period of new employees lasts three months.",
    "overtime": "Overtime on public holidays is paid at three times the hourly rate.",
}


@dataclass(frozen=True, slots=True)
class Said:
    """A question as it is typed, as the condenser completes it, and the file that answers it."""

    query: str
    whole: str | None
    file: str


TURNS = (
    Said("年假有几天？", None, "年假"),
    Said("那如果我是七月入职的呢？", "七月入职的员工首年年假有几天？", "年假折算"),
    Said("病假呢？", "每年带薪病假有几天？", "病假"),
    Said("要交什么？", "请病假须提交什么证明？", "病假"),
    Said("换个话题，去上海出差住宿标准是多少？", "去上海出差住宿标准是多少？", "差旅"),
    Said("单子最晚什么时候交？", "出差报销单最晚什么时候提交？", "报销"),
    Said("卡丢了补一张多少钱？", "门禁卡遗失后补办工本费多少钱？", "门禁"),
    Said("How long is the probation period?", "How long is the probation period?", "probation"),
    Said("And the pay for overtime on public holidays?", "", "overtime"),
    Said(
        "and how many days if I joined in July?",
        "How many days of annual leave if I joined in July? 七月入职首年年假几天？",
        "年假折算",
    ),
)


async def test_ten_turns_find_their_passages(scripted: Scripted) -> None:
    await scripted.knowledge_base(KB, **HANDBOOK)
    usual, scripted.vendor.default = scripted.vendor.default, _model
    try:
        for number, turn in enumerate(TURNS):
            asked = len(scripted.vendor.requests)
            text, docs = await _ask(scripted, turn.query)
            assert text == f"{turn.file}。", turn
            assert f"[{turn.file}.txt](" in docs[0], (turn, docs)
            condensed = [_prompt(one.body) for one in scripted.vendor.requests[asked:-1]]
            assert len(condensed) == (number > 0), turn
            assert all(TURNS[number - 1].query in prompt for prompt in condensed)
    finally:
        scripted.vendor.default = usual
    asked_so_far = {"session_id": SESSION, "num": 20}
    kept = await scripted.client.post("/history/latest", json=asked_so_far)
    said = {turn["query"]: turn["response"] for turn in kept.json()["data"]}
    assert said == {turn.query: f"{turn.file}。" for turn in TURNS}


async def _ask(scripted: Scripted, query: str) -> tuple[str, list[str]]:
    asked = {"query": query, "knowledge_base_name": KB, "session_id": SESSION, "stream": False}
    answer = await scripted.client.post("/chat/knowledge_base_chat", json=asked)
    told = json.loads(answer.content)
    return told["answer"], told["docs"]


async def _model(reply: Reply) -> None:
    """Completes a follow-up, or names the file that the first passage is of."""
    await _behaviour(_prompt(reply.request.body))(reply)


def _behaviour(prompt: str) -> Behaviour:
    if not prompt.startswith(CONDENSE[:20]):
        first = min(HANDBOOK, key=lambda file: prompt.find(HANDBOOK[file]) % len(prompt))
        return tokens([first, "。"])
    turn = next(turn for turn in TURNS if prompt.endswith(turn.query))
    # A condenser that fails is no error: the question is searched as it was typed.
    return tokens(list(turn.whole)) if turn.whole else status(400)


def _prompt(body: dict[str, list[dict[str, str]]]) -> str:
    return body["messages"][-1]["content"]
