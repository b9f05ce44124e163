"""Recordings of a cell at rest whose temperature goes in steps, one state of charge a file."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bmsthermal.curves import Array
from bmsthermal.errors import InputError
from bmsthermal.files import ZERO_DEGC_K
from bmsthermal.measured import HIGH_V, HOT_DEGC, LIMITS, _header, _lines, _numbers, _text
from bmsthermal.run import _binned, _snap

#: Names that a column may have; every column whose name begins with ``surface`` is averaged.
TIME, VOLTAGE, SOC = ("time_s", "time"), ("voltage_V", "U"), ("soc",)
#: The median of an open-circuit voltage in V; beyond it is another column.
LEAST_V, MOST_V = 0.3, 6.0
#: The temperature moves where it changes by more than `MOVING_K` over `OVER_S`; a step is at least `STEP_K`.
MOVING_K, OVER_S, STEP_K = 0.5, 300.0, 2.0
#: Samples closer than this [s] are averaged, and how many there may be.
LEAST_STEP_S, MOST_STEPS = 10.0, 200_000
_SOC = re.compile(r"soc_?(\d+(?:\.\d+)?)", re.IGNORECASE)


@dataclass(frozen=True, repr=False, eq=False)
class Recording:
    """Open-circuit voltage and surface temperature at one state of charge, on an even clock.

    Parameters
    ----------
    soc
        State of charge, 0 to 1.
    time_s
        Times [s] of even steps, shape ``(k,)``.
    voltage_V
        Open-circuit voltage [V], shape ``(k,)``; NaN where there is none.
    surface_K
        Mean of the surface temperatures [K], shape ``(k,)``, finite.
    name
        The file's name.
    notes
        What was mended while reading.
    """

    soc: float
    time_s: Array
    voltage_V: Array
    surface_K: Array
    name: str = "recording"
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        low, high = self.surface_K.min() - ZERO_DEGC_K, self.surface_K.max() - ZERO_DEGC_K
        hours = (self.time_s[-1] - self.time_s[0]) / 3600
        return f"Recording({self.name}: SOC {self.soc:g}, {hours:.1f} h, {low:.1f} to {high:.1f} degC)"

    @property
    def step_s(self) -> float:
        """Step of the clock [s]."""
        return float(self.time_s[1] - self.time_s[0])

    def moves(self) -> list[tuple[int, int]]:
        """Find the pieces ``(begin, end)`` of samples over which the temperature steps."""
        half = max(round(OVER_S / 2 / self.step_s), 1)
        padded = np.pad(self.surface_K, half, mode="edge")
        moving = np.abs(padded[2 * half :] - padded[: -2 * half]) > MOVING_K
        edges = np.flatnonzero(np.diff(np.concatenate([[False], moving, [False]]).astype(int))).tolist()
        pieces = list(zip(edges[::2], edges[1::2], strict=True))
        return [(a, b) for a, b in pieces if abs(self.surface_K[b - 1] - self.surface_K[a]) > STEP_K]


def read_steps(path: str | Path, columns: Mapping[str, str] | None = None) -> Recording:
    """Read one recording from a CSV file, plain or gzipped.

    Columns are ``time_s`` (or ``time``), ``voltage_V`` (or ``U``) and one or more that begin with ``surface``, in
    degC. The state of charge is a column ``soc``, 0 to 1, or stands in the name of the file in per cent,
    ``soc_050.csv``. Rows without voltage or temperature are left out. Times that were written with too few digits, so
    that many rows share one, are taken as even.

    Parameters
    ----------
    path
        The file.
    columns
        Our name to theirs, such as ``{"voltage_V": "Ecell"}``; ``surface_degC`` names a single temperature.

    Raises
    ------
    InputError
        If the file is no such table; the sentence says where.
    """
    path, where = Path(path), str(path)
    lines, start = _lines(path)
    try:
        header = _header(lines[start], where)
        theirs = _choose(header, dict(columns or {}), where)
        table, _ = _numbers(lines, start, header, theirs, where)
    except csv.Error as error:
        raise InputError(f"not a CSV table ({error})", where=where) from None
    soc = _soc(table.get("soc"), path)
    surfaces = {name: column for name, column in table.items() if name.startswith("surface")}
    _check(table["voltage_V"], surfaces, theirs, where)
    blind = [theirs[name] for name, column in surfaces.items() if np.isnan(column).all()]
    kelvin = np.mean([column for column in surfaces.values() if not np.isnan(column).all()], axis=0) + ZERO_DEGC_K
    notes = [f"column {name!r} is blank and left out" for name in blind]
    time_s, mended = _clock(table["time_s"], where)
    return _even(soc, time_s, table["voltage_V"], kelvin, path, (*notes, *mended))


def read_levels(path: str | Path) -> tuple[float, ...]:
    """Read the temperatures [K] of a set-point profile: lines of time and degC, with or without a header.

    Raises
    ------
    InputError
        If the file holds no such lines.
    """
    rows = [line.split(",") for line in _text(Path(path)).splitlines() if line.strip() and line[0] != "#"]
    try:
        levels = [float(row[1]) for row in rows[0 if _is_number(rows[0][0]) else 1 :]]
    except (IndexError, ValueError):
        levels = []
    low, high = LIMITS["degC"]
    if not levels or not all(low <= level <= high for level in levels):
        hint = "subtract 273.15 if it is in kelvin"
        raise InputError("not a set-point profile", where=str(path), expected="lines of seconds,degC", hint=hint)
    return tuple(level + ZERO_DEGC_K for level in levels)


def _is_number(cell: str) -> bool:
    try:
        return bool(np.isfinite(float(cell)))
    except ValueError:
        return False


def _choose(header: list[str], columns: dict[str, str], where: str) -> dict[str, str]:
    """Our name to the column of the file."""
    known = {"time_s": TIME, "voltage_V": VOLTAGE, "soc": SOC}
    for ours, named in columns.items():
        if ours not in (*known, "surface_degC"):
            found = f"cannot map a column to {ours!r}"
            raise InputError(found, where="--columns", expected="time_s, voltage_V, soc or surface_degC")
        if named not in header:
            found = f"no column {named!r} among {', '.join(map(repr, header))}"
            raise InputError(found, where=where, hint="mend --columns")
    theirs = {}
    for ours, names in known.items():
        column = columns.get(ours) or next((name for name in names if name in header), None)
        if column is None and ours != "soc":
            found = f"no column {' or '.join(map(repr, names))} among {', '.join(map(repr, header))}"
            raise InputError(found, where=where, hint="map it with --columns")
        if column is not None:
            theirs[ours] = column
    if "surface_degC" in columns:
        surfaces = [columns["surface_degC"]]
    else:
        surfaces = [name for name in header if name.lower().startswith("surface")]
    if not surfaces:
        found = f"no column that begins with 'surface' among {', '.join(map(repr, header))}"
        raise InputError(found, where=where, hint="map one with --columns surface_degC=THEIRS")
    return theirs | {f"surface {name}": name for name in surfaces}


def _soc(column: Array | None, path: Path) -> float:
    if column is not None and not np.isnan(column).all():
        soc = float(np.nanmean(column))
        if np.nanmax(np.abs(column - soc)) > 0.01:
            found = f"the state of charge goes from {np.nanmin(column):g} to {np.nanmax(column):g}"
            raise InputError(found, where=str(path), expected="one state of charge, at rest")
        hint = "divide per cent by 100"
    else:
        named = _SOC.search(path.name)
        if named is None:
            found = "no state of charge in the file's name and no column 'soc'"
            raise InputError(found, where=str(path), expected="a name such as soc_050.csv, in per cent")
        soc, hint = float(named[1]) / 100, "per cent in the file's name"
    if not 0 <= soc <= 1:
        raise InputError(f"state of charge {soc:g}", where=str(path), expected="0 to 1", hint=hint)
    return soc


def _check(voltage_V: Array, surfaces: dict[str, Array], theirs: dict[str, str], where: str) -> None:
    if np.isnan(voltage_V).all() or all(np.isnan(column).all() for column in surfaces.values()):
        found = f"column {theirs['voltage_V']!r} or every surface column is entirely blank"
        raise InputError(found, where=where, expected="numbers")
    for name, column in surfaces.items():
        if not np.isnan(column).all() and np.nanmedian(column) > HOT_DEGC:
            found = f"column {theirs[name]!r} has a median of {np.nanmedian(column):.4g}"
            raise InputError(found, where=where, expected="degC", hint="subtract 273.15 if it is in kelvin")
    usual = float(np.nanmedian(voltage_V))
    if not LEAST_V <= usual <= MOST_V:
        found = f"column {theirs['voltage_V']!r} has a median of {usual:.4g} V"
        hint = "divide by 1000 if it is in mV" if usual > HIGH_V else "is it the temperature? map it with --columns"
        raise InputError(found, where=where, expected="the open-circuit voltage of one cell", hint=hint)


def _clock(time_s: Array, where: str) -> tuple[Array, tuple[str, ...]]:
    """Seconds from the first row; even ones where the file's times have too few digits to tell rows apart."""
    step = np.diff(time_s)
    if np.isnan(time_s).any() or (step < 0).any():
        raise InputError("the time is blank somewhere or runs backwards", where=where, expected="rising seconds")
    if (step > 0).all():
        return time_s - time_s[0], ()
    firsts = np.flatnonzero(step > 0) + 1
    if len(firsts) < 3:
        found = f"{len(time_s)} rows share {len(firsts) + 1} times"
        raise InputError(found, where=where, expected="a time for each row")
    # first and last value may have begun before and go on after the recording: those between are whole
    even = float((time_s[firsts[-1]] - time_s[firsts[0]]) / (firsts[-1] - firsts[0]))
    rows = np.diff(firsts)
    if (np.abs(rows * even - np.diff(time_s[firsts])) > 2 * even).any():
        raise InputError("times repeat, and not as rounding does", where=where, expected="a time for each row")
    return np.arange(len(time_s), dtype=np.float64) * even, (f"times are rounded: rows taken as {even:g} s apart",)


