"""Translation by the model itself, without tools and without the conversation."""

from pydantic import BaseModel, Field

from chat_service import prompts
from chat_service.agent.entities import Tool, ToolFailed
from chat_service.errors import ModelError
from chat_service.history import USER, Message
from chat_service.llm import ChatModel, Sampling, complete


class _Arguments(BaseModel):
    text: str = Field(min_length=1, max_length=4_000)
    language: str = Field(min_length=1, max_length=40, description="To translate into, as English")


def translation(model: ChatModel) -> Tool:
    async def run(text: str, language: str) -> str:
        values = {"language": language, "text": prompts.fence([text])}
        messages = [Message(USER, prompts.fill(prompts.TRANSLATE, values))]
        try:
            return (await complete(model, messages, Sampling(0))).strip()
        except ModelError as error:
            raise ToolFailed(str(error)) from None

    return Tool(
        name="translate",
        label="翻译工具",
        description="Translates a text.",
        arguments=_Arguments,
        run=run,
    )
