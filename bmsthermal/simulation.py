"""A run through a thermal model, full or reduced: the same question, the same answer, so an error is a subtraction."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from bmsthermal.cell import Cell
from bmsthermal.curves import Array, is_number
from bmsthermal.errors import InputError
from bmsthermal.files import PICTURES, check_outputs, write_whole
from bmsthermal.heat import MeasuredHeat, check_soc
from bmsthermal.run import Run

if TYPE_CHECKING:
    from bmsthermal.dfn.integrate import State


@dataclass(frozen=True)
class Simulation:
    """A simulated run; arrays ``(k,)``, row ``i`` at ``time_s[i]``.

    Parameters
    ----------
    time_s, current_A, voltage_V, soc
        Positive current discharges; `soc` counts what has flowed.
    ambient_K, core_K, mean_K, surfaces_K
        Temperatures: of the first wall's surroundings, inside, and by wall.
    heat_W
        Released in all. Where heat is measured, over the step that begins at
        ``time_s[i]``; in the full electrochemical model, at that instant.
    cooling_W
        Leaves through all walls.
    state
        States ``(k, n)`` of a thermal model.
    heat_terms_W
        What the heat is made of, by name, where the model knows.
    layer_current_A
        Current of each sandwich ``(k, m)`` of the full electrochemical model.
    fields
        Fields by name with unit, where they were asked for.
    snapshots
        Whole states of the full electrochemical model, in all rows or in some.
    totals
        ``heat_J``, ``cooling_J``, ``charge_C`` and ``work_J`` of the whole run,
        integrated by the solver, where the full electrochemical model ran.
    energy_residual
        Heat that is neither stored nor gone, as a share of the heat released.
    stopped
        Why and when the run ended early; empty if it did not.
    settings
        How it was made.
    """

    time_s: Array
    current_A: Array
    voltage_V: Array
    soc: Array
    ambient_K: Array
    core_K: Array
    mean_K: Array
    surfaces_K: dict[str, Array]
    heat_W: Array
    cooling_W: Array
    state: Array = field(default_factory=lambda: np.empty((0, 0)))
    heat_terms_W: dict[str, Array] = field(default_factory=dict)
    layer_current_A: Array = field(default_factory=lambda: np.empty((0, 0)))
    fields: dict[str, Array] = field(default_factory=dict)
    snapshots: tuple[State, ...] = ()
    totals: dict[str, float] = field(default_factory=dict)
    energy_residual: float = np.nan
    stopped: str = ""
    settings: dict[str, str] = field(default_factory=dict)

    @property
    def surface_K(self) -> Array:
        """Temperature of the first surface."""
        return next(iter(self.surfaces_K.values()))

    def at(self, time_s: float) -> State:
        """Whole state nearest to a time, to linearise about.

        Raises
        ------
        InputError
            If the run kept none, or the time is no number or lies outside it.
        """
        if not is_number(time_s):
            raise InputError(f"time_s={time_s!r:.60}", expected="a number of seconds")
        if not self.snapshots:
            raise InputError("this run kept no states", hint="only the full electrochemical model has them")
        if not self.time_s[0] <= time_s <= self.time_s[-1]:
            raise InputError(
                f"{time_s:g} s lies outside the run", expected=f"{self.time_s[0]:g} to {self.time_s[-1]:g} s"
            )
        return min(self.snapshots, key=lambda state: abs(state.time_s - time_s))

    def save(self, path: str | Path) -> None:
        """Write an ``.npz`` of columns with units (temperatures in degC), fields and settings; same run, same bytes.

        Raises
        ------
        InputError
            If the file has another ending or cannot be written.
        """
        from bmsthermal.simulated import archive

        _check_output(path, (".npz",))
        buffer = io.BytesIO()
        np.savez(buffer, allow_pickle=False, **archive(self))
        write_whole(path, buffer.getvalue())

    def to_csv(self, path: str | Path) -> None:
        """Write the columns, temperatures in degC; `read_measured` reads them.

        Raises
        ------
        InputError
            If the file has another ending or cannot be written.
        """
        from bmsthermal.simulated import csv_text

        _check_output(path, (".csv",))
        write_whole(path, csv_text(self))

    def plot(self, path: str | Path | None = None) -> Any:
        """Draw temperatures, voltage, heat and its terms, shares of layers, current.

        Returns
        -------
        matplotlib.figure.Figure
            Saved to `path` if given.

        Raises
        ------
        InputError
            If the file has another ending or cannot be written.
        """
        from bmsthermal.simulated import draw

        if path is not None:
            _check_output(path, PICTURES)
        return draw(self, path)

    @property
    def end(self) -> State:
        """Whole state at the end, to go on from: ``simulate(..., start=run.end)``."""
        return self.at(float(self.time_s[-1]))

    def __repr__(self) -> str:
        rise = float((self.core_K - self.surface_K).max())
        return f"Simulation({len(self.time_s)} rows, core up to {rise:.2f} K above the surface)"


def _check_output(path: Any, endings: Sequence[str]) -> None:
    """Refuse, before any work, what is no path, has another ending or cannot be written."""
    if not isinstance(path, str | os.PathLike) or "\0" in str(path):
        raise InputError(f"cannot write to {path!r:.60}", expected="the path of a file that ends in " + endings[0])
    check_outputs((Path(path), endings))


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
    cooling = (temperature[:, 2:] - reference - ambient) @ cell.conductance_W_K
    return Simulation(
        run.time_s, current, voltage, soc, ambient[:, 0] + reference, temperature[:, 0], temperature[:, 1], surfaces,
        power, cooling, state,
    )  # fmt: skip
