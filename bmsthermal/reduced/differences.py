"""Slopes of a reduced cell's step as its filter takes them: by differences that single precision resolves.

The step is evaluated at a state and a *reach* beside it along each state that the reaction depends on, along the mean
temperature, through which all thermal modes act, and along the current. What is linear by itself is exact: lithium
moves by the current alone, and conduction is linear in its modes and the heat. `bmsthermal.reduced.slopes` has exact
slopes, in twice the arithmetic and in double precision only; these are within some 2 % of the
largest of their kind.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from bmsthermal.curves import Array
from bmsthermal.heat import FARADAY_C_mol
from bmsthermal.reduced.packing import WALLS
from bmsthermal.reduced.slopes import Linear
from bmsthermal.reduced.twin import places

if TYPE_CHECKING:
    from bmsthermal.reduced.model import ReducedCell

#: Reaches: filling of the electrodes, share of the salt's concentration, K, and C of the current.
FILLING, SALT, WARMER_K, CURRENT_C = 0.001, 0.005, 1.0, 0.02


def reaches(reduced: ReducedCell) -> Array:
    """Reach of each state before the thermal ones, then of the first thermal state and the current."""
    shapes = np.vstack([reduced.salt.negative, reduced.salt.separator, reduced.salt.positive])
    largest = [
        np.abs(shapes).max(axis=0),
        *(np.abs(e.surface).max(axis=0) for e in (reduced.negative, reduced.positive)),
    ]
    return np.concatenate([
        [FILLING], SALT / largest[0], FILLING / largest[1], FILLING / largest[2],
        [WARMER_K / reduced.thermal.outputs[1, 0], CURRENT_C * reduced.cell.electrochemistry.nominal_Ah],
    ])  # fmt: skip


class Differences:
    """The compiled step of a reduced cell, looked at and linearised wherever it is asked.

    Parameters
    ----------
    reduced
        The cell.
    """

    def __init__(self, reduced: ReducedCell) -> None:
        self.reduced, self.kernel, self.reach = reduced, reduced.kernel(), reaches(reduced)
        self.places = places(reduced)
        self.first = len(self.places) - reduced.thermal.order  # of the thermal states
        step, negative = reduced.thermal.step, reduced.cell.electrochemistry.negative
        self.conduction, B = step.matrices(reduced.thermal.conductance_W_K)
        self.warm = B[:, 0]  # what a watt over a step does to the modes
        area = (1.0 - reduced.capacity_fade) * reduced.cell.electrochemistry.area_m2
        fill = reduced.step_s / (
            negative.active_fraction * negative.maximum_concentration_mol_m3 * FARADAY_C_mol * negative.thickness_m
        )
        self.lithium_per_A = -fill / area
        self._state, self._input = np.zeros(self.kernel.state_size), np.zeros((1, 1 + WALLS))
        self._found = np.empty((1, self.kernel.out_size))

    def look(self, state: Array, current_A: float, coolant_K: ArrayLike) -> tuple[Array, Array]:
        """State after a step ``(n,)``, and what the step found (`bmsthermal.reduced.marching.FOUND`)."""
        walls = len(self.reduced.thermal.walls)
        self._state[self.places] = state
        self._input[0, 0] = current_A
        self._input[0, 1 : 1 + walls] = np.asarray(coolant_K) - self.reduced.thermal.cell.reference_K
        self.kernel.state = self._state.tobytes()
        self.kernel.run(self._input, self._found)
        return np.frombuffer(self.kernel.state)[self.places], self._found[0].copy()

    def at(self, state: Array, current_A: float, coolant_K: ArrayLike) -> Linear:
        """Linearise the step from a state ``(n,)`` under a current, with coolants ``(walls,)`` or one for all."""
        state, first, n = np.asarray(state, float), self.first, len(self.places)
        mean, walls = self.reduced.thermal.outputs[1], len(self.reduced.thermal.walls)
        after, found = self.look(state, current_A, coolant_K)
        slopes = np.empty((first + 2, first + 2))  # of lithium and salt and modes, voltage and heat; with each place
        for k, reach in enumerate(self.reach):
            beside, amperes = state.copy(), current_A
            if k <= first:
                beside[k] += reach
                step = beside[k] - state[k]
            else:
                amperes = current_A + reach
                step = amperes - current_A
            step = step * mean[0] if k == first else step
            there, said = self.look(beside, amperes, coolant_K)
            slopes[:first, k] = (there[:first] - after[:first]) / step
            slopes[first:, k] = (said[:2] - found[:2]) / step
        slopes[0] = 0.0
        slopes[0, 0], slopes[0, -1] = 1.0, self.lithium_per_A
        # all thermal modes act through the mean temperature
        whole = np.hstack([slopes[:, :first], slopes[:, [first]] * mean])
        voltage, heat = whole[first], whole[first + 1]
        by = slopes[:, -1]
        F = np.zeros((n, n))
        F[:first] = whole[:first]
        F[first:, first:] = self.conduction
        F[first:] += np.outer(self.warm, heat)
        return Linear(
            after, float(found[0]), float(found[1]), found[7 : 9 + walls], F,
            np.concatenate([by[:first], self.warm * by[first + 1]]), voltage, float(by[first]), heat,
            float(by[first + 1]),
        )  # fmt: skip
