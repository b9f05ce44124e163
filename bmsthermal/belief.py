"""What goes into the observer and what comes out: plain values, owned by the caller."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from bmsthermal.curves import Array
from bmsthermal.packing import unpack_covariance
from rom.ud import covariance


@dataclass(frozen=True)
class Belief:
    """State of one observer: mean and covariance of its states, and the state of charge.

    Parameters
    ----------
    row
        The kernel's own state (see `Observer.kernel`), in the kernel's
        precision: bytes are kept from step to step.
    states
        Number of states.
    factored
        Whether the covariance is kept as factors (`rom.ud`) and each state with what rounding took from it.
    """

    row: NDArray[np.floating] = field(repr=False)
    states: int
    factored: bool = False

    def __post_init__(self) -> None:
        row = np.array(self.row)
        row.flags.writeable = False
        object.__setattr__(self, "row", row)

    @property
    def x(self) -> NDArray[np.floating]:
        """States ``(n,)``: K at the first surface, above the reference temperature; then what is estimated beside."""
        return self.row[: self.states]

    @property
    def P(self) -> Array:
        """Covariance ``(n, n)`` of the states."""
        if self.factored:
            return covariance(self.row[2 * self.states : -3])
        return unpack_covariance(self.row[self.states : -1], self.states)

    @property
    def soc(self) -> float:
        """State of charge, 0 to 1."""
        return float(self.row[-3 if self.factored else -1])


@dataclass(frozen=True)
class Inputs:
    """What drives the cell over one step; NaN where unknown.

    Parameters
    ----------
    current_A
        Positive current discharges.
    voltage_V
        Terminal voltage.
    coolant_K
        Coolant or ambient temperature of each face, in the order of the cell's
        faces; one number stands for all.
    heat_W
        Heat where it is known otherwise; it replaces what current and voltage say.
    h_W_m2K
        Heat-transfer coefficient of each face at this step, where it is not the model's.
    """

    current_A: float
    voltage_V: float
    coolant_K: float | Sequence[float]
    heat_W: float | None = None
    h_W_m2K: float | Sequence[float] | None = None


@dataclass(frozen=True)
class Estimate:
    """Temperatures and their standard deviations after one step, in K.

    ``innovation_K`` is the first sensor's, NaN where it was absent; ``nis`` is
    the normalised innovation squared, summed over `sensors` present sensors.
    """

    core_K: float
    core_std_K: float
    mean_K: float
    surface_K: float
    surface_std_K: float
    heat_W: float
    innovation_K: float
    nis: float
    sensors: int
