"""Signals of MF4 as a record: a bench's own, or those of one cell, each on its own clock."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bmsthermal.curves import Array
from bmsthermal.errors import InputError
from bmsthermal.files import ZERO_DEGC_K
from bmsthermal.run import Run
from hil.extras import extra
from hil.logs.columns import is_record, record_of
from hil.logs.records import record_of_run
from hil.record import Record


def read_mf4(
    path: Path, names: Mapping[str, str], sensors: Sequence[str], step_s: float, ambient_degC: float | None, sign: str
) -> Record | None:
    """Read a record, or signals as one; None where it is a bus log. Arguments as of `hil.logs.read`.

    Raises
    ------
    InputError
        If the file is damaged, a signal is not there or in no unit of its kind, or asammdf is missing.
    """
    package = extra("asammdf", "MF4")
    try:
        with package.MDF(path) as mdf:
            there = set(mdf.channels_db)
            if is_record(["time_s", *there]):
                return _record(mdf, path)
            if "CAN_DataFrame" in there:
                return None
            return record_of_run(_run(mdf, path, names, sensors, ambient_degC, sign), sensors, step_s)
    except InputError:
        raise
    except Exception as error:  # asammdf has as many kinds of them as a file has ways to be damaged
        raise InputError(f"cannot be read ({error})", where=str(path), expected="an MF4 file") from error


def _record(mdf: Any, path: Path) -> Record:
    """Record that `hil.logs.write` wrote."""
    channels = [(None, 0, i) for i, channel in enumerate(mdf.groups[0].channels) if channel.name != "time"]
    signals = mdf.select(channels)  # together: one by one each would unpack the whole group
    said: list[tuple[float, str]] = []
    if "said" in mdf.channels_db:
        spoken = mdf.get("said")
        said = [(float(at), bytes(text).decode()) for at, text in zip(spoken.timestamps, spoken.samples, strict=True)]
    rows = np.column_stack([signals[0].timestamps, *(signal.samples for signal in signals)])
    return record_of(["time_s", *(signal.name for signal in signals)], rows, said, where=str(path))


def _run(
    mdf: Any, path: Path, names: Mapping[str, str], sensors: Sequence[str], ambient_degC: float | None, sign: str
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
    current_A = spread("current_A") if sign == "discharge" else -spread("current_A")
    return Run(time_s, current_A, spread("voltage_V"), ambient_K, surfaces_K, core_K, path.name)
