"""HTML to text, and what fits the budget."""

import pytest

from chat_service.history import Message, conversation, estimate_tokens, normalise, plain_text


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<p>你好 <b>世界</b></p>\n", "你好 世界"),
        ("<p>一</p>\n<p>二<br>三</p>", "一\n\n二\n三"),
        ("<ul>\n<li>甲</li>\n<li>乙</li>\n</ul>", "甲\n\n乙"),
        ("<pre><code>if a &lt; b:\n    c = 1\n</code></pre>", "if a < b:\n    c = 1"),
        ("<p>a</p><script>alert(1)</script><style>p{}</style>", "a"),
        ("<p>没有闭合", "没有闭合"),
        ("<p>&lt;b&gt; &amp; &nbsp;x</p>", "<b> & \xa0x"),
        ("a < b && List<String> x", "a < b && List<String> x"),
        ("<String> 是什么", "<String> 是什么"),
        ("怎么用 <div> 标签？", "怎么用 <div> 标签？"),
        ("  两边的空白 \n", "两边的空白"),
        ("", ""),
    ],
)
def test_plain_text(html: str, text: str) -> None:
    assert plain_text(html) == text


def test_a_system_message_stays_first() -> None:
    records = [Message("system", "规则"), Message("assistant", "x"), Message("user", "一")]
    assert normalise(records) == [Message("system", "规则"), Message("user", "一")]
    assert normalise([*records, Message("system", "后来的")])[-1] == Message("user", "一")


def test_the_oldest_go_first() -> None:
    history = [
        Message("user" if n % 2 == 0 else "assistant", f"{n}" + "字" * 100) for n in range(20)
    ]
    kept = conversation(history, query="问", prompt="问", budget=600)
    assert kept[-1] == Message("user", "问")
    assert kept[0].role == "user"
    assert kept[:-1] == history[-4:]
    assert sum(estimate_tokens(message.content) for message in kept) <= 600


def test_a_prompt_over_the_budget_goes_alone() -> None:
    history = [Message("user", "一"), Message("assistant", "二")]
    assert conversation(history, query="q", prompt="字" * 999, budget=500) == [
        Message("user", "字" * 999)
    ]


def test_a_huge_history_is_quick_to_cut() -> None:
    records = [Message("assistant", "<p>" * 500_000)] * 200
    assert normalise(records) == []
