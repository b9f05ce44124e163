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
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bmsthermal.errors import InputError

Array = NDArray[np.float64]
#: Largest number there is: a whole number of Python may be beyond it.
LARGEST = float(np.finfo(float).max)
#: A table of so many points is an expression as it stands; a longer one is thinned to so many at most.
EXACT_POINTS, MOST_POINTS = 200, 400
#: How far a thinned table may be off, as shares of its range: the first that leaves few enough points is taken.
THINNING = (1e-5, 2e-5, 5e-5, 1e-4, 2e-4)

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
            value = self(0.5)  # for its syntax and names: what it may be, and where, is known to those who use it
            constant = not any(
                isinstance(node, ast.Name) and node.id == "x" for node in ast.walk(_parse(self.source, self.where))
            )
            if constant and not np.isfinite(value):
                raise InputError(f"{self.source!r:.60} is not a number", where=self.where, expected="a finite one")
        elif not is_number(self.source):
            raise InputError(f"found {self.source!r:.60}", where=self.where, expected="a finite number")

    def _check_table(self, table: Mapping[str, Any]) -> None:
        if set(table) != {"x", "y"}:
            raise InputError(f"table has the keys {sorted(table)}", where=self.where, expected="'x' and 'y'")
        try:
            columns = [np.asarray(table[key]) for key in "xy"]
        except (ValueError, OverflowError) as error:  # rows of different length, or beyond what a number holds
            raise InputError("table holds something that is not a number", where=self.where) from error
        for key, column in zip("xy", columns, strict=True):
            if column.dtype.kind not in "iuf":
                wrong = [
                    f": {key}[{row}] = {value!r:.40}" for row, value in enumerate(table[key])
                    if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating)
                ] if isinstance(table[key], list | tuple) else []  # fmt: skip
                raise InputError("table holds something that is not a number" + "".join(wrong[:1]), where=self.where)
        x, y = (column.astype(float) for column in columns)
        if x.ndim != 1 or x.shape != y.shape or len(x) < 2:
            raise InputError(
                f"table has {x.size} values of x and {y.size} of y",
                where=self.where, expected="as many of each, at least two",
            )  # fmt: skip
        for key, column in (("x", x), ("y", y)):
            for row in np.flatnonzero(~np.isfinite(column))[:1]:
                found = f"table holds NaN or infinity: {key}[{row}] = {column[row]:g}"
                raise InputError(found, where=self.where, expected="finite numbers")
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

    @cached_property
    def thinned(self) -> tuple[Array, Array]:
        """Points of a table, ``(k,)`` each: its own, or, if they are many, those that make the same curve.

        Raises
        ------
        InputError
            If too many are needed.
        """
        if not isinstance(self.source, Mapping):
            raise TypeError(f"{self.where} is no table")
        x, y = (np.asarray(self.source[axis], float) for axis in ("x", "y"))
        if len(x) <= EXACT_POINTS:
            return x, y
        for share in THINNING:
            kept = thin(x, y, share * float(np.ptp(y)), MOST_POINTS)
            if kept is not None:
                return x[kept], y[kept]
        raise InputError(
            f"a table of {len(x)} points that is too rough", where=self.where,
            expected=f"at most {MOST_POINTS} points after thinning to {THINNING[-1]:g} of its range",
            hint="smooth its noise, or give fewer points",
        )  # fmt: skip

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


def is_number(value: Any) -> bool:
    """Whether it is one number, and not NaN, infinity, or a whole number beyond what a float holds."""
    if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating):
        return False
    return abs(value) <= LARGEST if isinstance(value, int) else bool(np.isfinite(value))


def thin(x: Array, y: Array, tolerance: float, most: int) -> NDArray[np.int64] | None:
    """Points between which a table is straight to within a tolerance (Douglas & Peucker 1973, along y).

    Parameters
    ----------
    x, y
        The table ``(n,)``, increasing in `x`.
    tolerance
        How far the table may be from the straight lines.
    most
        How many points may stay.

    Returns
    -------
    NDArray[np.int64] | None
        Their places; None if more than `most` are needed.
    """
    tolerance += 8 * np.finfo(float).eps * float(np.abs(y).max())
    kept = np.array([0, len(x) - 1])
    while len(kept) <= most:
        off = np.abs(y - np.interp(x, x[kept], y[kept]))
        worst = np.maximum.reduceat(off[:-1], kept[:-1])
        split = np.flatnonzero(worst > tolerance)
        if not len(split):
            return kept
        new = [kept[i] + int(np.argmax(off[kept[i] : kept[i + 1]])) for i in split]
        kept = np.sort(np.concatenate([kept, new]))
    return None


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
