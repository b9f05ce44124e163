"""Measured runs: a CSV of current, voltage and temperatures, read with suspicion."""

from __future__ import annotations

import csv
import gzip
import io
import re
import warnings
import zlib
from array import array
from collections.abc import Mapping, Sequence
from operator import itemgetter
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from bmsthermal.curves import Array
from bmsthermal.errors import InputError, InputWarning
from bmsthermal.files import ZERO_DEGC_K
from bmsthermal.run import INPUTS, Run

HOT_DEGC = 150.0
#: Median that is no cell's voltage, and current that is no cell's.
HIGH_V, HIGH_A = 100.0, 500.0
#: What a number can be, by the unit at the end of its column's name; beyond it is a logger's mark for "nothing".
LIMITS = {"degC": (-100.0, 200.0), "V": (-HIGH_V, HIGH_V)}

_SURFACE = re.compile(r"surface(_\w+)?_degC")
_NUMBER = re.compile(r"[-+.\deE]*")
_GZIP = b"\x1f\x8b"


def read_measured(
    path: str | Path,
    *,
    columns: Mapping[str, str] | None = None,
    current_sign: Literal["discharge", "charge"] = "discharge",
    ambient_degC: float | None = None,
    sensors: Sequence[str] = ("surface",),
) -> Run:
    """Read a measured run from a CSV file, plain or gzipped.

    The header names the columns: ``time_s, current_A, voltage_V, ambient_degC``, one or more
    ``surface[_NAME]_degC``, perhaps ``core_degC``. Every surface column is read, other columns
    are ignored, blank cells become NaN; lines before the header may start with ``#``.

    Parameters
    ----------
    path
        The file, comma separated, UTF-8.
    columns
        Our name to theirs, such as ``{"ambient_degC": "chamber_degC"}``.
    current_sign
        What a positive current does in the file; in the run it discharges.
    ambient_degC
        A constant ambient [degC] used *instead of* the column, good or bad. Without it blanks in
        the column are interpolated and its ends held, and a column that is missing, blank or
        constantly 0 (the usual sign of "not logged") is refused.
    sensors
        Sensors that must be there.

    Returns
    -------
    Run
        With as many samples as the file has rows, named after the file. A blank core column is None.

    Raises
    ------
    InputError
        If the file cannot be read as such a table; the sentence names row (line of the file) and column.

    Warns
    -----
    InputWarning
        If a unit looks wrong: current in mA, time in ms or hours.
    """
    where, path = str(path), Path(path)
    wanted = [sensors] if isinstance(sensors, str) else list(sensors)
    ours = dict(columns or {})
    _check_options(ours, wanted, current_sign, ambient_degC)
    lines, start = _lines(path)
    try:
        header = _header(lines[start], where)
        theirs = _choose(header, ours, wanted, ambient_degC is None, where)
        table, rows = _numbers(lines, start, header, theirs, where)
    except csv.Error as error:
        raise InputError(f"not a CSV table ({error})", where=where) from None
    _check_time(table["time_s"], rows, theirs["time_s"], where)
    _check_values(table, rows, theirs, [f"{sensor}_degC" for sensor in wanted], where)

    time_s = table["time_s"]
    if ambient_degC is not None:
        ambient = np.full(time_s.size, float(ambient_degC))
    else:
        ambient = _ambient(time_s, table["ambient_degC"], theirs["ambient_degC"], where)
    core = table.get("core_degC")
    return Run(
        time_s,
        table["current_A"] if current_sign == "discharge" else -table["current_A"],
        table["voltage_V"],
        ambient + ZERO_DEGC_K,
        {sensor: table[f"{sensor}_degC"] + ZERO_DEGC_K for sensor in _sensors(theirs)},
        None if core is None or np.isnan(core).all() else core + ZERO_DEGC_K,
        path.name.removesuffix(".gz").removesuffix(".csv"),
    )


def _lines(path: Path) -> tuple[list[str], int]:
    """Lines of a table, and which of them is its header."""
    lines = list(io.StringIO(_text(path), newline=None))
    start = next((i for i, line in enumerate(lines) if line.strip() and line[0] != "#"), None)
    if start is None:
        raise InputError("the file is empty", where=str(path), expected="a header line and rows of numbers")
    return lines, start


def _check_options(columns: dict[str, str], wanted: list[str], current_sign: str, ambient_degC: float | None) -> None:
    for sensor in wanted:
        if not _SURFACE.fullmatch(f"{sensor}_degC"):
            raise InputError(f"sensor {sensor!r}", expected="surface or surface_NAME, without the _degC")
    for ours in columns:
        if ours not in (*INPUTS, "ambient_degC", "core_degC") and not _SURFACE.fullmatch(ours):
            raise InputError(
                f"cannot map a column to {ours!r}",
                where="--columns",
                expected="time_s, current_A, voltage_V, ambient_degC, surface[_NAME]_degC or core_degC",
            )
    if current_sign not in ("discharge", "charge"):
        raise InputError(f"current sign {current_sign!r}", expected="'discharge' or 'charge'")
    low, high = LIMITS["degC"]
    if ambient_degC is not None and not low <= ambient_degC <= high:
        expected = f"{low:g} to {high:g}, degC and not kelvin"
        raise InputError(f"{ambient_degC!r}", where="--ambient-degC", expected=expected)


