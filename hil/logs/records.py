"""Records of what was not recorded by a bench: measured runs and readings; and what a record needs to be replayed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from bmsthermal.curves import Array
from bmsthermal.errors import InputError
from bmsthermal.files import ZERO_DEGC_K
from bmsthermal.run import Run
from hil.record import Record, column_names, names_of
from hil.signals import Readings


def checked(record: Record, path: Path) -> Record:
    """Return the record, if a device can step over it.

    Raises
    ------
    InputError
        If it has fewer than two rows, times that are not even, or no reading at all of something.
    """
    where, time_s = str(path), record.time_s
    if len(time_s) < 2:
        raise InputError(f"{len(time_s)} rows", where=where, expected="at least 2")
    steps = np.diff(time_s)
    step_s = float(np.median(steps))
    odd = np.flatnonzero(~(np.abs(steps - step_s) < 1e-3 * step_s)) if step_s > 0 else np.zeros(1, int)
    if odd.size:
        i = int(odd[0])
        raise InputError(
            f"time_s goes from {time_s[i]:.12g} to {time_s[i + 1]:.12g} in row {i + 2}", where=where,
            expected=f"even steps of {step_s:g} s" if step_s > 0 else "times that increase",
        )  # fmt: skip
    if (name := absent(record)) is not None:
        raise InputError(f"there is no reading of {name}", where=where)
    return record


def absent(record: Record) -> str | None:
    """Name of what a device cannot do without and of which there is no reading at all: the current, a sensor."""
    signals = {"current_A": record["seen_current_A"]}
    signals |= {f"{sensor}_degC": record.each(f"seen_{sensor}_degC") for sensor in record.sensors}
    return next((name for name, values in signals.items() if np.isnan(values).all()), None)


def record_of_run(run: Run, sensors: Sequence[str], step_s: float) -> Record:
    """Record of a measured run, in steps: current, voltage and ambient of the step, sensors and core at its end.

    Raises
    ------
    InputError
        If a sensor is not there, or the run is shorter than two steps.
    """
    if missing := [name for name in sensors if name not in run.surfaces_K]:
        raise InputError(
            f"no sensor {missing[0]!r}", where=run.name, expected=f"one of {', '.join(run.surfaces_K) or 'none'}"
        )
    run = run.resample(step_s)
    table = np.column_stack([run.surfaces_K[sensor] for sensor in sensors])
    readings = [
        Readings(
            float(run.time_s[i]), float(run.current_A[i - 1]), run.voltage_V[i - 1 : i], float(run.ambient_K[i - 1]),
            table[i][None],
        )
        for i in range(1, len(run.time_s))
    ]  # fmt: skip
    return record_of_readings(readings, sensors, None if run.core_K is None else run.core_K[1:, None])


def record_of_readings(readings: Sequence[Readings], sensors: Sequence[str], core_K: Array | None = None) -> Record:
    """Record of what a device saw, and of the core ``(k, cells)`` where it was measured."""
    cells = len(readings[0].voltage_V) if readings else 1
    names = column_names(cells, sensors, ())
    rows = np.full((len(readings), len(names)), np.nan)
    record = Record(names, rows, cells, tuple(sensors))
    put = {name: rows[:, i] for i, name in enumerate(names)}
    put["time_s"][:] = [each.time_s for each in readings]
    put["seen_current_A"][:] = [each.current_A for each in readings]
    put["seen_ambient_degC"][:] = [each.ambient_K - ZERO_DEGC_K for each in readings]
    for cell, name in enumerate(names_of("seen_voltage_V", cells)):
        put[name][:] = [each.voltage_V[cell] for each in readings]
    for k, sensor in enumerate(sensors):
        for cell, name in enumerate(names_of(f"seen_{sensor}_degC", cells)):
            put[name][:] = [each.surfaces_K[cell, k] - ZERO_DEGC_K for each in readings]
    for cell, name in enumerate(names_of("true_core_degC", cells)):
        put[name][:] = np.nan if core_K is None else core_K[:, cell] - ZERO_DEGC_K
    return record
