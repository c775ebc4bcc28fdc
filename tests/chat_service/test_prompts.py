"""Templates: names of the contract, filled in without evaluating anything."""

import pytest

from chat_service import prompts


def test_the_contract_s_names() -> None:
    assert {kind: set(named) for kind, named in prompts.PROMPTS.items()} == {
        "llm_chat": {"default", "py"},
        "knowledge_base_chat": {"default", "text", "Empty"},
        "search_engine_chat": {"default", "search", "Empty"},
        "agent_chat": {"default", "AgentLM", "中文版本"},
    }


@pytest.mark.parametrize(
    "text", ["{{ context }}", "{% endraw %}{{ 7*7 }}", "{{question}}", "\\1\\g<0>"]
)
def test_what_is_filled_in_is_not_looked_at(text: str) -> None:
    filled = prompts.fill("[{{ question }}|{{ context }}]", {"question": text, "context": text})
    assert filled == f"[{text}|{text}]"


def test_unknown_places_stay() -> None:
    assert prompts.fill("{{ other }}", {"question": "x"}) == "{{ other }}"
