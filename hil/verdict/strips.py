"""What the strip charts show of a row of a record, one cell or the extremes of a module: the same for page and wire."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bmsthermal.curves import Array
from bmsthermal.faults import NAMES
from hil.record import column_names
from hil.signals import Status

#: Digits after the point that are kept of each unit: finer than any sensor, and short.
DIGITS = {"degC": 2, "K": 3, "A": 2, "V": 3, "W": 2, "s": 3, "": 0}
#: States of an injected fault; flags of a cell's heat.
STATES, FLAGS = ("none", "enabled", "active", "injected"), ("none", "flagged")


class Line(NamedTuple):
    """A line of a chart: its words, its colour and how it is drawn; `leads`: the scale follows it."""

    label: str
    colour: str
    width: float = 1.2
    dash: tuple[int, ...] = ()
    leads: bool = True


class Strips:
    """Charts of a record's columns.

    Parameters
    ----------
    names
        Columns of a record, see `hil.record.column_names`.
    """

    def __init__(self, names: Sequence[str]) -> None:
        firsts = [name.removesuffix("[0]") for name in names if "[" not in name or name.endswith("[0]")]
        self.cells = sum(name.split("[")[0] == "true_core_degC" for name in names)
        self.sensors = tuple(name[6:] for name in firsts if name.startswith("fault_"))
        self.faults = tuple(name[: -len(".injected")] for name in names if name.endswith(".injected"))
        whole = column_names(self.cells, self.sensors, self.faults)
        self._place = {name: i for i, name in enumerate(whole)}

    def _each(self, rows: Array, name: str) -> Array:
        """Columns of a signal of cells, ``(k, cells)``."""
        first = self._place[name if self.cells == 1 else f"{name}[0]"]
        return rows[:, first : first + self.cells]

    def _column(self, rows: Array, name: str) -> Array:
        return rows[:, self._place[name]]

    def signals(self, rows: Array) -> dict[str, Array]:
        """Time and what is drawn over it, by key, each ``(k,)``: see `charts` for what they are.

        Parameters
        ----------
        rows
            ``(k, columns)``.
        """
        each, column = self._each, self._column
        true, said, std = each(rows, "true_core_degC"), each(rows, "core_degC"), each(rows, "core_std_K")
        made: dict[str, Array] = {"time": column(rows, "time_s")}
        if self.cells == 1:
            made |= {"true_core": true[:, 0], "core": said[:, 0], "std": std[:, 0], "error": (said - true)[:, 0]}
            for sensor in self.sensors:
                made[f"true:{sensor}"] = each(rows, f"true_{sensor}_degC")[:, 0]
                made[f"seen:{sensor}"] = each(rows, f"seen_{sensor}_degC")[:, 0]
            made |= {"true_voltage": each(rows, "true_voltage_V")[:, 0], "voltage": each(rows, "seen_voltage_V")[:, 0]}
        else:
            at = np.arange(len(rows))
            hot, error = true.argmax(1), said - true
            worst = np.where(np.isnan(error), -1.0, np.abs(error)).argmax(1)
            made |= {"hot": true[at, hot], "median": np.median(true, 1), "cold": true.min(1)}
            made |= {"core": said[at, hot], "std": std[at, hot]}
            made |= {"error": error[at, worst], "error_std": std[at, worst], "worst": worst.astype(float)}
            seen = np.concatenate([each(rows, f"seen_{sensor}_degC") for sensor in self.sensors], 1)
            surfaces = np.concatenate([each(rows, f"true_{sensor}_degC") for sensor in self.sensors], 1)
            made |= {"true_high": surfaces.max(1), "true_low": surfaces.min(1)}
            made |= {"seen_high": np.fmax.reduce(seen, 1), "seen_low": np.fmin.reduce(seen, 1)}
            voltage = each(rows, "seen_voltage_V")
            made |= {"voltage_high": np.fmax.reduce(voltage, 1), "voltage_low": np.fmin.reduce(voltage, 1)}
        made |= {"true_ambient": each(rows, "true_ambient_degC").mean(1), "ambient": column(rows, "seen_ambient_degC")}
        made |= {"true_current": each(rows, "true_current_A").mean(1), "current": column(rows, "seen_current_A")}
        made["heat"] = each(rows, "true_heat_W").sum(1)
        for fault in self.faults:
            states = [column(rows, f"{fault}.{state}") for state in STATES[1:]]
            made[f"fault:{fault}"] = np.sum(states, 0)
        for sensor in self.sensors:
            made[f"code:{sensor}"] = each(rows, f"fault_{sensor}").max(1)
        made |= {"code": each(rows, "heat_fault").max(1), "status": column(rows, "status")}
        return made

    def charts(self) -> list[dict[str, Any]]:
        """What is drawn, from top to bottom: plain data for the page, lines by key of `signals`."""
        one = self.cells == 1
        colours = [f"surface{1 + i % 3}" for i in range(len(self.sensors))]
        if one:
            lines = {"true_core": Line("core, true", "core", 1.8), "core": Line("core, estimate", "ink", 1.4, (6, 4))}
            for sensor, colour in zip(self.sensors, colours, strict=True):
                lines[f"true:{sensor}"] = Line(f"{sensor}, true", colour, 1.0, (2, 3))
                lines[f"seen:{sensor}"] = Line(f"{sensor}, as seen", colour, 1.0, (), False)
            voltage = {
                "true_voltage": Line("true", "quiet", 1.0, (2, 3)),
                "voltage": Line("as seen", "ink", 1.0, (), False),
            }
        else:
            lines = {
                "hot": Line("hottest core, true", "core", 1.8),
                "median": Line("median core, true", "core", 1.2, (2, 3)),
                "cold": Line("coldest core, true", "core", 1.0, (6, 4)),
                "core": Line("hottest core, estimate", "ink", 1.4, (6, 4)),
                "true_high": Line("hottest surface, true", "surface1", 1.0, (2, 3)),
                "seen_high": Line("hottest surface, as seen", "surface1", 1.0, (), False),
                "true_low": Line("coldest surface, true", "surface2", 1.0, (2, 3)),
                "seen_low": Line("coldest surface, as seen", "surface2", 1.0, (), False),
            }  # fmt: skip
            voltage = {
                "voltage_high": Line("highest cell, as seen", "ink", 1.0),
                "voltage_low": Line("lowest cell, as seen", "quiet", 1.0),
            }
        lines |= {"true_ambient": Line("coolant, true", "quiet", 1.0, (2, 3)),
                  "ambient": Line("coolant, as seen", "quiet", 1.0, (), False)}  # fmt: skip
        current = {
            "true_current": Line("true", "quiet", 1.0, (2, 3)),
            "current": Line("as seen", "ink", 1.0, (), False),
        }
        error = {"error": Line("estimate less truth" if one else "of the worst cell at the time", "core", 1.4)}
        whole = "" if one else " of all cells"
        made = [
            chart("Temperatures", "degC", 300, lines, band=("core", "std")),
            chart("Error of the core", "K", 150, error, band=("", "std" if one else "error_std")),
            chart("Current", "A", 110, current),
            chart("Voltage of a cell" if one else "Voltage of the cells", "V", 110, voltage),
            chart(f"Heat{whole}, true", "W", 90, {"heat": Line("heat", "core", 1.0)}),
        ]
        if not one:
            made[1]["number"] = "worst"
        return [*made, self._lanes(colours)]

    def _lanes(self, colours: Sequence[str]) -> dict[str, Any]:
        """States over time, each a lane of words; the last word of an injected fault shades the other charts."""
        lanes = [lane(f"fault:{fault}", f"injected: {fault}", STATES, "fault", shades=True) for fault in self.faults]
        lanes += [lane(f"code:{sensor}", f"device on {sensor}", NAMES, colour, marks=True)
                  for sensor, colour in zip(self.sensors, colours, strict=True)]  # fmt: skip
        lanes.append(lane("code", "device on heat", FLAGS, "core", marks=True))
        lanes.append(lane("status", "device", [status.name.lower() for status in Status], "ink"))
        return {"title": "Faults, what the device says of them, and how it does", "lanes": lanes}

    def keys(self) -> dict[str, int]:
        """Digits after the point by key, in the order of `signals`."""
        unit = {
            line["key"]: DIGITS[each["unit"]] for each in self.charts() if "lines" in each for line in each["lines"]
        }
        unit |= {"time": DIGITS["s"], "std": DIGITS["K"], "error_std": DIGITS["K"]}
        return {key: unit.get(key, 0) for key in self.signals(np.full((1, len(self._place)), 0.0))}


def chart(title: str, unit: str, height: int, lines: dict[str, Line], band: tuple[str, str] | None = None) -> Any:
    """A chart as plain data; `band`: the key that a 2-sigma band is about (none for zero), and that of the sigma."""
    made: dict[str, Any] = {
        "title": title, "unit": unit, "height": height,
        "lines": [{"key": key, **line._asdict()} for key, line in lines.items()],
    }  # fmt: skip
    return made if band is None else made | {"band": band}


def lane(
    key: str, label: str, words: Sequence[str], colour: str, *, shades: bool = False, marks: bool = False
) -> dict[str, Any]:
    """A lane as plain data: a number is a word, 0 is drawn as nothing."""
    return {"key": key, "label": label, "words": list(words), "colour": colour, "shades": shades, "marks": marks}


def thinned(columns: dict[str, Array], points: int) -> dict[str, Array]:
    """At most so many points, the least and the greatest of each stretch of time among them.

    Parameters
    ----------
    columns
        ``time`` and others, each ``(k,)``.
    points
        At least 2.

    Returns
    -------
    dict
        The same keys. Stretches have equal numbers of rows; each leaves two points, at its begin and its middle: the
        least and the greatest of a column in the order in which they came. NaN only where all of a stretch is NaN.
    """
    time_s = columns["time"]
    rows, stretches = len(time_s), max(points // 2, 1)
    if rows <= 2 * stretches:
        return columns
    edges = (np.arange(stretches) * rows) // stretches
    middles = (edges + np.append(edges[1:], rows)) // 2
    made = {}
    for key, column in columns.items():
        if key == "time":
            made[key] = time_s[np.column_stack([edges, middles]).ravel()]
            continue
        low, high = np.fmin.reduceat(column, edges), np.fmax.reduceat(column, edges)
        made[key] = np.where(_rises(column, edges, low, high)[:, None], np.column_stack([low, high]),
                             np.column_stack([high, low])).ravel()  # fmt: skip
    return made


def _rises(column: Array, edges: NDArray[np.int_], low: Array, high: Array) -> NDArray[np.bool_]:
    """Whether the least of each stretch comes before the greatest."""
    lengths = np.diff(np.append(edges, len(column)))
    place = np.arange(len(column))
    first_low = np.minimum.reduceat(np.where(column == np.repeat(low, lengths), place, len(column)), edges)
    first_high = np.minimum.reduceat(np.where(column == np.repeat(high, lengths), place, len(column)), edges)
    return np.asarray(first_low <= first_high)


def whole_numbers(columns: dict[str, Array], digits: dict[str, int]) -> list[list[int | None]]:
    """Columns in units of their last digit, None for NaN.

    Parameters
    ----------
    columns
        Each ``(k,)``.
    digits
        After the point, by key: those that are wanted, in this order.
    """
    units = 10.0 ** np.array(list(digits.values()))
    values = np.array([columns[key] for key in digits])
    known = np.isfinite(values)
    scaled = np.clip(np.where(known, values, 0.0), -1e9, 1e9) * units[:, None]  # a broken device says anything
    made: list[list[int | None]] = np.rint(scaled).astype(np.int64).tolist()
    for row, column in zip(*np.nonzero(~known), strict=True):
        made[row][column] = None
    return made


def steps(numbers: list[list[int | None]]) -> list[list[int | None]]:
    """Each number less the one before it that is known: shorter to write."""
    made = []
    for column in numbers:
        last, row = 0, list(column)
        for i, number in enumerate(column):
            if number is not None:
                row[i], last = number - last, number
        made.append(row)
    return made
