"""Hours of a 32113 with spread parameters, as its three sensors see them: truth for `fault_detection`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bmsthermal import CoupledModel, load_cell, read_measured
from bmsthermal.sensors import sensor_rows
from bmsthermal.vehicle import Vehicle, load_schedule

Array = NDArray[np.float64]
SENSORS = ("surface", "surface_left", "surface_right")
#: Of every number of the cell, and of the heat; offsets and noise of a sensor in K; the nominal coefficient.
SPREAD, OFFSET_K, NOISE_K, H_W_M2K = 0.1, 0.1, 0.05, 25.0
HOUR, TRUE_STATES, RESISTANCE_OHM, LAG_S = 3600, 20, 0.0068, 8.0
#: Measured currents of the data folder with the factor that brings their cell to 4.4 Ah, and shipped schedules.
MEASURED = {"lfp_32113/forced_air_1.csv": 1.0, "lfp_32113/lagged_1.csv": 1.0, "a123_26650/hev_1.csv": 1.91}
SCHEDULES = ("us06", "wltc_3b", "udds", "hwfet")


@dataclass(frozen=True)
class Hours:
    """What an observer is fed, row by row: inputs ``(k, 3 + 2 walls)`` and readings ``(k, 3)``; and the core in K."""

    inputs: Array
    readings_K: Array
    core_K: Array
    start_K: float


def profiles(data: Path | None) -> list[Array]:
    """Currents in A at 1 Hz: schedules, rests, pulses, and what was measured where there is data."""
    found = [2.0 * Vehicle().cell_current_A(*load_schedule(name)) for name in SCHEDULES]
    pulses = np.repeat(np.random.default_rng(0).choice([-20.0, 0.0, 20.0, 35.0], 60), 30)
    found += [np.zeros(1800), np.zeros(600), pulses]
    for file, factor in MEASURED.items() if data is not None else ():
        assert data is not None
        found.append(factor * np.nan_to_num(read_measured(data / file).current_A))
    return found


def hours(
    seed: int, count: float, currents: list[Array], *, extra_W: tuple[float, float] | None = None,
    bottom_W_m2K: float = H_W_M2K,
) -> Hours:  # fmt: skip
    """Drive a cell of its own parameters for `count` hours.

    `extra_W` releases heat that no current tells, from a time in s on; `bottom_W_m2K` cools that end otherwise. Each
    wall has its own coefficient, and the heat that is told is off by a factor, as a resistance is; the lag of the
    sensors is off, the ambient wanders.
    """
    rng = np.random.default_rng(seed)
    k, seconds = round(count * HOUR), [np.zeros(0)]
    while sum(map(len, seconds)) < k:
        seconds.append(currents[rng.integers(len(currents))])
    current = np.clip(np.concatenate(seconds)[:k], -60.0, 60.0)

    def off(value: float) -> float:
        return value * float(np.exp(SPREAD * rng.standard_normal()))

    cell = load_cell("lfp_32113")
    keys = ("Radial thermal conductivity [W.m-1.K-1]", "Axial thermal conductivity [W.m-1.K-1]")
    changes: dict[str, object] = {key: off(float(cell.thermal[key])) for key in keys}
    changes["Specific heat capacity [J.K-1.kg-1]"] = off(float(cell.lumped["Specific heat capacity [J.K-1.kg-1]"]))
    h = {"side": off(H_W_M2K), "bottom": off(bottom_W_m2K), "top": off(H_W_M2K)}
    changes |= {"Heat transfer coefficient [W.m-2.K-1]": h}
    true = CoupledModel(cell.with_values(changes), heat="measured", thermal="r-z").reduce(TRUE_STATES)
    told_W = RESISTANCE_OHM * current**2
    heat_W = off(1.0) * told_W
    if extra_W is not None:
        heat_W[round(extra_W[0]) :] += extra_W[1]
    # slow swing of the room, and what its air conditioning does
    time, mean = np.arange(k), rng.uniform(268.0, 308.0)
    ambient = mean + 2.0 * np.sin(2 * np.pi * (time / rng.uniform(5000, 20000) + rng.uniform()))
    ambient += 0.5 * np.sin(2 * np.pi * (time / rng.uniform(300, 900) + rng.uniform()))

    A, B = true.step.matrices(true.conductance_W_K)
    around = np.repeat(ambient[:, None] - cell.reference_K, 3, axis=1)
    drive = np.column_stack([heat_W, around]) @ B.T
    rows = np.vstack([sensor_rows(true, SENSORS), true.outputs[:1]])
    x, T = around[0, 0] * true.constant, np.empty((k, 4))
    for i in range(k):
        x = A @ x + drive[i]
        T[i] = rows @ x
    T += cell.reference_K
    late, read = np.exp(-1.0 / off(LAG_S)), np.empty((k, 3))
    now = T[0, :3]
    for i in range(k):
        now = late * now + (1 - late) * T[i, :3]
        read[i] = now
    read += OFFSET_K * rng.standard_normal(3) + NOISE_K * rng.standard_normal((k, 3))
    nothing = np.full((k, 1), np.nan)
    seen = ambient[:, None] + NOISE_K * rng.standard_normal((k, 1))
    inputs = np.hstack([nothing, nothing, told_W[:, None], np.repeat(seen, 3, axis=1), np.repeat(nothing, 3, axis=1)])
    return Hours(inputs, read, T[:, 3], float(read[0].mean()))
