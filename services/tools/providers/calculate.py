"""Arithmetic from text, by walking the syntax tree: no code is ever evaluated, and nothing grows without bound."""

import ast
import math
import operator
from collections.abc import Callable
from typing import Any

from services.tools.errors import ToolFailed

MAX_CHARACTERS = 1000
MAX_BITS = 4096
MAX_DIGITS = 2000
Number = int | float


def _rounded(number: Number, digits: int | None = None) -> Number:
    """Python computes ten to the digits for a whole number, however many digits are asked for."""
    if isinstance(digits, int) and abs(digits) > MAX_DIGITS:
        raise ToolFailed(f"round takes at most {MAX_DIGITS} digits")
    return round(number, digits)


_BINARY: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
}
_UNARY: dict[type[ast.unaryop], Callable[[Any], Any]] = {ast.UAdd: operator.pos, ast.USub: operator.neg}
_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "abs": abs,
    "ceil": math.ceil,
    "cos": math.cos,
    "exp": math.exp,
    "floor": math.floor,
    "ln": math.log,
    "log": math.log,
    "log10": math.log10,
    "log2": math.log2,
    "max": max,
    "min": min,
    "round": _rounded,
    "sin": math.sin,
    "sqrt": math.sqrt,
    "tan": math.tan,
}
_CONSTANTS: dict[str, float] = {"pi": math.pi, "e": math.e, "tau": math.tau}


def calculate(expression: str) -> Number:
    """The value of an arithmetic expression; raises ToolFailed."""
    if len(expression) > MAX_CHARACTERS:
        raise ToolFailed(f"the expression is longer than {MAX_CHARACTERS} characters")
    try:
        tree = ast.parse(expression.strip().replace("^", "**"), mode="eval")
        return _value(tree.body)
    except ToolFailed:
        raise
    except (SyntaxError, RecursionError, MemoryError) as error:
        raise ToolFailed("this is not an arithmetic expression") from error
    except (ArithmeticError, ValueError, TypeError) as error:
        raise ToolFailed(f"this cannot be calculated: {error}") from error


def _value(node: ast.expr) -> Number:
    if isinstance(node, ast.Constant) and type(node.value) in (int, float):
        return _bounded(node.value)
    if isinstance(node, ast.BinOp) and type(node.op) in _BINARY:
        left, right = _value(node.left), _value(node.right)
        if isinstance(node.op, ast.Pow):
            _check_power(left, right)
        return _bounded(_BINARY[type(node.op)](left, right))
    if isinstance(node, ast.UnaryOp) and type(node.op) in _UNARY:
        return _bounded(_UNARY[type(node.op)](_value(node.operand)))
    if isinstance(node, ast.Name) and node.id in _CONSTANTS:
        return _CONSTANTS[node.id]
    if (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in _FUNCTIONS
        and not node.keywords
    ):
        return _bounded(_FUNCTIONS[node.func.id](*(_value(argument) for argument in node.args)))
    raise ToolFailed(f"{ast.unparse(node)!r} is not allowed in an arithmetic expression")


def _check_power(base: Number, exponent: Number) -> None:
    if isinstance(base, int) and isinstance(exponent, int) and base.bit_length() * abs(exponent) > MAX_BITS:
        raise ToolFailed("the result would be too large")


def _bounded(value: Any) -> Number:
    if isinstance(value, complex):
        raise ToolFailed("the result is not a real number")
    if isinstance(value, int) and value.bit_length() > MAX_BITS:
        raise ToolFailed("the result would be too large")
    if isinstance(value, float) and not math.isfinite(value):
        raise ToolFailed("the result is not a finite number")
    number: Number = value
    return number
