"""The observer that also estimates cooling, slow heat and offsets of sensors, by the doors of the thermal one."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from bmsthermal.belief import Belief, Estimate, Inputs
from bmsthermal.curves import Array
from bmsthermal.errors import InputError
from bmsthermal.estimates import Estimates
from bmsthermal.fault_log import FaultLog, WatchedBelief
from bmsthermal.faults import FaultRules, Watch
from bmsthermal.joint import BIAS_S, KINDS, JointFilter, JointNoise
from bmsthermal.noise import Noise
from bmsthermal.observer import Observer
from bmsthermal.packing import HOST_SENSORS
from bmsthermal.plot import save
from bmsthermal.reduction import ReducedModel
from bmsthermal.run import Run
from rom.ud import Factors, unpacked


@dataclass(frozen=True)
class JointEstimates(Estimates):
    """Estimates of temperatures and of what was estimated beside; arrays ``(k,)`` unless said.

    ``h_W_m2K`` ``(k, walls)`` and ``h_sd`` of its logarithm; ``slow_heat_W`` and ``slow_heat_sd_W``; ``bias_K``
    ``(k, sensors)`` and ``bias_sd_K``. What was not estimated has no columns, or is 0.
    """

    h_W_m2K: Array = field(kw_only=True)
    h_sd: Array = field(kw_only=True)
    slow_heat_W: Array = field(kw_only=True)
    slow_heat_sd_W: Array = field(kw_only=True)
    bias_K: Array = field(kw_only=True)
    bias_sd_K: Array = field(kw_only=True)
    rows: Array = field(kw_only=True, repr=False)
    faults: FaultLog | None = field(kw_only=True, default=None, repr=False)

    def beside(self) -> list[tuple[str, str]]:
        """Name and value with unit of what was estimated beside temperatures, at the end of the run."""
        columns = [
            *((f"heat-transfer coefficient, {wall}", h, h * sd, "W/m2K") for wall, h, sd in
              zip(self.reduced.walls, self.h_W_m2K[-1], self.h_sd[-1], strict=False)),
            *((f"offset of sensor {i + 1}", bias, sd, "K")
              for i, (bias, sd) in enumerate(zip(self.bias_K[-1], self.bias_sd_K[-1], strict=True))),
        ]  # fmt: skip
        if self.slow_heat_sd_W[-1] > 0:
            columns.append(("heat not accounted for", self.slow_heat_W[-1], self.slow_heat_sd_W[-1], "W"))
        said = [(name, f"{value:.3g} +- {sd:.2g} {unit} at the end") for name, value, sd, unit in columns]
        return said if self.faults is None else said + self.faults.table()

    def columns(self) -> dict[str, Array]:
        """What `to_csv` writes: of temperatures, and of what was estimated beside."""
        found = super().columns()
        for wall, h, sd in zip(self.reduced.walls, self.h_W_m2K.T, self.h_sd.T, strict=False):
            found |= {f"h_{wall}_W_m2K": h, f"h_{wall}_std_W_m2K": h * sd}
        for i, (bias, sd) in enumerate(zip(self.bias_K.T, self.bias_sd_K.T, strict=True)):
            found |= {f"bias_{i + 1}_K": bias, f"bias_{i + 1}_std_K": sd}
        if self.slow_heat_sd_W.any():
            found |= {"slow_heat_W": self.slow_heat_W, "slow_heat_std_W": self.slow_heat_sd_W}
        return found if self.faults is None else found | self.faults.columns()

    def doubts(self) -> list[str]:
        """Sentences about what does not fit together, and about sensors that are not believed."""
        return super().doubts() + ([] if self.faults is None else self.faults.sentences())

    def plot(self, path: str | Path | None = None) -> Any:
        """Draw what `Estimates.plot` does, and under the readings when a sensor was masked."""
        drawn = super().plot()
        if self.faults is not None:
            self.faults.draw(drawn.axes[0])
        return save(drawn, path)

    def belief(self, i: int = -1) -> Belief:
        """Belief after row `i`, to go on from."""
        if self.faults is not None:
            return self.faults.belief(self.rows[i])
        return Belief(self.rows[i], _states(self.rows.shape[1]))


class JointObserver(Observer):
    """What `bmsthermal.Observer` is with ``estimate``: it holds no state either.

    Parameters
    ----------
    reduced, measured, ambient_offset_K
        As for any observer.
    estimate
        Of `bmsthermal.joint.KINDS`: ``h``, the heat-transfer coefficient of each wall; ``heat``, what the heat is off
        by for minutes; ``bias``, the offset of each sensor, which one sensor alone cannot tell from the rest.
    faults
        Whether to watch the sensors, or a `FaultRules` to watch them by: the readings of a faulty one are left out, and
        heat that nobody accounts for is told (`bmsthermal.faults`).
    noise
        A `JointNoise`; by default its own, with gradient, offset and lag as the cell's ``Observer`` section says.
    engine, real
        Covariances are compiled, the rest is NumPy: ``kernel`` and ``double``.

    Raises
    ------
    InputError
        If something cannot be estimated, or it is asked for another engine.
    """

    def __init__(
        self, reduced: ReducedModel, measured: Sequence[str] = ("surface",), *, estimate: Collection[str] = (),
        faults: bool | FaultRules = False, noise: Noise | None = None, ambient_offset_K: float | None = None,
        engine: str = "kernel", real: str = "double",
    ) -> None:  # fmt: skip
        where = reduced.cell.name
        if engine != "kernel" or real != "double":
            raise InputError(
                f"engine={engine!r}, real={real!r}", where=where, expected="'kernel' and 'double' with estimate"
            )
        if isinstance(estimate, str) or not {*estimate} <= {*KINDS}:
            raise InputError(f"estimate = {estimate!r}", where=where, expected=f"some of {', '.join(KINDS)}, in a list")
        if reduced.resolution == "r-z" and "h" in estimate:
            raise InputError(
                "estimate h in r-z", where=where, expected="radial or slab",
                hint="three coefficients of cooling and the gradient are not told apart yet: calibrate them",
            )  # fmt: skip
        if "bias" in estimate and len(measured) < 2:
            raise InputError(
                "the bias of one sensor alone", where=where, expected="two sensors or more",
                hint="a warmer reading is as well more heat or less cooling: no other sensor tells them apart",
            )  # fmt: skip
        if not isinstance(noise, JointNoise | None):
            raise InputError(f"noise={noise!r:.60}", where=where, expected="a JointNoise")
        sure = noise or JointNoise.told(reduced.cell)
        super().__init__(reduced, measured, noise=sure, ambient_offset_K=ambient_offset_K)
        kinds = {*estimate}
        if reduced.resolution == "r-z" and len(measured) > 1 and "bias" not in kinds:
            # an offset reads as a difference between places: it has to be a state, as large as offsets are
            kinds, sure = kinds | {"bias"}, replace(sure, bias_K=sure.offset_K)
        self.estimate, self._sure = tuple(kind for kind in KINDS if kind in kinds), sure
        if not isinstance(faults, bool | FaultRules):
            raise InputError(f"faults = {faults!r:.60}", where=where, expected="True, False or a FaultRules")
        self.faults = FaultRules() if faults is True else faults or None

    def __repr__(self) -> str:
        beside = f", estimates {', '.join(self.estimate)} beside" if self.estimate else ""
        return f"{super().__repr__()[:-1]}{beside}{', watches for faults' if self.faults else ''})"

    def filter(self) -> JointFilter:
        """Return a filter with a state of its own."""
        return JointFilter(self.packed, self.estimate, self._sure, self.reduced.step_s, self._watch())

    def _watch(self) -> Watch | None:
        if self.faults is None:
            return None
        step_s, m, rules = self.reduced.step_s, self.packed, self.faults
        place = rules.place if self.reduced.resolution == "r-z" else rules.place_1d
        heat_J_K = step_s / (m.mean * float(m.drive[0][0]))
        return Watch(rules, len(self.measured), step_s, heat_J_K, self._sure.sensor_K**2, place)

    def kernel(self, cells: int = 1) -> Any:
        """Not there: this observer steps one cell, through `step` and `run`, or through `filter`."""
        raise InputError("an observer with estimate has no kernel of its own yet", hint="use step(), run() or filter()")

    def start(self, surface_K: float, soc: float, *, core_K: float | None = None, noise: Noise | None = None) -> Belief:
        """Belief about a cell, as `Observer.start`; its sensors read what its surface is."""
        return self._begin(surface_K, soc, core_K, noise, np.full(len(self.reduced.walls), float(surface_K)))

    def step(self, belief: Belief, inputs: Inputs, measurements: Sequence[float]) -> tuple[Belief, Estimate]:
        """One step: `inputs` held over it, `measurements` in K at its end, NaN where absent."""
        found, out = self._march(belief, np.asarray(self._row(inputs))[None], self._seen(measurements)[None])
        result = self._estimates(np.zeros(1), found[1:], out)
        return result.belief(0), result.at(0)

    def rest(self, belief: Belief, seconds: float, coolant_K: float) -> Belief:
        """Let the cell rest for whole steps without heat and without measurements."""
        steps, filter_ = self._rest_steps(seconds), self._resumed(belief)
        row = np.asarray(self._row(Inputs(0.0, np.nan, coolant_K, heat_W=0.0)))
        absent = np.full(len(self.measured), np.nan)
        for _ in range(steps):
            filter_.step(row, absent)
        return self._belief_of(_row(filter_))

    def run(
        self, run: Run, *, initial_soc: float | None = None, start: Belief | None = None, start_K: float | None = None
    ) -> JointEstimates:
        """Estimate along a measured run, resampled to whole steps, as `Observer.run` does."""
        notes: list[str] = []
        self._check_sensors(run)
        run = run.resample(self.reduced.step_s)
        soc, heat_W = self._heat_source(run, initial_soc, notes)
        z = np.column_stack([run.surfaces_K[name] for name in self.measured])
        around = np.repeat(run.ambient_K[:, None], len(self.reduced.walls), axis=1)
        if start is None:
            rows = z[np.isfinite(z).any(axis=1)]
            first = float(np.nanmean(rows[0]) if len(rows) else run.ambient_K[0]) if start_K is None else start_K
            known = np.where(np.isfinite(around[0]), around[0], first)
            start = self._begin(first, soc, None, None, known)
        own = np.full_like(around, np.nan)  # conductances of the model, not of the input
        u = np.column_stack([run.current_A, run.voltage_V, heat_W, around, own])
        found, out = self._march(start, u[:-1], z[1:])
        # Row i holds what was known at time i: the inputs of the step before it, the measurements at its end.
        result = self._estimates(run.time_s, found, np.vstack([np.zeros_like(out[:1]), out]), run)
        return replace(result, notes=(*notes, *result.doubts()))

    def _begin(
        self, surface_K: float, soc: float, core_K: float | None, noise: Noise | None, coolant_K: Array
    ) -> Belief:
        thermal = super().start(surface_K, soc, core_K=core_K, noise=noise)
        filter_ = self.filter()
        filter_.start(np.asarray(thermal.x, float), thermal.P, soc, coolant_K)
        return self._belief_of(_row(filter_))

    def _belief_of(self, row: Array) -> Belief:
        states = self.filter().layout.states
        return Belief(row, states) if self.faults is None else WatchedBelief(row, states, self.measured)

    def _resumed(self, belief: Belief) -> JointFilter:
        """A filter that goes on from a belief."""
        filter_ = self.filter()
        n = filter_.layout.states
        row = np.asarray(getattr(belief, "row", np.empty(0)), float)
        joint, watch = n + n * (n + 1) // 2 + 2, filter_.watch
        if row.shape != (joint + (0 if watch is None else len(watch.state)),) or not np.isfinite(row).all():
            found = "the belief is not finite, or of another observer"
            raise InputError(found, where=repr(self), hint="make one with start()")
        filter_.x, filter_.factors = row[:n].copy(), Factors(row[n : joint - 2])
        filter_.soc, filter_.mean_W = row[joint - 2 : joint]
        if watch is not None:
            watch.state[:] = row[joint:]
        return filter_

    def _march(self, start: Belief, u: Array, z: Array) -> tuple[Array, Array]:
        """Rows of beliefs ``(k + 1, s)``, and of heat, innovations and their variances ``(k, 1 + 16)``."""
        filter_, m = self._resumed(start), len(self.measured)
        rows, out = np.empty((len(u) + 1, len(start.row))), np.zeros((len(u), 1 + 2 * HOST_SENSORS))
        rows[0] = start.row
        for k in range(len(u)):
            said = filter_.step(u[k], z[k])
            rows[k + 1], out[k, 0] = _row(filter_), said.heat_W
            out[k, 1 : 1 + m], out[k, 1 + HOST_SENSORS : 1 + HOST_SENSORS + m] = said.innovation_K, said.variance_K2
        return rows, out

    def _estimates(self, time_s: Array, rows: Array, out: Array, run: Run | None = None) -> JointEstimates:
        layout = self.filter().layout
        at, n, N = layout.places, layout.n, layout.states
        soc = N + N * (N + 1) // 2
        P = np.array([U * D @ U.T for U, D in map(unpacked, rows[:, N:soc])])
        x, sd = rows[:, :N], np.sqrt(np.diagonal(P, axis1=1, axis2=2))
        i, j = np.tril_indices(n)
        thermal = np.hstack([x[:, :n], P[:, i, j], rows[:, soc : soc + 1]])
        found = Estimates.of(self.reduced, self.noise, time_s, thermal, out, run=run)
        log = None if self.faults is None else FaultLog(self.measured, time_s, rows[:, soc + 2 :])
        if log is not None:  # what one sensor drifts by, nothing tells
            unseen = self._sure.bias_K**2 * -np.expm1(-2 * log.alone_s / BIAS_S)
            wider = {name: np.sqrt(getattr(found, name) ** 2 + unseen) for name in ("core_std_K", "surface_std_K")}
            found = replace(found, **wider)
        own = self.reduced.conductance_W_K / self.reduced.areas_m2
        return JointEstimates(
            **{each.name: getattr(found, each.name) for each in fields(Estimates)},
            h_W_m2K=own * np.exp(x[:, at["h"]]) if "h" in self.estimate else np.empty((len(x), 0)), h_sd=sd[:, at["h"]],
            slow_heat_W=x[:, at["heat"]].sum(axis=1), slow_heat_sd_W=sd[:, at["heat"]].sum(axis=1),
            bias_K=x[:, at["bias"]], bias_sd_K=sd[:, at["bias"]], rows=rows, faults=log,
        )  # fmt: skip


def _row(filter_: JointFilter) -> Array:
    """State, factors, charge and mean heat of a filter, and what its watch remembers."""
    watch = np.empty(0) if filter_.watch is None else filter_.watch.state
    return np.concatenate([filter_.x, filter_.factors.packed, [filter_.soc, filter_.mean_W], watch])


def _states(size: int) -> int:
    """States of a belief's row of so many numbers: n + n (n + 1) / 2 + 2."""
    return int((np.sqrt(8 * size - 7) - 3) / 2)
