"""A fault in a run: when it is there, how far it has grown, and what it remembers."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bmsthermal.errors import InputError
from hil.faults.condition import parse
from hil.faults.fault import Fault
from hil.faults.places import Places
from hil.signals import Truth

#: Share of a step that times are rounded by.
CLOSE = 1e-6


@dataclass(frozen=True)
class Scene:
    """What a fault of a sensor may need to know of a step.

    Parameters
    ----------
    end_s
        End of the step.
    step_s
        Its length.
    current_A
        Size of the true current.
    coolant_K
        Around each thermistor, ``(channels,)``.
    last
        Readings of the step before, as the driver had them, ``(values,)``.
    bits
        Of the converter.
    """

    end_s: float
    step_s: float
    current_A: float
    coolant_K: NDArray[np.float64]
    last: NDArray[np.float64]
    bits: int


@dataclass
class Live:
    """A fault in a run.

    Parameters
    ----------
    fault
        As stated.
    index
        Channels or cells that it acts on.
    unit
        Of the readings that it acts on: K, V or A; empty for the others.
    met
        Whether its condition holds; None: it has none.
    step_s
        Length of a step.
    seed
        Words that seed its chance.
    """

    fault: Fault
    index: NDArray[np.intp]
    unit: str
    met: Callable[[Truth], bool] | None
    step_s: float
    seed: Sequence[int]
    level: float = 0.0
    begun_s: float = math.nan
    injected: bool = False
    memory: dict[str, Any] = field(default_factory=dict)
    history: deque[NDArray[np.float64]] = field(default_factory=deque)

    @classmethod
    def of(cls, fault: Fault, places: Places, step_s: float, seed: int) -> Live:
        """Return it at rest."""
        met = parse(fault.when).bind(places.cells, places.sensors) if fault.when is not None else None
        index, unit = places.find(fault)
        if fault.kind == "delay" and round(fault["delay_s"] / step_s) == 0:
            raise InputError(
                f"delay_s is {fault['delay_s']:g}", where=f"fault {fault.name!r}", expected=f"steps of {step_s:g} s"
            )
        live = cls(fault, index, unit, met, step_s, [seed, fault.seed, *fault.name.encode()])
        live.reset()
        return live

    def reset(self) -> None:
        """Forget the run."""
        self.level, self.begun_s, self.injected, self._held = 0.0, math.nan, False, False
        self.memory.clear()
        self.history.clear()
        # two streams: what a fault does must not move when it comes
        self._chance, self.random = (np.random.default_rng([*self.seed, n]) for n in (0, 1))

    @property
    def active(self) -> bool:
        """Whether its trigger is met and its time not over."""
        return self.level > 0

    def advance(self, truth: Truth) -> None:
        """Say how far it has grown at the end of the step that begins with `truth`."""
        self.injected = False
        fault, now = self.fault, truth.time_s
        if not fault.enabled:
            return
        late = now + CLOSE * self.step_s
        begins = self._begins(truth, late)
        if self.active and late >= self.begun_s + fault.lasts_s:
            self.level = 0.0
            self.memory.clear()
        if not self.active:
            if not begins:
                return
            self.begun_s = now if fault.at_s is None else fault.at_s
        grown = (now + self.step_s - self.begun_s) / fault.ramp_s if fault.ramp_s else 1.0
        self.level = min(grown, 1.0)

    def _begins(self, truth: Truth, late: float) -> bool:
        """Whether its trigger is met in this step."""
        fault = self.fault
        if self.met is not None:
            before, self._held = self._held, self.met(truth)
            return self._held and not before
        if fault.per_hour is not None:
            return bool(self._chance.random() < -math.expm1(-fault.per_hour * self.step_s / 3600))
        at_s = fault.at_s or 0.0
        return late >= at_s and late < at_s + fault.lasts_s
