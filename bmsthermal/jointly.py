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
from bmsthermal.joint import BIAS_S, KINDS, SLOW_S, JointFilter, JointNoise, Layout
from bmsthermal.joint_packing import PackedJoint, pack_joint
from bmsthermal.noise import Noise
from bmsthermal.observability import NEEDED, observability
from bmsthermal.observer import Observer, compiled
from bmsthermal.plot import save
from bmsthermal.reduction import ReducedModel
from bmsthermal.run import Run
from bmsthermal.schema import COVARIANCE, ESTIMATE, JOINT, LAG, NOISE
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

    def doubts(self) -> list[str]:
        """Sentences about what does not fit together, what the run did not tell, and sensors that are not believed."""
        said = super().doubts() + ([] if self.faults is None else self.faults.sentences())
        if self.run is None or len(self.time_s) < 2 or not isinstance(self.noise, JointNoise):
            return said
        alone_W = _alone_W(
            self.noise,
            self.rows[:, self.joint_states * (self.joint_states + 5) // 2 + 2].astype(float),
            self.reduced.step_s,
        )
        shares = {
            "h": self.h_sd / self.noise.log_h, "bias": self.bias_sd_K / self.noise.bias_K,
            "heat": np.atleast_2d(self.slow_heat_sd_W / alone_W).T,
        }  # fmt: skip
        untold = {kind: sd.min(axis=0) ** 2 > 1.0 - NEEDED[kind] for kind, sd in shares.items()}
        names = [f"h of {wall}" for wall, unknown in zip(self.reduced.walls, untold["h"], strict=False) if unknown]
        names += ["slow heat"] * bool(untold["heat"][0])
        names += [f"offset of sensor {i + 1}" for i, unknown in enumerate(untold["bias"]) if unknown]
        if names:
            said.append(
                f"the run does not tell the {' and the '.join(names)}: what is known of it is what was known before; a "
                "drive with heat and a rest would tell more"
            )
        return said

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
        Of `bmsthermal.joint.KINDS`: ``h``, the heat-transfer coefficient of each wall, in r-z one factor on all of
        them; ``heat``, what the heat is off by for minutes; ``bias``, the offset of each sensor. In r-z several sensors
        always have one, unasked of the size of the cell's offsets. What its sensors cannot tell
        (`bmsthermal.observability`) is refused.
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
        if not isinstance(faults, bool | FaultRules):
            raise InputError(f"faults = {faults!r:.60}", where=where, expected="True, False or a FaultRules")
        self.faults = FaultRules() if faults is True else faults or None
        placed = reduced.resolution == "r-z" and len(measured) > 1 and bool(estimate or faults)
        if (estimate or placed) and not isinstance(noise, JointNoise | None):
            raise InputError(f"noise={noise!r:.60}", where=where, expected="a JointNoise")
        sure = noise if isinstance(noise, JointNoise) else JointNoise.told(reduced.cell)
        kinds = {*estimate}
        if placed and "bias" not in kinds:
            # an offset reads as a difference between places: it has to be a state, as large as offsets are
            kinds, sure = kinds | {"bias"}, replace(sure, bias_K=sure.offset_K or sure.bias_K)
        self.estimate = tuple(kind for kind in KINDS if kind in kinds)
        if self.estimate:
            self.noise = self._sure = sure
        else:
            self._sure = JointNoise(**vars(self.noise) | {"heat": 0.0})
        self._asked = tuple(estimate)
        if self._asked and (refused := observability(self, self._asked).refusal()):
            raise refused

    def __repr__(self) -> str:
        beside = f", estimates {', '.join(self.estimate)} beside" if self.estimate else ", factored"
        return f"{super().__repr__()[:-1]}{beside}{', watches for faults' if self.faults else ''})"

    def on_target(self, real: Literal["double", "float"], form: Literal["ekf", "ud"] | None = None) -> Observer:
        """Return the same observer in another precision and form, as `Observer.on_target`."""
        return Observer(
            self.reduced, self.measured, noise=self.noise, ambient_offset_K=self.ambient_offset_K, real=real,
            form=form, estimate=self._asked, faults=self.faults or False,
        )  # fmt: skip

    def _sureness(self) -> dict[str, Any]:
        """Entries of `section` about its noise; that of temperatures alone stays what it was."""
        if not self.estimate:
            return super()._sureness() | {COVARIANCE: "UD"}
        shared = {NOISE["gradient"]: self._sure.gradient, NOISE["offset_K"]: self._sure.offset_K, LAG: self._sure.lag_s}
        return shared | {ESTIMATE: list(self.estimate), COVARIANCE: "UD", JOINT: dict(self._sure.document())}

    def filter(self) -> JointFilter:
        """Return the readable twin, with a state of its own."""
        common = self.reduced.resolution == "r-z"  # three coefficients and the gradient are not told apart
        return JointFilter(
            self.packed, self.estimate, self._sure, self.reduced.step_s, lagged=bool(self.estimate), common=common,
            watch=self._watch(),
        )  # fmt: skip

    def _watch(self) -> Watch | None:
        if self.faults is None:
            return None
        step_s, m = self.reduced.step_s, self.packed
        # what calibration found the heat to be off by is no fault
        rules = replace(self.faults, heat=max(self.faults.heat, self._sure.slow_heat))
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
            h_W_m2K=own * np.exp(x[:, at["h"]]) if "h" in self.estimate else np.empty((len(x), 0)),
            h_sd=np.broadcast_to(sd[:, at["h"]], (len(x), len(own) if "h" in self.estimate else 0)),
            slow_heat_W=x[:, at["heat"]].sum(axis=1), slow_heat_sd_W=sd[:, at["heat"]].sum(axis=1),
            bias_K=x[:, at["bias"]], bias_sd_K=sd[:, at["bias"]], rows=states, joint_states=N,
            faults=log,
        )  # fmt: skip


def _alone_W(noise: JointNoise, mean_W: Array, step_s: float) -> Array:
    """Standard deviation ``(k,)`` of the slow heat if no sensor said anything, as the filter has it."""
    keep, variance = float(np.exp(-2 * step_s / SLOW_S)), np.full(len(mean_W), noise.slow_heat_W**2)
    for k in range(1, len(mean_W)):
        lasting = noise.slow_heat_W**2 + (noise.slow_heat * mean_W[k]) ** 2
        variance[k] = keep * variance[k - 1] + (1 - keep) * lasting
    return np.sqrt(variance)
