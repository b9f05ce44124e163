"""The observer with the gains that it ends at: they solve a Riccati equation once, and no covariance is stepped.

With the model's own cooling, no current and every sensor there, the filter's covariance ends at the solution of the
discrete algebraic Riccati equation (Simon, Optimal State Estimation (2006), eq. 7.39), and its gains at what follows.
They are kept from the first step on: a wrong start is forgotten at the pace of the slowest gain and not of the prior,
and what is said of the error does not grow while a sensor is absent.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import DTypeLike, NDArray

from bmsthermal.belief import Belief
from bmsthermal.curves import Array
from bmsthermal.errors import InputError
from bmsthermal.noise import Noise
from bmsthermal.observer import Observer, compiled
from bmsthermal.packing import HOST_SENSORS, Packed, flat
from bmsthermal.reference import Reference, present


@dataclass(frozen=True)
class PackedFixed:
    """Everything the kernel of fixed gains knows, as float64, named as in ``fixed_t`` and in its order."""

    decay: Array
    drive: Array
    answer: Array
    wall: Array
    gain: Array
    variance_K2: Array
    sense: Array
    mixed: Array
    core: Array
    mean: float
    reference_K: float
    coolant_reference_K: float
    sensors: float
    uniform: float
    facing: float
    gradient_variance: float
    core_variance_K2: float
    wall_variance_K2: float
    soc_per_A: float
    table_last: float
    open_circuit_V: Array
    entropy_V_K: Array

    def row(self, dtype: DTypeLike, sensors: int = HOST_SENSORS, given: bool = False) -> NDArray[np.floating]:
        """One row in the order of ``fixed_t`` with room for `sensors` sensors; see `Packed.row`."""
        return flat(vars(self), dtype, ("gain", "variance_K2", "sense", "mixed"), sensors, given)


def transition(packed: Packed) -> tuple[Array, Array, Array]:
    """What a step keeps ``(n, n)``, noise that comes in ``(n, n)``, and how open walls answer ``(w, n)``.

    Without current, so without a slope of the heat.
    """
    n, answer = len(packed.decay), np.zeros_like(packed.wall)
    kept = np.eye(n)
    for w, (wall, sink, g) in enumerate(zip(packed.wall, packed.sink, packed.conductance_W_K, strict=True)):
        v = sink.copy()
        for p in range(w):  # each wall answers through those before it, as ``open`` of step.h
            v -= answer[p] * (packed.wall[p] @ v)
        answer[w] = v * g / (1.0 + g * (wall @ v))
        kept = kept - np.outer(answer[w], wall @ kept)
    d = packed.drive[0]
    noise = kept @ (packed.heat_variance * np.outer(d, d) + np.diag(packed.noise)) @ kept.T
    return kept @ np.diag(packed.decay), noise, answer


def steady(packed: Packed) -> tuple[Array, Array, Array]:
    """Covariance after the measurements ``(n, n)``; gains ``(m, n)`` and variances ``(m,)``, sensor after sensor.

    Raises
    ------
    InputError
        If there is no such state: the filter does not settle.
    """
    from scipy.linalg import solve_discrete_are

    F, Q, _ = transition(packed)
    try:
        P = solve_discrete_are(F.T, packed.sense.T, Q, np.diag(packed.sense_variance))
    except (np.linalg.LinAlgError, ValueError) as error:
        raise InputError(
            "gains that stay do not exist: the covariance of this observer does not settle",
            hint="export form 'ekf' or 'ud'",
        ) from error
    gains, variances = np.zeros_like(packed.sense), np.zeros(len(packed.sense))
    for k, c in enumerate(packed.sense):
        Pc = P @ c
        variances[k] = c @ Pc + packed.sense_variance[k]
        gains[k] = Pc / variances[k]
        P = P - np.outer(gains[k], Pc)
    return (P + P.T) / 2.0, gains, variances


def pack_fixed(packed: Packed) -> PackedFixed:
    """Lay out the observer with the gains that it ends at."""
    P, gains, variances = steady(packed)
    shared = {name: getattr(packed, name) for name in PackedFixed.__annotations__ if hasattr(packed, name)}
    spread = [float(row @ P @ row) + packed.offset_variance for row in (packed.core, packed.wall[0])]
    return PackedFixed(
        **shared | {
            "drive": packed.drive[0], "answer": transition(packed)[2], "gain": gains, "variance_K2": variances,
            "core_variance_K2": spread[0], "wall_variance_K2": spread[1],
        }
    )  # fmt: skip


class FixedReference(Reference):
    """Twin of the kernel of fixed gains, in float64, with the same methods."""

    def __init__(self, model: Packed, fixed: PackedFixed) -> None:
        super().__init__(model)
        self.fixed = fixed

    def step(self, u: Array, z: Array) -> tuple[float, Array, Array]:
        """Predict with inputs `u` held over the step, correct with `z` at its end."""
        m, heat = self.fixed, self.heat(u)[0]
        x = m.decay * self.filter.x[:, 0] + m.drive * heat
        around = np.array(u[3 : 3 + self.walls]) - m.coolant_reference_K
        known = np.array([present(value) for value in around])
        coolant = np.where(known, around, m.wall @ x)
        for w in np.flatnonzero(known):
            x = x - m.answer[w] * (m.wall[w] @ x - coolant[w])
        innovation, spread = np.zeros(8), np.zeros(8)
        for k, reading in enumerate(z):
            if present(reading - m.reference_K):
                innovation[k] = reading - m.reference_K - m.sense[k] @ x - m.mixed[k] @ coolant
                spread[k] = m.variance_K2[k]
                x = x + m.gain[k] * innovation[k]
        self.filter.x = x[:, None]
        return heat, innovation, spread


class FixedObserver(Observer):
    """Observer whose gains stay what they are: see this module. Beliefs carry the covariance that it ends at."""

    def __init__(self, *args: Any, form: str = "fixed-gain", **given: Any) -> None:
        super().__init__(*args, form="ekf", **given)

    def __repr__(self) -> str:
        return super().__repr__()[:-1] + ", fixed gains)"

    def on_target(
        self, real: Literal["double", "float"], form: Literal["ekf", "ud", "fixed-gain"] | None = None
    ) -> Observer:
        """Return the same observer in another precision and form: by default fixed gains again."""
        return super().on_target(real, form or "fixed-gain")

    def _given(self) -> dict[str, Any]:
        return super()._given() | {"form": "fixed-gain"}

    def _sureness(self) -> dict[str, Any]:
        return super()._sureness() | {"Covariance": "fixed"}

    @cached_property
    def packed_fixed(self) -> PackedFixed:
        """The observer as the kernel's numbers."""
        return pack_fixed(self.packed)

    def kernel(self, cells: int = 1) -> Any:
        """Return an engine as `Observer.kernel` does; its states keep the covariance that they are given."""
        if self.engine == "kernel" and compiled():
            from bmsthermal._observer import Kernel

            row, n, w = self.packed_fixed.row(self.dtype), self.reduced.order, len(self.reduced.walls)
            return Kernel(row, n, w, len(self.measured), cells, gains="fixed")
        if cells != 1:
            raise InputError(f"{cells} cells", expected="the compiled kernel", hint="see bmsthermal info")
        return FixedReference(self.packed, self.packed_fixed)

    def start(self, surface_K: float, soc: float, *, core_K: float | None = None, noise: Noise | None = None) -> Belief:
        """Belief as `Observer.start` makes it, with the covariance that the filter ends at."""
        begun = super().start(surface_K, soc, core_K=core_K, noise=noise)
        row = np.array(begun.row)
        row[begun.states : -1] = steady(self.packed)[0][np.tril_indices(begun.states)]
        return replace(begun, row=row)
