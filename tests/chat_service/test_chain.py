"""A cap on concurrency with a bounded queue, and models that stand in for each other."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing

import pytest

from chat_service.errors import ModelBusy, ModelError, ModelFiltered, ModelUnreachable
from chat_service.history import Message
from chat_service.llm import ChatModel, Reply, Sampling, complete
from chat_service.llm.chain import ChainedModel, Gate, GatedModel
from tests.chat_service.conftest import StartChat, until
from tests.fakes.vendor import VendorServer, event, hang, tokens

ASKED = [Message("user", "你好")]


class Scripted:
    """Says these tokens, then raises; `go` lets it end."""

    def __init__(self, *said: list[str], then: ModelError | None = None, name: str = "m") -> None:
        self._said, self._then, self._name = said, then, name
        self.go = asyncio.Event()
        self.running = self.asked = 0

    async def stream(
        self, messages: Sequence[Message], sampling: Sampling, reply: Reply | None = None
    ) -> AsyncGenerator[list[str], None]:
        self.asked += 1
        self.running += 1
        try:
            for together in self._said:
                yield together
            if reply:
                reply.model, reply.prompt_tokens = self._name, 7
            if self._then:
                raise self._then
            await self.go.wait()
        finally:
            self.running -= 1


async def test_no_more_at_once_than_the_cap_and_the_queue_is_bounded() -> None:
    model = Scripted(["好"])
    gated = GatedModel(model, Gate(2, patience=10))
    running = [asyncio.create_task(complete(gated, ASKED)) for _ in range(6)]
    await until(lambda: model.running == 2)
    with pytest.raises(ModelBusy) as raised:  # two talk, four wait
        await complete(gated, ASKED)
    assert raised.value.retry_after
    assert model.asked == 2
    running[0].cancel()  # a reader left: the first that waits is let in
    await until(lambda: model.asked == 3)
    assert model.running == 2
    running[5].cancel()  # one that waits leaves its place to others
    await asyncio.gather(running[5], return_exceptions=True)
    running.append(asyncio.create_task(complete(gated, ASKED)))
    model.go.set()
    answers = await asyncio.gather(*running, return_exceptions=True)
    assert [answer for answer in answers if answer == "好"] == ["好"] * 5
    assert (model.asked, model.running) == (6, 0)


async def test_nobody_waits_for_ever() -> None:
    model = Scripted()
    gated = GatedModel(model, Gate(1, patience=0.05))
    first = asyncio.create_task(complete(gated, ASKED))
    await until(lambda: model.running == 1)
    with pytest.raises(ModelBusy):
        await complete(gated, ASKED)
    model.go.set()
    await first
    assert await complete(gated, ASKED) == ""


BROKEN = ModelUnreachable("down")


@pytest.mark.parametrize(
    ("first", "heard"),
    [
        (lambda: Scripted(then=BROKEN), "另"),
        (lambda: Scripted([], [], then=BROKEN), "另"),  # signs of life only
        (lambda: Scripted(["一"], then=BROKEN), None),
        (lambda: Scripted(then=ModelFiltered("no")), None),
    ],
)
async def test_another_answers_only_before_the_first_word(
    first: Callable[[], Scripted], heard: str | None
) -> None:
    other = Scripted(["另"], name="other")
    other.go.set()
    chain, reply = ChainedModel([first(), other]), Reply()
    if heard is None:
        with pytest.raises(ModelError):
            await complete(chain, ASKED, reply=reply)
        assert other.asked == 0
    else:
        assert await complete(chain, ASKED, reply=reply) == heard
        assert (reply.model, reply.prompt_tokens) == ("other", 7)


async def test_when_all_fail_the_first_says_why() -> None:
    chain: ChatModel = ChainedModel([Scripted(then=BROKEN), Scripted(then=ModelFiltered("no"))])
    with pytest.raises(ModelFiltered):
        await complete(chain, ASKED)
    busy = ModelBusy("full", retry_after=1)
    with pytest.raises(ModelUnreachable):
        await complete(ChainedModel([Scripted(then=BROKEN), Scripted(then=busy)]), ASKED)


async def test_a_reader_who_leaves_the_chain_leaves_the_model() -> None:
    model = Scripted(["好"])
    async with aclosing(ChainedModel([model]).stream(ASKED, Sampling())) as stream:
        assert await anext(stream) == ["好"]
    assert model.running == 0


async def test_the_cap_is_a_sentence_in_the_stream(
    start_chat: StartChat, vendor: VendorServer
) -> None:
    capped = f'{{"capped": {{"base_url": "{vendor.base_url}", "max_concurrency": 1}}}}'
    chat = await start_chat(custom_models=capped, enable_llm_model="capped")
    vendor.default = hang([event("一")])
    asking = [asyncio.create_task(chat.said(session_id=None)) for _ in range(4)]
    done, others = await asyncio.wait(asking, timeout=10, return_when=asyncio.FIRST_COMPLETED)
    assert ["繁忙" in task.result() for task in done] == [True]
    assert len(vendor.requests) == 1
    vendor.default = tokens(["好"])
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
    assert await chat.said(session_id=None) == "好"
