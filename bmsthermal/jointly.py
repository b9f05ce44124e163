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
from bmsthermal.schema import COVARIANCE, ESTIMATE, HEAT, HEATS, JOINT, LAG, NOISE
from bmsthermal.voltage import KINDS as ELECTRIC
from bmsthermal.voltage import ROW as VOLTS
from bmsthermal.voltage import Tables, VoltageFilter, VoltageNoise
from rom.ud import covariance


@dataclass(frozen=True, repr=False)
class JointEstimates(Estimates):
    """Estimates of temperatures and of what was estimated beside; arrays ``(k,)`` unless said.

    ``h_W_m2K`` ``(k, walls)`` and ``h_sd`` of its logarithm; ``slow_heat_W`` and ``slow_heat_sd_W``; ``bias_K``
    ``(k, sensors)`` and ``bias_sd_K``; ``soc_std`` of the state of charge; ``growth`` of the fast drop over the cell
    file's whole one, 0.2 for 20 % of it, and ``growth_sd``; of the voltage ``voltage_innovation_V`` and its
    ``voltage_std_V``. What was not estimated has no columns, or is 0.
    """

    h_W_m2K: Array = field(kw_only=True)
    h_sd: Array = field(kw_only=True)
    slow_heat_W: Array = field(kw_only=True)
    slow_heat_sd_W: Array = field(kw_only=True)
    bias_K: Array = field(kw_only=True)
    bias_sd_K: Array = field(kw_only=True)
    soc_std: Array = field(kw_only=True)
    growth: Array = field(kw_only=True)
    growth_sd: Array = field(kw_only=True)
    voltage_innovation_V: Array = field(kw_only=True)
    voltage_std_V: Array = field(kw_only=True)
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
        if self.soc_std[-1] > 0:
            columns.append(("state of charge", 100 * self.soc[-1], 100 * self.soc_std[-1], "%"))
        if self.growth_sd[-1] > 0:
            columns.append(("resistance over the file's", 100 * self.growth[-1], 100 * self.growth_sd[-1], "%"))
        said = [(name, f"{value:.3g} +- {sd:.2g} {unit} at the end") for name, value, sd, unit in columns]
        return said if self.faults is None else said + self.faults.table()

    def doubts(self) -> list[str]:
        """Sentences about what does not fit together, what the run did not tell, and sensors that are not believed."""
        watched = 0 if self.faults is None else self.faults.states.shape[1]
        known, measures = self.run, self.rows.shape[1] - watched > self.joint_states * (self.joint_states + 5) // 2 + 3
        if known is not None and measures:  # heat is known without the voltage
            known = replace(known, voltage_V=np.zeros(len(known.time_s)))
        said = Estimates.doubts(
            Estimates(**{each.name: getattr(self, each.name) for each in fields(Estimates)} | {"run": known})
        ) + ([] if self.faults is None else self.faults.sentences())
        if self.run is None or len(self.time_s) < 2 or not isinstance(self.noise, JointNoise):
            return said
        if measures and not self.voltage_std_V[1:].any():
            said.append(
                "no voltage counted: in every step it, or the current with it, is missing or out of range (check "
                "column and unit); charge, resistance and heat are what the current and the cell file say"
            )
        alone_W = _alone_W(self.noise, self.rows[:, -1].astype(float), self.reduced.step_s)
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
        if self.soc_std.any():
            found |= {"soc": self.soc, "soc_std": self.soc_std}
        if self.growth_sd.any():
            found |= {"resistance_growth": self.growth, "resistance_growth_std": self.growth_sd}
        if self.voltage_std_V.any():
            found["voltage_innovation_V"] = self.voltage_innovation_V
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
        always have one, unasked of the size of the cell's offsets, and three slow heat where no ``h`` is asked for.
        What its sensors cannot tell (`bmsthermal.observability`) is refused. And of `bmsthermal.voltage.KINDS`:
        ``soc`` and ``resistance``, the state of charge and what the resistance has grown by, from the voltage, with a
        sigma that says what it tells.
    heat
        Where the heat comes from, of `bmsthermal.schema.HEATS`: the voltage then is a measurement. By default
        ``fused`` if charge or resistance is estimated, else from the voltage, which then is an input.
    voltage_noise
        What is unsure of the voltage where it is a measurement; by default `bmsthermal.voltage.VoltageNoise.told`.
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
        form: Literal["ekf", "ud"] | None = None, heat: Literal["measured", "model", "fused"] | None = None,
        voltage_noise: VoltageNoise | None = None, faults: bool | FaultRules = False,
    ) -> None:  # fmt: skip
        super().__init__(
            reduced, measured, noise=noise, ambient_offset_K=ambient_offset_K, engine=engine, real=real, form=form
        )  # fmt: skip
        where = reduced.cell.name
        if form == "ekf":
            raise InputError("form='ekf' with estimate", where=where, expected="'ud': its covariance is factored")
        known = isinstance(estimate, Collection) and all(kind in (*KINDS, *ELECTRIC) for kind in estimate)
        if isinstance(estimate, str) or not known:
            expected = f"some of {', '.join((*KINDS, *ELECTRIC))}, in a list"
            raise InputError(f"estimate = {estimate!r}", where=where, expected=expected)
        if not isinstance(faults, bool | FaultRules):
            raise InputError(f"faults = {faults!r:.60}", where=where, expected="True, False or a FaultRules")
        if heat not in (*HEATS, None):
            raise InputError(f"heat = {heat!r:.60}", where=where, expected=f"one of {', '.join(HEATS)}")
        self.heat = heat or ("fused" if {*estimate} & {*ELECTRIC} else None)
        if not isinstance(voltage_noise, VoltageNoise | None) or (voltage_noise and not self.heat):
            raise InputError(
                f"voltage_noise = {voltage_noise!r:.60}", where=where,
                expected="a VoltageNoise, where the voltage is a measurement",
                hint="give heat, or estimate soc or resistance",
            )  # fmt: skip
        self.voltage_noise = voltage_noise or VoltageNoise.told(reduced.cell)
        self.faults = FaultRules() if faults is True else faults or None
        placed = reduced.resolution == "r-z" and len(measured) > 1
        joint = bool(estimate or self.heat or (faults and placed))
        if joint and not isinstance(noise, JointNoise | None):
            raise InputError(f"noise={noise!r:.60}", where=where, expected="a JointNoise")
        sure = noise if isinstance(noise, JointNoise) else JointNoise.told(reduced.cell)
        kinds = {*estimate}
        if joint and placed and "bias" not in kinds:
            # an offset reads as a difference between places: it has to be a state, as large as offsets are
            kinds, sure = kinds | {"bias"}, replace(sure, bias_K=sure.offset_K or sure.bias_K)
        if joint and placed and len(measured) > 2 and "h" not in kinds:
            kinds = kinds | {"heat"}  # what offsets do not explain is heat, or the gradient would take it
        self.estimate = tuple(kind for kind in (*KINDS, *ELECTRIC) if kind in kinds)
        self.beside = tuple(kind for kind in KINDS if kind in kinds)
        if joint:
            self.noise = self._sure = sure
        else:
            self._sure = JointNoise(**vars(self.noise) | {"heat": 0.0})
        asked = tuple(kind for kind in KINDS if kind in estimate)
        if asked and (refused := observability(self, asked).refusal()):
            raise refused
        self._voltage()

    def __repr__(self) -> str:
        beside = f", estimates {', '.join(self.estimate)} beside" if self.estimate else ", factored"
        beside += f", heat {self.heat}" if self.heat else ""
        return f"{super().__repr__()[:-1]}{beside}{', watches for faults' if self.faults else ''})"

    def _given(self) -> dict[str, Any]:
        return super()._given() | {
            "form": "ud", "estimate": self.estimate, "heat": self.heat,
            "voltage_noise": self.voltage_noise if self.heat else None, "faults": self.faults or False,
        }  # fmt: skip

    def _sureness(self) -> dict[str, Any]:
        """Entries of `section` about its noise; that of temperatures alone stays what it was."""
        if not (self.estimate or self.heat):
            return super()._sureness() | {COVARIANCE: "UD"}
        shared = {NOISE["gradient"]: self._sure.gradient, NOISE["offset_K"]: self._sure.offset_K, LAG: self._sure.lag_s}
        heat = {} if self.heat is None else {HEAT: self.heat}
        return shared | heat | {ESTIMATE: list(self.estimate), COVARIANCE: "UD", JOINT: dict(self._sure.document())}

    def filter(self) -> JointFilter:
        """Return the readable twin, with a state of its own."""
        common = self.reduced.resolution == "r-z"  # three coefficients and the gradient are not told apart
        return JointFilter(
            self.packed, self.beside, self._sure, self.reduced.step_s, lagged=bool(self.estimate or self.heat),
            common=common, voltage=self._voltage(), watch=self._watch(),
        )  # fmt: skip

    def _voltage(self) -> VoltageFilter | None:
        if self.heat is None:
            return None
        kinds = {*self.estimate} & {*ELECTRIC}
        return VoltageFilter(Tables.of(self.reduced.cell), self.voltage_noise, self.heat, kinds, self.reduced.step_s)

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
        return pack_joint(self.packed, self.layout, self._sure, self.reduced.step_s, self._voltage(), self._watch())

    @cached_property
    def layout(self) -> Layout:
        """Where each kind of state is."""
        return self.filter().layout

    @cached_property
    def _model_row(self) -> NDArray[np.floating]:
        return self.packed_joint.row(self.dtype)

    def kernel(self, cells: int = 1) -> Any:
        """Return an engine with a state of its own, for `cells` cells, as `Observer.kernel`.

        A state is a row of x, what rounding took from it, packed U D U' factors (see `rom.ud`), where the voltage is a
        measurement the same of its states (see `VoltageFilter.row`), and a tally: charge, what rounding took from it,
        and the running mean of the heat in W.
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

    def _begin(self, surface_K: float, soc: float, ambient_K: float, soc_sd: float | None = None) -> Belief:
        return self._start(surface_K, soc, None, None, ambient_K if np.isfinite(ambient_K) else surface_K, soc_sd)

    def _sampled(self, run: Run) -> Run:
        sampled, s = super()._sampled(run), self.reduced.step_s
        if self.heat is None:
            return sampled
        seen = run.resample(s, s)  # a voltage says something in the step in which it and its current were sampled
        return replace(sampled, voltage_V=np.where(np.isnan(seen.current_A), np.nan, seen.voltage_V))

    def _heat_source(self, run: Run, initial_soc: float | None, notes: list[str]) -> tuple[float, Array, float | None]:
        if initial_soc is not None or "soc" not in self.estimate:
            return super()._heat_source(run, initial_soc, notes)
        soc, blur = self.reduced.heat.start_soc(float(run.current_A[0]), float(run.voltage_V[0]))
        notes.append(f"initial SOC {soc:.2f} +- {blur:.2f} from the first row")
        return soc, np.full(run.time_s.shape, np.nan), blur

    def _start(
        self, surface_K: float, soc: float, core_K: float | None, noise: Noise | None, coolant_K: float,
        soc_sd: float | None = None,
    ) -> Belief:  # fmt: skip
        thermal = self._thermal.start(surface_K, soc, core_K=core_K, noise=noise or self.noise)
        filter_ = self.filter()
        around = np.full(len(self.reduced.walls), float(coolant_K))
        filter_.start(np.asarray(thermal.x), thermal.P, soc, around, soc_sd)
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
        return Observer(
            self.reduced, self.measured, noise=self.noise, ambient_offset_K=offset, engine=self.engine, form="ekf"
        )

    def _found(
        self, time_s: Array, states: NDArray[np.floating], out: NDArray[np.floating], run: Run | None = None
    ) -> JointEstimates:
        at, n, N = self.layout.places, self.layout.n, self.layout.states
        end = N * (N + 5) // 2
        P = np.array([covariance(row) for row in states[:, 2 * N : end]])
        size = 0 if self.heat is None else VOLTS
        further, watched = np.split(states[:, end:-3].astype(float), [size], axis=1)
        volts, seen = np.split(further if size else np.zeros((len(states), VOLTS)), [VOLTS - 2], axis=1)
        electric = np.sqrt([np.diag(covariance(row)) for row in volts[:, 10:]])
        x, sd = states[:, :N].astype(float), np.sqrt(np.maximum(np.diagonal(P, axis1=1, axis2=2), 0.0))
        i, j = np.tril_indices(n)
        thermal = np.hstack([x[:, :n], P[:, i, j], states[:, -3:-2]])
        found = Estimates.of(self.reduced, self.noise, time_s, thermal, out, run=run)
        log = None if self.faults is None else FaultLog(self.measured, time_s, watched)
        if log is not None and self.faults is not None:  # what one sensor drifts by, nothing tells
            unseen = self.faults.alone_K**2 * -np.expm1(-2 * log.alone_s / BIAS_S)
            wider = {name: np.sqrt(getattr(found, name) ** 2 + unseen) for name in ("core_std_K", "surface_std_K")}
            found = replace(found, **wider)
        own, fast = self.reduced.conductance_W_K / self.reduced.areas_m2, 1.0 - self.voltage_noise.share
        return JointEstimates(
            **{each.name: getattr(found, each.name) for each in fields(Estimates)},
            h_W_m2K=own * np.exp(x[:, at["h"]]) if "h" in self.estimate else np.empty((len(x), 0)),
            h_sd=np.broadcast_to(sd[:, at["h"]], (len(x), len(own) if "h" in self.estimate else 0)),
            slow_heat_W=x[:, at["heat"]].sum(axis=1), slow_heat_sd_W=sd[:, at["heat"]].sum(axis=1),
            bias_K=x[:, at["bias"]], bias_sd_K=sd[:, at["bias"]], rows=states, joint_states=N, soc_std=electric[:, 0],
            growth=fast * np.expm1(volts[:, 1]), growth_sd=fast * np.exp(volts[:, 1]) * electric[:, 1],
            voltage_innovation_V=np.where(seen[:, 1] > 0, seen[:, 0], np.nan), voltage_std_V=np.sqrt(seen[:, 1]),
            faults=log,
        )  # fmt: skip


def _alone_W(noise: JointNoise, mean_W: Array, step_s: float) -> Array:
    """Standard deviation ``(k,)`` of the slow heat if no sensor said anything, as the filter has it."""
    keep, variance = float(np.exp(-2 * step_s / SLOW_S)), np.full(len(mean_W), noise.slow_heat_W**2)
    for k in range(1, len(mean_W)):
        lasting = noise.slow_heat_W**2 + (noise.slow_heat * mean_W[k]) ** 2
        variance[k] = keep * variance[k - 1] + (1 - keep) * lasting
    return np.asarray(np.sqrt(variance), float)
