"""The observer: core temperature from current, voltage, ambient and surface sensors."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from bmsthermal import schema
from bmsthermal.belief import Belief, Estimate, Inputs
from bmsthermal.cell import Cell
from bmsthermal.curves import Array
from bmsthermal.errors import InputError
from bmsthermal.estimates import Estimates
from bmsthermal.heat import check_soc
from bmsthermal.noise import Noise
from bmsthermal.packing import HOST_SENSORS, Packed, pack
from bmsthermal.reduction import ReducedModel
from bmsthermal.reference import HUGE, Reference
from bmsthermal.run import Run

if TYPE_CHECKING:
    from bmsthermal.faults import FaultRules
    from bmsthermal.reduced.model import ReducedCell
    from bmsthermal.voltage import VoltageNoise

#: Half the width of the range of SOC, beyond which a rest voltage does not identify it.
SOC_IDENTIFIED = 0.05
#: What a temperature or a heat-transfer coefficient can be; outside it is another unit.
COLDEST_K, HOTTEST_K, LARGEST_H = 150.0, 1000.0, 1e5
#: Forms that an ``Observer`` section asks for.
FORMS = {"UD": "ud", "fixed": "fixed-gain"}
#: Longest rest, in steps.
MOST_REST_STEPS = 10_000_000


def compiled() -> bool:
    """Whether the compiled kernel is there; without it everything runs in Python, slowly."""
    try:
        import bmsthermal._observer  # noqa: F401
    except ImportError:
        return False
    return True


class Observer:
    """Extended Kalman filter on a reduced model. It holds no state: a `Belief` goes in and comes out.

    Parameters
    ----------
    reduced
        The model: of conduction, with heat from current and voltage; or a `ReducedCell`, whose heat is its own: there
        voltage is a measurement, and charge and resistance are states (`bmsthermal.reduced.observing`).
    measured
        Surface sensors by column name: ``surface``, ``surface_left``, ...;
        where each one sits is in `bmsthermal.sensors.place`.
    noise
        Standard deviations; by default what the cell's ``Observer`` section says.
    ambient_offset_K
        What the coolant is warmer than its thermometer says; by default what
        calibration found.
    engine
        ``kernel``: the C text that is exported, compiled; ``filterpy``: the
        same filter written to be read.
    real
        Precision of the kernel: ``double``, or ``float`` as on a target.
    estimate
        What is estimated beside the temperatures, ``h``, ``heat``, ``bias``, ``soc``, ``resistance``:
        then it is a `bmsthermal.jointly.JointObserver`.
    heat, voltage_noise
        ``measured``, ``model`` or ``fused``: it is one too, and the voltage a measurement (`bmsthermal.voltage`).
    faults
        Whether to watch the sensors, with or without something estimated beside: the same observer.
    form
        How the covariance is kept: ``ekf``, packed, or ``ud``, as factors that
        rounding cannot make negative, with increments that carry what rounding
        takes; ``fixed-gain``: not at all, the gains are those that it ends at
        (`bmsthermal.fixed`). By default ``ud`` in single precision and with
        `estimate`, which has no other, and ``ekf`` in double.

    Raises
    ------
    InputError
        If a sensor is named twice or none is, or the model is larger than the
        kernel was built for.

    Examples
    --------
    >>> from bmsthermal import CoupledModel, Inputs, Observer, load_cell
    >>> observer = Observer(CoupledModel(load_cell("a123_26650"), heat="measured").reduce(order=4))
    >>> belief = observer.start(surface_K=298.15, soc=0.5)
    >>> belief, estimate = observer.step(belief, Inputs(10.0, 3.2, 298.15), [298.20])
    >>> 298.15 < estimate.core_K < 298.35
    True
    """

    #: What is estimated beside the temperatures.
    estimate: tuple[str, ...] = ()

    def __new__(cls, reduced: ReducedModel | ReducedCell | None = None, *args: Any, **kwargs: Any) -> Observer:
        """Make the observer that goes with the model and with what it estimates; copies come with none."""
        if cls is Observer and reduced is not None and not isinstance(reduced, ReducedModel):
            from bmsthermal.reduced.model import ReducedCell
            from bmsthermal.reduced.observing import CoupledObserver

            return super().__new__(CoupledObserver if isinstance(reduced, ReducedCell) else cls)
        if cls is Observer and kwargs.get("form") == "fixed-gain":
            from bmsthermal.fixed import FixedObserver

            if kwargs.get("estimate") or kwargs.get("heat") is not None or kwargs.get("faults"):
                raise InputError(
                    "form='fixed-gain' with something estimated beside, or faults",
                    expected="form='ud', whose gains follow what happens",
                )
            return super().__new__(FixedObserver)
        usual = "ud" if kwargs.get("real") == "float" and kwargs.get("engine", "kernel") == "kernel" else "ekf"
        beside = kwargs.get("estimate") or kwargs.get("heat") is not None or kwargs.get("faults")
        if cls is Observer and (beside or (kwargs.get("form") or usual) == "ud"):
            from bmsthermal.jointly import JointObserver

            return super().__new__(JointObserver)
        return super().__new__(cls)

    def __init__(
        self,
        reduced: ReducedModel | ReducedCell,
        measured: Sequence[str] = ("surface",),
        *,
        noise: Noise | None = None,
        ambient_offset_K: float | None = None,
        engine: Literal["kernel", "filterpy"] = "kernel",
        real: Literal["double", "float"] = "double",
        estimate: Collection[str] = (),
        form: Literal["ekf", "ud", "fixed-gain"] | None = None,
        heat: Literal["measured", "model", "fused"] | None = None,
        voltage_noise: VoltageNoise | None = None,
        faults: bool | FaultRules = False,
    ) -> None:
        named = isinstance(measured, Sequence) and all(isinstance(name, str) for name in measured)
        if not named or isinstance(measured, str) or not measured or len(set(measured)) != len(measured):
            raise InputError(f"measured = {measured!r}", expected="at least one sensor, each named once, in a list")
        if engine not in ("kernel", "filterpy") or real not in ("double", "float"):
            raise InputError(
                f"engine={engine!r}, real={real!r}", expected="'kernel' or 'filterpy', and 'double' or 'float'"
            )
        if form not in ("ekf", "ud", None):
            raise InputError(f"form={form!r}", expected="'ekf', 'ud' or 'fixed-gain'")
        if not isinstance(reduced, ReducedModel):
            raise InputError(f"reduced = {reduced!r:.60}", expected="a reduced model")
        if not isinstance(noise, Noise | None):
            raise InputError(f"noise = {noise!r:.60}", where=reduced.cell.name, expected="a Noise")
        if voltage_noise is not None:
            raise InputError(
                "voltage_noise where the voltage is no measurement", where=reduced.cell.name,
                hint="give heat, or estimate soc or resistance",
            )  # fmt: skip
        if reduced.order < 2:
            raise InputError(
                "a model of one state has no core apart from its surface", where=reduced.cell.name,
                hint="reduce to at least 2 states",
            )  # fmt: skip
        if len(measured) > HOST_SENSORS and engine != "kernel":
            raise InputError(f"{len(measured)} sensors", expected=f"at most {HOST_SENSORS}")
        self.reduced, self.measured = reduced, tuple(measured)
        self.noise = Noise.of(reduced.cell) if noise is None else noise
        self.engine, self.real = engine, real
        if ambient_offset_K is None:
            ambient_offset_K = float(reduced.cell.settings.get(schema.OFFSET, 0.0))
        schema.check_number(ambient_offset_K, schema.OFFSET, "ambient_offset_K")
        self.ambient_offset_K = ambient_offset_K
        if engine == "kernel" and compiled():
            from bmsthermal import _observer as limits

            if reduced.order > limits.MAX_STATES or len(self.measured) > limits.MAX_SENSORS:
                raise InputError(
                    f"{reduced.order} states and {len(self.measured)} sensors",
                    expected=f"at most {limits.MAX_STATES} and {limits.MAX_SENSORS}, which the kernel is built for",
                    hint="reduce to a lower order or use engine='filterpy'",
                )

    @classmethod
    def of(
        cls, source: str | Path | Cell | ReducedModel, measured: Sequence[str] | None = None, *,
        order: int | None = None, step_s: float | None = None, estimate: Collection[str] | None = None, **given: Any,
    ) -> Observer:  # fmt: skip
        """Make the observer that the ``Observer`` section of a cell describes; what is given counts instead.

        Parameters
        ----------
        source
            Whatever a command takes as CELL, a cell, or its reduced conduction.
        measured, order, step_s, estimate
            By default the section's, else ``surface``, 4 states, 1 s and nothing.
        **given
            As for an observer; ``heat="dfn"`` asks for the observer on a reduced coupled model
            (`bmsthermal.reduced.observing`), which is the source or a file of one.
        """
        from bmsthermal.coupled import load_model

        if given.get("heat") == "dfn":
            from bmsthermal.reduced.observing import coupled_observer

            return coupled_observer(source, measured, order=order, step_s=step_s, estimate=estimate, **given)

        reduced = source if isinstance(source, ReducedModel) else load_model(source, order=order, step_s=step_s)
        settings = reduced.cell.settings
        measured = list(settings.get(schema.SENSORS, ["surface"])) if measured is None else measured
        beside = tuple(settings.get(schema.ESTIMATE, ())) if estimate is None else estimate
        if estimate is None and schema.HEAT in settings and given.get("heat") is None:
            given = given | {"heat": settings[schema.HEAT]}
        if schema.ESTIMATE not in settings and not beside and settings.get(schema.COVARIANCE) in FORMS:
            given = {"form": FORMS[settings[schema.COVARIANCE]]} | given
        return Observer(reduced, measured, estimate=beside, **given)

    def section(self) -> dict[str, Any]:
        """``Observer`` section that describes it, with what else the cell's says; `of` reads it."""
        settings = dict(self.reduced.cell.settings)
        settings.pop(schema.ESTIMATE, None)
        settings.pop(schema.HEAT, None)
        places = settings.get(schema.SENSORS)
        return settings | {
            schema.ORDER: self.reduced.order,
            schema.STEP: self.reduced.step_s,
            **({schema.THERMAL: "r-z"} if self.reduced.resolution == "r-z" else {}),
            schema.SENSORS: {name: dict(places.get(name, {})) for name in self.measured}
            if isinstance(places, Mapping)
            else list(self.measured),
            schema.OFFSET: self.ambient_offset_K,
            **self._sureness(),
        }

    def _sureness(self) -> dict[str, Any]:
        """Entries of `section` about its noise."""
        return {schema.COVARIANCE: "symmetric", **self.noise.document()}

    def __repr__(self) -> str:
        return (
            f"Observer({self.reduced.cell.name}: {self.reduced.order} states, measures {', '.join(self.measured)}, "
            f"{self.engine}, {self.real})"
        )

    def changed(self, **changes: Any) -> Observer:
        """Return the same observer but for what is given, as for `Observer`."""
        return Observer(self.reduced, **self._given() | changes)

    def on_target(
        self, real: Literal["double", "float"], form: Literal["ekf", "ud", "fixed-gain"] | None = None
    ) -> Observer:
        """Return the same observer in another precision and form, both as for `Observer`, on the compiled kernel."""
        return self.changed(engine="kernel", real=real, form=form)

    def _given(self) -> dict[str, Any]:
        """What makes it, beside its model."""
        return {
            "measured": self.measured, "noise": self.noise, "ambient_offset_K": self.ambient_offset_K,
            "engine": self.engine, "real": self.real, "form": "ekf",
        }  # fmt: skip

    @cached_property
    def packed(self) -> Packed:
        """The observer as the kernel's numbers."""
        share = self.reduced.cell.ambient_share
        return pack(self.reduced, self.measured, self.noise, share, self.ambient_offset_K)

    @property
    def dtype(self) -> type[np.floating[Any]]:
        """Number type of the kernel."""
        return np.float32 if self.real == "float" and self.engine == "kernel" else np.float64

    @cached_property
    def _model_row(self) -> NDArray[np.floating]:
        return self.packed.row(self.dtype)

    def kernel(self, cells: int = 1) -> Any:
        """Return an engine with a state of its own, for `cells` cells side by side.

        Its ``run(u, z, out, past)`` steps arrays ``(steps, cells, ...)``
        without the interpreter's lock: `u` holds current_A, voltage_V, heat_W,
        then a coolant in K and a conductance in W/K per face, `z` the sensors
        in K, NaN where absent; `past` receives x, packed P and SOC of every
        step. ``write(rows)`` and ``read(rows)`` set and get the states, one
        ``Belief.row`` per cell.
        """
        if self.engine == "kernel" and compiled():
            from bmsthermal._observer import Kernel

            n, w = self.reduced.order, len(self.reduced.walls)
            return Kernel(self._model_row, n, w, len(self.measured), cells)
        if cells != 1:
            raise InputError(f"{cells} cells", expected="the compiled kernel", hint="see bmsthermal info")
        return Reference(self.packed)

    @cached_property
    def gradient_shape(self) -> Array:
        """State ``(n,)`` of a cell at steady heat, scaled to one kelvin between core and surface."""
        modal, g = self.reduced.modal, self.reduced.conductance_W_K
        rates = np.diag(modal.K)
        shape = np.zeros(len(rates))
        # steady shape of heat in and wall flow out: the modes beyond the constant, over their rates
        out = modal.E @ (g / g.sum() if g.any() else np.eye(len(g))[0])
        flow = modal.B[:, 0] - out * (modal.B[0, 0] / out[0])
        shape[1:] = flow[1:] / rates[1:] * self.reduced.scale[1:]
        inside = (self.reduced.outputs[0] - self.reduced.outputs[2]) @ shape
        return shape / inside if inside else shape

    def start(self, surface_K: float, soc: float, *, core_K: float | None = None, noise: Noise | None = None) -> Belief:
        """Belief about a cell of one temperature, or of a steady profile between `core_K` and `surface_K`.

        Parameters
        ----------
        surface_K
            Temperature of the surface, and of the whole cell unless `core_K` is given.
        soc
            State of charge, 0 to 1.
        core_K
            Temperature of the core.
        noise
            Its ``start_K`` and ``start_gradient_K`` say how sure that is.
        """
        surface_K = float(_kelvin("surface_K", surface_K, 1, absent=False)[0])
        if not isinstance(soc, int | float | np.number) or not 0.0 <= soc <= 1.0:
            raise InputError(f"soc = {soc!r}", expected="a state of charge from 0 to 1")
        noise = noise or self.noise
        n, shape = self.reduced.order, self.gradient_shape
        gradient = 0.0 if core_K is None else float(_kelvin("core_K", core_K, 1, absent=False)[0]) - surface_K
        at_surface = float(self.reduced.outputs[2] @ shape)
        x = (surface_K - self.reduced.cell.reference_K - gradient * at_surface) * self.reduced.constant
        x = x + gradient * shape
        P = noise.start_K**2 * np.outer(self.reduced.constant, self.reduced.constant)
        P += noise.start_gradient_K**2 * np.outer(shape, shape) + np.diag(1e-6 / self.reduced.felt)
        row = np.concatenate([x, P[np.tril_indices(n)], [soc]])
        return Belief(row.astype(self.dtype), n)

    def step(self, belief: Belief, inputs: Inputs, measurements: Sequence[float]) -> tuple[Belief, Estimate]:
        """One step: `inputs` held over it, `measurements` in K at its end, NaN where absent.

        Raises
        ------
        InputError
            If the number of measurements or coolants does not fit, a
            temperature is not in kelvin, or the belief is of another order or
            precision.
        """
        u, z = self._row(inputs), self._seen(measurements).astype(self.dtype)[None, None, :]
        engine = self.kernel()
        self._check_belief(belief, engine)
        past = np.empty((1, 1, engine.state_size), self.dtype)
        out = np.zeros((1, 1, engine.output_size), self.dtype)
        engine.write(belief.row[None, :].copy())
        engine.run(u[None, None, :], z, out, past)
        result = self._found(np.array([0.0]), past[:, 0], out[:, 0])
        return result.belief(0), result.at(0)

    def rest(self, belief: Belief, seconds: float, coolant_K: float) -> Belief:
        """Let the cell rest for whole steps without heat and without measurements, as between key-off and key-on."""
        steps = self._rest_steps(seconds)
        engine = self.kernel()
        self._check_belief(belief, engine)
        row = self._row(Inputs(0.0, np.nan, coolant_K, heat_W=0.0))
        u = np.broadcast_to(row, (steps, 1, engine.input_size))
        z = np.full((steps, 1, len(self.measured)), np.nan, self.dtype)
        state = belief.row[None, :].copy()
        engine.write(state)
        engine.run(np.ascontiguousarray(u), z)
        engine.read(state)
        return replace(belief, row=state[0])

    def run(
        self,
        run: Run,
        *,
        initial_soc: float | None = None,
        start: Belief | None = None,
        start_K: float | None = None,
    ) -> Estimates:
        """Estimate along a measured run, resampled to whole steps.

        Parameters
        ----------
        run
            The measurements. A core temperature in it is kept for comparison and never used.
        initial_soc
            Where the coulomb counter starts; by default from the first row
            where the open-circuit curve identifies it. Where neither does, the
            heat is `I^2 R`, and the result says so.
        start, start_K
            Belief, or uniform temperature, at the first row; by default the
            mean of the first readings.
        """
        notes: list[str] = []
        self._check_sensors(run)
        run = self._sampled(run)
        soc, heat_W, soc_sd = self._heat_source(run, initial_soc, notes)
        z = np.column_stack([run.surfaces_K[name] for name in self.measured])
        if start is None:
            rows = z[np.isfinite(z).any(axis=1)]
            first = np.nanmean(rows[0]) if len(rows) else run.ambient_K[0]
            start = self._begin(float(first if start_K is None else start_K), soc, float(run.ambient_K[0]), soc_sd)
        engine, walls = self.kernel(), len(self.reduced.walls)
        self._check_belief(start, engine)
        k = len(run.time_s)
        u = np.full((k, 1, engine.input_size), np.nan, self.dtype)
        u[:, 0, 0], u[:, 0, 1], u[:, 0, 2] = run.current_A, run.voltage_V, heat_W
        u[:, 0, 3 : 3 + walls] = run.ambient_K[:, None]
        past = np.empty((k, 1, engine.state_size), self.dtype)
        out = np.zeros((k, 1, engine.output_size), self.dtype)
        past[0, 0] = start.row
        engine.write(start.row[None, :].copy())
        # Row i holds what was known at time i: the inputs of the step before it, the measurements at its end.
        engine.run(u[:-1], np.ascontiguousarray(z[1:, None, :], self.dtype), out[1:], past[1:])
        found = self._found(run.time_s, past[:, 0], out[:, 0], run)
        return replace(found, notes=(*notes, *found.doubts()))

    def _sampled(self, run: Run) -> Run:
        """A run in whole steps."""
        return run.resample(self.reduced.step_s)

    def _begin(self, surface_K: float, soc: float, ambient_K: float, soc_sd: float | None = None) -> Belief:
        """Belief at the first row of a run."""
        return self.start(surface_K, soc)

    def _found(
        self, time_s: Array, states: NDArray[np.floating], out: NDArray[np.floating], run: Run | None = None
    ) -> Estimates:
        """Estimates that the kernel's states and outputs are."""
        return Estimates.of(self.reduced, self.noise, time_s, states, out, run=run)

    def _heat_source(self, run: Run, initial_soc: float | None, notes: list[str]) -> tuple[float, Array, float | None]:
        """State of charge to start from, heat (NaN: from current and voltage) of every row, and how sure the charge is.

        The last is None where nobody said.
        """
        heat, nothing = self.reduced.heat, np.full(run.time_s.shape, np.nan)
        if initial_soc is not None:
            return check_soc(initial_soc), nothing, None
        soc, blur = heat.start_soc(float(run.current_A[0]), float(run.voltage_V[0]))
        if blur <= SOC_IDENTIFIED:
            amperes, volts = float(run.current_A[0]), f"{run.voltage_V[0]:.3f} V"
            source = f"{volts} under {amperes:.3g} A less the drop of the DC resistance"
            if abs(amperes) < 0.02 * self.reduced.cell.capacity_Ah:  # as `MeasuredHeat.start_soc` has it
                source = f"the rest voltage of {volts}"
            notes.append(f"initial SOC {soc:.2f} from {source}")
            return soc, nothing, None
        why = f"the first row leaves it between {soc - blur:.2f} and {soc + blur:.2f}"
        notes.append(f"initial SOC unknown ({why}): heat is I^2 R(T), without the reversible part")
        sensor = run.surfaces_K[self.measured[0]]
        T = np.where(np.isfinite(sensor), sensor, run.ambient_K)
        return 0.5, run.current_A**2 * heat.resistance_Ohm(0.5, T), None

    def _rest_steps(self, seconds: float) -> int:
        """Whole steps of a rest."""
        longest = MOST_REST_STEPS * self.reduced.step_s
        if not isinstance(seconds, int | float | np.number) or not 0 <= seconds <= longest:
            raise InputError(f"seconds = {seconds!r}", expected=f"0 to {longest:g}")
        return round(seconds / self.reduced.step_s)

    def _seen(self, measurements: Any) -> Array:
        """Measurements of one step in K ``(m,)``, NaN where absent."""
        return _kelvin(f"measurements of {', '.join(self.measured)}", measurements, len(self.measured))

    def _check_sensors(self, run: Run) -> None:
        if missing := [name for name in self.measured if name not in run.surfaces_K]:
            expected = f"one of {', '.join(run.surfaces_K) or 'none'}"
            raise InputError(f"no sensor {missing[0]!r}", where=run.name, expected=expected)

    def _row(self, inputs: Inputs) -> NDArray[np.floating]:
        areas = self.reduced.areas_m2
        coolant = _kelvin("coolant_K", inputs.coolant_K, len(areas))
        h = _numbers("h_W_m2K", np.nan if inputs.h_W_m2K is None else inputs.h_W_m2K, len(areas))
        if not (~(np.abs(h) < HUGE) | ((h >= 0) & (h <= LARGEST_H))).all():
            expected = f"0 to {LARGEST_H:g}, or NaN for the model's own"
            raise InputError(f"h_W_m2K = {inputs.h_W_m2K!r}", expected=expected)
        heat = np.nan if inputs.heat_W is None else inputs.heat_W
        drive = _numbers("current_A, voltage_V, heat_W", [inputs.current_A, inputs.voltage_V, heat], 3)
        return np.concatenate([drive, coolant, h * areas]).astype(self.dtype)

    def _check_belief(self, belief: Belief, engine: Any) -> None:
        row = getattr(belief, "row", None)
        if row is None or row.shape != (engine.state_size,) or row.dtype != self.dtype or not np.isfinite(row).all():
            found = "the belief is not finite, or of another order or precision"
            raise InputError(found, where=repr(self), hint="make one with start()")


def _numbers(label: str, values: Any, count: int) -> Array:
    """Return `count` numbers, NaN among them; one number stands for all."""
    try:
        given = np.asarray(values, float)
        return np.array(np.broadcast_to(given, (count,)) if given.ndim == 0 else given.reshape(count))
    except (TypeError, ValueError) as error:
        raise InputError(f"{label}: found {values!r}", expected=f"{count} number{'s' * (count > 1)}") from error


def _kelvin(label: str, values: Any, count: int, *, absent: bool = True) -> Array:
    """Return `count` temperatures that can only be kelvin; NaN and what is beyond 1e6 is absent, if it may be."""
    T = _numbers(label, values, count)
    missing = ~(np.abs(T) < HUGE) if absent else np.zeros(count, bool)
    if not (missing | ((T > COLDEST_K) & (T < HOTTEST_K))).all():
        raise InputError(f"{label}: found {values!r}", expected=f"kelvin, {COLDEST_K:g} to {HOTTEST_K:g}")
    return T
