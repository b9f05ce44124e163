"""The numbers that a bus carries, by name: readings to the device, answers back, each a row of its own."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence

import numpy as np

from bmsthermal.curves import Array
from bmsthermal.errors import InputError
from bmsthermal.files import ZERO_DEGC_K
from hil.signals import Answer, Readings, Status

#: What a device says of itself: the cycle that it answers to, whether it runs, frames refused, readings absent.
OWN = ("echo", "state", "rejected", "absent")
#: What a bench says to begin; the last one is whether it keeps the time of the device.
START = ("soc", "session", "layout", "clocked")
#: Session that starts nothing: a bench asks who is there.
ANYBODY = 0
#: States of a device: not started, running, and started by a bench with other cells or sensors.
WAITING, RUNNING, FOREIGN = 0, 1, 2
#: SI units, and what is added to a number in the unit of a signal to get them.
UNITS = {
    "A": {"A": (1.0, 0.0), "mA": (1e-3, 0.0)},
    "V": {"V": (1.0, 0.0), "mV": (1e-3, 0.0)},
    "degC": {"degC": (1.0, ZERO_DEGC_K), "°C": (1.0, ZERO_DEGC_K), "C": (1.0, ZERO_DEGC_K), "K": (1.0, 0.0)},
    "K": {"K": (1.0, 0.0), "degC": (1.0, 0.0), "°C": (1.0, 0.0)},
    "": {},
}  # fmt: skip


def indexed(name: str, cells: int) -> list[str]:
    """``core_degC`` of one cell; ``core_degC_0``, ``core_degC_1``, ... of a module, as a DBC can write it."""
    return [name] if cells == 1 else [f"{name}_{cell}" for cell in range(cells)]


def check_sensors(sensors: Sequence[str]) -> None:
    """Refuse sensors whose names no DBC can hold."""
    for name in sensors:
        if not re.fullmatch(r"[A-Za-z]\w{0,19}", name, re.ASCII):
            raise InputError(f"sensor {name!r}", expected="up to 20 letters, digits and _ for a signal of a DBC")


def reading_names(cells: int, sensors: Sequence[str]) -> list[str]:
    """Names of a row of readings: pack, voltages, temperatures sensor by sensor, and the number of the cycle."""
    each = [name for sensor in sensors for name in indexed(f"{sensor}_degC", cells)]
    return ["current_A", "ambient_degC", *indexed("voltage_V", cells), *each, "cycle"]


def answer_names(cells: int, sensors: Sequence[str]) -> list[str]:
    """Names of a row of answers: estimates and flags of the cells, and what the device says of itself."""
    cell = ("core_degC", "core_std_K", "heat_fault", *(f"fault_{sensor}" for sensor in sensors))
    return [*(name for each in cell for name in indexed(each, cells)), *OWN]


def layout_of(cells: int, sensors: Sequence[str]) -> int:
    """Number of 16 bits that tells benches of other cells or sensors apart."""
    names = " ".join((*reading_names(cells, sensors), *answer_names(cells, sensors)))
    return int.from_bytes(hashlib.sha256(names.encode()).digest()[:2], "big")


def unit_of(name: str) -> str:
    """Unit in a name: ``A``, ``V``, ``degC``, ``K``, or none."""
    found = re.search(r"_(A|V|degC|K)(_\d+)?$", name)
    return found[1] if found and not name.startswith("fault_") else ""


def row_of_readings(readings: Readings, cycle: int) -> Array:
    """Readings as a row of `reading_names`, in SI."""
    return np.concatenate(
        [[readings.current_A, readings.ambient_K], readings.voltage_V, readings.surfaces_K.T.ravel(), [cycle % 256]]
    )


def readings_of_row(row: Array, time_s: float, cells: int, sensors: int) -> Readings:
    """Readings of a row of `reading_names`."""
    surfaces = row[2 + cells : 2 + cells + cells * sensors].reshape(sensors, cells).T
    return Readings(time_s, float(row[0]), row[2 : 2 + cells].copy(), float(row[1]), surfaces.copy())


def row_of_answer(answer: Answer, own: Sequence[float]) -> Array:
    """An answer as a row of `answer_names`; `own` is what the device says of itself."""
    return np.concatenate([answer.core_K, answer.core_std_K, answer.heat_fault, answer.fault.T.ravel(), own])


def answer_of_row(row: Array, time_s: float, cells: int, sensors: int, status: Status, said: str) -> Answer:
    """Answer of a row of `answer_names`; flags that did not come are not set."""
    core, std, heat = row[: 3 * cells].reshape(3, cells)
    codes = row[3 * cells : (3 + sensors) * cells].reshape(sensors, cells).T
    fault = np.where(np.isnan(codes), 0, codes).astype(int)
    return Answer(time_s, core.copy(), std.copy(), fault, heat > 0, status, said)
