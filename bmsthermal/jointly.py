"""The observer that also estimates cooling, slow heat and offsets of sensors, by the doors of the thermal one."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from bmsthermal.belief import Belief
from bmsthermal.curves import Array
from bmsthermal.errors import InputError
from bmsthermal.estimates import Estimates
from bmsthermal.fault_log import FaultLog, WatchedBelief
from bmsthermal.faults import FaultRules, Watch
from bmsthermal.joint import BIAS_S, KINDS, JointFilter, JointNoise, Layout
from bmsthermal.joint_packing import PackedJoint, pack_joint
from bmsthermal.noise import Noise
from bmsthermal.observer import Observer, compiled
from bmsthermal.plot import save
from bmsthermal.reduction import ReducedModel
from bmsthermal.run import Run
from rom.ud import covariance


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
    rows: NDArray[np.floating] = field(kw_only=True, repr=False)
    joint_states: int = field(kw_only=True, repr=False)
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
            return WatchedBelief(self.rows[i], self.joint_states, factored=True, sensors=self.faults.sensors)
        return Belief(self.rows[i], self.joint_states, factored=True)


class JointObserver(Observer):
    """What `bmsthermal.Observer` is with ``estimate``, or with factored covariance: it holds no state either.

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
        Where nothing is estimated beside, the `Noise` of any observer.
    engine, real, form
        As for any observer; ``filterpy`` is the readable twin, `bmsthermal.joint.JointFilter`.

    Raises
    ------
    InputError
        If something cannot be estimated.
    """

    def __init__(
        self, reduced: ReducedModel, measured: Sequence[str] = ("surface",), *, estimate: Collection[str] = (),
        noise: Noise | None = None, ambient_offset_K: float | None = None,
        engine: Literal["kernel", "filterpy"] = "kernel", real: Literal["double", "float"] = "double",
        form: Literal["ekf", "ud"] | None = None, faults: bool | FaultRules = False,
    ) -> None:  # fmt: skip
        super().__init__(
            reduced, measured, noise=noise, ambient_offset_K=ambient_offset_K, engine=engine, real=real, form=form
        )  # fmt: skip
        where = reduced.cell.name
        if form == "ekf":
            raise InputError("form='ekf' with estimate", where=where, expected="'ud': its covariance is factored")
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
        if not isinstance(faults, bool | FaultRules):
            raise InputError(f"faults = {faults!r:.60}", where=where, expected="True, False or a FaultRules")
        self.faults = FaultRules() if faults is True else faults or None
        # in r-z an offset reads as a difference between places: it has to be a state, as large as offsets are
        placed = (
            reduced.resolution == "r-z" and len(measured) > 1 and bool(estimate or faults) and "bias" not in estimate
        )
        kinds = {*estimate, "bias"} if placed else {*estimate}
        if kinds and not isinstance(noise, JointNoise | None):
            raise InputError(f"noise={noise!r:.60}", where=where, expected="a JointNoise")
        self.estimate = tuple(kind for kind in KINDS if kind in kinds)
        self._sure = noise if isinstance(noise, JointNoise) else JointNoise.told(reduced.cell)
        if placed:
            self._sure = replace(self._sure, bias_K=self._sure.offset_K)
        if self.estimate:
            self.noise = self._sure
        else:
            self._sure = JointNoise(**vars(self.noise) | {"heat": 0.0})

    def __repr__(self) -> str:
        beside = f", estimates {', '.join(self.estimate)} beside" if self.estimate else ", factored"
        return f"{super().__repr__()[:-1]}{beside}{', watches for faults' if self.faults else ''})"

    def on_target(self, real: Literal["double", "float"], form: Literal["ekf", "ud"] | None = None) -> Observer:
        """Return the same observer in another precision and form, as `Observer.on_target`."""
        return Observer(
            self.reduced, self.measured, noise=self.noise, ambient_offset_K=self.ambient_offset_K, real=real,
            form=form, estimate=self.estimate, faults=self.faults or False,
        )  # fmt: skip

    def filter(self) -> JointFilter:
        """Return the readable twin, with a state of its own."""
        step_s, lagged = self.reduced.step_s, bool(self.estimate)
        return JointFilter(self.packed, self.estimate, self._sure, step_s, lagged, self._watch())

    def _watch(self) -> Watch | None:
        if self.faults is None:
            return None
        step_s, m, rules = self.reduced.step_s, self.packed, self.faults
        place = rules.place if self.reduced.resolution == "r-z" else rules.place_1d
        heat_J_K = step_s / (m.mean * float(m.drive[0][0]))
        return Watch(rules, len(self.measured), step_s, heat_J_K, float(m.sense_variance[0]), place)

    @cached_property
    def packed_joint(self) -> PackedJoint:
        """The observer as the numbers of the kernel that estimates more than temperatures."""
        return pack_joint(self.packed, self.layout, self._sure, self.reduced.step_s, self._watch())

    @cached_property
    def layout(self) -> Layout:
        """Where each kind of state is."""
        return self.filter().layout

    @cached_property
    def _model_row(self) -> NDArray[np.floating]:
        return self.packed_joint.row(self.dtype)

    def kernel(self, cells: int = 1) -> Any:
        """Return an engine with a state of its own, for `cells` cells, as `Observer.kernel`.

        A state is a row of x, what rounding took from it, packed U D U' factors (see `rom.ud`), and a tally: charge,
        what rounding took from it, and the running mean of the heat in W.
        """
        if self.engine == "kernel" and compiled():
            from bmsthermal._observer import Kernel

            n, w = self.reduced.order, len(self.reduced.walls)
            return Kernel(self._model_row, n, w, len(self.measured), cells, joint=True)
        if cells != 1:
            raise InputError(f"{cells} cells on {self.engine}", expected="one", hint="use the compiled kernel")
        return self.filter()

    def start(self, surface_K: float, soc: float, *, core_K: float | None = None, noise: Noise | None = None) -> Belief:
        """Belief about a cell, as `Observer.start`; its sensors read what its surface is."""
        return self._start(surface_K, soc, core_K, noise, surface_K)

    def _begin(self, surface_K: float, soc: float, ambient_K: float) -> Belief:
        return self._start(surface_K, soc, None, None, ambient_K if np.isfinite(ambient_K) else surface_K)

    def _start(
        self, surface_K: float, soc: float, core_K: float | None, noise: Noise | None, coolant_K: float
    ) -> Belief:
        thermal = self._thermal.start(surface_K, soc, core_K=core_K, noise=noise or self.noise)
        filter_ = self.filter()
        filter_.start(np.asarray(thermal.x), thermal.P, soc, np.full(len(self.reduced.walls), float(coolant_K)))
        row = np.empty((1, filter_.state_size))
        filter_.read(row)
        whole, states = row[0].astype(self.dtype), self.layout.states
        if self.faults is not None:
            return WatchedBelief(whole, states, factored=True, sensors=self.measured)
        return Belief(whole, states, factored=True)

    @cached_property
    def _thermal(self) -> Observer:
        """The observer of the temperatures alone."""
        offset = self.ambient_offset_K
        return Observer(self.reduced, self.measured, noise=self.noise, ambient_offset_K=offset, form="ekf")

    def _found(
        self, time_s: Array, states: NDArray[np.floating], out: NDArray[np.floating], run: Run | None = None
    ) -> JointEstimates:
        at, n, N = self.layout.places, self.layout.n, self.layout.states
        tally = N * (N + 5) // 2
        P = np.array([covariance(row) for row in states[:, 2 * N : tally]])
        x, sd = states[:, :N].astype(float), np.sqrt(np.maximum(np.diagonal(P, axis1=1, axis2=2), 0.0))
        i, j = np.tril_indices(n)
        thermal = np.hstack([x[:, :n], P[:, i, j], states[:, tally : tally + 1]])
        found = Estimates.of(self.reduced, self.noise, time_s, thermal, out, run=run)
        log = None if self.faults is None else FaultLog(self.measured, time_s, states[:, tally + 3 :].astype(float))
        if log is not None and self.faults is not None:  # what one sensor drifts by, nothing tells
            unseen = self.faults.alone_K**2 * -np.expm1(-2 * log.alone_s / BIAS_S)
            wider = {name: np.sqrt(getattr(found, name) ** 2 + unseen) for name in ("core_std_K", "surface_std_K")}
            found = replace(found, **wider)
        own = self.reduced.conductance_W_K / self.reduced.areas_m2
        return JointEstimates(
            **{each.name: getattr(found, each.name) for each in fields(Estimates)},
            h_W_m2K=own * np.exp(x[:, at["h"]]) if "h" in self.estimate else np.empty((len(x), 0)), h_sd=sd[:, at["h"]],
            slow_heat_W=x[:, at["heat"]].sum(axis=1), slow_heat_sd_W=sd[:, at["heat"]].sum(axis=1),
            bias_K=x[:, at["bias"]], bias_sd_K=sd[:, at["bias"]], rows=states, joint_states=N,
            faults=log,
        )  # fmt: skip
