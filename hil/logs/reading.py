"""Recorded runs as records: our own, measured ones, signals of MF4, and frames of BLF, ASC, candump and MF4."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from bmsthermal.curves import Array
from bmsthermal.errors import InputError
from bmsthermal.files import ZERO_DEGC_K
from bmsthermal.run import Run
from hil.logs.columns import is_record, record_of
from hil.logs.frames import read_frames
from hil.logs.tables import read_csv, read_npz
from hil.record import Record, column_names, names_of
from hil.signals import Readings

if TYPE_CHECKING:
    from hil.bus import BusSpec

#: Endings of what can be replayed.
REPLAYED = (".csv", ".gz", ".npz", ".mf4", ".blf", ".asc", ".log")


def read(
    path: str | Path,
    dbc: str | Path | None = None,
    names: Mapping[str, str] | None = None,
    *,
    bus: BusSpec | None = None,
    cells: int = 1,
    sensors: Sequence[str] = ("surface",),
    step_s: float = 1.0,
    ambient_degC: float | None = None,
    current_sign: Literal["discharge", "charge"] = "discharge",
) -> Record:
    """Read a recorded run as a record; what nobody recorded is NaN.

    A record of the bench is read as it is, to the last bit. Of everything else a row is the end of a step of `step_s`:
    measured runs and signals are brought to it by `bmsthermal.Run.resample`, and of frames a row is what a device
    would have seen of them half a step later, with counters, checksums and time-outs as `hil.bus` has them.

    Parameters
    ----------
    path
        ``.csv`` (a record's, or what `bmsthermal.read_measured` reads, also ``.csv.gz``), ``.npz``, ``.mf4`` (a
        record's, signals, or a bus log), or frames: ``.blf``, ``.asc``, candump's ``.log``.
    dbc, names
        Database of the frames, if they are not the bench's own; and our names to theirs: of signals as in
        `hil.bus.BusSpec.signals`, of MF4's channels and a measured CSV's columns as ``{"current_A": "I_pack"}``.
    bus
        What else is to be said of the bus, instead of `dbc` and `names`.
    cells, sensors
        Of the module, and of each cell; measured runs and signals are of one cell. A record knows its own.
    step_s
        Step of the device to be.
    ambient_degC
        Constant ambient, instead of the recorded one.
    current_sign
        What a positive current does in a measured run; in a record it discharges.

    Raises
    ------
    InputError
        If the file is missing, damaged, empty or of another kind, a signal is not there, times do not increase, or a
        package is missing.
    """
    path, given = Path(path), dict(names or {})
    kind = path.suffix.lower()
    if kind not in REPLAYED:
        raise InputError(f"ends in {kind!r}", where=str(path), expected=" or ".join(REPLAYED))
    if not path.is_file():
        raise InputError("no such file", where=str(path))
    if kind == ".npz":
        return checked(read_npz(path), path)
    if kind in (".csv", ".gz"):
        lines = _own_lines(path)
        if lines:
            return checked(read_csv(path, lines), path)
        from bmsthermal.measured import read_measured

        run = read_measured(
            path, columns=given, current_sign=current_sign, ambient_degC=ambient_degC, sensors=sensors
        )  # fmt: skip
        return checked(record_of_run(run, sensors, step_s), path)
    if kind == ".mf4":
        found = _mf4(path, given, sensors, ambient_degC, -1.0 if current_sign == "charge" else 1.0)
        if isinstance(found, Record):
            return checked(found, path)
        if isinstance(found, Run):
            return checked(record_of_run(found, sensors, step_s), path)
    from hil.bus import BusSpec
    from hil.bus.link import Link
    from hil.logs.from_frames import record_of_frames

    if bus is None:
        bus = BusSpec(dbc=None if dbc is None else Path(dbc), signals=given if dbc else {}, coolant_degC=ambient_degC)
    link = Link(bus, cells, sensors, step_s)
    return checked(record_of_frames(read_frames(path), link, str(path)), path)


def _own_lines(path: Path) -> list[str]:
    """Lines of a CSV that is a record's; none of another one, which is looked at with more suspicion."""
    if path.suffix.lower() != ".csv":
        return []
    try:
        with path.open(encoding="utf-8", newline="\n") as text:
            first = text.readline()
            return [first, *text] if is_record(first.rstrip("\n").split(",")) else []
    except UnicodeDecodeError:
        return []


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
    for name in ("seen_current_A", *(f"seen_{sensor}_degC" for sensor in record.sensors)):
        values = record.each(name) if name != "seen_current_A" else record[name]
        if np.isnan(values).all():
            raise InputError(f"there is no reading of {name.removeprefix('seen_')}", where=where)
    return record


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


def _mf4(
    path: Path, names: Mapping[str, str], sensors: Sequence[str], ambient_degC: float | None, sign: float
) -> Record | Run | None:
    """What an MF4 file holds: a record, signals, or None: a bus log."""
    from hil.logs.mf4 import asammdf

    package = asammdf()
    try:
        with package.MDF(path) as mdf:
            there = set(mdf.channels_db)
            if is_record(["time_s", *there]):
                return _mf4_record(mdf, path)
            if "CAN_DataFrame" in there and not names:
                return None
            return _mf4_run(mdf, path, names, sensors, ambient_degC, sign)
    except InputError:
        raise
    except Exception as error:  # asammdf has as many kinds of them as a file has ways to be damaged
        raise InputError(f"cannot be read ({error})", where=str(path), expected="an MF4 file") from error


def _mf4_record(mdf: Any, path: Path) -> Record:
    """Record that `hil.logs.write` wrote."""
    group = mdf.groups[0]
    signals = [mdf.get(group=0, index=i) for i, channel in enumerate(group.channels) if channel.name != "time"]
    said: list[tuple[float, str]] = []
    if "said" in mdf.channels_db:
        spoken = mdf.get("said")
        said = [(float(at), bytes(text).decode()) for at, text in zip(spoken.timestamps, spoken.samples, strict=True)]
    rows = np.column_stack([signals[0].timestamps, *(signal.samples for signal in signals)])
    return record_of(["time_s", *(signal.name for signal in signals)], rows, said, where=str(path))


def _mf4_run(
    mdf: Any, path: Path, names: Mapping[str, str], sensors: Sequence[str], ambient_degC: float | None, sign: float
) -> Run:
    """Signals of one cell, each on its own clock, as a run with gaps."""
    from hil.bus.names import UNITS

    ours = ["current_A", "voltage_V", *(f"{sensor}_degC" for sensor in sensors)]
    ours += [] if ambient_degC is not None else ["ambient_degC"]
    ours += [name for name in ("core_degC",) if names.get(name, name) in mdf.channels_db]
    found: dict[str, tuple[Array, Array]] = {}
    for name in ours:
        theirs = names.get(name, name)
        if theirs not in mdf.channels_db:
            near = ", ".join(map(repr, difflib.get_close_matches(theirs, mdf.channels_db, 3, 0.3)))
            raise InputError(
                f"no signal {theirs!r}", where=str(path), expected=f"one of its own, such as {near}" if near else "",
                hint=f"say which one is {name}",
            )  # fmt: skip
        signal = mdf.get(theirs).validate()
        known = UNITS[name.rpartition("_")[2]] | {"": (1.0, ZERO_DEGC_K if name.endswith("degC") else 0.0)}
        if signal.unit not in known or signal.samples.dtype.kind not in "iufb" or signal.samples.ndim != 1:
            what = f"signal {theirs!r} in {signal.unit!r}, {signal.samples.dtype}"
            raise InputError(what, where=str(path), expected=f"numbers in one of {', '.join(filter(None, known))}")
        scale, offset = known[signal.unit]
        found[name] = np.asarray(signal.timestamps, float), signal.samples.astype(float) * scale + offset
    time_s = np.unique(np.concatenate([at for at, _ in found.values()]))

    def spread(name: str) -> Array:
        column = np.full(len(time_s), np.nan)
        at, values = found[name]
        column[np.searchsorted(time_s, at)] = values
        return column

    ambient_K = spread("ambient_degC") if ambient_degC is None else np.full(len(time_s), ambient_degC + ZERO_DEGC_K)
    core_K = spread("core_degC") if "core_degC" in found else None
    surfaces_K = {sensor: spread(f"{sensor}_degC") for sensor in sensors}
    return Run(time_s, sign * spread("current_A"), spread("voltage_V"), ambient_K, surfaces_K, core_K, path.name)
