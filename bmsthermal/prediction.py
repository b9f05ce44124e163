"""The surface of a run that nothing was fitted to, from its start and its inputs alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.signal import lfilter

from bmsthermal.cell import Cell
from bmsthermal.coupled import CoupledModel
from bmsthermal.errors import InputError
from bmsthermal.posterior import Fit
from bmsthermal.run import Run
from bmsthermal.schema import OFFSET
from bmsthermal.surroundings import FIRST_ROWS


def predict(
    cell: Cell,
    run: Run,
    *,
    sensor: str = "surface",
    initial_soc: float = 1.0,
    lag_s: float = 0.0,
    order: int = 4,
    step_s: float = 1.0,
) -> Fit:
    """Simulate what a surface sensor reads, open loop: its first readings are all that is used of it.

    Parameters
    ----------
    cell
        With the sensor's ambient share and the ambient offset that `calibrate` wrote.
    run
        Current, voltage and ambient; where the voltage is missing, the DC resistance gives it.
    sensor
        The sensor.
    initial_soc
        State of charge at the first row.
    lag_s
        Lag of the sensor: it belongs to the rig, so that no cell file has it.
    order, step_s
        Of the reduced model.

    Returns
    -------
    Fit
        Measured and predicted, ``(k,)`` in K.
    """
    if sensor not in run.surfaces_K:
        raise InputError(f"no sensor {sensor!r}", where=run.name, expected=f"one of {', '.join(run.surfaces_K)}")
    run, share = run.resample(step_s), cell.ambient_share
    ambient = run.ambient_K + float(cell.settings.get(OFFSET, 0.0))
    measured = run.surfaces_K[sensor]
    first = float(measured[np.isfinite(measured)][:FIRST_ROWS].mean())
    start_K = (first - share * float(ambient[:FIRST_ROWS].mean())) / (1 - share)
    model = CoupledModel(cell, heat="measured").reduce_conduction(order, step_s=step_s)
    found = model.simulate(replace(run, ambient_K=ambient), initial_soc=initial_soc, start_K=start_K)
    walls = {name.removeprefix("surface ").strip(): wall for name, wall in found.surfaces_K.items()}
    wall = next((T for name, T in walls.items() if sensor.endswith(name)), found.surface_K)
    reading = (1 - share) * wall + share * ambient
    if lag_s > 0:
        stays = float(np.exp(-step_s / lag_s))
        reading = lfilter([1 - stays], [1, -stays], reading, zi=[stays * reading[0]])[0]
    return Fit(run.name, run.time_s, measured, np.asarray(reading))
