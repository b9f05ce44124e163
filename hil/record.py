"""What a run leaves: a table of signals over time, its columns named with unit, in the same order every time."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from bmsthermal.curves import Array


def names_of(name: str, cells: int) -> list[str]:
    """``core_degC`` of one cell; ``core_degC[0]``, ``core_degC[1]``, ... of a module."""
    return [name] if cells == 1 else [f"{name}[{cell}]" for cell in range(cells)]


@dataclass(frozen=True)
class Record:
    """Signals of a run.

    Columns, in this order; those of cells are `names_of`, those of sensors have the sensor's name in them:
    ``time_s command_A ambient_degC cooling``, of the truth ``true_current_A true_voltage_V true_soc true_core_degC
    true_mean_degC true_<sensor>_degC true_ambient_degC true_heat_W``, of what the device saw ``seen_current_A
    seen_ambient_degC seen_voltage_V seen_<sensor>_degC``, of what it said ``core_degC core_std_K fault_<sensor>
    heat_fault status answer_age_s``, then ``<fault>.enabled <fault>.active <fault>.injected`` of each injected fault.

    Parameters
    ----------
    names
        Columns.
    rows
        ``(k, columns)``.
    cells
        Number of cells.
    sensors
        Sensors of each cell.
    faults
        Names of the injected faults.
    said
        What the device was heard to say for itself: time in s and sentence.
    """

    names: tuple[str, ...]
    rows: Array = field(repr=False)
    cells: int
    sensors: tuple[str, ...]
    faults: tuple[str, ...] = ()
    said: tuple[tuple[float, str], ...] = ()

    @property
    def columns(self) -> Mapping[str, Array]:
        """Column ``(k,)`` by name."""
        return {name: self.rows[:, i] for i, name in enumerate(self.names)}

    def __getitem__(self, name: str) -> Array:
        return self.rows[:, self.names.index(name)]

    def each(self, name: str) -> Array:
        """Columns of a signal of cells, ``(k, cells)``."""
        first = self.names.index(names_of(name, self.cells)[0])
        return self.rows[:, first : first + self.cells]

    @property
    def time_s(self) -> Array:
        """Ends of the steps, ``(k,)``."""
        return self["time_s"]

    def injected(self, fault: str) -> list[tuple[float, float]]:
        """Stretches of time in s in which a fault was injected."""
        on = np.concatenate([[False], self[f"{fault}.injected"] > 0, [False]])
        edges = np.flatnonzero(on[1:] != on[:-1])
        ends = np.append(self.time_s, self.time_s[-1])
        return [(float(ends[a]), float(ends[b])) for a, b in zip(edges[::2], edges[1::2], strict=True)]

    @property
    def digest(self) -> str:
        """SHA-256 of names and numbers, to the last bit."""
        return hashlib.sha256("\n".join(self.names).encode() + self.rows.tobytes()).hexdigest()


def column_names(cells: int, sensors: Sequence[str], faults: Sequence[str]) -> tuple[str, ...]:
    """Columns of a `Record`, in their order."""
    many = (
        "true_current_A", "true_voltage_V", "true_soc", "true_core_degC", "true_mean_degC",
        *(f"true_{sensor}_degC" for sensor in sensors), "true_ambient_degC", "true_heat_W",
    )  # fmt: skip
    seen = ("seen_voltage_V", *(f"seen_{sensor}_degC" for sensor in sensors))
    answer = ("core_degC", "core_std_K", *(f"fault_{sensor}" for sensor in sensors), "heat_fault")
    return (
        "time_s", "command_A", "ambient_degC", "cooling",
        *(each for name in many for each in names_of(name, cells)), "seen_current_A", "seen_ambient_degC",
        *(each for name in (*seen, *answer) for each in names_of(name, cells)), "status", "answer_age_s",
        *(f"{fault}.{state}" for fault in faults for state in ("enabled", "active", "injected")),
    )  # fmt: skip
