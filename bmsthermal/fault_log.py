"""What the watch over the sensors found along a run: codes, sentences, columns of a file, marks in a picture."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bmsthermal.belief import Belief
from bmsthermal.curves import Array
from bmsthermal.faults import ABSENT, ALONE, CELL, CODE, HEAT, HOT, NAMES, NONE, SENSOR, VARIANCE
from bmsthermal.plot import CORE, ESTIMATE


@dataclass(frozen=True)
class FaultLog:
    """Faults along a run.

    Parameters
    ----------
    sensors
        Their names, ``m`` of them.
    time_s
        Times ``(k,)``.
    states
        What the watch remembered after each step, ``(k, CELL + SENSOR m)``.
    """

    sensors: tuple[str, ...]
    time_s: Array
    states: Array = field(repr=False)

    @property
    def code(self) -> NDArray[np.int_]:
        """Fault of each sensor ``(k, m)``: place in `bmsthermal.faults.NAMES`."""
        return self.states[:, CELL + CODE :: SENSOR].astype(int)

    @property
    def masked(self) -> NDArray[np.bool_]:
        """Whether the readings of a sensor were left out ``(k, m)``."""
        return np.asarray(self.code > ABSENT)

    @property
    def heat_W(self) -> Array:
        """Heat that nobody accounts for ``(k,)``: what the readings add, and the slow heat where it is estimated."""
        return self.states[:, HEAT]

    @property
    def heat_sd_W(self) -> Array:
        """Its standard deviation ``(k,)``, 0 until it is looked for."""
        return np.sqrt(self.states[:, VARIANCE])

    @property
    def heat(self) -> NDArray[np.bool_]:
        """Whether it is more than errors of heat and cooling explain ``(k,)``."""
        return np.asarray(self.states[:, HOT] > 0)

    @property
    def alone_s(self) -> Array:
        """Seconds for which fewer than two sensors were trusted ``(k,)``."""
        return self.states[:, ALONE]

    def sentences(self) -> list[str]:
        """Sentences: which sensor, which fault, since when and until when; heat; and what cannot be told."""
        said = []
        for name, code in zip(self.sensors, self.code.T, strict=True):
            for first, last in _stretches(code):
                if code[first] != NONE:
                    masked = ", masked" if code[first] > ABSENT else ""
                    said.append(f"{name}: {NAMES[code[first]]} from {self._span(first, last)}{masked}")
        for first, last in _stretches(self.heat.astype(int)):
            if self.heat[first]:
                most = first + int(self.heat_W[first:last].argmax())
                said.append(
                    f"heat that nobody accounts for from {self._span(first, last)}: "
                    f"{self.heat_W[most]:.1f} +- {self.heat_sd_W[most]:.1f} W at most"
                )
        if len(self.sensors) == 1:
            said.append(
                "one sensor: a jump, an open or shorted lead and a stuck reading are told, a slow drift is not told "
                "apart from heat or cooling, and sigma grows for it: a second sensor would show it, a third say which"
            )
        elif (self.alone_s > 0).any():
            said.append("with fewer than two trusted sensors a drift is not told from heat, and sigma grows for that")
        return said

    def table(self) -> list[tuple[str, str]]:
        """Rows of a table: share of the run for which each sensor was trusted, and heat not accounted for."""
        rows = []
        for name, code in zip(self.sensors, self.code.T, strict=True):
            found = ", ".join(NAMES[i] for i in sorted({*code.tolist()} - {NONE})) or "no fault"
            rows.append((name, f"{found}, trusted {100 * np.mean(code <= ABSENT):.0f} % of the time"))
        rows.append(("heat beyond the model", f"{self.heat_W[-1]:.2g} +- {self.heat_sd_W[-1]:.2g} W at the end"))
        return rows

    def columns(self) -> dict[str, Array]:
        """Columns of a CSV: codes of the sensors, heat in W with its sigma and flag."""
        codes = {f"fault_{name}": code.astype(float) for name, code in zip(self.sensors, self.code.T, strict=True)}
        heat = {"unaccounted_heat_W": self.heat_W, "unaccounted_heat_std_W": self.heat_sd_W}
        return codes | heat | {"fault_heat": self.heat.astype(float)}

    def draw(self, axes: Any) -> None:
        """Mark masked sensors, one line each, and flagged heat along the lower edge."""
        marks = [
            (f"{name.replace('_', ' ')} not believed", on, ESTIMATE)
            for name, on in zip(self.sensors, self.masked.T, strict=True)
        ]
        height, across = 0.02, axes.get_xaxis_transform()
        for label, on, colour in (*marks, ("heat beyond the model", self.heat, CORE)):
            stretches = [(first, last) for first, last in _stretches(on.astype(int)) if on[first]]
            for i, (first, last) in enumerate(stretches):
                ends = self.time_s[[first, min(last, len(on) - 1)]] / 60
                shown = label if i == 0 else None
                axes.plot(ends, [height, height], color=colour, lw=3, transform=across, label=shown)
            height += 0.03 if stretches else 0.0
        axes.legend(fontsize=8, frameon=False, ncols=3, loc="best")

    def _span(self, first: int, last: int) -> str:
        """Text of a stretch of rows."""
        end = "" if last == len(self.time_s) else f" to {self.time_s[last]:,.0f} s"
        return f"{self.time_s[first]:,.0f} s{end}"


@dataclass(frozen=True)
class WatchedBelief(Belief):
    """Belief of an observer that watches its sensors."""

    sensors: tuple[str, ...] = ()

    @property
    def fault(self) -> dict[str, str]:
        """What is wrong: fault by sensor, and ``heat`` in W that nobody accounts for; empty where nothing is."""
        watch = self.row[-3 - CELL - SENSOR * len(self.sensors) : -3]
        codes = watch[CELL + CODE :: SENSOR].astype(int)
        found = {name: NAMES[code] for name, code in zip(self.sensors, codes, strict=True) if code != NONE}
        return found | ({"heat": f"{watch[HEAT]:.3g} W"} if watch[HOT] > 0 else {})


def _stretches(code: NDArray[np.int_]) -> list[tuple[int, int]]:
    """First row and the row after the last of each stretch of one code."""
    edges = [0, *(np.flatnonzero(np.diff(code)) + 1).tolist(), len(code)]
    return list(pairwise(edges))
