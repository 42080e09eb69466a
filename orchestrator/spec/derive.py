"""Computes settings from others, as in `optimizer.lr: "0.2 * batch_size / 256"`.

A formula is arithmetic on keys and numbers, and nothing else.
"""

import ast
import math
import operator
from collections.abc import Callable, Mapping
from typing import Any

from byol_core.config import nearest
from byol_core.config.resolve import keys

_BINARY: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
}
_MAX_LENGTH = 200
_MAX_POWER = 64


class FormulaError(ValueError):
    """A formula that cannot be computed; the text says why."""


def evaluate(formula: str, values: Mapping[str, Any]) -> int | float:
    """Return the value of a formula; a whole number comes as int.

    Args:
        formula: numbers, dotted keys, + - * / ** and parentheses.
        values: dotted key → number.

    Raises:
        FormulaError: anything else, or a result that is not finite.
    """
    if len(formula) > _MAX_LENGTH:
        raise FormulaError(f"a formula has at most {_MAX_LENGTH} characters")

    # A FormulaError is a ValueError too; it says more than the general text.
    try:
        result = _value(ast.parse(formula.strip(), mode="eval").body, values)
        is_number = not isinstance(result, complex) and math.isfinite(result)
    except FormulaError:
        raise
    except (SyntaxError, ValueError, RecursionError):
        text = f"{formula!r} is no arithmetic on keys, as in 0.2 * batch_size / 256"
        raise FormulaError(text) from None
    except (ZeroDivisionError, OverflowError) as error:
        raise FormulaError(f"{formula!r}: {error}") from None

    # A negative number to a fractional power is complex.
    if not is_number:
        raise FormulaError(f"{formula!r} gives {result}, which is no finite number")
    if result == int(result):
        return int(result)
    return result


def _value(node: ast.expr, values: Mapping[str, Any]) -> float:
    if isinstance(node, ast.Constant) and type(node.value) in (int, float):
        return node.value  # type: ignore[return-value]
    if isinstance(node, ast.BinOp) and type(node.op) in _BINARY:
        left = _value(node.left, values)
        right = _value(node.right, values)

        # A larger power of whole numbers could take for ever.
        if isinstance(node.op, ast.Pow) and abs(right) > _MAX_POWER:
            raise FormulaError(f"a power above {_MAX_POWER} is refused")
        return _BINARY[type(node.op)](left, right)

    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return -_value(node.operand, values)
    if isinstance(node, ast.Name | ast.Attribute):
        return _lookup(ast.unparse(node), values)
    raise FormulaError(f"{ast.unparse(node)!r} is neither a number, a key nor one of + - * / **")


def _lookup(key: str, values: Mapping[str, Any]) -> float:
    if key not in (*values, *keys()):
        raise FormulaError(f"{key!r} is no setting; {nearest(key, values)}")
    if key not in values:
        raise FormulaError(
            f"{key!r} is no setting that can be computed with; "
            "a derived one cannot stand in a formula"
        )
    value = values[key]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise FormulaError(f"{key} is {value!r}, which is no number")
    return value
