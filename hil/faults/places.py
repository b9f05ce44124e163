"""Where a fault sits: the names of channels and cells, and their numbers."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bmsthermal.errors import InputError
from hil.faults.fault import Fault

_FORM = re.compile(r"(\w+)(?:\[(\d+)\])?")
_UNITS = {"sensor": "K", "voltage": "V", "current": "A"}
#: Parameters that are no good for readings of another unit.
_ONLY = {"K": ("offset_K", "value_degC"), "V": ("offset_V",)}


@dataclass(frozen=True)
class Places:
    """Channels of the readings: thermistors cell by cell, that of the coolant, voltages, current.

    Parameters
    ----------
    cells
        Number of cells.
    sensors
        Of each cell.
    """

    cells: int
    sensors: tuple[str, ...]

    @property
    def thermistors(self) -> int:
        """Their number, that of the coolant with them."""
        return self.cells * len(self.sensors) + 1

    @property
    def values(self) -> int:
        """Number of readings."""
        return self.thermistors + self.cells + 1

    @property
    def names(self) -> tuple[str, ...]:
        """Of each reading: ``surface[0]``, ..., ``ambient``, ``voltage[0]``, ..., ``current``."""
        thermistors = [f"{sensor}[{cell}]" for cell in range(self.cells) for sensor in self.sensors]
        return (*thermistors, "ambient", *(f"voltage[{cell}]" for cell in range(self.cells)), "current")

    def find(self, fault: Fault) -> tuple[NDArray[np.intp], str]:
        """Return the channels, or cells, of a fault's targets in their order, and the unit of what they read.

        Raises
        ------
        InputError
            If there is none of that name, the kind does not act on it, or a parameter does not belong to it.
        """
        if fault.spec.stage in ("bus", "time"):
            return np.zeros(0, np.intp), ""
        found = [self._one(fault, target) for target in fault.targets]
        units, where = {unit for _, unit in found}, f"fault {fault.name!r}"
        index = np.concatenate([cells for cells, _ in found]).astype(np.intp)
        if len(units) > 1:
            raise InputError("targets of several units", where=where, hint="make it a fault for each")
        if fault.kind == "swap" and found[0][0].size != found[1][0].size:
            raise InputError("targets of several sizes", where=where, expected="two channels, or two of each cell")
        if len(set(index.tolist())) < index.size:
            raise InputError("a channel is named twice", where=where)
        (unit,) = units
        for name in [name for other, names in _ONLY.items() if other != unit for name in names]:
            if fault[name] is not None:
                raise InputError(f"{name} of {fault.targets[0]!r}", where=where, expected=f"a unit that fits {unit}")
        return index, unit

    def _one(self, fault: Fault, target: str) -> tuple[NDArray[np.intp], str]:
        """Channels or cells of one target, and their unit."""
        form = _FORM.fullmatch(target)
        name = form[1] if form else ""
        cell = int(form[2]) if form and form[2] else None
        group = "sensor" if name in (*self.sensors, "ambient") else name
        single = name in ("ambient", "current", "cooling")
        if group not in fault.spec.on or (cell is not None and (single or cell >= self.cells)):
            raise InputError(f"no target {target!r}", where=f"fault {fault.name!r}", expected=self._choices(fault))
        each = np.arange(self.cells) if cell is None else np.array([cell])
        if name == "ambient":
            each = np.array([self.thermistors - 1])
        elif group == "sensor":
            each = each * len(self.sensors) + self.sensors.index(name)
        elif group == "voltage":
            each = each + self.thermistors
        elif group == "current":
            each = np.array([self.values - 1])
        return each, _UNITS.get(group, "")

    def _choices(self, fault: Fault) -> str:
        """Targets that the fault could have."""
        many = f"[0] to [{self.cells - 1}]" if self.cells > 1 else ""
        names = {"sensor": self.sensors, "voltage": ("voltage",), "cell": ("cell",)}
        found = [name + many for group in fault.spec.on for name in names.get(group, ())]
        return ", ".join(
            [
                *found,
                *("ambient" for group in fault.spec.on if group == "sensor"),
                *(group for group in fault.spec.on if group not in names),
            ]
        )
