"""The observer on the reduced coupled model: the thermal one's questions, and charge and resistance as well."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from bmsthermal.belief import Belief, Estimate, Inputs
from bmsthermal.curves import Array
from bmsthermal.errors import InputError
from bmsthermal.estimates import Estimates
from bmsthermal.heat import check_soc
from bmsthermal.noise import Noise
from bmsthermal.observer import Observer
from bmsthermal.packing import HOST_SENSORS, Packed
from bmsthermal.reduced.differences import Differences
from bmsthermal.reduced.filter import CoupledNoise, Filter
from bmsthermal.reduced.filter_packing import PackedFilter, pack_filter
from bmsthermal.reduced.model import ReducedCell
from bmsthermal.run import Run
from bmsthermal.schema import SENSORS
from bmsthermal.sensors import sensor_walls
from rom.ud import covariance, factored

if TYPE_CHECKING:
    from bmsthermal._cell_filter import Kernel

#: States of charge that a first voltage is looked up among.
GUESSES = np.linspace(0.0, 1.0, 201)
#: Steps of a rest that are taken at once.
BLOCK = 4096


@dataclass(frozen=True)
class CoupledBelief(Belief):
    """State of the observer on a reduced cell: the kernel's own, and last the state of charge that it says.

    The kernel's row is the mean ``(n,)``, what rounding took from lithium and resistance, and packed factors of the
    covariance (`rom.ud`).
    """

    @property
    def P(self) -> Array:
        """Covariance ``(n, n)`` of the states."""
        return covariance(self.row[self.states + 2 : -1])

    @property
    def soc(self) -> float:
        """State of charge."""
        return float(self.row[-1])


@dataclass(frozen=True)
class CoupledEstimates(Estimates):
    """Estimates of temperatures, charge and resistance; arrays ``(k,)``.

    ``nis`` and ``sensors`` count the voltage as one sensor more. ``states`` are those of the thermal part, ``rows``
    the beliefs.
    """

    soc_std: Array = field(kw_only=True)
    resistance_Ohm: Array = field(kw_only=True)
    resistance_std_Ohm: Array = field(kw_only=True)
    voltage_innovation_V: Array = field(kw_only=True)
    rows: Array = field(kw_only=True, repr=False)

    @property
    def channels(self) -> tuple[str, ...]:
        """Names of what ``innovations`` are of; the voltage is last, in V."""
        names = super().channels
        return (*names[:-1], "voltage") if np.isfinite(self.voltage_innovation_V).any() else names

    def columns(self) -> dict[str, Array]:
        """What `to_csv` writes: of temperatures, charge and resistance."""
        return super().columns() | {
            "soc": self.soc, "soc_std": self.soc_std, "resistance_Ohm": self.resistance_Ohm,
            "resistance_std_Ohm": self.resistance_std_Ohm, "voltage_innovation_V": self.voltage_innovation_V,
        }  # fmt: skip

    def belief(self, i: int = -1) -> CoupledBelief:
        """Belief after row `i`, to go on from."""
        return CoupledBelief(self.rows[i], _order(self.rows.shape[1]))

    def doubts(self) -> list[str]:
        """Sentences about what does not fit together in the run: nothing here changes the estimates."""
        known = self.run and replace(self.run, voltage_V=np.zeros(len(self.time_s)))  # heat is known without it
        return Estimates.doubts(
            Estimates(**{each.name: getattr(self, each.name) for each in fields(Estimates)} | {"run": known})
        )


class CoupledObserver(Observer):
    """What `bmsthermal.Observer` is on a `ReducedCell`: voltage is a measurement, and charge and resistance are states.

    Parameters
    ----------
    reduced
        The cell.
    measured, ambient_offset_K
        As for a thermal model.
    noise
        A `CoupledNoise`; by default what the cell's ``Observer`` section says of temperatures, its own defaults of the
        rest, the certificate's error of the voltage where that is more, and its error of the core beside ``offset_K``.
    engine
        ``kernel``, the C text that is exported; `bmsthermal.reduced.filter.Filter` is its readable twin.
    real
        Its precision: ``double``, or ``float`` as on a target.

    Raises
    ------
    InputError
        If the sensors cannot be, the cell is r-z, or it is asked for another engine.
    """

    def __init__(
        self, reduced: ReducedCell, measured: Sequence[str] = ("surface",), *, noise: Noise | None = None,
        ambient_offset_K: float | None = None, engine: Literal["kernel", "filterpy"] = "kernel",
        real: Literal["double", "float"] = "double",
    ) -> None:  # fmt: skip
        where = reduced.cell.name
        if engine != "kernel":
            raise InputError(f"engine={engine!r}", where=where, expected="'kernel' on a reduced coupled model")
        if reduced.thermal.resolution == "r-z":
            raise InputError(
                "r-z conduction under a coupled observer", where=where, expected="radial or slab",
                hint='CoupledModel(cell, heat="measured", thermal="r-z") is observed in r-z',
            )  # fmt: skip
        if not isinstance(noise, CoupledNoise | None):
            raise InputError(f"noise={noise!r:.60}", where=where, expected="a CoupledNoise")
        sure = noise or _noise(reduced)
        super().__init__(reduced.thermal, measured, noise=sure, ambient_offset_K=ambient_offset_K, real=real)
        if len(self.measured) >= HOST_SENSORS:
            raise InputError(f"{len(self.measured)} sensors", where=where, expected=f"at most {HOST_SENSORS - 1}")
        self.coupled = reduced
        self.filter = Filter(reduced, sensor_walls(reduced.thermal, self.measured), sure)

    def __repr__(self) -> str:
        return f"Observer({self.coupled!r}, measures {', '.join(self.measured)} and the voltage)"

    @property
    def packed(self) -> Packed:
        """Not there: what this observer knows is in `packed_filter`."""
        raise InputError("the observer on a coupled model has no thermal constants", hint="see packed_filter")

    @cached_property
    def packed_filter(self) -> PackedFilter:
        """The observer as the kernel's numbers."""
        return pack_filter(self.filter, self.ambient_offset_K)

    def changed(self, **changes: Any) -> CoupledObserver:
        """Return the same observer but for what is given."""
        given: dict[str, Any] = {
            "measured": self.measured, "noise": self.noise, "ambient_offset_K": self.ambient_offset_K,
            "engine": self.engine, "real": self.real,
        } | changes  # fmt: skip
        if given.pop("form", None) not in (None, "ud"):
            raise InputError(f"form={changes['form']!r}", where=repr(self), expected="'ud': it keeps factors only")
        return CoupledObserver(self.coupled, **given)

    def on_target(
        self, real: Literal["double", "float"], form: Literal["ekf", "ud", "fixed-gain"] | None = None
    ) -> CoupledObserver:  # fmt: skip
        """Return the same observer in another precision."""
        return self.changed(real=real, form=form)

    def kernel(self, cells: int = 1) -> Kernel:
        """Return an engine with a state of its own: see `bmsthermal._cell_filter.Kernel`.

        Raises
        ------
        InputError
            If it was not compiled, or for several cells.
        """
        if cells != 1:
            raise InputError(f"{cells} cells", where=repr(self), expected="one: take a kernel for each")
        try:
            from bmsthermal._cell_filter import Kernel
        except ImportError:
            raise InputError(
                "the compiled kernel is not installed", where="bmsthermal",
                hint="install a C compiler and bmsthermal again",
            ) from None  # fmt: skip
        points = len(self.coupled.negative.depth), len(self.coupled.positive.depth)
        return Kernel(self.packed_filter.row(self.dtype), *points, self.coupled.size[0])

    def start(
        self, surface_K: float, soc: float, *, core_K: float | None = None, noise: Noise | None = None
    ) -> CoupledBelief:  # fmt: skip
        """Belief about a cell whose charge has come to rest; its temperatures as for a thermal model.

        Parameters
        ----------
        surface_K, core_K, soc
            Temperatures, and state of charge from 0 to 1.
        noise
            Its ``start_K`` and ``start_gradient_K`` say how sure the temperatures are; the charge is as sure as the
            observer's noise says.
        """
        thermal = super().start(surface_K, soc, core_K=core_K, noise=noise)
        cell = Differences(self.coupled)
        x, P = self.filter.start(cell, np.asarray(thermal.x, float), thermal.P.astype(float), soc)
        row = np.concatenate([x, [0.0, 0.0], factored(P)]).astype(self.dtype)
        return self._belief_of(self._with_soc(row[None])[0])

    def step(self, belief: Belief, inputs: Inputs, measurements: Sequence[float]) -> tuple[Belief, Estimate]:
        """One step: the voltage is that at its begin, under its current; `measurements` in K are those at its end.

        Raises
        ------
        InputError
            If a number does not fit, or heat or heat-transfer coefficient is given: the model has its own.
        """
        if inputs.heat_W is not None or inputs.h_W_m2K is not None:
            found = f"heat_W={inputs.heat_W!r}, h_W_m2K={inputs.h_W_m2K!r}"
            raise InputError(found, where=repr(self), expected="None", hint="with_h() sets the model's cooling")
        self._check(belief)
        walls = len(self.coupled.thermal.walls)
        row = np.asarray(self._row(inputs), float)
        coolant = row[3 : 3 + walls]
        seen = self._seen(measurements)
        rows, out = self._march(belief, row[None, 0], row[None, 1], coolant[None], seen[None])
        return self._belief_of(rows[1]), self._estimates(np.zeros(1), rows[1:], out).at(0)

    def rest(self, belief: Belief, seconds: float, coolant_K: float) -> Belief:
        """Let the cell rest for whole steps without current and without measurements."""
        steps = self._rest_steps(seconds)
        self._check(belief)
        walls = len(self.coupled.thermal.walls)
        around = np.asarray(self._row(Inputs(0.0, np.nan, coolant_K)), float)[3 : 3 + walls]
        row = np.asarray(belief.row)
        for begin in range(0, steps, BLOCK):
            k = min(BLOCK, steps - begin)
            absent = np.full((k, len(self.measured)), np.nan)
            found, _ = self._march(
                self._belief_of(row), np.zeros(k), np.full(k, np.nan), np.broadcast_to(around, (k, walls)), absent
            )
            row = found[-1]
        return self._belief_of(row)

    def run(
        self, run: Run, *, initial_soc: float | None = None, start: Belief | None = None, start_K: float | None = None
    ) -> CoupledEstimates:
        """Estimate along a measured run, resampled to whole steps.

        Parameters
        ----------
        run
            The measurements. A core temperature in it is kept for comparison and never used; a voltage counts in the
            step in which it and its current were sampled.
        initial_soc
            State of charge that it starts from; by default the one at which the rested model shows the first voltage
            under the first current.
        start, start_K
            Belief, or uniform temperature, at the first row; by default the mean of the first readings.
        """
        self._check_sensors(run)
        sampled = run.resample(self.reduced.step_s, self.reduced.step_s)
        # current is held where samples are rare; a voltage says something under its own current only
        voltage = np.where(np.isnan(sampled.current_A), np.nan, sampled.voltage_V)
        run = replace(run.resample(self.reduced.step_s), voltage_V=voltage)
        z = np.column_stack([run.surfaces_K[name] for name in self.measured])
        notes: list[str] = []
        if start is None:
            rows = z[np.isfinite(z).any(axis=1)]
            first = np.nanmean(rows[0]) if len(rows) else run.ambient_K[0]
            kelvin = float(first if start_K is None else start_K)
            soc = self._first_soc(run, kelvin, notes) if initial_soc is None else check_soc(initial_soc)
            start = self.start(kelvin, soc)
        self._check(start)
        around = np.repeat(run.ambient_K[:, None], len(self.coupled.thermal.walls), axis=1)
        found, out = self._march(start, run.current_A[:-1], run.voltage_V[:-1], around[:-1], z[1:])
        # Row i holds what was known at time i: the inputs of the step before it, the measurements at its end.
        result = self._estimates(run.time_s, found, np.vstack([np.zeros_like(out[:1]), out]), run)
        return replace(result, notes=(*notes, *result.doubts()))

    def _first_soc(self, run: Run, kelvin: float, notes: list[str]) -> float:
        volts, amperes = float(run.voltage_V[0]), float(run.current_A[0])
        if not np.isfinite(volts + amperes):
            raise InputError(
                "the first row has no voltage or current", where=run.name, hint="give initial_soc, or cut the row off"
            )
        cell, thermal, shown = Differences(self.coupled), self.coupled.thermal, []
        state = np.zeros(self.filter.n)
        state[self.filter.first] = (kelvin - self.filter.reference_K) / thermal.outputs[1, 0]
        for guess in GUESSES:
            state[0] = self.filter.empty + guess * self.filter.window
            shown.append(cell.look(state, amperes, kelvin)[1][0])
        soc = float(GUESSES[np.argmin(np.abs(np.array(shown) - volts))])
        notes.append(f"initial SOC {soc:.2f} from {volts:.3f} V under {amperes:.3g} A, had the cell rested before")
        return soc

    def _march(self, start: Belief, current: Array, voltage: Array, around: Array, z: Array) -> tuple[Array, Array]:
        """Rows of beliefs ``(k + 1, s)``, and of heat, innovations and their variances ``(k, 1 + 16)``."""
        engine, m, k = self.kernel(), len(self.measured), len(current)
        engine.write(np.array(start.row[:-1]))
        u = np.full((k, engine.input_size), np.nan, self.dtype)
        u[:, 0], u[:, 1], u[:, 2 : 2 + around.shape[1]] = current, voltage, around
        found, past = (np.empty((k, size), self.dtype) for size in (engine.output_size, engine.state_size))
        engine.run(u, np.ascontiguousarray(z, self.dtype), found, past)
        if not np.isfinite(past).all():
            bad = int(np.argmin(np.isfinite(past).all(axis=1)))
            raise InputError(f"row {bad} drives the model away", where=repr(self), hint="check current and voltage")
        out = np.zeros((k, 1 + 2 * HOST_SENSORS))
        out[:, 0] = found[:, 0]
        for first, at in ((1, 3), (1 + HOST_SENSORS, 3 + HOST_SENSORS)):
            out[:, first : first + m] = found[:, at : at + m]
            out[:, first + m] = found[:, 1 + (first > 1)]  # the voltage is one sensor more
        return np.vstack([start.row[None], self._with_soc(past)]), out

    def _with_soc(self, rows: Any) -> Any:
        """Rows of the kernel with the state of charge behind."""
        return np.column_stack([rows, self.filter.soc(rows[:, : self.filter.n]).astype(self.dtype)])

    def _estimates(self, time_s: Array, rows: Array, out: Array, run: Run | None = None) -> CoupledEstimates:
        first, n = self.filter.first, self.filter.n
        P = covariances(rows[:, n + 4 : -1], n + 2, [0, *range(first, n), n])
        lower = np.tril_indices(n - first)
        thermal = np.hstack([rows[:, first:n].astype(float), P[:, 1:-1, 1:-1][:, *lower], rows[:, -1:].astype(float)])
        found = Estimates.of(self.reduced, self.noise, time_s, thermal, out, run=run)
        std = np.sqrt(P[:, [0, -1], [0, -1]])
        volts, variance = out[:, 1 + len(self.measured)], out[:, 1 + HOST_SENSORS + len(self.measured)]
        return CoupledEstimates(
            **{each.name: getattr(found, each.name) for each in fields(Estimates)},
            soc_std=std[:, 0] / self.filter.window, resistance_Ohm=rows[:, n].astype(float),
            resistance_std_Ohm=std[:, 1],
            voltage_innovation_V=np.where(variance > 0, volts, np.nan), rows=rows,
        )  # fmt: skip

    def _belief_of(self, row: Any) -> CoupledBelief:
        return CoupledBelief(row, self.filter.n + 2)

    def _check(self, belief: Belief) -> None:
        row, states = getattr(belief, "row", np.empty(0)), self.filter.n + 2
        if row.shape != (states * (states + 3) // 2 + 3,) or row.dtype != self.dtype or not np.isfinite(row).all():
            found = "the belief is not finite, or of another observer or precision"
            raise InputError(found, where=repr(self), hint="make one with start()")


def coupled_observer(
    source: Any, measured: Sequence[str] | None = None, *, order: int | None = None, step_s: float | None = None,
    estimate: Any = None, heat: str = "dfn", faults: Any = False, **given: Any,
) -> CoupledObserver:  # fmt: skip
    """Make the observer on a reduced coupled model or a file of one; its cell's ``Observer`` section names sensors.

    Parameters
    ----------
    source
        A `ReducedCell`, or the path of one.
    measured
        Surface sensors; by default the section's, else ``surface``.
    order, step_s, estimate, heat, faults
        As for `bmsthermal.Observer.of`; it has an order, a step and states of its own, and watches no sensors.
    **given
        As for a `CoupledObserver`.

    Raises
    ------
    InputError
        If it is not one, or something is asked for that it does not have.
    """
    asked = {"an order": order, "a step": step_s, "states to estimate": estimate or None, "faults": faults or None}
    if wrong := [name for name, value in asked.items() if value is not None]:
        raise InputError(
            f"{wrong[0]} for the observer on a reduced coupled model", expected="nothing: it has its own",
            hint="charge and resistance are its states, order and step those of the model",
        )  # fmt: skip
    reduced = source if isinstance(source, ReducedCell) else ReducedCell.load(source)
    sensors = reduced.cell.settings.get(SENSORS, ["surface"]) if measured is None else measured
    return CoupledObserver(reduced, list(sensors), **given)


def covariances(ud: Any, n: int, places: Sequence[int]) -> Array:
    """Covariance ``(k, p, p)`` of some of `n` states from rows of packed factors ``(k, n (n + 1) / 2)``."""
    ud = np.asarray(ud, float)
    starts = [i * n - i * (i - 1) // 2 for i in range(n)]
    U = np.zeros((len(ud), len(places), n))
    for row, i in enumerate(places):
        U[:, row, i], U[:, row, i + 1 :] = 1.0, ud[:, starts[i] + 1 : starts[i] + n - i]
    return np.asarray((U * ud[:, None, starts]) @ U.transpose(0, 2, 1))


def _noise(reduced: ReducedCell) -> CoupledNoise:
    noise, certificate = CoupledNoise.of(reduced.cell), reduced.certificate
    errors = [case.voltage_rms_V for case in certificate.cases if case.scored] if certificate else []
    found = float(np.sqrt(np.mean(np.square(errors)))) if errors else 0.0
    noise = replace(noise, model_V=found) if noise.model_V < found < np.inf else noise
    # the core may be off by as much as in the cases, uniformly within their largest errors
    most = [case.core_K for case in certificate.cases if case.scored] if certificate else []
    core_K = float(np.sqrt(np.mean(np.square(most)) / 3)) if most else 0.0
    return replace(noise, offset_K=float(np.hypot(noise.offset_K, core_K))) if core_K < np.inf else noise


def _order(size: int) -> int:
    """States of a belief's row of so many numbers: n (n + 3) / 2 + 3."""
    return int((np.sqrt(8 * size - 15) - 3) / 2)
