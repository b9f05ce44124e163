"""What a cell in a chamber really gives its heat to: the air that was logged, and walls that follow it slowly.

A chamber thermometer reads the air of the fan. A part of the heat leaves by
radiation and through the holder to what takes an hour or more to follow. While
the chamber is steady the two agree; while it drifts they are a kelvin apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import minimize
from scipy.signal import lfilter

from bmsthermal.cell import Cell
from bmsthermal.errors import InputError
from bmsthermal.posterior import FARTHEST, Problem
from bmsthermal.run import Run

#: Readings whose mean is the temperature of the cell at rest.
FIRST_ROWS = 5
#: Medians of the share and the time constant, and the standard deviations of their logarithms.
SHARE, SHARE_SD, TIME_S, TIME_SD = 0.3, 0.5, 3600.0, 0.7
LARGEST_SHARE = 0.95


@dataclass(frozen=True)
class Surroundings:
    """A rig: not the cell, and not to be carried to another one.

    Parameters
    ----------
    share
        Part of the cooling that goes to the slow walls, 0 to 1.
    time_s
        Time in which they follow the air.
    offset_K
        What the surroundings are warmer than the chamber's thermometer says.
    """

    share: float
    time_s: float
    offset_K: float = 0.0

    def seen(self, run: Run, *, logged: bool = True, sensor: str = "surface", step_s: float = 1.0) -> Run:
        """Give a run the ambient that its cell feels, on the scale of the chamber's thermometer.

        The walls, and where the chamber was not logged everything, begin at the
        temperature of the cell, which has rested.

        Parameters
        ----------
        run
            As measured.
        logged
            Whether its ambient was measured; where not, the cell at rest stands for it.
        sensor
            The surface sensor that tells the cell's temperature at rest.
        step_s
            Step that the run is resampled to.
        """
        if sensor not in run.surfaces_K:
            raise InputError(f"no sensor {sensor!r}", where=run.name, expected=f"one of {', '.join(run.surfaces_K)}")
        run = run.resample(step_s)
        readings = run.surfaces_K[sensor]
        rest = float(readings[np.isfinite(readings)][:FIRST_ROWS].mean()) - self.offset_K
        if not logged:
            return replace(run, ambient_K=np.full(run.time_s.shape, rest))
        stays = float(np.exp(-step_s / self.time_s))
        walls = lfilter([1 - stays], [1, -stays], run.ambient_K, zi=[stays * rest])[0]
        return replace(run, ambient_K=(1 - self.share) * run.ambient_K + self.share * walls)


def fit_surroundings(
    cell: Cell,
    runs: Sequence[Run],
    *,
    logged: Sequence[bool] | None = None,
    sensor: str = "surface",
    order: int = 4,
    step_s: float = 1.0,
    initial_soc: float | None = None,
) -> Surroundings:
    """Find the slow part of the surroundings, together with what `calibrate` fits, with which it would trade.

    Parameters
    ----------
    cell, order, step_s, initial_soc
        As in `calibrate`.
    runs
        Runs of one rig, of which at least one has a chamber that drifts.
    logged
        Whether the ambient of each was measured; by default all were.
    sensor
        A surface sensor.

    Returns
    -------
    Surroundings
        Give `calibrate` what its `seen` makes of the runs.
    """
    measured = [True] * len(runs) if logged is None else list(logged)
    if len(measured) != len(runs) or not any(measured):
        raise InputError(f"logged = {measured}", expected="one answer for each run, yes for at least one")
    problem = Problem(cell, runs, (sensor,), False, order, step_s, initial_soc)
    raw, fitted = problem.runs, len(problem.priors)

    def at(z: np.ndarray) -> Surroundings:
        share, time_s = SHARE * np.exp(SHARE_SD * z[fitted]), TIME_S * np.exp(TIME_SD * z[fitted + 1])
        return Surroundings(float(share), float(time_s), problem.values(z[:fitted]).ambient_K)

    def cost(z: np.ndarray) -> float:
        if not np.abs(z).max() < FARTHEST or at(z).share > LARGEST_SHARE:
            return 1e9
        rig = at(z)
        problem.runs = [
            rig.seen(run, logged=was, sensor=sensor, step_s=step_s) for run, was in zip(raw, measured, strict=True)
        ]
        return problem.cost(z[:fitted]) + 0.5 * float(z[fitted:] @ z[fitted:])

    start = np.zeros(fitted + 2)
    start[4] = 0.6  # as `posterior.minimum` starts: at 0 the share of the ambient in a reading is flat
    return at(np.asarray(minimize(cost, start, method="BFGS", options={"gtol": 0.05, "maxiter": 80}).x))
