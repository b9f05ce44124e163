"""A run that a bundle has to survive: a drive cycle, with everything that breaks in a car breaking on the way."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from bmsthermal.vehicle import Vehicle, load_schedule

if TYPE_CHECKING:
    from bmsthermal.observer import Observer
    from bmsthermal.packing import Packed

Row = NDArray[np.floating]
#: Ohm times Ah of a cell: what its voltage loses to current.
_OHM_AH = 0.03


def cycle(observer: Observer, packed: Packed, steps: int, seed: int) -> tuple[Row, Row]:
    """Inputs and measurements of a run of US06 and charging, with faults.

    The voltage follows the charge, the sensors follow a lagged heat. Each input is missing now and then and for long;
    wires break (minus infinity, -1e9, NaN), are shorted (infinity, 1e9), stick, drift and change places; the current's
    wire is open; the coolant is unknown; a fan comes on; heat is known otherwise.

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
    walls, sensors = len(packed.wall), len(packed.sense)
    capacity_Ah, step_s = observer.reduced.cell.capacity_Ah, observer.reduced.step_s
    amps = _current(steps, step_s, capacity_Ah)
    charge = 0.63 - np.cumsum(amps) * step_s / 3600 / capacity_Ah
    open_V = np.interp(charge, np.linspace(0.0, 1.0, len(packed.open_circuit_V)), packed.open_circuit_V)
    t = np.arange(steps) * step_s
    u = np.full((steps, 3 + 2 * walls), np.nan)
    u[:, 0] = amps + rng.normal(0.0, 0.01 * capacity_Ah, steps)
    u[:, 1] = open_V - _OHM_AH / capacity_Ah * amps + rng.normal(0.0, 0.003, steps)
    u[:, 3 : 3 + walls] = 295.0 + 3.0 * np.sin(t / 900.0)[:, None] + np.arange(walls)
    z = _surface(amps / capacity_Ah, step_s)[:, None] + 0.3 * np.arange(sensors) + rng.normal(0, 0.05, (steps, sensors))
    _break(u, z, packed, rng)
    return u, z


def _current(steps: int, step_s: float, capacity_Ah: float) -> Row:
    """US06 and, in turn, a charge that gives back what it took."""
    out = Vehicle().cell_current_A(*load_schedule("us06")) * (capacity_Ah / 2.3)
    once = np.concatenate([out, np.full(len(out), -out.mean())])
    current: Row = once[(np.arange(steps) * step_s).astype(int) % len(once)]
    return current


def _surface(per_h: Row, step_s: float) -> Row:
    """What a surface does under currents relative to capacity: warmer by their square, an hour's quarter later."""
    heat, warm = 1.0 * per_h**2, 0.0
    share = step_s / 900.0
    found = np.empty(len(heat))
    for k, each in enumerate(heat):
        warm += share * (each - warm)
        found[k] = 296.0 + warm
    return found


def _break(u: Row, z: Row, packed: Packed, rng: np.random.Generator) -> None:
    steps, walls = len(u), len(packed.wall)

    def during(first: float, last: float) -> slice:
        return slice(int(first * steps), int(last * steps))

    for column in (0, 1, 3):
        u[rng.random(steps) < 0.03, column] = np.nan
    z[rng.random(z.shape) < 0.1] = np.nan
    u[during(0.03, 0.036), 1] = np.nan
    u[during(0.05, 0.052), 2] = 4.0
    u[during(0.07, 0.09), 3 + walls :] = 3.0 * packed.conductance_W_K
    u[during(0.1, 0.101), :2] = np.inf
    z[during(0.12, 0.14)] = np.nan
    u[during(0.16, 0.161), 0] = -1e9
    u[during(0.18, 0.2), 3] = np.nan
    for number, wrong in enumerate((-1e9, np.inf, -np.inf, 1e9, 233.0, 423.0)):  # no wire, and both kinds of NTC
        z[during(0.22 + 0.02 * number, 0.225 + 0.02 * number), number % z.shape[1]] = wrong
    z[during(0.4, 0.44), 0] = z[int(0.4 * steps), -1]  # stuck, missing if that was
    drifting = z[during(0.5, 0.56), -1]
    drifting += np.linspace(0.0, 12.0, len(drifting))
    z[during(0.6, 0.64)] = z[during(0.6, 0.64), ::-1]
    u[during(0.7, 0.701)], z[during(0.7, 0.701)] = np.nan, np.nan
    z[during(0.75, 0.8), 0] += 8.0  # a bias
    u[during(0.85, 0.86), 3 + walls :] = 0.0
    u[during(0.9, 0.903), 0] = 1e3  # far beyond the cell
