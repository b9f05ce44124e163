"""What a record is worth, in figures: errors, coverage, consistency, time to detect, false alarms, recovery."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from bmsthermal.curves import Array
from bmsthermal.faults import NAMES
from hil.record import Record
from hil.signals import Status

Rows = NDArray[np.bool_]
#: What may be flagged: a fault of a sensor, or heat of a cell that nobody accounts for.
Flag = Literal["absent", "open", "short", "bias", "stuck", "drift", "swap", "heat"]
FLAGS: tuple[Flag, ...] = get_args(Flag)


def core_error_K(record: Record) -> Array:
    """Estimated less true core, ``(k, cells)``; NaN where the device says nothing."""
    return record.each("core_degC") - record.each("true_core_degC")


def rms_K(record: Record, rows: Rows) -> float:
    """Root of the mean square of the core error over some rows ``(k,)``, of the worst cell; NaN if an answer lacks."""
    return float(np.sqrt(np.mean(core_error_K(record)[rows] ** 2, axis=0)).max())


def max_K(record: Record, rows: Rows) -> tuple[float, float, int]:
    """Largest core error over some rows ``(k,)``, when in s and of which cell; NaN at the first answer that lacks."""
    error = np.abs(core_error_K(record)[rows])
    row, cell = np.unravel_index(int(np.argmax(error)), error.shape)  # argmax takes the first NaN
    return float(error[row, cell]), float(record.time_s[rows][row]), int(cell)


def unanswered(record: Record, rows: Rows) -> int:
    """Number of rows without an estimate of every cell."""
    return int(np.isnan(core_error_K(record)[rows]).any(axis=1).sum())


def coverage(record: Record, rows: Rows, sigmas: float = 2.0) -> float:
    r"""Share of rows and cells where the truth is within so many of the device's own standard deviations.

    An honest Gaussian estimate has :math:`\mathrm{erf}(s / \sqrt 2)`: 0.954 at two. No answer is not inside.
    """
    inside = np.abs(core_error_K(record)[rows]) <= sigmas * record.each("core_std_K")[rows]
    return float(inside.mean())


def nees(record: Record, rows: Rows) -> float:
    r"""Mean of :math:`e^2 / \sigma^2` over rows and cells: 1 for an honest estimate, more for one that is too sure.

    Normalised estimation error squared: Bar-Shalom, Li and Kirubarajan, Estimation with Applications to Tracking and
    Navigation, Wiley 2001, section 5.4. Innovations are the device's own and in no record, hence no NIS.
    """
    return float(np.mean((core_error_K(record)[rows] / record.each("core_std_K")[rows]) ** 2))


def flagged(
    record: Record, flags: Sequence[str] = FLAGS, sensors: Sequence[str] | None = None,
    cells: Sequence[int] | None = None,
) -> Rows:  # fmt: skip
    """Where a device says one of some `FLAGS`, ``(k, sensors x cells, then cells)``.

    Parameters
    ----------
    record
        Of the run.
    flags
        Which of `FLAGS` count.
    sensors, cells
        Whose flags count, those of all by default; ``heat`` is of a cell and of no sensor.
    """
    sensors, chosen = record.sensors if sensors is None else sensors, slice(None) if cells is None else list(cells)
    codes = [NAMES.index(flag) for flag in flags if flag != "heat"]
    said = [np.isin(record.each(f"fault_{sensor}")[:, chosen], codes) for sensor in sensors]
    heat = record.each("heat_fault")[:, chosen] > 0
    return np.concatenate([*said, heat if "heat" in flags else np.zeros_like(heat)], axis=1)


def under(record: Record, fault: str) -> Rows:
    """Rows ``(k,)`` under a fault: from the first thing that it changes until its time is over.

    In between it need not change anything: a frozen reading may be right for a step, a lost frame is one of some.
    """
    active, injected = record[f"{fault}.active"] > 0, record[f"{fault}.injected"] > 0
    rows, there = np.zeros(len(active), bool), False
    for i in range(len(active)):
        there = bool(injected[i] or (there and active[i]))
        rows[i] = there
    return rows


def windows(record: Record, fault: str) -> list[tuple[float, float]]:
    """Begin and end in s of each stretch `under` a fault; the end is that of the run if it is still there then."""
    on = np.concatenate([[False], under(record, fault), [False]])
    edges, ends = np.flatnonzero(on[1:] != on[:-1]), np.append(record.time_s, record.time_s[-1])
    return [(float(ends[a]), float(ends[b])) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def detected_after_s(record: Record, window: tuple[float, float], flags: Rows) -> float:
    """Time in s from the start of a fault to the first flag in it; NaN if none, or if it was there before.

    Parameters
    ----------
    record
        Of the run.
    window
        Begin and end of the fault, see `windows`.
    flags
        What counts, ``(k, n)``: each on its own has to rise within the window.
    """
    start, end = window
    before = record.time_s < start
    fresh = flags & ~flags[before][-1] if before.any() else flags
    inside = (record.time_s >= start) & (record.time_s <= end)
    times = record.time_s[inside & fresh.any(axis=1)]
    return float(times[0] - start) if times.size else np.nan


def alarms(flags: Rows, rows: Rows) -> int:
    """Number of alarms: times that a flag ``(k, n)`` rises, or still stands where some rows ``(k,)`` begin."""
    said = flags & rows[:, None]
    return int((said & ~np.vstack([np.zeros_like(said[:1]), said[:-1]])).sum())


def blamed(record: Record, row: int) -> list[str]:
    """Sensors that are flagged in a row, ``surface[3]``, and ``heat``."""
    flags = [name for name in record.names if name.startswith(("fault_", "heat_fault")) and "." not in name]
    return [name.removeprefix("fault_").replace("heat_fault", "heat") for name in flags if record[name][row] > 0]


def recovery_s(record: Record, end_s: float, within_K: float, until_s: float = np.inf) -> float:
    """Time in s after which the core error of every cell stays within a bound.

    Parameters
    ----------
    record
        Of the run.
    end_s
        Where the fault ends.
    within_K
        Bound.
    until_s
        What is then or later is not looked at.

    Returns
    -------
    float
        0 if it never was outside; NaN if it is outside, or silent, at the last row that is looked at.
    """
    rows = (record.time_s >= end_s) & (record.time_s < until_s)
    outside = np.flatnonzero(~(np.abs(core_error_K(record)[rows]) <= within_K).all(axis=1))
    times = record.time_s[rows]
    if not outside.size:
        return 0.0
    return float(times[outside[-1] + 1] - end_s) if outside[-1] + 1 < times.size else np.nan


def answered(record: Record, rows: Rows) -> float:
    """Share of some rows ``(k,)`` in which the device did as it should."""
    return float(np.mean(record["status"][rows] == Status.OK))
