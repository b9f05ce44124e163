"""The compiled step of a reduced cell with its exact slopes: the kernel's text in numbers that carry a derivative.

`bmsthermal.reduced.jacobian` is the same in NumPy, to be read and to check this; here one state more costs one
evaluation of the step (see ``rom/kernel/dual.h``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from bmsthermal.curves import Array
from bmsthermal.reduced.packing import WALLS
from bmsthermal.reduced.twin import places

if TYPE_CHECKING:
    from bmsthermal.reduced.model import ReducedCell


@dataclass(frozen=True)
class Linear:
    """A step and its slopes at a state and a current; states are in the order of `bmsthermal.reduced.twin.Twin`.

    Parameters
    ----------
    after
        State after the step, ``(n,)``.
    voltage_V, heat_W
        At its begin, and over it.
    temperature_K
        Core, mean and each surface at its begin, ``(2 + walls,)``.
    step, step_by_current
        Slopes of `after` with the state before ``(n, n)``, and with the current ``(n,)``.
    voltage, voltage_by_current
        Slopes of the voltage in V: with the state ``(n,)``, and with the current.
    heat, heat_by_current
        Slopes of the heat in W: with the state ``(n,)``, and with the current.
    """

    after: Array
    voltage_V: float
    heat_W: float
    temperature_K: Array
    step: Array
    step_by_current: Array
    voltage: Array
    voltage_by_current: float
    heat: Array
    heat_by_current: float


class Slopes:
    """The kernel's step of a reduced cell, linearised wherever it is asked.

    Parameters
    ----------
    reduced
        The cell.

    Raises
    ------
    ValueError
        If the kernel was not compiled by gcc or clang.
    """

    def __init__(self, reduced: ReducedCell) -> None:
        self.reduced, self.kernel = reduced, reduced.kernel()
        self.places = places(reduced).astype(np.intc)
        self._state = np.zeros(self.kernel.state_size)
        self._input = np.zeros(1 + WALLS)

    def at(self, state: Array, current_A: float, coolant_K: ArrayLike) -> Linear:
        """Linearise the step from a state ``(n,)`` under a current, with coolants ``(walls,)`` or one for all."""
        size, n, at = self.kernel.state_size, len(self.places), self.places
        walls = len(self.reduced.thermal.walls)
        self._state[at] = state
        self._input[0], self._input[1 : 1 + walls] = current_A, coolant_K
        self._input[1 : 1 + walls] -= self.reduced.thermal.cell.reference_K
        self.kernel.state = self._state.tobytes()
        rows = np.empty((2 + n, size + self.kernel.out_size))
        self.kernel.slopes(self._input, at, rows)
        after, slopes, by = rows[0], rows[1:-1], rows[-1]
        return Linear(
            after[at], float(after[size]), float(after[size + 1]), after[size + 7 : size + 9 + walls], slopes[:, at].T,
            by[at], slopes[:, size], float(by[size]), slopes[:, size + 1], float(by[size + 1]),
        )  # fmt: skip
