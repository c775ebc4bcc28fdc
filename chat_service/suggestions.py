"""Questions that may come next, by one small call after an answer; without it nothing is lost."""

import logging
import re
from contextlib import suppress

import anyio

from chat_service import prompts
from chat_service.errors import ModelError, WordsBlocked
from chat_service.history import USER, Message
from chat_service.images import defused
from chat_service.llm import ChatModel, complete
from chat_service.screening import Screen

_WITHIN = 8.0
_MOST = 3
_LONGEST = 100
_LONGEST_ANSWER = 2_000
_NUMBERING = re.compile(r"^\s*(?:[-*•]|\d+[.、)）])\s*")

logger = logging.getLogger(__name__)


async def suggested(model: ChatModel, screen: Screen, question: str, answer: str) -> list[str]:
    """Up to three, in the language of the question; none when the model fails or takes long."""
    asked = screen.known_question(question[:_LONGEST_ANSWER])
    values = {"question": asked, "answer": answer[:_LONGEST_ANSWER]}
    message = Message(USER, prompts.fill(prompts.SUGGEST, values))
    said = ""
    try:
        with anyio.move_on_after(_WITHIN):
            said = await complete(model, [message])
    except ModelError as error:
        logger.warning("no questions are suggested: %s", error.detail)
    lines = [_NUMBERING.sub("", line).strip() for line in said.splitlines()]
    fitting = dict.fromkeys(line for line in lines if line and len(line) <= _LONGEST)
    allowed: list[str] = []
    for line in list(fitting)[:_MOST]:
        with suppress(WordsBlocked):
            allowed.append("".join(screen.whole_answer([defused(line)])))
    return allowed
