"""A battery cycler: steps of current, power and voltage, closed over what the plant's terminals say."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from bmsthermal.cell import Cell
from bmsthermal.heat import MeasuredHeat
from bmsthermal.protocol import Step
from hil.signals import Truth

#: Share of the way to the voltage that is held, by the cell's resistance, taken in a step: whole steps would ring
#: where the plant's resistance is half of it.
GAIN = 0.5
#: Least change of current, as a share of 1C, that a resistance is taken from.
SMALL = 0.01


class Cycler:
    r"""Steps of a protocol, each until its limit, then rest.

    Cells are in series and have one current: a charge ends with the highest voltage among them, a discharge with the
    lowest. A held voltage is approached by :math:`I \leftarrow I + \gamma (V - V_\mathrm{set}) / R`, with R
    by the cell's file or as the last change of the current showed it, and never asks for more current than flowed
    before it (from rest 1C), as chargers do.

    Parameters
    ----------
    steps
        As `bmsthermal.protocol.parse_steps` makes them.
    cell
        Whose resistance and capacity count.

    Raises
    ------
    InputError
        If a voltage is to be held of a cell whose file has no resistance.
    """

    def __init__(self, steps: Sequence[Step], cell: Cell) -> None:
        self.steps, self.heat, self.capacity_A = tuple(steps), MeasuredHeat(cell), cell.capacity_Ah
        if any(step.control == "voltage" for step in self.steps):
            self.heat.resistance_Ohm(0.5, cell.reference_K)
        self.reset()

    def reset(self) -> None:
        """Begin with the first step."""
        self._at, self._began, self._current, self._limit = 0, -1.0, 0.0, self.capacity_A
        self._before = math.nan, math.nan

    def current_A(self, time_s: float, truth: Truth) -> float:
        """Current of the step from `time_s` on, positive discharging; `truth` is of the step that ended there."""
        if self._at < len(self.steps) and self._began >= 0 and self._ended(self.steps[self._at], time_s, truth):
            self._at, self._began = self._at + 1, -1.0
        if self._at == len(self.steps):
            return 0.0
        step = self.steps[self._at]
        if self._began < 0:
            self._began, self._limit = time_s, abs(self._current) or self.capacity_A
        self._current = self._asked(step, truth)
        return self._current

    def _asked(self, step: Step, truth: Truth) -> float:
        if step.control == "current":
            return step.value
        voltage = self._voltage(truth, self._current)
        if step.control == "power":
            return step.value / float(np.mean(truth.voltage_V))
        asked = self._current + GAIN * (voltage - step.value) / self._ohms(truth, voltage)
        self._before = self._current, voltage
        return float(np.clip(asked, -self._limit, self._limit))

    def _ohms(self, truth: Truth, voltage: float) -> float:
        """What the voltage drops by: by the cell's file, or more if the last change of current says so."""
        cell = int(np.argmin(np.abs(truth.voltage_V - voltage)))
        ohms = float(self.heat.resistance_Ohm(truth.soc[cell], truth.mean_K[cell]))
        current, before = self._before
        moved = self._current - current
        return max(ohms, (before - voltage) / moved if abs(moved) > SMALL * self.capacity_A else 0.0)

    def _ended(self, step: Step, time_s: float, truth: Truth) -> bool:
        voltage, current = self._voltage(truth, self._current), self._current
        reached = step.until_V is not None and (voltage <= step.until_V if current > 0 else voltage >= step.until_V)
        return bool(
            time_s - self._began >= step.duration_s - 1e-6
            or reached
            or (step.until_A is not None and abs(current) <= step.until_A)
            or (step.until_K is not None and truth.core_K.max() >= step.until_K)
        )

    @staticmethod
    def _voltage(truth: Truth, current: float) -> float:
        """Voltage of the cell that comes to a limit first."""
        return float(truth.voltage_V.min() if current > 0 else truth.voltage_V.max())
