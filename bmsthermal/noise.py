"""How sure each part of the observer is: the numbers behind its covariance."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from bmsthermal.cell import Cell
from bmsthermal.errors import InputError
from bmsthermal.schema import NOISE, check_number

_CONDUCTIVITY = ("Radial thermal conductivity [W.m-1.K-1]", "Through-plane thermal conductivity [W.m-1.K-1]")


def check_positive(given: object, names: Iterable[str], where: str, below: float, zero: Collection[str] = ()) -> None:
    """Hold members of a value object to be positive numbers below a bound.

    Parameters
    ----------
    given
        The object.
    names
        Its members.
    where
        What it is called in a sentence.
    below
        The bound.
    zero
        Members that may be 0.

    Raises
    ------
    InputError
        If one is not.
    """
    for name in names:
        value, may = getattr(given, name), name in zero
        if not isinstance(value, int | float | np.number) or not (0 < value < below or (may and value == 0)):
            expected = "0 or a positive number" if may else "a positive number"
            raise InputError(f"{name} = {value!r:.60}", where=where, expected=expected)


@dataclass(frozen=True)
class Noise:
    """Standard deviations of what drives, measures and models the cell.

    Parameters
    ----------
    heat_W_rts
        White error of the heat, as a density in W s^0.5: over one second it is
        that many watts. At 3 the filter inverts the surface rather than
        trusting the current; a gain error of 5 % moves the core by 0.01 K.
    sensor_K
        Noise of a surface sensor in K.
    gradient
        Relative uncertainty of any temperature difference inside the cell,
        from the uncertain conductivity: no surface measurement removes it.
    offset_K
        Uncertainty of every temperature in K that nothing removes
        (thermocouples on a drilled cell disagree by that much at rest).
    start_K, start_gradient_K
        Uncertainty of the start: of the level, and of core minus surface.
    lost_heat_W
        Heat that may flow unseen while current or voltage is missing, in W.

    Raises
    ------
    InputError
        If one is not a number in its plausible range (`bmsthermal.schema.RANGES`).
    """

    heat_W_rts: float = 3.0
    sensor_K: float = 0.05
    gradient: float = 0.3
    offset_K: float = 0.1
    start_K: float = 5.0
    start_gradient_K: float = 1.0
    lost_heat_W: float = 5.0

    def __post_init__(self) -> None:
        for name, key in NOISE.items():
            check_number(getattr(self, name), key, f"Observer, {key!r}")

    @classmethod
    def of(cls, cell: Cell) -> Self:
        """What the cell's ``Observer`` section says; the spread of its conductivity where that is all there is."""
        given: dict[str, Any] = {name: cell.settings[key] for name, key in NOISE.items() if key in cell.settings}
        if "gradient" not in given:
            spread = [cell.spread[key] for key in _CONDUCTIVITY if key in cell.spread]
            given |= {"gradient": spread[0]} if spread else {}
        return cls(**given)

    def sensor_variance(self, step_s: float) -> float:
        """Variance of a reading in K2, with steps of that length."""
        return self.sensor_K**2

    def document(self) -> Mapping[str, float]:
        """Return the entries of an ``Observer`` section."""
        return {key: float(getattr(self, name)) for name, key in NOISE.items()}
