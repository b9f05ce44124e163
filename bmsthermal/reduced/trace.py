"""What is kept of a run of the full model, and the file that it is kept in."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bmsthermal.coupled import CoupledModel
from bmsthermal.curves import Array
from bmsthermal.errors import InputError
from bmsthermal.files import ZERO_DEGC_K, write_whole
from bmsthermal.reduced.training import Case, current

if TYPE_CHECKING:
    from bmsthermal.dfn.integrate import State

#: Tolerances of the solver, time between rows in s, and temperature that ends a run.
RTOL, ATOL, STEP_S, HOTTEST_K = 1e-5, 1e-5, 1.0, 353.15
#: Most states that are kept of a run.
SNAPSHOTS = 100


@dataclass(frozen=True, eq=False, repr=False)
class Trace:
    """What is kept of a run of the full model: ``k`` rows, ``m`` whole states.

    Parameters
    ----------
    case
        Which run.
    time_s, current_A, voltage_V, soc, core_K, mean_K, heat_W
        Row by row ``(k,)``; positive current discharges.
    surface_K
        Temperature of each wall ``(walls, k)``.
    salt_minimum
        Smallest relative salt concentration ``(m,)``, of the initial one, at `snapshot_s`.
    snapshot_s, snapshot_current_A, snapshot_K
        Time, current and mean temperature of the kept states ``(m,)``.
    salt
        Relative salt concentration ``(m, cells)`` from the negative collector to the positive one; sandwich by
        sandwich where there are several.
    negative, positive
        Stoichiometries ``(m, cells, nodes)``, from the middle of the particles to their surface.
    stopped
        Why the run ended early, or why it could not begin (then it has no rows); empty if it ended in time.
    """

    case: Case
    time_s: Array
    current_A: Array
    voltage_V: Array
    soc: Array
    core_K: Array
    mean_K: Array
    heat_W: Array
    surface_K: Array
    salt_minimum: Array
    snapshot_s: Array
    snapshot_current_A: Array
    snapshot_K: Array
    salt: Array
    negative: Array
    positive: Array
    stopped: str = ""

    def __repr__(self) -> str:
        ended = f", {self.stopped}" if self.stopped else ""
        return f"Trace({self.case.name}: {len(self.time_s)} rows, {len(self.snapshot_s)} states{ended})"


#: Names of the arrays of a trace, and those with one number a row or a state.
ARRAYS = tuple(field.name for field in fields(Trace) if field.name not in ("case", "stopped"))
ROWS, STATES = ARRAYS[:7], ARRAYS[8:12]


def record(model: CoupledModel, case: Case) -> Trace:
    """Run the full model and keep what a reduction is made from; a run that cannot begin has no rows.

    Parameters
    ----------
    model
        With electrochemistry, and already cooled as the case has it.
    case
        The wanted run.
    """
    try:
        run = model.simulate(
            current(case, model.cell), initial_soc=case.initial_soc, ambient_K=case.ambient_degC + ZERO_DEGC_K,
            step_s=STEP_S, rtol=RTOL, atol=ATOL, hottest_K=HOTTEST_K,
        )  # fmt: skip
    except InputError as error:
        none, walls = np.empty(0), len(model.equations.heat.walls)
        columns = {**dict.fromkeys(ROWS, none), "surface_K": np.empty((walls, 0))}
        return Trace(case, **columns, **_states(model, (), none, none), stopped=str(error))
    columns = {name: getattr(run, name) for name in ROWS}
    columns["surface_K"] = np.array(list(run.surfaces_K.values()))
    return Trace(case, **columns, **_states(model, run.snapshots, run.time_s, run.mean_K), stopped=run.stopped)


def _states(model: CoupledModel, snapshots: Sequence[State], time_s: Array, mean_K: Array) -> dict[str, Array]:
    """Fields of some of the snapshots, evenly over the run."""
    eq, count = model.equations, len(snapshots)
    kept = np.unique(np.linspace(0, count - 1, min(count, SNAPSHOTS)).round().astype(int))
    states = [snapshots[i] for i in kept]
    y = np.array([state.y for state in states]).reshape(len(states), len(eq.system.mass))
    at = np.array([state.time_s for state in states])
    salt = y[:, eq.places["salt"]]
    found = {
        "salt_minimum": salt.min(axis=1), "snapshot_s": at, "snapshot_current_A": y[:, eq.places["I"][0]],
        "snapshot_K": np.interp(at, time_s, mean_K) if states else at, "salt": salt,
    }  # fmt: skip
    for name, (_, grid, _) in eq.sandwich.electrodes.items():
        x = y[:, eq.places[f"x_{name}"]]
        found[name] = x.reshape(len(states), x.shape[1] // grid.count, grid.count)
    return found


def write(trace: Trace, path: Path, key: str) -> None:
    """Write a trace whole or not at all; same trace, same bytes.

    Parameters
    ----------
    trace
        What to keep.
    path
        Of an ``.npz``.
    key
        Which question it answers.

    Raises
    ------
    InputError
        If the file cannot be written.
    """
    buffer = io.BytesIO()
    arrays = {name: getattr(trace, name) for name in ARRAYS}
    np.savez(buffer, allow_pickle=False, **arrays, stopped=np.array(trace.stopped), key=np.array(key))
    write_whole(path, buffer.getvalue())


def read(path: Path, key: str, case: Case) -> Trace | None:
    """Read what `write` wrote, or None if it is not there, damaged, or of another key."""
    try:
        with np.load(path, allow_pickle=False) as file:
            if str(file["key"]) != key:
                return None
            arrays = {name: file[name] for name in ARRAYS}
            stopped = str(file["stopped"])
    except Exception:  # a damaged file can fail in any layer, and there is one answer: run it again
        return None
    k, m = len(arrays["time_s"]), len(arrays["snapshot_s"])
    whole = (
        all(array.dtype == np.float64 for array in arrays.values())
        and all(arrays[name].shape == (k,) for name in ROWS) and arrays["surface_K"].shape[1:] == (k,)
        and all(arrays[name].shape == (m,) for name in STATES)
        and all(len(arrays[name]) == m for name in ("salt", "negative", "positive"))
    )  # fmt: skip
    return Trace(case, **arrays, stopped=stopped) if whole else None
