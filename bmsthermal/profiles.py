"""Currents to drive a cell with: a CSV of time and current, or a regulatory schedule by name."""

from __future__ import annotations

import csv
import io
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from bmsthermal.curves import Array
from bmsthermal.errors import InputError, InputWarning
from bmsthermal.files import ZERO_DEGC_K
from bmsthermal.measured import LIMITS, _cell, _check_time, _header, _numbers, _text
from bmsthermal.run import Run
from bmsthermal.vehicle import Vehicle, load_schedule

#: Capacity of the cells of `bmsthermal.vehicle.Vehicle`, in A.h.
VEHICLE_Ah = 2.3
#: Multiple of the capacity per hour that is no cell's current.
HIGH_C = 100.0
#: A row that holds longer than this in s, and than so many usual ones, is said.
LONG_S, LONG = 60.0, 20.0
_OURS = ("time_s", "current_A", "ambient_degC")


def profile_of(name: str, capacity_Ah: float) -> tuple[Run, str]:
    """Run a schedule of that name gives a cell, and a note of how it was scaled to it.

    The default vehicle is one of cells of 2.3 Ah: the current is scaled by the ratio of the capacities.

    Raises
    ------
    InputError
        If there is no such schedule.
    """
    time_s, speed_m_s = load_schedule(name)
    vehicle, scale = Vehicle(), capacity_Ah / VEHICLE_Ah
    current = scale * vehicle.cell_current_A(time_s, speed_m_s)
    unknown = np.full(time_s.size, np.nan)
    cells = f"{vehicle.cells_in_series * vehicle.cells_in_parallel} cells of {VEHICLE_Ah:g} Ah"
    note = f"{name} in the default vehicle, of {cells}: current times {scale:.4g} for a cell of {capacity_Ah:g} Ah"
    return Run(time_s, current, unknown, unknown, name=name), note


def read_profile(
    path: str | Path,
    *,
    columns: Mapping[str, str] | None = None,
    current_sign: Literal["discharge", "charge"] = "discharge",
    capacity_Ah: float = np.inf,
) -> Run:
    """Read what drives a cell: ``time_s``, ``current_A``, perhaps ``ambient_degC``; each row holds until the next.

    Parameters
    ----------
    path
        The file, plain or gzipped; other columns are ignored.
    columns
        Our name to theirs.
    current_sign
        What a positive current does in the file; in the run it discharges.
    capacity_Ah
        Of the cell: 100 times it per hour is refused.

    Returns
    -------
    Run
        Without voltage, and without ambient where the file has none.

    Raises
    ------
    InputError
        If the file is no such table; the sentence names row (line of the file) and column.

    Warns
    -----
    InputWarning
        If the time is not in seconds, or a row holds far longer than the others.
    """
    where, theirs = str(path), dict(columns or {})
    if unknown := [ours for ours in theirs if ours not in _OURS]:
        raise InputError(f"cannot map a column to {unknown[0]!r}", where="--columns", expected=" or ".join(_OURS))
    lines = list(io.StringIO(_text(Path(path)), newline=None))
    start = next((i for i, line in enumerate(lines) if line.strip() and line[0] != "#"), None)
    if start is None:
        raise InputError("the file is empty", where=where, expected="a header line and rows of numbers")
    try:
        header = _header(lines[start], where)
        names = _choose(header, theirs, where)
        table, rows = _numbers(lines, start, header, names, where)
    except csv.Error as error:
        raise InputError(f"not a CSV table ({error})", where=where) from None
    _check_time(table["time_s"], rows, names["time_s"], where)
    _check_current(table, rows, names, where, capacity_Ah)
    current = table["current_A"] if current_sign == "discharge" else -table["current_A"]
    unknown_ = np.full(current.shape, np.nan)
    name = Path(path).name.removesuffix(".gz").removesuffix(".csv")
    return Run(table["time_s"], current, unknown_, _ambient(table, rows, names, where), name=name)


def _choose(header: list[str], columns: Mapping[str, str], where: str) -> dict[str, str]:
    """Our names to those of the file."""
    names = {ours: columns.get(ours, ours) for ours in _OURS}
    if "ambient_degC" not in columns and "ambient_degC" not in header:
        del names["ambient_degC"]
    for name in names.values():
        if header.count(name) != 1:
            found = f"no column {name!r} among {', '.join(map(repr, header))}"
            found = f"{header.count(name)} columns are called {name!r}" if name in header else found
            raise InputError(found, where=where, expected="one", hint="map it with --columns")
    if len(set(names.values())) < len(names):
        raise InputError("one column for two things", where="--columns", expected="a column for each")
    return names


def _check_current(
    table: dict[str, Array], rows: NDArray[np.int64], names: dict[str, str], where: str, capacity_Ah: float
) -> None:
    time_s, current, name = table["time_s"], table["current_A"], names["current_A"]
    for i in np.flatnonzero(np.isnan(current))[:1]:
        raise InputError(
            "the current is blank", where=_cell(where, rows[i], name), expected="a current in every row",
            hint="0 is a rest",
        )  # fmt: skip
    for i in np.flatnonzero(np.abs(current) > HIGH_C * capacity_Ah)[:1]:
        raise InputError(
            f"{current[i]:.6g} A", where=_cell(where, rows[i], name),
            expected=f"at most {HIGH_C * capacity_Ah:g} A for a cell of {capacity_Ah:g} Ah",
            hint="divide by 1000 if it is in mA",
        )  # fmt: skip
    held = np.diff(time_s)
    for i in np.flatnonzero((held > max(LONG_S, LONG * float(np.median(held)))) & (current[:-1] != 0))[:1]:
        sentence = f"{_cell(where, rows[i], name)}: {current[i]:.4g} A is held for {held[i]:.6g} s, up to the next row"
        warnings.warn(sentence, InputWarning, stacklevel=3)


def _ambient(table: dict[str, Array], rows: NDArray[np.int64], names: dict[str, str], where: str) -> Array:
    """Ambient in K; blanks are interpolated, all of them are NaN where there is none."""
    degC = table.get("ambient_degC", np.full(len(rows), np.nan))
    low, high = LIMITS["degC"]
    for i in np.flatnonzero((degC < low) | (degC > high))[:1]:
        raise InputError(
            f"{degC[i]:.6g}", where=_cell(where, rows[i], names["ambient_degC"]), expected=f"{low:g} to {high:g} degC",
            hint="subtract 273.15 if it is in kelvin",
        )  # fmt: skip
    known = np.isfinite(degC)
    if known.any():
        degC = np.interp(table["time_s"], table["time_s"][known], degC[known])
    return degC + ZERO_DEGC_K