def _text(path: Path) -> str:
    """Everything in the file, with or without compression and byte order mark."""
    where = str(path)
    try:
        raw = path.read_bytes()
        text = (gzip.decompress(raw) if raw.startswith(_GZIP) else raw).decode("utf-8-sig")
        odd = "it holds zero bytes" if "\0" in text else ""
    except FileNotFoundError:
        raise InputError("no such file", where=where) from None
    except IsADirectoryError:
        raise InputError("is a folder", where=where, expected="a CSV file") from None
    except (EOFError, zlib.error, gzip.BadGzipFile):
        raise InputError("the gzip file is damaged", where=where, hint="compress it again") from None
    except UnicodeDecodeError as error:
        odd = f"byte 0x{error.object[error.start]:02x} at {error.start}"
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror})", where=where) from None
    if odd:
        raise InputError(f"not a text file ({odd})", where=where, expected="CSV in UTF-8")
    return text


def _header(line: str, where: str) -> list[str]:
    header = [cell.strip() for cell in next(csv.reader([line]))]
    for mark, word in ((";", "';'"), ("\t", "tabs")):
        if len(header) == 1 and mark in line:
            found = f"the columns are separated by {word}"
            raise InputError(found, where=where, expected="',' between columns and '.' in decimals")
    return header


def _choose(header: list[str], columns: dict[str, str], wanted: list[str], ambient: bool, where: str) -> dict[str, str]:
    """Our name to the column of the file, for everything that will be read."""
    hint = "map it with --columns"
    if all(_NUMBER.fullmatch(cell) for cell in header):
        hint = "the first line holds no names, put a header line above it"
    theirs = columns | {ours: columns.get(ours, ours) for ours in INPUTS}
    free = [cell for cell in header if cell not in theirs.values()]
    theirs |= {cell: cell for cell in free if _SURFACE.fullmatch(cell) and cell not in theirs}
    theirs |= {f"{sensor}_degC": theirs.get(f"{sensor}_degC", f"{sensor}_degC") for sensor in wanted}
    if "core_degC" in free:
        theirs.setdefault("core_degC", "core_degC")
    if ambient:
        theirs.setdefault("ambient_degC", "ambient_degC")
    else:
        theirs.pop("ambient_degC", None)
    for ours, name in theirs.items():
        if name not in header:
            found = f"no column {name!r} among {', '.join(map(repr, header))}"
            if _SURFACE.fullmatch(ours):
                here = [sensor for sensor in _sensors(theirs) if theirs[f"{sensor}_degC"] in header]
                found += f", sensors present: {', '.join(here) or 'none'}"
            also = "give its value with --ambient-degC or " if ours == "ambient_degC" else ""
            raise InputError(found, where=where, hint=also + hint)
        if header.count(name) > 1:
            found = f"{header.count(name)} columns are called {name!r}"
            raise InputError(found, where=where, expected="one", hint="rename the others")
        if other := [o for o, n in theirs.items() if n == name and o != ours]:
            found = f"column {name!r} would be both {ours!r} and {other[0]!r}"
            raise InputError(found, where=where, hint="map the other one too with --columns")
    return theirs


def _sensors(labels: Mapping[str, str]) -> list[str]:
    return [label.removesuffix("_degC") for label in labels if _SURFACE.fullmatch(label)]


def _cell(where: str, row: int, column: str) -> str:
    return f"{where}, row {row}, column {column!r}"


def _numbers(
    lines: list[str], start: int, header: list[str], theirs: dict[str, str], where: str
) -> tuple[dict[str, Array], NDArray[np.int64]]:
    """Columns ``(k,)`` by our names, and the line of the file that each row came from."""
    names = list(theirs.values())
    pick = itemgetter(*map(header.index, names))
    values, rows = array("d"), array("q")
    body = lines[start + 1 :]
    number = float if all(line.isascii() and "_" not in line for line in body) else _plain
    reader = csv.reader(body)
    for cells in reader:
        row = start + 1 + reader.line_num
        if not cells or (len(cells) == 1 and not cells[0].strip()):
            continue
        if len(cells) != len(header):
            expected = f"the {len(header)} of the header"
            raise InputError(f"{len(cells)} cells", where=f"{where}, row {row}", expected=expected)
        chosen = pick(cells)
        try:
            values.extend([number(cell) if cell else np.nan for cell in chosen])
        except ValueError:
            pairs = zip(chosen, names, strict=True)
            values.extend([_number(cell, _cell(where, row, name)) for cell, name in pairs])
        rows.append(row)
    if len(rows) < 2:
        found = "only one row" if rows else "a header and no rows"
        raise InputError(found, where=where, expected="at least 2 rows of numbers")
    columns, numbers = np.array(values).reshape(len(rows), -1).T.copy(), np.array(rows)
    for name, column in zip(names, columns, strict=True):
        for i in np.flatnonzero(np.isinf(column))[:1]:
            cell = _cell(where, numbers[i], name)
            raise InputError(f"{column[i]}", where=cell, expected="a finite number or a blank cell")
    return dict(zip(theirs, columns, strict=True)), numbers


