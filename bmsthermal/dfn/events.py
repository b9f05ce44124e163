"""Limits that end a step or a run, each with the sentence that says so."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from bmsthermal.curves import Array
from bmsthermal.dfn.equations import Equations
from bmsthermal.files import ZERO_DEGC_K
from bmsthermal.protocol import Step

#: How near to empty or full a particle surface, and how near to empty the electrolyte, a run may come: salt that
#: reacts away by its own square root fades, it does not end.
STOICHIOMETRY, SALT = 1e-9, 1e-20
#: Current of a cell at rest, but for rounding.
NOTHING_A = 1e-9
#: Distance to a limit that is not asked for.
FAR = 1e3


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

    def __post_init__(self) -> None:
        at, places, p = self.equations.places, self.equations.sandwich.places, self.equations.parameters
        V, I, T = at["V"], at["I"], at["T"]  # noqa: E741
        negative, positive = (places[f"x_{name}"][..., -1].ravel() for name in self.equations.sandwich.electrodes)
        hottest = self.hottest_K if np.isfinite(self.hottest_K) else FAR
        watched = [
            (V, 0.0, FAR), (I, 0.0, FAR), (T, 0.0, FAR),
            (V, 1.0, -p.lower_voltage_V), (V, -1.0, p.upper_voltage_V), (T, -1.0, hottest),
            (negative, 1.0, -STOICHIOMETRY), (negative, -1.0, 1.0 - STOICHIOMETRY),
            (positive, 1.0, -STOICHIOMETRY), (positive, -1.0, 1.0 - STOICHIOMETRY),
            (at["salt"], 1.0, -SALT),
        ]  # fmt: skip
        sizes = [len(where) for where, _, _ in watched]
        self._starts = np.cumsum([0, *sizes[:-1]])
        self._where = np.concatenate([where for where, _, _ in watched])
        self._sign = np.repeat([sign for _, sign, _ in watched], sizes)
        self._offset = np.repeat([offset for _, _, offset in watched], sizes)
        self._own = [slice(start, start + size) for start, size in zip(self._starts, sizes, strict=True)]
        self._cutoff = p.lower_voltage_V, p.upper_voltage_V

    def begin(self, step: Step, y: Array) -> None:
        """Watch the limits of `step`, which begins at a state."""
        self.step = step
        voltage, current = y[self._where[self._own[0]]][0], y[self._where[self._own[1]]][0]
        rising = step.until_V is not None and voltage < step.until_V
        if step.control in ("current", "power") and step.value:  # a discharge that begins below its limit is over
            rising = step.value < 0
        for k, limit, sign in (
            (0, step.until_V, -1.0 if rising else 1.0),
            (1, step.until_A, -1.0 if current < 0 else 1.0),
            (2, step.until_K, -1.0),
        ):
            part = self._own[k]
            self._sign[part] = 0.0 if limit is None else sign
            self._offset[part] = FAR if limit is None else (-limit if k == 1 else -sign * limit)
        held = step.control == "voltage" or abs(current) < NOTHING_A  # at rest there is nothing to cut off
        for k, sign, limit in ((3, 1.0, self._cutoff[0]), (4, -1.0, self._cutoff[1])):
            self._sign[self._own[k]] = 0.0 if held else sign
            self._offset[self._own[k]] = FAR if held else -sign * limit

    def __call__(self, t: float, y: Array, out: Array) -> None:
        """Fill the distances to the limits."""
        np.minimum.reduceat(self._sign * y[self._where] + self._offset, self._starts, out=out)

    @property
    def count(self) -> int:
        """Number of limits."""
        return len(self._starts)

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
