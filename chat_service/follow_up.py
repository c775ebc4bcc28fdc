"""A follow-up made into a question that is understood without the conversation."""

import logging
from collections.abc import Sequence

from chat_service import prompts
from chat_service.errors import ModelError
from chat_service.history import USER, Message
from chat_service.llm import Models, complete

_LAST_MESSAGES = 4
_LONGEST_MESSAGE = 300
_LONGEST = 500

logger = logging.getLogger(__name__)


async def standalone(
    models: Models, model_name: str, history: Sequence[Message], query: str
) -> str:
    """The query itself when there is no history or no model, or the model fails."""
    vendor = models.choose(model_name)
    if not history or vendor.offline:
        return query
    before = "\n".join(
        f"{message.role}: {message.content[:_LONGEST_MESSAGE]}"
        for message in history[-_LAST_MESSAGES:]
    )
    prompt = prompts.fill(prompts.CONDENSE, {"history": before, "question": query})
    try:
        said = await complete(models.condensing(vendor), [Message(USER, prompt)])
    except ModelError as error:
        logger.warning("a follow-up is searched as it is: %s", error.detail)
        return query
    return said.strip()[:_LONGEST] or query
