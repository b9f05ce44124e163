"""Conditions on the truth, such as ``true_core_degC > 40``: read as data, never as code."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from bmsthermal.curves import Array
from bmsthermal.errors import InputError
from bmsthermal.files import ZERO_DEGC_K
from hil.signals import Truth

_SIGN = {">=": operator.ge, "<=": operator.le, ">": operator.gt, "<": operator.lt}
_FORM = re.compile(r"\s*(\w+)(?:\[(\d+)\])?\s*(>=|<=|>|<)\s*([-+]?[\w.+-]+)\s*")
_EXAMPLE = "'true_core_degC > 40', parts joined by 'and' or 'or'"
_Signal = Callable[[Truth], Array]


def _signals(sensors: Sequence[str]) -> dict[str, _Signal]:
    """Signals of the truth by the names of a record's columns; each ``(cells,)`` or ``(1,)``."""

    def place(k: int) -> _Signal:
        return lambda truth: truth.surfaces_K[:, k] - ZERO_DEGC_K

    return {
        "time_s": lambda truth: np.array([truth.time_s]),
        "true_current_A": lambda truth: truth.current_A,
        "true_voltage_V": lambda truth: truth.voltage_V,
        "true_soc": lambda truth: truth.soc,
        "true_core_degC": lambda truth: truth.core_K - ZERO_DEGC_K,
        "true_mean_degC": lambda truth: truth.mean_K - ZERO_DEGC_K,
        **{f"true_{sensor}_degC": place(k) for k, sensor in enumerate(sensors)},
        "true_ambient_degC": lambda truth: truth.ambient_K - ZERO_DEGC_K,
        "true_heat_W": lambda truth: truth.heat_W,
    }


@dataclass(frozen=True)
class Comparison:
    """A signal above or below a number.

    Parameters
    ----------
    signal
        Name, as in a record.
    cell
        Which cell; None: any of them.
    sign
        ``>``, ``>=``, ``<`` or ``<=``.
    number
        In the unit of the signal's name.
    """

    signal: str
    cell: int | None
    sign: str
    number: float


@dataclass(frozen=True)
class Condition:
    """Comparisons joined by `and`, and those by `or`; `and` binds closer.

    Parameters
    ----------
    parts
        Alternatives, each of comparisons that all have to hold.

    Examples
    --------
    >>> parse("true_core_degC > 40 and true_soc < 0.5").parts[0][1]
    Comparison(signal='true_soc', cell=None, sign='<', number=0.5)
    """

    parts: tuple[tuple[Comparison, ...], ...]

    def bind(self, cells: int, sensors: Sequence[str]) -> Callable[[Truth], bool]:
        """Return what tells whether it holds.

        Raises
        ------
        InputError
            If there is no such signal or cell.
        """
        signals = _signals(sensors)

        def test(one: Comparison) -> Callable[[Truth], bool]:
            where = f"condition on {one.signal!r}"
            if one.signal not in signals:
                raise InputError("no such signal", where=where, expected=", ".join(signals))
            if one.cell is not None and one.cell >= (cells if one.signal != "time_s" else 0):
                raise InputError(f"no cell {one.cell}", where=where, expected=f"0 to {cells - 1}")
            signal, sign, rows = signals[one.signal], _SIGN[one.sign], slice(None)
            if one.cell is not None:
                rows = slice(one.cell, one.cell + 1)
            return lambda truth: bool(sign(signal(truth)[rows], one.number).any())

        bound = [[test(one) for one in part] for part in self.parts]
        return lambda truth: any(all(one(truth) for one in part) for part in bound)


def parse(text: str) -> Condition:
    """Read a condition.

    Raises
    ------
    InputError
        If it is none.
    """
    parts = [re.split(r"\band\b", part) for part in re.split(r"\bor\b", text)]
    return Condition(tuple(tuple(_comparison(one, text) for one in part) for part in parts))


def _comparison(text: str, whole: str) -> Comparison:
    """Read one comparison."""
    found = _FORM.fullmatch(text)
    try:
        number = float(found[4]) if found else math.nan
    except ValueError:
        number = math.nan
    if not found or not math.isfinite(number):
        raise InputError(f"{text.strip()!r} is no comparison", where=f"condition {whole!r}", expected=_EXAMPLE)
    return Comparison(found[1], int(found[2]) if found[2] else None, found[3], number)