def _plain(cell: str) -> float:
    """Read a number as every program writes it: Python alone also takes ``1_0`` and the digits of all scripts."""
    cell = cell.strip()
    if "_" in cell or not cell.isascii():
        raise ValueError
    return float(cell)


def _number(cell: str, where: str) -> float:
    try:
        return _plain(cell) if cell.strip() else np.nan
    except ValueError:
        expected = "a number or a blank cell"
        raise InputError(f"{cell!r} is not a number", where=where, expected=expected) from None


def _check_time(time_s: Array, rows: NDArray[np.int64], name: str, where: str) -> None:
    for i in np.flatnonzero(np.isnan(time_s))[:1]:
        raise InputError("the time is blank", where=_cell(where, rows[i], name), expected="a number")
    step = np.diff(time_s)
    for i in np.flatnonzero(step <= 0)[:1]:
        what = "runs backwards from" if step[i] < 0 else "is the same as"
        raise InputError(
            f"time {time_s[i + 1]:.12g} {what} {time_s[i]:.12g} in row {rows[i]}",
            where=_cell(where, rows[i + 1], name),
            expected="increasing seconds",
            hint="sort the rows and drop repeated ones",
        )
    usual = float(np.median(step))
    if not 1e-3 <= usual < 1e3:
        unit = "ms" if usual > 1 else "hours"
        _warn(where, name, f"steps by {usual:.3g}, which looks like {unit}, expected seconds")


def _check_values(
    table: dict[str, Array], rows: NDArray[np.int64], theirs: dict[str, str], surfaces: list[str], where: str
) -> None:
    for ours in ("current_A", "voltage_V", *surfaces):
        if np.isnan(table[ours]).all():
            raise InputError(f"column {theirs[ours]!r} is entirely blank", where=where, expected="numbers")
    for ours, column in table.items():
        if ours.endswith("_degC") and not np.isnan(column).all() and np.nanmedian(column) > HOT_DEGC:
            found = f"column {theirs[ours]!r} has a median of {np.nanmedian(column):.4g}"
            raise InputError(found, where=where, expected="degC", hint="subtract 273.15 if it is in kelvin")
    current, voltage = theirs["current_A"], theirs["voltage_V"]
    amperes = np.abs(table["current_A"])
    high, most = np.nanpercentile(amperes, 95), np.nanmax(amperes)
    low, usual = np.nanmin(table["voltage_V"]), np.nanmedian(table["voltage_V"])
    if not 0.5 <= usual <= HIGH_V:
        found = f"column {voltage!r} has a median of {usual:.4g} V"
        swapped = "if current and voltage are swapped, map them with --columns"
        hint = "divide by 1000 if it is in mV" if usual > HIGH_V else swapped
        raise InputError(found, where=where, expected="the voltage of a cell", hint=hint)
    for ours, column in table.items():
        least, largest = LIMITS.get(ours.rsplit("_", 1)[1], (-np.inf, np.inf))
        for i in np.flatnonzero((column < least) | (column > largest))[:1]:
            cell, expected = _cell(where, rows[i], theirs[ours]), f"{least:g} to {largest:g}"
            hint = "leave blank what was not measured"
            raise InputError(f"{column[i]:.6g}", where=cell, expected=expected, hint=hint)
    if high > HIGH_A:
        _warn(where, current, f"reaches {high:.4g}, which looks like mA, expected A of one cell")
    elif most > 10 * HIGH_A:
        i = int(np.nanargmax(amperes))
        _warn(where, current, f"holds {table['current_A'][i]:.6g} in row {rows[i]}, expected A of one cell")
    if low < 0:
        _warn(where, voltage, f"goes down to {low:.4g} V, expected positive volts; is it the current?")


def _warn(where: str, column: str, what: str) -> None:
    # the caller of read_measured is four frames up
    warnings.warn(f"{where}: column {column!r} {what}", InputWarning, stacklevel=4)


def _ambient(time_s: Array, degC: Array, name: str, where: str) -> Array:
    known = ~np.isnan(degC)
    if not degC[known].any():
        what = "constantly 0" if known.any() else "entirely blank"
        raise InputError(
            f"column {name!r} is {what}, as if the ambient was not logged",
            where=where,
            hint="give its value with --ambient-degC" + (" (0 if it is meant)" if known.any() else ""),
        )
    return np.interp(time_s, time_s[known], degC[known])
