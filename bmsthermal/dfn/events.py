"""Limits that end a step or a run, each with the sentence that says so."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from bmsthermal.curves import Array
from bmsthermal.dfn.equations import Equations
from bmsthermal.files import ZERO_DEGC_K
from bmsthermal.protocol import Step

#: How near to empty or full a particle surface, and how near to empty the electrolyte, a run may come.
STOICHIOMETRY, SALT = 1e-4, 1e-3
#: What a limit holds while it is not asked for.
FAR = 1.0


@dataclass
class Events:
    """What must stay positive, in the order in which the solver sees it.

    The first three belong to the step and end it; the others belong to the
    cell and end the run.

    Parameters
    ----------
    equations
        Where the unknowns sit.
    hottest_K
        Temperature that ends a run.
    """

    equations: Equations
    hottest_K: float = np.inf
    step: Step = field(default_factory=lambda: Step("current"))
    rising: bool = False

    def __post_init__(self) -> None:
        at, sandwich = self.equations.places, self.equations.sandwich
        self._V, self._I = int(at["V"][0]), int(at["I"][0])
        self._surface = [sandwich.places[f"x_{name}"][..., -1].ravel() for name in sandwich.electrodes]
        self._salt, self._T = at["salt"], at["T"]

    def begin(self, step: Step, voltage_V: float) -> None:
        """Watch the limits of `step`, which begins at a voltage."""
        self.step = step
        self.rising = step.until_V is not None and voltage_V < step.until_V

    def __call__(self, t: float, y: Array, out: Array) -> None:
        """Fill the distances to the limits."""
        p, step, V = self.equations.parameters, self.step, y[self._V]
        out[:3] = FAR
        if step.until_V is not None:
            out[0] = step.until_V - V if self.rising else V - step.until_V
        if step.until_A is not None:
            out[1] = abs(y[self._I]) - step.until_A
        hottest = y[self._T].max()
        if step.until_K is not None:
            out[2] = step.until_K - hottest
        held = step.control == "voltage"
        out[3] = FAR if held else V - p.lower_voltage_V
        out[4] = FAR if held else p.upper_voltage_V - V
        out[5] = self.hottest_K - hottest if np.isfinite(self.hottest_K) else FAR
        for k, surface in enumerate(self._surface):
            x = y[surface]
            out[6 + 2 * k] = x.min() - STOICHIOMETRY
            out[7 + 2 * k] = 1.0 - STOICHIOMETRY - x.max()
        out[10] = y[self._salt].min() - SALT

    @property
    def count(self) -> int:
        """Number of limits."""
        return 11

    @property
    def sentences(self) -> list[Callable[[], str]]:
        """What each limit says when it is reached."""
        p = self.equations.parameters
        return [
            lambda: f"the voltage reached {self.step.until_V:g} V",
            lambda: f"the current fell to {self.step.until_A:g} A",
            lambda: f"the temperature reached {(self.step.until_K or 0.0) - ZERO_DEGC_K:g} degC",
            lambda: f"the voltage fell to its lower cut-off of {p.lower_voltage_V:g} V",
            lambda: f"the voltage rose to its upper cut-off of {p.upper_voltage_V:g} V",
            lambda: f"the temperature rose to {self.hottest_K - ZERO_DEGC_K:g} degC",
            lambda: "the surface of the negative particles ran out of lithium",
            lambda: "the surface of the negative particles is full of lithium",
            lambda: "the surface of the positive particles ran out of lithium",
            lambda: "the surface of the positive particles is full of lithium",
            lambda: "the electrolyte ran out of salt somewhere",
        ]

    def reached(self, t: float, y: Array) -> int | None:
        """First limit that a state is at or beyond, if any."""
        out = np.empty(self.count)
        self(t, y, out)
        beyond = np.flatnonzero(out <= 0)
        return int(beyond[0]) if len(beyond) else None

    def nearest(self, t: float, y: Array) -> int:
        """Limit that a state is nearest to."""
        out = np.empty(self.count)
        self(t, y, out)
        return int(out.argmin())
