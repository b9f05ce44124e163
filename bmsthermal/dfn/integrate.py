"""A protocol through the full model: from step to step, from limit to limit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from bmsthermal.curves import Array
from bmsthermal.dfn.equations import INTEGRALS, Equations
from bmsthermal.dfn.events import Events
from bmsthermal.dfn.inputs import CONTROLLED, COOLANT
from bmsthermal.dfn.solver import Solver, UnsolvableError
from bmsthermal.protocol import Step

#: Rows whose quantities are computed at once.
BATCH = 256
#: First step after a jump of a profile, as a share of its rows: a guess from scratch starts a hundred times smaller.
FIRST_SHARE = 0.1
#: Relative tolerance that allows it; a tighter one wants it smaller.
LOOSE = 1e-7
#: Events before this one end a step, the others end the run.
OWN = 3


@dataclass(frozen=True)
class State:
    """The whole state of a model at an instant, to linearise about or to go on from.

    Parameters
    ----------
    time_s
        When.
    y, u
        Unknowns and inputs.
    """

    time_s: float
    y: Array
    u: Array

    def __repr__(self) -> str:
        return f"State({self.time_s:g} s, {len(self.y)} unknowns)"


@dataclass
class Record:
    """What is kept of a run: quantities of every row, states of some.

    Parameters
    ----------
    equations
        What the rows are of.
    every
        Which share of the states is kept: one in `every` rows.
    """

    equations: Equations
    every: int = 1
    time_s: list[float] = field(default_factory=list)
    ambient_K: list[float] = field(default_factory=list)
    totals: dict[str, list[Array]] = field(default_factory=dict)
    states: list[State] = field(default_factory=list)
    first: Array | None = None
    last: Array | None = None
    _y: list[Array] = field(default_factory=list)
    _u: list[Array] = field(default_factory=list)

    def add(self, t: float, y: Array, u: Array) -> None:
        """Keep a row."""
        if (len(self.time_s)) % self.every == 0:
            self.states.append(State(t, y.copy(), u.copy()))
        self.time_s.append(t)
        self._y.append(y)
        self._u.append(u.copy())
        self.first = y if self.first is None else self.first
        self.last = y
        if len(self._y) >= BATCH:
            self.flush()

    def flush(self) -> None:
        """Compute the quantities of the rows since the last time."""
        if not self._y:
            return
        equations, system = self.equations, self.equations.system
        y, u, at = np.array(self._y).T, np.array(self._u).T, equations.places
        found: dict[str, Array] = dict(zip(HEATS, np.asarray(system.sums(HEATS)(y, u)), strict=True))
        for name in ("I", "V", *INTEGRALS):
            found[name] = y[at[name][0]]
        found["T"] = equations.heat.outputs @ y[at["T"]]
        found["layer"] = y[at["current"]] * equations.sandwich.area_m2[:, None]
        for name, value in found.items():
            self.totals.setdefault(name, []).append(np.atleast_2d(value))
        self.ambient_K += u[COOLANT].tolist()
        self._y, self._u = [], []

    def column(self, name: str) -> Array:
        """Quantity by name, ``(rows, k)``, zero where the model has none."""
        self.flush()
        if name not in self.totals:
            return np.zeros((len(self.time_s), 1))
        return np.hstack(self.totals[name]).T


#: Heats that laws name.
HEATS = ("ohmic", "reaction", "reversible", "mixing", "contact", "decomposition", "cooling")


@dataclass
class Integration:
    """One run in progress.

    Parameters
    ----------
    equations
        The model.
    events
        Its limits.
    solver
        Its time stepping.
    record
        What is kept.
    output_s
        Time between rows of a constant step.
    report
        Called with the time reached.
    """

    equations: Equations
    events: Events
    solver: Solver
    record: Record
    output_s: float
    report: Callable[[float], None]

    def run(self, steps: Sequence[Step], y: Array, t: float = 0.0) -> str:
        """Go through the steps from a state; return why it ended, empty if at the end of the last step."""
        for number, step in enumerate(steps, 1):
            where = f"step {number} ({step}), " if len(steps) > 1 else ""
            try:
                if step.run is not None:
                    t, y, reason = self._profile(step, t, y)
                else:
                    t, y, reason = self._constant(step, t, y)
            except UnsolvableError as error:
                reached = max([t, *self.record.time_s[-1:]])
                return f"{where}{reached:.6g} s: {error}"
            if reason:
                return f"{where}{t:.6g} s: {reason}"
        return ""

    def _constant(self, step: Step, t: float, y: Array) -> tuple[float, Array, str]:
        """One constant step."""
        self._control(step)
        begun, end = t, t + step.duration_s
        y = self.solver.start(t, y)
        self.events.begin(step, y)
        if not self.record.time_s or t > self.record.time_s[-1]:
            self._keep(t, y)
        if (limit := self.events.reached(t, y)) is not None:
            return t, y, self._sentence(limit)
        count = 0
        while t < end:
            count += 1
            target = min(begun + count * self.output_s, end)
            t, y, limit = self._advance(target, end)
            self._keep(t, y)
            if limit is not None:
                return t, y, self._sentence(limit)
        return t, y, ""

    def _profile(self, step: Step, t: float, y: Array) -> tuple[float, Array, str]:
        """One profile: each row holds until the next."""
        run = step.run
        assert run is not None
        begun, clock = t, run.time_s - run.time_s[0]
        ambient = slice(COOLANT, COOLANT + len(self.equations.heat.walls))
        current = None
        for row, instant in enumerate(clock):
            t = begun + float(instant)
            self.solver.u[:COOLANT] = *CONTROLLED["current"], run.current_A[row]
            if np.isfinite(run.ambient_K[row]):
                self.solver.u[ambient] = run.ambient_K[row]
            try:
                if current is None or run.current_A[row] != current:
                    y = self.solver.start(t, y)
                    current = run.current_A[row]
                    self.events.begin(step, y)
                if not self.record.time_s or t > self.record.time_s[-1]:
                    self._keep(t, y)
                limit = self.events.reached(t, y)
                if limit is None and row + 1 < len(clock):
                    target = begun + float(clock[row + 1])
                    count = 0
                    while t < target and limit is None:
                        count += 1
                        soon = begun + float(instant) + count * self.output_s
                        t, y, limit = self._advance(soon if soon < target - 1e-6 * self.output_s else target, target)
                        if t < target and limit is None:
                            self._keep(t, y)
            except UnsolvableError as error:
                raise UnsolvableError(f"{run.name}, row {row + 1} ({run.time_s[row]:g} s): {error}") from error
            if limit is not None:
                self._keep_last(t, y)
                return t, y, f"{self.events.sentences[limit]()} in row {row + 1} of {run.name}"
        return t, y, ""

    def _advance(self, target: float, stop: float) -> tuple[float, Array, int | None]:
        found = self.solver.step(target, stop if np.isfinite(stop) else None)
        self.report(found.t)
        if found.status < 0:
            raise UnsolvableError(f"the solver gave up ({found.message.strip()})")
        limit = self.events.nearest(found.t, found.y) if found.status == 2 else None
        return float(found.t), found.y, limit

    def _control(self, step: Step) -> None:
        self.solver.u[:COOLANT] = *CONTROLLED[step.control], step.value

    def _sentence(self, limit: int) -> str:
        """What ends the run; nothing where it is the step's own limit."""
        return "" if limit < OWN else self.events.sentences[limit]()

    def _keep(self, t: float, y: Array) -> None:
        self.record.add(t, y, self.solver.u)

    def _keep_last(self, t: float, y: Array) -> None:
        if self.record.time_s and t > self.record.time_s[-1]:
            self._keep(t, y)


