"""Curves as expressions that can be differentiated."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import casadi as ca
import numpy as np

from bmsthermal.curves import Curve, evaluate
from bmsthermal.heat import FARADAY_C_mol, GAS_CONSTANT_J_molK

GAS, FARADAY = GAS_CONSTANT_J_molK, FARADAY_C_mol

_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "exp": ca.exp, "tanh": ca.tanh, "cosh": ca.cosh, "sinh": ca.sinh, "log": ca.log, "sqrt": ca.sqrt,
}  # fmt: skip


def expression(curve: Curve, x: Any) -> Any:
    """Value of `curve` at the symbol `x`: the same numbers as ``curve(x)``.

    Each point of a table is a term; a long one is thinned, see `Curve.thinned`.

    Raises
    ------
    InputError
        If a table needs too many points.
    """
    source = curve.source
    if isinstance(source, Mapping):
        points, values = curve.thinned
        slopes = np.diff(values) / np.diff(points)
        inside = ca.fmin(ca.fmax(x, points[0]), points[-1])
        bends = zip(points[1:-1], np.diff(slopes), strict=True)
        return values[0] + slopes[0] * (inside - points[0]) + sum(b * ca.fmax(inside - at, 0.0) for at, b in bends)
    if isinstance(source, str):
        return evaluate(source, x, _FUNCTIONS, curve.where)
    return float(source)


def arrhenius(activation_J_mol: float, T_K: Any, reference_K: float) -> Any:
    """``exp(E/R (1/T_ref - 1/T))``; 1 where the activation energy is zero."""
    if activation_J_mol == 0.0:
        return 1.0
    return ca.exp(activation_J_mol / GAS * (1.0 / reference_K - 1.0 / T_K))
