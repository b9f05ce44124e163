"""What came of a run, in tables: its faults, the cells of a module, what the device said, the scenario."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from bmsthermal.faults import NAMES
from bmsthermal.pages import Table
from hil.outcome import Outcome
from hil.verdict.strips import FLAGS

#: Of a table of what happened: what comes often is seen in the charts.
MOST_ROWS = 40


def fault_table(outcome: Outcome) -> Table | None:
    """When each fault was injected, and what the device said first after that; none without faults."""
    record, rows = outcome.record, []
    if not len(record.rows):
        return None
    flags = [
        (f"{name}{_cell(record.cells, cell)}", words, column)
        for name, words in (*((sensor, NAMES) for sensor in record.sensors), ("heat", FLAGS))
        for cell, column in enumerate(record.each("heat_fault" if name == "heat" else f"fault_{name}").T)
    ]
    for fault in record.faults:
        windows = record.injected(fault)
        if not windows:
            rows.append((fault, "never injected", "", "", ""))
        for start, end in windows:
            first = int(np.searchsorted(record.time_s, start))
            found = None
            for name, words, column in flags:
                before = column[first - 1] if first else 0
                new = np.flatnonzero((column[first:] > 0) & (column[first:] != before))
                if new.size and (found is None or new[0] < found[0]):
                    code = int(column[first + new[0]])
                    found = int(new[0]), f"{name}: {words[code] if code < len(words) else code}"
            if found is None:
                rows.append((fault, f"{start:g} s", f"{end:g} s", "nothing", ""))
            else:
                after = float(record.time_s[first + found[0]]) - start
                late = " (after its end)" if start + after > end else ""
                rows.append((fault, f"{start:g} s", f"{end:g} s", found[1] + late, f"{after:g} s"))
    columns = ("fault", "injected from", "to", "first new flag after that", "time to it")
    more = f", the first {MOST_ROWS} of {len(rows)}" if len(rows) > MOST_ROWS else ""
    return (
        Table(f"Faults that were injected, in time of the bench{more}", columns, tuple(rows[:MOST_ROWS]))
        if rows
        else None
    )


def _cell(cells: int, cell: int) -> str:
    return f" of cell {cell}" if cells > 1 else ""


def cell_table(outcome: Outcome) -> Table | None:
    """Each cell of a module, the worst marked; none for one cell."""
    record = outcome.record
    if record.cells == 1 or not len(record.rows):
        return None
    true, said = record.each("true_core_degC"), record.each("core_degC")
    error = np.abs(said - true)
    known = np.isfinite(error)
    largest = np.where(known, error, -1.0).max(0)
    square = np.where(known, error**2, 0.0).sum(0) / np.maximum(known.sum(0), 1)
    flagged = np.zeros(record.cells, bool)
    for name in (*(f"fault_{sensor}" for sensor in record.sensors), "heat_fault"):
        flagged |= (record.each(name) > 0).any(0)
    rows = tuple(
        (
            f"{cell}", f"{true[:, cell].min():.2f}", f"{true[:, cell].max():.2f}",
            f"{np.sqrt(square[cell]):.2f}" if known[:, cell].any() else "no answer",
            f"{largest[cell]:.2f}" if known[:, cell].any() else "no answer",
            f"{record.time_s[largest_row(error[:, cell])]:g}",
            "yes" if flagged[cell] else "",
        )
        for cell in range(record.cells)
    )  # fmt: skip
    columns = ("cell", "coldest core, degC", "hottest core, degC", "error rms, K", "error max, K", "at, s", "flagged")
    return Table("Cells over the whole run: true core, error of the estimate", columns, rows, (int(largest.argmax()),))


def largest_row(error: Any) -> int:
    """Row of the largest error; the first where there is none."""
    return int(np.where(np.isfinite(error), error, -1.0).argmax())


def scenario_table(scenario: Any) -> Table:
    """The scenario as it was run: key and value, nested keys with dots."""
    data = scenario.model_dump(mode="json") if hasattr(scenario, "model_dump") else dict(vars(scenario))
    return Table("Scenario as it was run", ("key", "value"), tuple(_flat("", data)))


def _flat(prefix: str, value: Any) -> list[tuple[str, str]]:
    """Rows of nested settings; long lists are cut."""
    if isinstance(value, Mapping):
        return [row for key, each in value.items() for row in _flat(f"{prefix}.{key}" if prefix else str(key), each)]
    if isinstance(value, (list, tuple)) and any(isinstance(each, Mapping) for each in value):
        return [row for i, each in enumerate(value) for row in _flat(f"{prefix}[{i + 1}]", each)]
    if value is None or value == [] or value == ():
        return []
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    return [(prefix, text if len(text) <= 300 else text[:300] + " ...")]


def sentences(outcome: Outcome) -> Table | None:
    """What the device was heard to say, with the time."""
    said = outcome.record.said
    rows = tuple((f"{at:g} s", text[:500]) for at, text in said[:MOST_ROWS])
    more = f", the first {MOST_ROWS} of {len(said)}" if len(said) > MOST_ROWS else ""
    return Table(f"What was heard on the way{more}", ("at", "sentence"), rows) if rows else None


def named_table(title: str, named: Mapping[str, str]) -> Table | None:
    """Names and sentences as a table; none without any."""
    return Table(title, ("", ""), tuple((str(k), str(v)) for k, v in named.items())) if named else None
