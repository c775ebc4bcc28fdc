"""A tool as the agent knows it, whatever it is made of."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """`label` is its name on the wire, `arguments` a model or a JSON schema.

    `reads_private`: what it returns is the company's own. `sends_out`: its arguments leave for
    somebody else's server. After the first, the second is no longer possible.
    """

    name: str
    label: str
    description: str
    arguments: type[BaseModel] | dict[str, Any]
    run: Callable[..., Awaitable[str]]
    reads_private: bool = False
    sends_out: bool = False


class ToolFailed(Exception):  # its text is what the model and the user read
    """The tool could not do it: a wrong argument, or its service did not answer."""
