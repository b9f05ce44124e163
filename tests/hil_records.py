"""Records by hand: every column zero but those that are given."""

from __future__ import annotations

import numpy as np

from hil.record import Record, column_names, names_of


def made(steps=10, cells=1, sensors=("surface",), faults=(), step_s=1.0, **columns) -> Record:
    """A record of so many steps; columns are numbers, ``(k,)`` or ``(k, cells)``, dots of names are two underscores.

    Sigma is 1 K, and a fault is injected where it is active unless something else is given.
    """
    names = column_names(cells, sensors, faults)
    rows = np.zeros((steps, len(names)))
    given = {"time_s": step_s * np.arange(1, steps + 1), "core_std_K": 1.0}
    given |= {name.replace("__", "."): values for name, values in columns.items()}
    for fault in faults:
        given.setdefault(f"{fault}.injected", given.get(f"{fault}.active", 0.0))
    for name, values in given.items():
        whole = [name] if name in names else names_of(name, cells)
        found = np.asarray(values, float)
        for cell, each in enumerate(whole):
            rows[:, names.index(each)] = found[:, cell] if found.ndim == 2 else found
    return Record(names, rows, cells, tuple(sensors), tuple(faults))
