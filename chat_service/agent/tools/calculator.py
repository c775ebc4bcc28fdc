"""Arithmetic by an evaluator that knows nothing else, bounded in size and time."""

import ast
import math
from typing import Any

from pydantic import BaseModel, Field
from simpleeval import SimpleEval

from chat_service.agent.entities import Tool, ToolFailed

_LONGEST = 300
_MOST_DIGITS = 1_000
_MOST_BITS = 3_400  # of a number with that many digits
_FUNCTIONS = {
    name: getattr(math, name)
    for name in (
        "sqrt", "exp", "log", "log2", "log10", "sin", "cos", "tan", "asin", "acos", "atan",
        "floor", "ceil", "degrees", "radians",
    )
} | {"abs": abs, "min": min, "max": max}  # fmt: skip
_WRITTEN = str.maketrans(
    {"×": "*", "÷": "/", "（": "(", "）": ")", "，": ",", "＋": "+", "－": "-", "−": "-"}
)


class _Arguments(BaseModel):
    expression: str = Field(
        max_length=_LONGEST, description="Arithmetic, for example (3 + 4) * 2 / sqrt(2) or 2 ** 10"
    )


def calculator() -> Tool:
    return Tool(
        name="calculator",
        label="计算器工具",
        description="Calculates an arithmetic expression exactly.",
        arguments=_Arguments,
        run=_run,
    )


async def _run(expression: str) -> str:
    return calculate(expression)


def calculate(expression: str) -> str:
    """Raises ToolFailed."""
    written = expression.translate(_WRITTEN).replace("^", "**").strip()
    functions = {**_FUNCTIONS, "round": _round}
    evaluator = SimpleEval(functions=functions, names={"pi": math.pi, "e": math.e})
    # Numbers and what is done with them: no text, lists, attributes or comparisons.
    nodes = {kind: handler for kind, handler in evaluator.nodes.items() if kind in _ALLOWED}
    evaluator.nodes = nodes | {ast.Constant: _constant}
    evaluator.operators = {
        **{kind: evaluator.operators[kind] for kind in (ast.Add, ast.Sub, ast.UAdd, ast.USub)},
        ast.Div: evaluator.operators[ast.Div],
        ast.FloorDiv: evaluator.operators[ast.FloorDiv],
        ast.Mod: evaluator.operators[ast.Mod],
        ast.Mult: _times,
        ast.Pow: _power,
    }
    try:
        value = evaluator.eval(written)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ToolFailed("not a number 结果不是数")
        return str(value) if isinstance(value, int) else repr(round(value, 12))
    except ToolFailed:
        raise
    except Exception as error:  # of the evaluator, of mathematics and of Python's parser: many
        raise ToolFailed(f"{type(error).__name__}: {str(error)[:200]}") from error


_ALLOWED = {ast.Expr, ast.BinOp, ast.UnaryOp, ast.Call, ast.Name}


def _constant(node: ast.Constant) -> Any:
    if isinstance(node.value, bool) or not isinstance(node.value, int | float):
        raise ToolFailed("only numbers 只能计算数字")
    return node.value


def _times(left: Any, right: Any) -> Any:
    if _bits(left) + _bits(right) > _MOST_BITS:
        raise ToolFailed(f"more than {_MOST_DIGITS} digits 数字过大")
    return left * right


def _power(base: Any, exponent: Any) -> Any:
    whole = isinstance(base, int) and isinstance(exponent, int)
    if whole and _bits(base) * exponent > _MOST_BITS:
        raise ToolFailed(f"more than {_MOST_DIGITS} digits 数字过大")
    return base**exponent


def _round(value: Any, digits: int | None = None) -> Any:
    """Python reckons with ten to the power of the digits, however many they are."""
    if digits is not None and abs(digits) > _MOST_DIGITS:
        raise ToolFailed(f"more than {_MOST_DIGITS} digits 数字过大")
    return round(value, digits)


def _bits(value: float) -> int:
    return value.bit_length() if isinstance(value, int) else 0
