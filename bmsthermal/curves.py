"""Curves of a parameter file: a number, a table or a BPX expression. Data, never code.

An expression is parsed into a syntax tree of which only arithmetic and a few
functions of `x` are accepted, so that a file from a stranger can be loaded and
the curve can be sampled into a table for a target.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bmsthermal.errors import InputError

Array = NDArray[np.float64]
#: Largest number there is: a whole number of Python may be beyond it.
LARGEST = float(np.finfo(float).max)

_OPERATORS: dict[type, Callable[..., Any]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
    ast.Pow: operator.pow, ast.USub: operator.neg, ast.UAdd: operator.pos,
}  # fmt: skip
_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "exp": np.exp, "tanh": np.tanh, "cosh": np.cosh, "sinh": np.sinh, "log": np.log, "sqrt": np.sqrt,
}  # fmt: skip


@dataclass(frozen=True)
class Curve:
    """A function of one variable, called with an array.

    Parameters
    ----------
    source
        What the file held: a number, ``{"x": [...], "y": [...]}`` or an
        expression in `x`.
    where
        File and key, for the messages.

    Raises
    ------
    InputError
        If the table is not increasing in `x`, holds something that is not a
        finite number, or the expression uses more than arithmetic.

    Examples
    --------
    >>> float(Curve({"x": [0, 1], "y": [3.0, 4.0]})(0.25))
    3.25
    >>> float(Curve("2 * exp(0) + x**2")(3.0))
    11.0
    """

    source: float | str | Mapping[str, Any]
    where: str = "curve"

    def __post_init__(self) -> None:
        if isinstance(self.source, Mapping):
            self._check_table(self.source)
        elif isinstance(self.source, str):
            if not np.isfinite(self(0.5)):
                raise InputError(f"{self.source!r:.60} is not a number at x = 0.5", where=self.where)
        elif isinstance(self.source, bool) or not (
            isinstance(self.source, int | float) and abs(self.source) <= LARGEST
        ):
            raise InputError(f"found {self.source!r:.60}", where=self.where, expected="a finite number")

    def _check_table(self, table: Mapping[str, Any]) -> None:
        if set(table) != {"x", "y"}:
            raise InputError(f"table has the keys {sorted(table)}", where=self.where, expected="'x' and 'y'")
        try:
            columns = [np.asarray(table[key]) for key in "xy"]
        except (ValueError, OverflowError) as error:  # rows of different length, or beyond what a number holds
            raise InputError("table holds something that is not a number", where=self.where) from error
        if any(column.dtype.kind not in "iuf" for column in columns):
            raise InputError("table holds something that is not a number", where=self.where)
        x, y = (column.astype(float) for column in columns)
        if x.ndim != 1 or x.shape != y.shape or len(x) < 2:
            raise InputError(
                f"table has {x.size} values of x and {y.size} of y",
                where=self.where, expected="as many of each, at least two",
            )  # fmt: skip
        if not (np.isfinite(x).all() and np.isfinite(y).all()):
            raise InputError("table holds NaN or infinity", where=self.where, expected="finite numbers")
        if not (np.diff(x) > 0).all():
            row = int(np.argmax(np.diff(x) <= 0)) + 1
            raise InputError(
                f"table is not increasing in x: x[{row}] = {x[row]:g} follows {x[row - 1]:g}", where=self.where
            )

    def __call__(self, x: ArrayLike) -> Array:
        """Value at `x`; a table is linear between its points and constant beyond its ends."""
        x = np.asarray(x, float)
        if isinstance(self.source, Mapping):
            return np.asarray(np.interp(x, self.source["x"], self.source["y"]))
        if isinstance(self.source, str):
            try:
                with np.errstate(all="ignore"):  # what is not a number is refused where the curve is checked
                    value = evaluate(self.source, x, _FUNCTIONS, self.where)
            except (ArithmeticError, RecursionError) as error:
                raise InputError(f"cannot evaluate the expression {self.source!r:.60}", where=self.where) from error
            if np.iscomplexobj(value):
                raise InputError(f"{self.source!r:.60} is not real", where=self.where)
            return np.array(np.broadcast_to(value, x.shape), float)
        return np.full(x.shape, float(self.source))

    def slope(self, x: ArrayLike, span: float = 0.02) -> Array:
        """Central difference over `span`: how steep the curve is at `x`."""
        x = np.asarray(x, float)
        return (self(x + span / 2) - self(x - span / 2)) / span

    def scaled(self, factor: float) -> float | str | dict[str, Any]:
        """What a file would hold for the curve times `factor`."""
        if isinstance(self.source, Mapping):
            return {"x": list(self.source["x"]), "y": [float(y) * factor for y in self.source["y"]]}
        if isinstance(self.source, str):
            return f"{factor!r} * ({self.source})"
        return float(self.source) * factor


def evaluate(text: str, x: Any, functions: Mapping[str, Callable[..., Any]], where: str) -> Any:
    """Value of an expression at `x`, an array or a symbol, with the `functions` that are for it."""
    return _evaluate(_parse(text, where), x, functions, where)


def _parse(text: str, where: str) -> ast.expr:
    try:
        return ast.parse(text, mode="eval").body
    except (SyntaxError, RecursionError, MemoryError) as error:  # the last two: nested beyond what Python reads
        raise InputError(f"cannot read the expression {text!r:.60}", where=where) from error


def _evaluate(node: ast.expr, x: Any, functions: Mapping[str, Callable[..., Any]], where: str) -> Any:
    match node:
        case ast.Constant(value=int() | float() as value) if not isinstance(value, bool):
            return float(value)
        case ast.Name(id="x"):
            return x
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
            return _OPERATORS[type(op)](_evaluate(left, x, functions, where), _evaluate(right, x, functions, where))
        case ast.UnaryOp(op=op, operand=operand) if type(op) in _OPERATORS:
            return _OPERATORS[type(op)](_evaluate(operand, x, functions, where))
        case ast.Call(func=ast.Name(id=name), args=[argument], keywords=[]) if name in functions:
            return functions[name](_evaluate(argument, x, functions, where))
    raise InputError(
        f"expression holds {ast.unparse(node)!r}",
        where=where, expected="arithmetic and " + ", ".join(sorted(functions)) + " of x",
    )  # fmt: skip