def integrate(
    equations: Equations,
    steps: Sequence[Step],
    *,
    soc: float,
    start_K: float,
    ambient_K: float,
    start: State | None = None,
    output_s: float = 1.0,
    rtol: float = 1e-5,
    atol: float = 1e-5,
    hottest_K: float = np.inf,
    every: int = 1,
    report: Callable[[float], None] = lambda t: None,
) -> tuple[Record, str]:
    """Run a protocol; return what was recorded and why it ended early (empty if it did not).

    It begins at rest, or at `start`.
    """
    events = Events(equations, hottest_K)
    rows = [np.diff(step.run.time_s) for step in steps if step.run is not None]
    share = FIRST_SHARE * min(1.0, rtol / LOOSE)
    first_s = share * float(np.median(np.concatenate(rows))) if rows else 0.0
    solver: Any = Solver(equations.system, rtol, atol, events, events.count, first_s)
    walls = len(equations.heat.walls)
    solver.u[COOLANT : COOLANT + walls] = ambient_K
    solver.u[COOLANT + walls :] = equations.conductance_W_K
    record = Record(equations, every)
    first = steps[0].run
    if first is not None and np.isfinite(first.ambient_K[0]):
        solver.u[COOLANT : COOLANT + walls] = first.ambient_K[0]
    y, t = (equations.rest(soc, start_K), 0.0) if start is None else (start.y, start.time_s)
    reason = Integration(equations, events, solver, record, output_s, report).run(steps, y, t)
    record.flush()
    if record.last is not None and record.states[-1].time_s < record.time_s[-1]:
        record.states.append(State(record.time_s[-1], record.last, solver.u.copy()))
    return record, reason
