"""A device stepped over what was recorded, in place of plant and sensors."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from bmsthermal.errors import InputError
from bmsthermal.files import ZERO_DEGC_K
from bmsthermal.observer import SOC_IDENTIFIED
from hil import metrics
from hil.devices.device import Device
from hil.devices.under_test import UnderTest
from hil.record import Record, names_of
from hil.signals import Readings

if TYPE_CHECKING:
    from bmsthermal.observer import Observer


def readings_of(record: Record) -> Iterator[Readings]:
    """What the device saw at the end of each step."""
    time_s, current_A = record.time_s, record["seen_current_A"]
    ambient_K, voltage_V = record["seen_ambient_degC"] + ZERO_DEGC_K, record.each("seen_voltage_V")
    surfaces_K = np.stack([record.each(f"seen_{sensor}_degC") for sensor in record.sensors], axis=2) + ZERO_DEGC_K
    for i in range(len(time_s)):
        yield Readings(
            float(time_s[i]), float(current_A[i]), voltage_V[i].copy(), float(ambient_K[i]), surfaces_K[i].copy()
        )


def replay(
    device: Device, record: Record, step_s: float | None = None, *, initial_soc: float, start_error_K: float = 0.0
) -> Record:
    """Step a device over a record's readings: the same record with this device's answers in it.

    As on the bench, the device begins with the first readings, and then takes them as its first step. It has power
    throughout. What it says is compared with whatever the record knows of the truth, see `figures`.

    Parameters
    ----------
    device
        The device; it is not closed.
    record
        As `hil.logs.read` reads it.
    step_s
        Step of the device, to be compared with the record's.
    initial_soc
        State of charge that it is told at the start, 0 to 1.
    start_error_K
        What is added to the first readings that it begins with.

    Raises
    ------
    InputError
        If the record's step is another one, or the state of charge is none. Whatever the device does raises nothing.
    """
    if not 0 <= initial_soc <= 1:
        raise InputError(f"initial_soc = {initial_soc!r}", expected="a state of charge from 0 to 1")
    recorded_s = step_of(record)
    if step_s is not None and not np.isclose(step_s, recorded_s, rtol=1e-6, atol=0):
        raise InputError(f"a record in steps of {recorded_s:g} s", expected=f"the {step_s:g} s of the device")
    rows, cells, sensors = record.rows.copy(), record.cells, len(record.sensors)
    first, last = (record.names.index(name) for name in (names_of("core_degC", cells)[0], "answer_age_s"))
    tested = UnderTest(device, cells, sensors)
    for i, seen in enumerate(readings_of(record)):
        wrong = replace(seen, surfaces_K=seen.surfaces_K + start_error_K)
        wake = partial(device.reset, wrong, initial_soc) if i == 0 else None
        rows[i, first : last + 1] = tested.ask(seen, wake).row(seen.time_s)
    return Record(record.names, rows, cells, record.sensors, record.faults, tuple(tested.said))


def step_of(record: Record) -> float:
    """Length of a step in s."""
    return float(np.median(np.diff(record.time_s)))


def initial_soc(record: Record, observer: Observer) -> float:
    """State of charge at the first row: the plant's where it is recorded, else what current and voltage say.

    Raises
    ------
    InputError
        If they do not say it.
    """
    true, current_A, volts = record.each("true_soc")[0], record["seen_current_A"][0], record.each("seen_voltage_V")[0]
    if np.isfinite(true).all():
        return float(np.clip(true.mean(), 0, 1))
    if np.isfinite(current_A) and np.isfinite(volts).any():
        soc, blur = observer.reduced.heat.start_soc(float(current_A), float(np.nanmean(volts)))
        if blur <= SOC_IDENTIFIED:
            return float(soc)
    raise InputError("the first row does not tell the state of charge", hint="give it with --initial-soc")


def figures(record: Record) -> list[tuple[str, str]]:
    """Name and value with unit of what the device made of it; errors where the record has a core, else none."""
    answered = np.asarray(np.isfinite(record.each("core_degC")).all(axis=1))
    found = [("steps answered", f"{int(answered.sum())} of {len(answered)}")]
    known = answered & np.asarray(np.isfinite(record.each("true_core_degC")).all(axis=1))
    flags = metrics.flagged(record).any(axis=1)
    found.append(("steps with a fault flagged", f"{int(flags.sum())}"))
    if not known.any():
        return [*found, ("core error", "no core was recorded")]
    worst_K, at_s, cell = metrics.max_K(record, known)
    of = f" of cell {cell}" if record.cells > 1 else ""
    return [
        *found, ("core RMSE", f"{metrics.rms_K(record, known):.3f} K"),
        ("core maximum error", f"{worst_K:.3f} K{of} at {at_s:g} s"),
        ("inside 2 sigma", f"{100 * metrics.coverage(record, known):.1f} %"),
        ("normalised error squared", f"{metrics.nees(record, known):.2f} (1 is honest)"),
    ]  # fmt: skip
