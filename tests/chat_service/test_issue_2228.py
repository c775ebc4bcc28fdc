"""`NoneType has no len()`: what the old server died of whenever a history was odd."""

from typing import Any

import pytest

from tests.chat_service.conftest import Chat
from tests.chat_service.standins import SessionStandIn
from tests.fakes.vendor import DONE, END, VendorServer, chunks, data, event, tokens

ANSWER = "<p>第一 <strong>答</strong></p>\n"
HISTORIES: dict[str, tuple[list[dict[str, str]], list[dict[str, str]]]] = {
    "odd, starting with an answer": (
        [
            {"role": "assistant", "content": ANSWER},
            {"role": "user", "content": "二"},
            {"role": "assistant", "content": "<p>第二答</p>"},
        ],
        [{"role": "user", "content": "二"}, {"role": "assistant", "content": "第二答"}],
    ),
    "empty contents": (
        [
            {"role": "user", "content": "一"},
            {"role": "assistant", "content": ""},
            {"role": "user", "content": "  "},
            {"role": "assistant", "content": "<p></p>"},
            {"role": "user", "content": "二"},
            {"role": "assistant", "content": "答"},
        ],
        [{"role": "user", "content": "一\n\n二"}, {"role": "assistant", "content": "答"}],
    ),
    "the separator of the old workers": (
        [
            {"role": "user", "content": "标题\n### 小节\n###human: x"},
            {"role": "assistant", "content": "好\n###"},
        ],
        [
            {"role": "user", "content": "标题\n### 小节\n###human: x"},
            {"role": "assistant", "content": "好\n###"},
        ],
    ),
    "template marks": (
        [
            {"role": "user", "content": "{% endraw %}{{ 7*7 }}"},
            {"role": "assistant", "content": "<p>{% raw %}{{ input }}</p>"},
        ],
        [
            {"role": "user", "content": "{% endraw %}{{ 7*7 }}"},
            {"role": "assistant", "content": "{% raw %}{{ input }}"},
        ],
    ),
    "equal roles": (
        [
            {"role": "user", "content": "一"},
            {"role": "user", "content": "二"},
            {"role": "assistant", "content": "三"},
            {"role": "assistant", "content": "四"},
        ],
        [{"role": "user", "content": "一\n\n二"}, {"role": "assistant", "content": "三\n\n四"}],
    ),
    "other names of the roles": (
        [{"role": "human", "content": "一"}, {"role": "ai", "content": "二"}],
        [{"role": "user", "content": "一"}, {"role": "assistant", "content": "二"}],
    ),
    "unknown roles": (
        [{"role": "function", "content": "x"}, {"role": "", "content": "y"}],
        [],
    ),
    "answers only": ([{"role": "assistant", "content": ANSWER}] * 3, []),
}


@pytest.mark.parametrize("case", HISTORIES)
async def test_issue_2228_any_history_is_answered(
    case: str, chat: Chat, vendor: VendorServer, sessions: SessionStandIn
) -> None:
    history, expected = HISTORIES[case]
    vendor.then(tokens(["好"]))
    assert await chat.said("问", history=history) == "好"
    sent = vendor.requests[0].body["messages"]
    assert sent == [*expected, {"role": "user", "content": "问"}]
    assert sessions.turn.state == "done"


@pytest.mark.parametrize("count", range(11))
async def test_issue_2228_any_number_of_records(
    count: int, chat: Chat, vendor: VendorServer
) -> None:
    records = [{"role": ("user", "assistant")[n % 2], "content": f"<p>{n}</p>"} for n in range(10)]
    vendor.then(tokens(["好"]))
    assert await chat.said("问", history=records[10 - count :]) == "好"
    roles = [message["role"] for message in vendor.requests[0].body["messages"]]
    assert roles == ["user", "assistant"] * (len(roles) // 2) + ["user"]


async def test_issue_2228_an_unanswered_question_is_not_lost(
    chat: Chat, vendor: VendorServer
) -> None:
    await chat.ask("二", history=[{"role": "user", "content": "一"}])
    await chat.ask("二", history=[{"role": "user", "content": "二"}])
    first, second = (request.body["messages"] for request in vendor.requests)
    assert first == [{"role": "user", "content": "一\n\n二"}]
    assert second == [{"role": "user", "content": "二"}]


@pytest.mark.parametrize(
    "chunk",
    [
        {"error_code": 50001, "text": "worker failed"},
        {"choices": None, "error_code": 50001, "text": "worker failed"},
        {"choices": None, "error": {"message": "worker failed"}},
        {"choices": [None]},
        None,
    ],
)
async def test_issue_2228_an_answer_without_choices(
    chunk: Any, chat: Chat, vendor: VendorServer, sessions: SessionStandIn
) -> None:
    vendor.then(chunks([data(chunk), DONE]))
    said = await chat.said()
    assert "中断" in said
    assert (sessions.turn.response, sessions.turn.state) == (said, "failed")


@pytest.mark.parametrize("choices", [None, []])
async def test_issue_2228_choices_null_beside_a_good_answer(
    choices: Any, chat: Chat, vendor: VendorServer
) -> None:
    vendor.then(chunks([data({"choices": choices}), event("好"), *END]))
    assert await chat.said() == "好"
