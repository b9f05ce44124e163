"""Recorded runs as records: our own, measured ones, signals of MF4, and frames of BLF, ASC, candump and MF4."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from bmsthermal.errors import InputError
from hil.logs.columns import is_record
from hil.logs.frames import read_frames
from hil.logs.records import checked, record_of_run
from hil.logs.tables import read_csv, read_npz
from hil.record import Record

if TYPE_CHECKING:
    from hil.bus import BusSpec

Sign = Literal["discharge", "charge"]
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
    current_sign: Sign = "discharge",
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
        What a positive current does in measured data; in a record of the bench it discharges.

    Raises
    ------
    InputError
        If the file is missing, damaged, empty or of another kind, a signal is not there, times do not increase, or a
        package is missing.
    """
    path, kind = Path(path), Path(path).suffix.lower()
    if kind not in REPLAYED:
        raise InputError(f"ends in {kind!r}", where=str(path), expected=" or ".join(REPLAYED))
    if not path.is_file():
        raise InputError("no such file", where=str(path))
    given, found = dict(names or {}), None
    if kind == ".npz":
        found = read_npz(path)
    elif kind in (".csv", ".gz"):
        found = _csv(path, given, sensors, step_s, ambient_degC, current_sign)
    elif kind == ".mf4":
        from hil.logs.from_signals import read_mf4

        found = read_mf4(path, given, sensors, step_s, ambient_degC, current_sign)
    if found is None:
        from hil.bus import BusSpec
        from hil.bus.link import Link
        from hil.logs.from_frames import record_of_frames

        bus = bus or BusSpec(dbc=None if dbc is None else Path(dbc), signals=given if dbc else {})
        found = record_of_frames(read_frames(path), Link(bus, cells, sensors, step_s), str(path))
        if current_sign == "charge":
            found["seen_current_A"][:] *= -1
    if ambient_degC is not None:
        rows = found.rows.copy()
        rows[:, found.names.index("seen_ambient_degC")] = ambient_degC
        found = replace(found, rows=rows)
    return checked(found, path)


def _csv(
    path: Path, names: Mapping[str, str], sensors: Sequence[str], step_s: float, ambient_degC: float | None, sign: Sign
) -> Record:
    """A record, or a measured run as one."""
    if lines := _own_lines(path):
        return read_csv(path, lines)
    from bmsthermal.measured import read_measured

    run = read_measured(path, columns=names, current_sign=sign, ambient_degC=ambient_degC, sensors=sensors)
    return record_of_run(run, sensors, step_s)


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
