"""What an observer says of readings that it has not seen: predictions of the very filter, many steps ahead.

From second to second the errors of a model that is a little wrong resemble one another: at 1 Hz, one error is counted
dozens of times. A prediction over a minute is one statement a minute.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft, next_fast_len, rfft

from bmsthermal.curves import Array
from bmsthermal.estimates import Estimates, apart, mismatch
from bmsthermal.jointly import JointEstimates
from bmsthermal.observer import Observer, compiled
from bmsthermal.packing import HOST_SENSORS
from bmsthermal.run import Run


@dataclass(frozen=True)
class Ahead:
    """Errors ``(w, c)`` of one run and their variances: a column a sensor, then the core where it was measured.

    An error is reading less prediction in K, NaN where there was no reading. Sensors are predicted from one end of a
    window to the other; those at the same time one after another, as the filter takes them. The core is what was
    estimated at its end from all readings until then.
    """

    time_s: Array
    error_K: Array
    variance_K2: Array

    @property
    def nis(self) -> Array:
        """Squared errors over their variances, ``(w, c)``."""
        return np.asarray(self.error_K**2 / self.variance_K2)

    def scores(self) -> Array:
        """Log density of each reading, ``(w, c)``; 0 where there was none."""
        return np.nan_to_num(-0.5 * (np.log(2 * np.pi * self.variance_K2) + self.nis))


def look_ahead(observer: Observer, run: Run, seconds: float, initial_soc: float | None = None) -> Ahead:
    """Run an observer along a run, and predict from every so many seconds on.

    Parameters
    ----------
    observer
        On a thermal model.
    run
        The measurements.
    seconds
        Length of a window; its end begins the next. In the first the filter forgets its start.
    initial_soc
        As for `Observer.run`.
    """
    found = observer.run(run, initial_soc=initial_soc)
    assert found.run is not None
    run, rows = found.run, np.asarray(found.rows if isinstance(found, JointEstimates) else found.states)
    steps = max(1, round(seconds / observer.reduced.step_s))
    begins = np.arange(steps, len(rows) - steps, steps)
    u, z = _inputs(observer, run, initial_soc), np.full((steps, len(begins), len(observer.measured)), np.nan)
    z[-1] = np.column_stack([run.surfaces_K[name] for name in observer.measured])[begins + steps]
    out = _marched(observer, rows[begins], u[begins + np.arange(steps)[:, None]], z)
    m = len(observer.measured)
    error, variance = out[:, 1 : 1 + m], out[:, 1 + HOST_SENSORS : 1 + HOST_SENSORS + m]
    error, variance = np.where(variance > 0, error, np.nan), np.where(variance > 0, variance, 1.0)
    if run.core_K is not None:
        core = core_error(found)[begins + steps]
        error, variance = (
            np.column_stack([error, core]),
            np.column_stack([variance, found.core_std_K[begins + steps] ** 2]),
        )
    return Ahead(run.time_s[begins + steps], error, variance)


def core_error(found: Estimates) -> Array:
    """Measured core less estimated, ``(k,)`` in K, without what the thermocouples are apart at the start."""
    assert found.run is not None and found.run.core_K is not None
    core, surface = found.run.core_K, next(iter(found.run.surfaces_K.values()))
    return np.asarray(core - mismatch(apart(core, surface)) - found.core_K)


def correlated(values: Array, lag: int) -> float:
    """Autocorrelation of a series about zero at a lag in rows, by the pairs that are there; NaN without any."""
    if not 0 <= lag < len(values):
        return np.nan
    pairs = values[lag:] * values[: len(values) - lag]
    known = np.isfinite(pairs).any() and np.nanmax(np.abs(values)) > 0  # zeros throughout resemble nothing
    return float(np.nanmean(pairs) / np.nanmean(values**2)) if known else np.nan


def effective(values: Array, of_squares: bool = False) -> float:
    """How many independent values say as much about the mean as this series ``(k,)``, with NaN where it has gaps.

    The number over 1 + 2 sum of autocorrelations about zero, summed while pairs of neighbours are positive (Geyer 1992,
    Statistical Science 7, 473, sec. 3.3): a series that is off throughout counts as one. At most what there are.

    Parameters
    ----------
    values
        The series, whose mean ought to be zero.
    of_squares
        About the mean of their squares, whose autocorrelation for normal values is the square of theirs.
    """
    there = np.isfinite(values)
    count, size = int(there.sum()), next_fast_len(2 * len(values), real=True)
    if count < 2:
        return float(count)

    def along(x: Array) -> Array:
        return np.asarray(irfft(np.abs(rfft(x, size)) ** 2, size)[: len(values)])

    pairs = np.rint(along(there.astype(float)))
    rho = along(np.where(there, values, 0.0))[pairs > 0] / pairs[pairs > 0]
    rho = rho[: len(rho) // 2 * 2] / (rho[0] or 1.0)
    couples = rho[0::2] + rho[1::2]
    last = 2 * int(np.argmax(couples <= 0)) if (couples <= 0).any() else len(rho)
    total = float((np.minimum(rho[:last] ** 2, 1.0) if of_squares else rho[:last]).sum())
    return float(np.clip(count / max(2 * total - 1, 1.0), 1.0, count))


def _inputs(observer: Observer, run: Run, initial_soc: float | None) -> Array:
    """Rows of inputs ``(k, i)`` as the filters take them."""
    walls = len(observer.reduced.walls)
    heat = observer._heat_source(run, initial_soc, [])[1]
    around = np.repeat(run.ambient_K[:, None], walls, axis=1)
    return np.column_stack([run.current_A, run.voltage_V, heat, around, np.full_like(around, np.nan)])


def _marched(observer: Observer, rows: NDArray[Any], u: Array, z: Array) -> Array:
    """Last outputs ``(w, o)`` of windows side by side: states ``(w, s)``, inputs and readings ``(steps, w, ...)``."""
    together = observer.engine == "kernel" and compiled()
    last = []
    for block in [slice(None)] if together else [slice(i, i + 1) for i in range(len(rows))]:
        engine = observer.kernel(len(rows[block]))
        out = np.zeros((len(u), len(rows[block]), engine.output_size), observer.dtype)
        engine.write(np.ascontiguousarray(rows[block]))
        here = (np.ascontiguousarray(each[:, block], observer.dtype) for each in (u, z))
        engine.run(*here, out)
        last.append(out[-1])
    return np.concatenate(last).astype(float)