def _even(soc: float, time_s: Array, voltage_V: Array, kelvin: Array, path: Path, notes: Sequence[str]) -> Recording:
    """Average onto even steps; the voltage is NaN where there is none."""
    known = ~(np.isnan(voltage_V) | np.isnan(kelvin))
    if known.sum() < 2:
        raise InputError("fewer than 2 rows hold voltage and temperature", where=str(path), expected="hours of them")
    time_s, voltage_V, kelvin = time_s[known], voltage_V[known], kelvin[known]
    step_s = max(float(np.median(np.diff(time_s))), LEAST_STEP_S)
    at = _snap((time_s - time_s[0]) / step_s)
    count = int(at[-1]) + 1
    if not 2 <= count <= MOST_STEPS:
        found = f"{count} steps of {step_s:g} s"
        raise InputError(found, where=str(path), expected=f"2 to {MOST_STEPS:,}", hint="is the time in seconds?")
    even, middle = np.arange(count, dtype=np.float64) * step_s, _binned(at, kelvin, count)
    filled = ~np.isnan(middle)
    middle = np.interp(even, even[filled], middle[filled])
    name = path.name.removesuffix(".gz").removesuffix(".csv")
    return Recording(soc, even, _binned(at, voltage_V, count), middle, name, tuple(notes))
