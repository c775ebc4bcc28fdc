"""Both adapters, and the service, with a real small model through llama.cpp."""

from collections.abc import Iterator
from contextlib import aclosing

import pytest

from chat_service.history import Message
from chat_service.llm import Sampling
from chat_service.llm.guard import Circuit, Deadlines, GuardedModel
from chat_service.llm.langchain import LangChainModel
from chat_service.llm.lean import LeanModel
from chat_service.vendors import Vendor
from servicekit.http import open_session
from tests.chat_service import local_model
from tests.chat_service.conftest import StartChat
from tests.chat_service.standins import KbStandIn, SessionStandIn

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(bool(local_model.missing()), reason=local_model.missing()),
]

ASKED = [Message("user", "What is the capital of France? Answer in one short sentence.")]


@pytest.fixture(scope="module")
def base_url() -> Iterator[str]:
    with local_model.running() as url:
        yield url


@pytest.mark.parametrize("adapter", ["lean", "langchain"])
async def test_a_real_model_answers(adapter: str, base_url: str) -> None:
    vendor = Vendor("local", base_url, "local")
    lean_needs = open_session()
    langchain = LangChainModel(vendor, connect_timeout=5)
    async with lean_needs as session:
        model = (
            langchain if adapter == "langchain" else LeanModel(session, vendor, connect_timeout=5)
        )
        guarded = GuardedModel(model, Deadlines(60, 30, 120), Circuit())
        async with aclosing(guarded.stream(ASKED, Sampling(0, 16))) as stream:
            batches = [batch async for batch in stream if batch]
    await langchain.close()
    # What a model this small says is not to be relied on, that it says it in tokens is.
    assert len("".join(token for batch in batches for token in batch).split()) > 3
    assert len(batches) > 3


async def test_the_service_answers_with_it(
    base_url: str, start_chat: StartChat, sessions: SessionStandIn
) -> None:
    chat = await start_chat(enable_llm_model="local", local_base_url=base_url)
    objects = await chat.ask(ASKED[0].content, temperature=0, max_tokens=16)
    said = "".join(o["text"] for o in objects)
    assert len(said.split()) > 3
    assert (sessions.turn.response, sessions.turn.state) == (said, "done")


async def test_a_follow_up_in_knowledge_base_mode_uses_both_adapters(
    base_url: str, start_chat: StartChat, kb: KbStandIn, sessions: SessionStandIn
) -> None:
    kb.hold("The office in Lyon opens at nine.")
    chat = await start_chat(enable_llm_model="local", local_base_url=base_url)
    history = [
        {"role": "user", "content": "Where is your office?"},
        {"role": "assistant", "content": "In Lyon."},
    ]
    *said, last = await chat.ask(
        "When does it open?",
        knowledge_base_name="kb1",
        history=history,
        temperature=0,
        max_tokens=16,
    )
    assert kb.searches[0]["query"]
    assert "".join(o["answer"] for o in said).strip()
    assert len(last["docs"]) == 1
    assert sessions.turn.state == "done"
