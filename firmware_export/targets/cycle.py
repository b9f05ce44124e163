"""A run that a bundle has to survive: a drive cycle, with everything that breaks in a car breaking on the way."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from bmsthermal.sensors import sensor_rows
from bmsthermal.vehicle import Vehicle, load_schedule

if TYPE_CHECKING:
    from bmsthermal.observer import Observer
    from bmsthermal.packing import Packed

Row = NDArray[np.floating]
#: Where it starts.
START_K, START_SOC = 301.7, 0.63
#: Ohm times Ah of a cell: what its voltage loses to current.
_OHM_AH = 0.03


@dataclass(frozen=True)
class Drive:
    """A run to compare on.

    Parameters
    ----------
    inputs, measurements
        ``(steps, 3 + 2 w)`` in the order of the kernel, and ``(steps, m)``; NaN where absent. They are rounded to the
        precision of the target once, for everybody.
    start_K, start_soc
        Where it starts.
    """

    inputs: Row = field(repr=False)
    measurements: Row = field(repr=False)
    start_K: float = START_K
    start_soc: float = START_SOC


def cycle(observer: Observer, packed: Packed, steps: int, seed: int) -> tuple[Row, Row]:
    """Inputs and measurements of a run of US06 and charging, with faults.

    The voltage follows the charge, the sensors read what the observer's own model makes of heat and coolants, and both
    have noise. Each input is missing now and then and for long; wires break (minus infinity, -1e9, NaN), are shorted
    (infinity, 1e9), stick, drift and change places; the coolant is unknown; a fan comes on; heat is known otherwise.

    Parameters
    ----------
    observer
        Who watches.
    packed
        Its constants.
    steps
        Length of the run.
    seed
        Of noise and of what is missing.

    Returns
    -------
    inputs, measurements
        ``(steps, 3 + 2 w)`` in the order of the kernel, and ``(steps, m)``.
    """
    rng = np.random.default_rng(seed)
    reduced, walls = observer.reduced, len(packed.wall)
    capacity_Ah, step_s = reduced.cell.capacity_Ah, reduced.step_s
    amps = _current(steps, step_s, capacity_Ah)
    charge = START_SOC - np.cumsum(amps) * step_s / 3600 / capacity_Ah
    open_V = np.interp(charge, np.linspace(0.0, 1.0, len(packed.open_circuit_V)), packed.open_circuit_V)
    lost_V = _OHM_AH / capacity_Ah * amps
    # sides that far apart keep sensors apart, so that it shows when they are swapped
    coolant_K = 297.0 + 3.0 * np.sin(np.arange(steps) * step_s / 900.0)[:, None] + 20.0 * np.arange(walls)
    u = np.full((steps, 3 + 2 * walls), np.nan)
    u[:, 0] = amps + rng.normal(0.0, 0.01 * capacity_Ah, steps)
    u[:, 1] = open_V - lost_V + rng.normal(0.0, 0.003, steps)
    u[:, 3 : 3 + walls] = coolant_K
    x = reduced.step.run(np.column_stack([amps * lost_V, coolant_K - START_K]), reduced.conductance_W_K)
    z = START_K + x @ sensor_rows(reduced, observer.measured).T
    z += rng.normal(0.0, 0.03, z.shape)
    _break(u, z, packed, rng)
    return u, z


def _current(steps: int, step_s: float, capacity_Ah: float) -> Row:
    """US06 and, in turn, a charge that gives back what it took."""
    out = Vehicle().cell_current_A(*load_schedule("us06")) * (capacity_Ah / 2.3)
    once = np.concatenate([out, np.full(len(out), -out.mean())])
    current: Row = once[(np.arange(steps) * step_s).astype(int) % len(once)]
    return current


def _break(u: Row, z: Row, packed: Packed, rng: np.random.Generator) -> None:
    steps, walls = len(u), len(packed.wall)

    def during(first: float, last: float) -> slice:
        return slice(int(first * steps), int(last * steps))

    for column in (0, 1, 3):
        u[rng.random(steps) < 0.03, column] = np.nan
    z[rng.random(z.shape) < np.where(np.arange(steps) < 0.9 * steps, 0.001, 0.3)[:, None]] = np.nan
    last = z.shape[1] - 1
    for number, wrong in enumerate((200.0, 480.0, -1e9, np.inf, -np.inf, 1e9)):  # open, short, absent
        z[during(0.06 + 0.03 * number, 0.065 + 0.03 * number), number % (last + 1)] = wrong
    stuck = during(0.26, 0.34)
    z[stuck, last] = z[stuck, last][0] if np.isfinite(z[stuck, last][0]) else START_K
    drifting = z[during(0.36, 0.5), 0]
    drifting += np.linspace(0.0, 2.0, len(drifting))
    z[during(0.52, 0.56), last] += 8.0  # a bias
    z[during(0.62, 0.66)] = z[during(0.62, 0.66), ::-1]  # swapped
    z[during(0.7, 0.72)] = np.nan
    u[during(0.74, 0.75), 1] = np.nan
    u[during(0.76, 0.762), 2] = 4.0
    u[during(0.78, 0.79), 3] = np.nan
    u[during(0.8, 0.801), :2] = np.inf
    u[during(0.82, 0.821), 0] = -1e9
    u[during(0.84, 0.841)], z[during(0.84, 0.841)] = np.nan, np.nan
    u[during(0.86, 0.88), 3 + walls :] = 3.0 * packed.conductance_W_K  # a fan
    u[during(0.9, 0.91), 3 + walls :] = 0.0
    u[during(0.92, 0.923), 0] = 1e3  # far beyond the cell
