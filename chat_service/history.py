"""The conversation so far, made into what every vendor accepts.

Clients send the last few records as they show them: HTML answers, empty ones, an odd number that
starts with an answer. Vendors want text, and user and assistant in turn.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from selectolax.lexbor import LexborHTMLParser

USER, ASSISTANT, SYSTEM = "user", "assistant", "system"
_ROLES = {"human": USER, "ai": ASSISTANT}
_MAY_FOLLOW = {SYSTEM: (SYSTEM, USER), USER: (USER, ASSISTANT), ASSISTANT: (USER, ASSISTANT)}
_MOST_RECORDS = 100
_MOST_CHARS = 50_000
# Rendered answers start with a tag of a document; text that only mentions a tag does not.
_RENDERED = re.compile(
    r"\s*<(p|div|span|h[1-6]|ul|ol|li|pre|table|blockquote|br|hr|b|strong|em|i|code|a)[\s/>]",
    re.IGNORECASE,
)
_LINE_ENDS = re.compile(
    r"<br\s*/?>|</(p|div|li|h[1-6]|tr|pre|blockquote|ul|ol|table)>", re.IGNORECASE
)
_BLANK_LINES = re.compile(r"\n\s*\n\s*")


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a conversation, as vendors take it."""

    role: str
    content: str


def unanswered_from(roles: Sequence[str]) -> int:
    """The place of the first message that no answer follows."""
    return max((at + 1 for at, role in enumerate(roles) if role == ASSISTANT), default=0)


def normalise(records: Sequence[Message]) -> list[Message]:
    """Text, no empty messages, equal roles merged, a user first (after a system message)."""
    messages: list[Message] = []
    for record in records[-_MOST_RECORDS:]:
        role = record.role.strip().lower()
        role = _ROLES.get(role, role)
        content = plain_text(record.content)
        before = messages[-1].role if messages else SYSTEM
        if not content or role not in _MAY_FOLLOW[before]:
            continue
        if messages and role == before:
            content = f"{messages.pop().content}\n\n{content}"
        messages.append(Message(role, content))
    return messages


def conversation(
    history: Sequence[Message], *, query: str, prompt: str, budget: int
) -> list[Message]:
    """The messages for a vendor: normalised history and the prompt made of the query.

    The oldest are left out until the estimate fits. A last question that was never answered is
    merged into the prompt, since two of a user in a row are refused.
    """
    earlier = list(history)
    if earlier and earlier[-1].role == USER:
        unanswered = earlier.pop().content
        if unanswered != query.strip():
            prompt = f"{unanswered}\n\n{prompt}"
    left = budget - estimate_tokens(prompt)
    kept: list[Message] = []
    for message in reversed(earlier):
        left -= estimate_tokens(message.content)
        if left < 0:
            break
        kept.append(message)
    while kept and kept[-1].role == ASSISTANT:
        kept.pop()
    return [*reversed(kept), Message(USER, prompt)]


def has_system(messages: Sequence[Message]) -> bool:
    return any(message.role == SYSTEM for message in messages)


def folded(messages: Sequence[Message]) -> list[Message]:
    """For models without a system role: its text goes before what the user says first."""
    said = [message for message in messages if message.role != SYSTEM]
    system = [message.content for message in messages if message.role == SYSTEM]
    first = said[0].content if said and said[0].role == USER else ""
    text = "\n\n".join(filter(None, [*system, first]))
    return [Message(USER, text), *(said[1:] if first else said)]


def plain_text(content: str) -> str:
    """The text of a message; HTML is rendered to lines, other text is only stripped."""
    content = content[:_MOST_CHARS].encode("utf-8", "replace").decode()
    if not _RENDERED.match(content):
        return content.strip()
    tree = LexborHTMLParser(_LINE_ENDS.sub(r"\n\g<0>", content))
    tree.strip_tags(["script", "style"])
    text = tree.body.text() if tree.body else ""
    return _BLANK_LINES.sub("\n\n", text).strip()


def estimate_tokens(text: str) -> int:
    """An upper-side guess for any vendor's tokeniser: CJK one each, other text four to one."""
    ascii_characters = len(text.encode("ascii", "ignore"))
    return len(text) - ascii_characters + ascii_characters // 4 + 4
