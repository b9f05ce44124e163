"""What all plants are: the shape, what a step is asked for, and the physics' own stops."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from bmsthermal.curves import Array
from bmsthermal.files import ZERO_DEGC_K
from hil.signals import Actuators, Command, Truth

#: Temperatures in K that the laws of the parameters reach, beyond which the end counts, and those of a coolant.
WARMTH_K, COOLANT_K = (213.15, 393.15), (150.0, 500.0)
#: Most current that is asked of a cell, in its capacity per hour, and most of a factor, a resistance, a heat, a shift.
MOST_C, MOST_FACTOR, MOST_OHM, MOST_W, MOST_INLET_K = 1e3, 1e3, 1e3, 1e5, 300.0
_MOST = np.array([[MOST_FACTOR], [MOST_FACTOR], [MOST_OHM], [MOST_W]])


class Plant(Protocol):
    """A module of cells in series that knows its cores.

    It never raises in the middle of a run and never says NaN: what physics does not allow is held at its end, and
    `said` has a sentence of it.
    """

    cells: int
    places: tuple[str, ...]
    digest: str

    @property
    def said(self) -> Sequence[tuple[float, str]]:
        """What could not be as asked: time in s and sentence."""
        ...

    def reset(self, soc: float, start_K: float) -> Truth:
        """Begin anew: at rest, every cell at one state of charge (0 to 1) and one temperature throughout."""
        ...

    def step(self, command: Command, actuators: Actuators) -> Truth:
        """Go one step on under what is commanded and what faults make of it."""
        ...


@dataclass
class Stops:
    """Sentences about what could not be as asked, one of each kind in a run.

    Parameters
    ----------
    capacity_Ah
        Of each cell, ``(cells,)``.
    """

    capacity_Ah: Array
    said: list[tuple[float, str]] = field(default_factory=list)
    _known: set[str] = field(default_factory=set)

    def clear(self) -> None:
        """Begin a new run."""
        self.said.clear()
        self._known.clear()

    def say(self, time_s: float, key: str, sentence: str) -> None:
        """Keep a sentence unless there is one about the same already."""
        if key not in self._known:
            self._known.add(key)
            self.said.append((time_s, sentence))

    def checked(self, time_s: float, command: Command) -> Command:
        """Return the command as far as there can be such a one."""
        largest = MOST_C * float(self.capacity_Ah.min())
        ranges = {
            "current_A": (-largest, largest, 0.0), "ambient_K": (*COOLANT_K, 298.15), "cooling": (0.0, MOST_FACTOR, 0.0)
        }  # fmt: skip
        found = {name: getattr(command, name) for name in ranges}
        if all(low <= found[name] <= high for name, (low, high, _) in ranges.items()):  # NaN is not
            return command
        for name, (low, high, instead) in ranges.items():
            value = found[name]
            if not low <= value <= high:
                found[name] = min(max(value, low), high) if np.isfinite(value) else instead
                self.say(time_s, name, f"{time_s:g} s: {name} of {value:g} cannot be: {found[name]:g} was taken")
        return Command(**found)

    def charged(self, time_s: float, soc: Array, drawn_A: Array, step_s: float) -> Array:
        """State of charge after a current has flowed, held inside 0 to 1."""
        after = soc - drawn_A * (step_s / 3600.0) / self.capacity_Ah
        if after.min() < 0.0 or after.max() > 1.0:
            for word, beyond in (("empty", after < 0.0), ("full", after > 1.0)):
                if beyond.any():
                    self.say(time_s, word, f"{time_s:g} s: cell {beyond.argmax()} is {word}: its charge stays there")
            after = np.clip(after, 0.0, 1.0)
        return after

    def warm(self, time_s: float, mean_K: Array) -> Array:
        """Return the temperatures that the parameters are taken at."""
        low, high = WARMTH_K
        if low <= mean_K.min() and mean_K.max() <= high:
            return mean_K
        cell = int(np.argmax((mean_K < low) | (mean_K > high)))
        end_K = low if mean_K[cell] < low else high
        self.say(
            time_s, f"{end_K} K",
            f"{time_s:g} s: cell {cell} is at {mean_K[cell] - ZERO_DEGC_K:.4g} degC: its parameters are those of "
            f"{end_K - ZERO_DEGC_K:g} degC",
        )  # fmt: skip
        return np.clip(mean_K, low, high)


def tamed(actuators: Actuators) -> Actuators:
    """Return actuators whose numbers are finite and physical; the same object if they were."""
    a = actuators
    joined = np.concatenate((a.cooling, a.resistance, a.contact_Ohm, a.short_W)).reshape(4, -1)
    # NaN is neither
    if -MOST_INLET_K <= a.inlet_K <= MOST_INLET_K and (joined >= 0).all() and (joined <= _MOST).all():
        return actuators
    cooling, resistance, contact, short = np.clip(np.nan_to_num(joined, posinf=MOST_W), 0.0, _MOST)
    inlet_K = min(max(a.inlet_K, -MOST_INLET_K), MOST_INLET_K) if np.isfinite(a.inlet_K) else 0.0
    return Actuators(cooling, inlet_K, resistance, contact, short)


def check_start(soc: float, start_K: float) -> None:
    """Refuse a start that is none, before the run.

    Raises
    ------
    InputError
        If the state of charge is not from 0 to 1, or no kelvin.
    """
    from bmsthermal.heat import check_soc
    from bmsthermal.protocol import check_kelvin

    check_soc(soc)
    check_kelvin("start_K", start_K, "plant")
