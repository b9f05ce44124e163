"""What an observer and the bench tell each other, as rows of numbers: where it starts, and what it says.

An observer says a row of a cell as ``core_K``, ``core_variance_K2``, a code of `bmsthermal.faults.NAMES` per sensor,
and 1 where it flags heat that nobody accounts for.
"""

from __future__ import annotations

import numpy as np

from bmsthermal.curves import Array
from bmsthermal.faults import NAMES, FaultRules
from hil.signals import Answer, Readings, Status

#: What a thermometer of a cell can read; an open or shorted one is outside.
COLDEST_K, HOTTEST_K = FaultRules.coldest_K, FaultRules.hottest_K
#: Names of what a device takes, beside its sensors and coolants.
CURRENT, VOLTAGE, COOLANT = "current_A", "voltage_V", "coolant_"


def start_K(first: Readings) -> Array:
    """Temperature that each cell is started from ``(cells,)``; NaN: its model's reference.

    The mean of its sensors that read what a cell can have; where none does the coolant, and where that is not known
    either the mean of the other cells. A state with fewer unknowns is not there: the first step corrects it.
    """
    seen = _plausible(first.surfaces_K)
    found = _mean(seen)
    ambient = float(_plausible(np.array([first.ambient_K]))[0])
    other = ambient if np.isfinite(ambient) else float(_mean(found[None])[0])
    return np.where(np.isfinite(found), found, other)


def _plausible(read_K: Array) -> Array:
    return np.where((read_K > COLDEST_K) & (read_K < HOTTEST_K), read_K, np.nan)


def _mean(rows: Array) -> Array:
    """Mean of each row without what is absent; NaN where all of it is."""
    there = np.isfinite(rows)
    count = there.sum(axis=1)
    return np.where(count > 0, np.where(there, rows, 0.0).sum(axis=1) / np.maximum(count, 1), np.nan)


def answer(time_s: float, said: Array) -> Answer:
    """Answer that rows of an observer are ``(cells, 3 + sensors)``; garbage where they hold what none can say."""
    core_K, variance = said[:, 0].copy(), said[:, 1]
    codes = said[:, 2:]
    # one comparison each that NaN fails; the variance alone may be NaN, where a device has none
    sane = abs(core_K).max() < np.inf and codes.min() >= 0 and codes.max() < len(NAMES)
    if sane and not (variance.min() < 0 or variance.max() == np.inf):
        return Answer(time_s, core_K, np.sqrt(variance), codes[:, :-1].astype(int), codes[:, -1] > 0)
    wrong = ~(np.isfinite(core_K) & ~(variance < 0) & ~np.isinf(variance))
    wrong |= ~((codes >= 0) & (codes < len(NAMES))).all(axis=1)
    cell = int(np.argmax(wrong))
    row = ", ".join(f"{value:g}" for value in said[cell])
    found = f"cell {cell} says {row} (core in K, its variance, codes of sensors, heat)"
    return Answer.none(time_s, len(said), codes.shape[1] - 1, Status.GARBAGE, found)
