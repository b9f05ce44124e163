"""A run through a thermal model, full or reduced: the same question, the same answer, so an error is a subtraction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from bmsthermal.cell import Cell
from bmsthermal.curves import Array
from bmsthermal.errors import InputError
from bmsthermal.heat import MeasuredHeat, check_soc
from bmsthermal.run import Run


@dataclass(frozen=True)
class Simulation:
    """Temperatures and heat of a run; arrays ``(k,)``, row ``i`` at ``time_s[i]``.

    ``heat_W[i]`` is released over the step that begins at ``time_s[i]``.
    """

    time_s: Array
    core_K: Array
    mean_K: Array
    surfaces_K: dict[str, Array]
    heat_W: Array
    voltage_V: Array
    soc: Array
    state: Array

    @property
    def surface_K(self) -> Array:
        """Temperature of the first surface."""
        return next(iter(self.surfaces_K.values()))

    def __repr__(self) -> str:
        rise = float((self.core_K - self.surface_K).max())
        return f"Simulation({len(self.time_s)} rows, core up to {rise:.2f} K above the surface)"


def coolants(cell: Cell, run: Run, coolant_K: Mapping[str, ArrayLike] | None) -> Array:
    """Coolant of each face in K, ``(k, w)``: the run's ambient unless `coolant_K` says otherwise."""
    given = dict(coolant_K or {})
    if unknown := set(given) - set(cell.walls):
        raise InputError(f"no face {sorted(unknown)}", where=cell.name, expected=f"some of {list(cell.walls)}")
    columns = [np.broadcast_to(np.asarray(given.get(w, run.ambient_K), float), run.time_s.shape) for w in cell.walls]
    return np.column_stack(columns)


def simulate(
    cell: Cell,
    matrices: tuple[Array, Array],
    outputs: Array,
    constant: Array,
    run: Run,
    step_s: float,
    *,
    initial_soc: float,
    start_K: float | None = None,
    coolant_K: Mapping[str, ArrayLike] | None = None,
) -> Simulation:
    """Step ``x <- A x + B [heat, coolant]`` along a run.

    Parameters
    ----------
    cell
        Gives heat, faces and reference temperature.
    matrices
        ``A (n, n)``, or its diagonal ``(n,)``, and ``B (n, 1 + w)`` of one step.
    outputs
        Rows ``(2 + w, n)``: core, mean, surfaces, above the reference.
    constant
        State ``(n,)`` that is one kelvin everywhere.
    run
        Current and ambient, and voltage where known; where it is NaN the
        DC resistance gives it.
    step_s
        The run is resampled to it.
    initial_soc, start_K
        Where it starts; `start_K` is uniform, by default the first ambient.
    coolant_K
        Coolant by face, a number or ``(k,)``, in place of the run's ambient.
    """
    charge = check_soc(initial_soc)
    run = run.resample(step_s)
    A, B = matrices
    heat, reference = MeasuredHeat(cell), cell.reference_K
    ambient = coolants(cell, run, coolant_K) - reference
    start = float(run.ambient_K[0]) if start_K is None else start_K
    x = (start - reference) * constant
    k = len(run.time_s)
    state, power, soc, voltage = np.empty((k, len(x))), np.zeros(k), np.empty(k), run.voltage_V.copy()
    mean = outputs[1]
    current = np.nan_to_num(run.current_A)
    for i in range(k):
        state[i], soc[i] = x, charge
        T = float(mean @ x) + reference
        if np.isnan(voltage[i]):
            voltage[i] = heat.voltage_V(current[i], charge, T)
        power[i] = heat.heat_W(current[i], voltage[i], charge, T)
        x = (A * x if A.ndim == 1 else A @ x) + B @ np.concatenate([power[i : i + 1], ambient[i]])
        charge = heat.soc_after(charge, current[i], step_s)
    temperature = state @ outputs.T + reference
    surfaces = {f"surface {w}": temperature[:, 2 + j] for j, w in enumerate(cell.walls)}
    return Simulation(run.time_s, temperature[:, 0], temperature[:, 1], surfaces, power, voltage, soc, state)
