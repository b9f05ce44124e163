"""Logs of a run, and recorded runs as a stimulus."""

from __future__ import annotations

from pathlib import Path

from bmsthermal.errors import InputError
from hil.logs.frames import FrameLog, read_frames, write_frames
from hil.logs.reading import REPLAYED, read
from hil.logs.replaying import figures, initial_soc, readings_of, replay, step_of
from hil.logs.tables import write_csv, write_npz
from hil.record import Record

__all__ = [
    "FRAMES", "RECORDS", "REPLAYED", "FrameLog", "figures", "initial_soc", "read", "read_frames", "readings_of",
    "replay", "step_of", "write", "write_frames",
]  # fmt: skip

#: Endings of what a record can be written as.
RECORDS = (".csv", ".npz", ".mf4")
#: And frames.
FRAMES = (".blf", ".asc", ".log", ".mf4")


def write(record: Record, path: str | Path) -> None:
    """Write a record; the same record is the same bytes.

    Parameters
    ----------
    record
        The record.
    path
        File to write: ``.csv`` (columns with unit, blank where there is nothing), ``.npz`` (plain arrays, with what the
        device said) or ``.mf4`` (ASAM MDF 4, with units, meanings, and what the device said).

    Raises
    ------
    InputError
        If the ending is another, asammdf is missing for ``.mf4``, or the place cannot be written.
    """
    path = Path(path)
    match path.suffix.lower():
        case ".csv":
            write_csv(record, path)
        case ".npz":
            write_npz(record, path)
        case ".mf4":
            from hil.logs.mf4 import write_mf4

            write_mf4(record, path)
        case ending:
            raise InputError(f"ends in {ending!r}", where=str(path), expected=" or ".join(RECORDS))
