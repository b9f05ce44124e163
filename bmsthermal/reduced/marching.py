"""A protocol through the reduced cell: rows of one step, until a limit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import DTypeLike

from bmsthermal.curves import Array
from bmsthermal.errors import InputError
from bmsthermal.files import ZERO_DEGC_K
from bmsthermal.heat import check_soc
from bmsthermal.protocol import Step, check_ambients, check_kelvin, steps_of
from bmsthermal.run import Run
from bmsthermal.simulation import Simulation

if TYPE_CHECKING:
    from bmsthermal.reduced.model import ReducedCell

#: What the kernel finds in a step, in the order of ``cell_out_t``; surfaces follow.
FOUND = ("voltage_V", "heat_W", "ohmic", "reaction", "reversible", "mixing", "contact", "core_K", "mean_K")
TERMS = FOUND[2:7]
#: Rows that are computed before anybody looks at a limit.
BLOCK = 512
#: Most rows of a run.
MOST_ROWS = 20_000_000
#: A cell that rests at its cut-off has not passed it.
TINY_V = 1e-6
#: A current that is no cell's would make the state infinite.
MOST_C = 1e3


@dataclass
class _March:
    """One run in progress."""

    model: ReducedCell
    kernel: Any
    dtype: DTypeLike
    ambient_K: float
    hottest_K: float
    current_A: list[Array] = field(default_factory=list)
    around_K: list[Array] = field(default_factory=list)
    found: list[Array] = field(default_factory=list)
    states: list[Array] = field(default_factory=list)
    flows: list[Array] = field(default_factory=list)

    def go(self, step: Step) -> str:
        """Go through one step; return why the run ends, empty if it does not."""
        current, ambient = self._rows(step)
        p, first = self.model.cell.electrochemistry, bool(self.found)
        for begin in range(0, len(current), BLOCK):
            block = slice(begin, begin + BLOCK)
            u = self.model.inputs(current[block], ambient[block], self.dtype)
            out = np.empty((len(u), self.kernel.out_size), self.dtype)
            past = np.empty((len(u), self.kernel.state_size), self.dtype)
            self.kernel.run(u, out, past)
            if not np.isfinite(out).all():
                row = int(np.argmax(~np.isfinite(out).all(axis=1)))
                self._keep(current[block], ambient[block], out, past, row, first)
                return "the model left what numbers can hold"
            limits = {
                "": self._own(step, u[:, 0], out[:, 0], out[:, 7]),
                f"the voltage fell to its lower cut-off of {p.lower_voltage_V:g} V": out[:, 0]
                < p.lower_voltage_V - TINY_V,
                f"the voltage rose to its upper cut-off of {p.upper_voltage_V:g} V": out[:, 0]
                > p.upper_voltage_V + TINY_V,
                f"the core reached {self.hottest_K - ZERO_DEGC_K:.6g} degC": out[:, 7] >= self.hottest_K,
            }
            reached = {reason: int(np.argmax(beyond)) for reason, beyond in limits.items() if beyond.any()}
            last = min(reached.values(), default=len(u) - 1)
            self._keep(current[block], ambient[block], out, past, last + 1, first)
            first = False
            if reached:
                self.kernel.state = past[last].tobytes()
                return min(reached, key=lambda reason: reached[reason])
        # the last row only says where the step ended: what comes next begins there
        self.kernel.state = past[-1].tobytes()
        return ""

    def _own(self, step: Step, current: Array, voltage: Array, core: Array) -> Any:
        """Where the step's own limit is passed."""
        beyond = np.zeros(len(voltage), bool)
        if step.until_V is not None:
            falls = step.value > 0
            beyond |= voltage <= step.until_V if falls else voltage >= step.until_V
        if step.until_K is not None:
            beyond |= core >= step.until_K
        return beyond

    def _rows(self, step: Step) -> tuple[Array, Array]:
        """Current and ambient of every step, and of the instant at its end."""
        step_s, nominal = self.model.step_s, self.model.cell.electrochemistry.nominal_Ah
        if step.run is not None:
            run = step.run
            current, ambient = held(run.time_s, run.current_A, step_s), held(run.time_s, run.ambient_K, step_s)
            ambient = np.where(np.isnan(ambient), self.ambient_K, ambient)
        elif step.control == "current":
            ends = step.duration_s
            if not np.isfinite(ends):
                if step.value == 0 or (step.until_V is None and step.until_K is None):
                    raise InputError(f"{step} would never end", expected="for a time, or until a voltage")
                ends = 1.5 * 3600 * self.model.cell.electrochemistry.capacity_Ah / abs(step.value)
            count = int(np.ceil(ends / step_s - 1e-9))
            if count > MOST_ROWS:
                raise InputError(f"{count:.3g} rows of {step_s:g} s", expected="fewer", hint="take a longer step")
            current, ambient = np.full(count + 1, step.value), np.full(count + 1, self.ambient_K)
        else:
            raise InputError(
                f"a step of {step.control}", where=self.model.cell.name, expected="current or rest",
                hint="the full model controls voltage and power",
            )  # fmt: skip
        if np.abs(current).max() > MOST_C * nominal:
            raise InputError(f"{np.abs(current).max():.6g} A", expected=f"at most {MOST_C * nominal:g} A")
        return current, ambient

    def _keep(self, current: Array, ambient: Array, out: Array, past: Array, count: int, later: bool) -> None:
        flows = np.column_stack([current[:count], ambient[:count], out[:count, 1], out[:count, 0]]).astype(float)
        # where one step ends another begins: one row, which shows the end, while what flows is already the other's
        if later and count:
            self.flows[-1][-1] = flows[0]
        rows = slice(1 if later else 0, count)
        if len(flows[rows]):
            self.flows.append(flows[rows])
        self.current_A.append(current[:count][rows])
        self.around_K.append(ambient[:count][rows])
        self.found.append(np.asarray(out[rows], float))
        self.states.append(np.asarray(past[rows], float))


