"""What an agent tells while it works, and how the old wire writes it."""

import json
from dataclasses import dataclass
from typing import Any

_LONGEST_INPUT = 500
_LONGEST_OUTPUT = 2_000
_ELLIPSIS = "…"
_FENCE = "\n```\n"


@dataclass(frozen=True, slots=True)
class Said:
    """Some more text of the model."""

    text: str


@dataclass(frozen=True, slots=True)
class Used:
    """A tool was used; `output` is the reason when that failed."""

    name: str
    arguments: dict[str, Any]
    output: str
    failed: bool

    def lines(self) -> list[str]:
        """Six, as the wire has them; a fence in them cannot end theirs."""
        if self.failed:
            rest = ["工具状态: 调用失败", f"错误信息: {_clip(self.output, _LONGEST_OUTPUT)}"]
            return [_FENCE, f"工具名称: {self.name}", *rest, "重新开始尝试", _FENCE]
        return [
            _FENCE,
            f"工具名称: {self.name}",
            "工具状态: 调用成功",
            f"工具输入: {_clip(self._input(), _LONGEST_INPUT)}",
            f"工具输出: {_clip(self.output, _LONGEST_OUTPUT)}",
            _FENCE,
        ]

    def _input(self) -> str:
        """An only argument as it is."""
        if len(self.arguments) == 1:
            (only,) = self.arguments.values()
            if isinstance(only, str):
                return only
        return json.dumps(self.arguments, ensure_ascii=False)


@dataclass(frozen=True, slots=True)
class Answered:
    """The end; empty when the steps ran out before an answer."""

    text: str


Event = Said | Used | Answered


def _clip(text: str, longest: int) -> str:
    text = text.replace("```", "'''")
    return text if len(text) <= longest else text[:longest] + _ELLIPSIS
