"""Curves as expressions that can be differentiated."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping
from typing import Any

import casadi as ca
import numpy as np

from bmsthermal.curves import Curve
from bmsthermal.heat import FARADAY_C_mol, GAS_CONSTANT_J_molK

GAS, FARADAY = GAS_CONSTANT_J_molK, FARADAY_C_mol

_OPERATORS: dict[type, Callable[..., Any]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
    ast.Pow: operator.pow, ast.USub: operator.neg, ast.UAdd: operator.pos,
}  # fmt: skip
_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "exp": ca.exp, "tanh": ca.tanh, "cosh": ca.cosh, "sinh": ca.sinh, "log": ca.log, "sqrt": ca.sqrt,
}  # fmt: skip


def expression(curve: Curve, x: Any) -> Any:
    """Value of `curve` at the symbol `x`: the same numbers as ``curve(x)``."""
    source = curve.source
    if isinstance(source, Mapping):
        points, values = np.asarray(source["x"], float), np.asarray(source["y"], float)
        slopes = np.diff(values) / np.diff(points)
        inside = ca.fmin(ca.fmax(x, points[0]), points[-1])
        bends = zip(points[1:-1], np.diff(slopes), strict=True)
        return values[0] + slopes[0] * (inside - points[0]) + sum(b * ca.fmax(inside - at, 0.0) for at, b in bends)
    if isinstance(source, str):
        return _evaluate(ast.parse(source, mode="eval").body, x)
    return float(source)


def arrhenius(activation_J_mol: float, T_K: Any, reference_K: float) -> Any:
    """``exp(E/R (1/T_ref - 1/T))``; 1 where the activation energy is zero."""
    if activation_J_mol == 0.0:
        return 1.0
    return ca.exp(activation_J_mol / GAS * (1.0 / reference_K - 1.0 / T_K))


def _evaluate(node: ast.expr, x: Any) -> Any:
    match node:
        case ast.Constant(value=value):
            return float(value)  # type: ignore[arg-type]
        case ast.Name():
            return x
        case ast.BinOp(left=left, op=op, right=right):
            return _OPERATORS[type(op)](_evaluate(left, x), _evaluate(right, x))
        case ast.UnaryOp(op=op, operand=operand):
            return _OPERATORS[type(op)](_evaluate(operand, x))
        case ast.Call(func=ast.Name(id=name), args=[argument]):
            return _FUNCTIONS[name](_evaluate(argument, x))
    raise TypeError(f"not an expression of a curve: {ast.unparse(node)}")  # Curve has refused it before