def held(time_s: Array, values: Array, step_s: float) -> Array:
    """Mean over each step of what holds from row to row ``(k + 1,)``, and its last value."""
    clock = time_s - time_s[0]
    count = max(int(np.ceil(clock[-1] / step_s - 1e-9)), 1)
    if count > MOST_ROWS:
        raise InputError(f"{count:.3g} rows of {step_s:g} s", expected="fewer", hint="take a longer step")
    if len(clock) > count and np.array_equal(clock[: count + 1], step_s * np.arange(count + 1)):
        return np.asarray(values[: count + 1], float)
    grid = np.minimum(step_s * np.arange(count + 1), clock[-1])
    total = np.concatenate([[0.0], np.cumsum(values[:-1] * np.diff(clock))])
    means = np.diff(np.interp(grid, clock, total)) / np.diff(grid)
    return np.append(means, values[-1])


def march(
    model: ReducedCell, profile: Run | Step | Sequence[Step] | str, *, initial_soc: float | None,
    start_K: float | None, ambient_K: float | None, hottest_K: float, dtype: DTypeLike,
) -> Simulation:  # fmt: skip
    """Run a reduced cell; see `bmsthermal.reduced.model.ReducedCell.simulate`."""
    p = model.cell.electrochemistry
    steps = steps_of(profile, p.nominal_Ah)
    given = {"start_K": (start_K, None), "ambient_K": (ambient_K, None), "hottest_K": (hottest_K, np.inf)}
    for name, (value, unset) in given.items():
        if value != unset:
            check_kelvin(name, value, model.cell.name)
    check_ambients(steps)
    around = p.ambient_K if ambient_K is None else float(ambient_K)
    drive = steps[0].run
    first = around if drive is None or np.isnan(drive.ambient_K[0]) else float(drive.ambient_K[0])
    soc = check_soc(next(value for value in (initial_soc, p.initial_soc, 1.0) if value is not None))
    kernel = model.rest(soc, first if start_K is None else start_K, dtype=dtype)
    marched, stopped = _March(model, kernel, np.dtype(dtype), around, hottest_K), ""
    for number, step in enumerate(steps, 1):
        if reason := marched.go(step):
            where = f"step {number} ({step}), " if len(steps) > 1 else ""
            rows = sum(map(len, marched.current_A))
            if not rows:
                raise InputError(f"cannot start: {reason}", where=model.cell.name)
            stopped = f"{where}{model.step_s * (rows - 1):.6g} s: {reason}"
            break
    return _simulation(model, marched, soc, stopped, steps)


def _simulation(model: ReducedCell, run: _March, soc: float, stopped: str, steps: Sequence[Step]) -> Simulation:
    cell, step_s = model.cell, model.step_s
    current, around = np.concatenate(run.current_A), np.concatenate(run.around_K)
    held_A, outside_K, heat_W, begun_V = np.vstack(run.flows)[:-1].T  # of each step; the last row begins none
    found, state = np.vstack(run.found), np.vstack(run.states)
    by = dict(zip(FOUND, found.T, strict=False))
    walls, g, wall_K = model.thermal.walls, model.thermal.conductance_W_K, model.wall_K(state)
    heat_J = step_s * float(heat_W.sum())
    # the flow through a wall is solved at the end of a step
    cooling_J = step_s * float(((wall_K[1:] - outside_K[:, None]) @ g).sum())
    warmed = float(by["mean_K"][-1] - by["mean_K"][0])
    stored = cell.heat_capacity_J_K * warmed
    largest, rounding = max(abs(heat_J), abs(cooling_J), abs(stored)), 1e-9 * cell.heat_capacity_J_K  # a nanokelvin
    charge = step_s * np.concatenate([[0.0], np.cumsum(held_A)])
    faded = cell.electrochemistry.capacity_Ah * (1.0 - model.capacity_fade)
    return Simulation(
        time_s=np.asarray(step_s * np.arange(len(current)), float), current_A=current, voltage_V=by["voltage_V"],
        soc=soc - charge / 3600 / faded, ambient_K=around, core_K=by["core_K"], mean_K=by["mean_K"],
        surfaces_K={f"surface {wall}": found[:, len(FOUND) + k] for k, wall in enumerate(walls)},
        heat_W=by["heat_W"], cooling_W=(wall_K - around[:, None]) @ g, state=state,
        heat_terms_W={name: by[name] for name in TERMS},
        totals={
            "heat_J": heat_J, "cooling_J": cooling_J, "charge_C": float(charge[-1]),
            "work_J": step_s * float((held_A * begun_V).sum()),
        },
        energy_residual=(heat_J - cooling_J - stored) / largest if largest > rounding else 0.0, stopped=stopped,
        settings={
            "cell": cell.name, "digest": cell.digest, "heat": "reduced", "states": f"{model.order} ({model.sizes})",
            "step_s": f"{step_s:g}", "steps": "; ".join(map(str, steps)), "initial_soc": f"{soc:g}",
            "capacity_Ah": f"{cell.electrochemistry.nominal_Ah:g}",
            "start_degC": f"{by['mean_K'][0] - ZERO_DEGC_K:.6g}",
        },
    )  # fmt: skip
