"""Frames of a log as what a device would have seen of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from bmsthermal.errors import InputError
from hil.bus.link import Link
from hil.bus.names import readings_of_row
from hil.bus.receiver import with_ambient
from hil.logs.records import absent, record_of_readings
from hil.record import Record
from hil.signals import Readings

if TYPE_CHECKING:
    import can

#: Beyond it a time is a date, and counted from the first frame; a log of a bench begins at 0.
DATE_S = 1e8
#: Share of a step that a log's resolution of time may be off by.
BLUR = 1e-4
MOST_STEPS = 5_000_000


def record_of_frames(frames: Sequence[can.Message], link: Link, where: str) -> Record:
    """Readings at each step: of the frames until half a step after it, as `hil.bus.Framed` has them.

    Of a signal of somebody else's database that comes several times in a step, the mean is taken.

    Parameters
    ----------
    frames
        As they were logged.
    link
        Database, cells, sensors and step.
    where
        The log, for messages about it.

    Raises
    ------
    InputError
        If there are no frames or none with readings, or times run backwards by more than a step.
    """
    if not frames:
        raise InputError("holds no frames", where=where)
    times = np.array([frame.timestamp for frame in frames])
    for i in np.flatnonzero(~(np.diff(times) >= -link.step_s))[:1]:
        raise InputError(
            f"frame {i + 2} is at {times[i + 1]:.6f} s, and the one before it at {times[i]:.6f} s", where=where,
            expected="times that increase",
        )  # fmt: skip
    zero = float(times.min()) if times.min() > DATE_S else 0.0
    at = np.ceil((times - zero) / link.step_s - 0.5 - BLUR).astype(int)
    if at.max() - at.min() >= MOST_STEPS:
        raise InputError(f"{at.max() - at.min()} steps of {link.step_s:g} s", where=where, expected="a log of fewer")
    receiver, order = link.receiver(link.readings), np.argsort(times, kind="stable")
    cells, sensors, step_s = link.cells, link.sensors, link.step_s
    steps, averaged = at[order], link.bus.dbc is not None
    readings: list[Readings] = []
    last, begin = -1, 0
    while begin < len(order):
        step = int(steps[begin])
        end = begin + int(np.searchsorted(steps[begin:], step, side="right"))
        sums, counts = np.zeros(len(link.readings.names)), np.zeros(len(link.readings.names))
        for i in order[begin:end]:
            which = receiver.take(frames[i], times[i] - zero)
            if which is not None:
                here = [slot.index for slot in link.readings.frames[which].slots]
                new = receiver.values[here]
                sums[here] += np.nan_to_num(new)
                counts[here] += ~np.isnan(new)
                last = len(readings)
        begin = end
        upto = int(steps[begin]) if begin < len(order) else step + 1
        for k in range(step, upto):
            row = receiver.read((k + 0.5) * step_s)
            if averaged and k == step:
                row = np.where(~np.isnan(row) & (counts > 1), sums / np.maximum(counts, 1), row)
            if last >= 0:
                row = with_ambient(row, link.bus.coolant_degC)
                readings.append(readings_of_row(row, k * step_s, cells, len(sensors)))
    refused = {reason: n for reason, n in sorted(receiver.counts.items()) if reason not in ("stale", "flagged", "lost")}
    said = ", ".join(f"{reason}: {n}" for reason, n in refused.items()) or "none refused"
    if last < 0:
        what = f"{len(frames)} frames, and none with readings ({said})"
        raise InputError(what, where=where, hint="is the DBC its own?")
    record = record_of_readings(readings[: last + 1], sensors)
    if (name := absent(record)) is not None:
        what = f"{len(frames)} frames, and none with {name} ({said})"
        raise InputError(what, where=where, hint="is the DBC its own?")
    return record
