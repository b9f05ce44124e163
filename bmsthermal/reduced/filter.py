r"""Extended Kalman filter on the reduced coupled model: surface and voltage correct temperature, charge, resistance.

The state is that of the reduced cell (lithium, salt, modes of the particles, thermal modes), then two more:

resistance
    In series beside the model's, Ohm: a random walk. It takes up growth, contacts, and kinetics slower than thought.
voltage error
    What the model's voltage is off by for minutes, V: first-order noise of the standard deviation ``model_V``. Within
    minutes the charge is no surer than ``model_V`` over the slope of the open-circuit voltage: where that is flat, the
    filter knows that it does not know.

.. math:: V = V_{kernel}(x, I) - r I + b, \qquad \dot Q = \dot Q_{kernel}(x, I) + r I^2

Both are linear beside the kernel's map, whose slopes are differences (`bmsthermal.reduced.differences`). They are
taken once a step: a voltage is looked at again where its correction led to, along the same slopes (an iterated filter,
Simon 2006, sec. 13.3.1, with its slope held).

This is the readable twin of ``kernel/cell_filter.h``, which keeps the covariance as factors; here it is updated in
Joseph's form (Simon 2006, eq. 5.19).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bmsthermal.curves import Array
from bmsthermal.noise import Noise, check_positive
from bmsthermal.reduced.differences import Differences
from bmsthermal.reduced.slopes import Linear

if TYPE_CHECKING:
    from bmsthermal.reduced.model import ReducedCell

#: Variance per second that keeps thermal modes from freezing, K2, as the thermal observer has it.
FREEZING = 1e-8
#: Rate in C that may flow unseen while the current is missing.
LOST_C = 0.5
#: A current in C beyond which it is none.
MOST_C = 100.0


@dataclass(frozen=True)
class CoupledNoise(Noise):
    """Standard deviations of the thermal observer, and of what voltage and charge add.

    Parameters
    ----------
    start_soc
        Of the state of charge at the start.
    voltage_V, drop
        White noise of the voltage: sensor and what the model misses from step to step; and beside it a share of what
        the voltage drops by at the jump to the current: a resistance is seldom known better than 10 %.
    model_V, model_s
        Slow error of the model's voltage, and how long it lasts. By default 10 mV, about twice what a reduction is
        asked for (more if its certificate says so), over 5 minutes.
    current
        White error of the current, as a share of 1C.
    resistance, resistance_rts
        Relative to what the cell's resistance to a jump of current is: at the start, and as a density of the walk. By
        default 20 %, and 10 % within 10 minutes.

    Notes
    -----
    ``heat_W_rts`` is as in `bmsthermal.Noise`; ``start_K`` is 10 K.

    Raises
    ------
    InputError
        If one is not a number, or not positive.
    """

    start_K: float = 10.0
    start_soc: float = 0.1
    voltage_V: float = 0.005
    drop: float = 0.1
    model_V: float = 0.01
    model_s: float = 300.0
    current: float = 0.01
    resistance: float = 0.2
    resistance_rts: float = 0.004

    def __post_init__(self) -> None:
        super().__post_init__()
        own = ("start_soc", "voltage_V", "drop", "model_V", "model_s", "current", "resistance", "resistance_rts")
        check_positive(self, own, "Observer", np.inf)


@dataclass
class Seen:
    """What a measurement said: innovation and its variance; both 0 where it was absent."""

    innovation: float = 0.0
    variance: float = 0.0


class Filter:
    """Mean ``(n + 2,)`` and covariance ``(n + 2, n + 2)``, moved and corrected; both belong to the caller.

    What evaluates the cell, `Differences`, has a state of its own, so it is given: one per thread.

    Parameters
    ----------
    reduced
        The cell, of `n` states.
    walls
        Which wall each surface sensor sits on.
    noise
        Standard deviations.
    """

    def __init__(self, reduced: ReducedCell, walls: list[int], noise: CoupledNoise) -> None:
        thermal, n = reduced.thermal, reduced.order
        self.reduced, self.noise, self.n = reduced, noise, n
        self.first = n - thermal.order  # of the thermal states
        self.capacity_Ah = reduced.cell.electrochemistry.nominal_Ah
        self.share, self.reference_K = reduced.cell.ambient_share, thermal.cell.reference_K
        self.walls = walls
        self.sense = np.zeros((len(walls), n + 2))
        self.sense[:, self.first : n] = (1.0 - self.share) * thermal.step.wall[:, walls].T
        self.wall = thermal.step.wall
        # what a watt over a step does to the states
        self.warm = np.zeros(n)
        self.warm[self.first :] = thermal.step.matrices(thermal.conductance_W_K)[1][:, 0]
        self.forgets = float(np.exp(-thermal.step_s / noise.model_s))
        low, high = (reduced.cell.electrochemistry.stoichiometries(soc)[0] for soc in (0.0, 1.0))
        self.empty, self.window = float(low), float(high - low)

    def start(self, cell: Differences, thermal: Array, covariance: Array, soc: float) -> tuple[Array, Array]:
        """Cell at rest: thermal modes and their covariance, and a state of charge."""
        x, P = np.zeros(self.n + 2), np.zeros((self.n + 2, self.n + 2))
        x[0], x[self.first : self.n] = self.empty + soc * self.window, thermal
        at = slice(self.first, self.n)
        P[0, 0], P[at, at] = (self.noise.start_soc * self.window) ** 2, covariance
        resistance = -cell.at(x[: self.n], 0.0, self.reference_K).voltage_by_current
        P[-2, -2], P[-1, -1] = (self.noise.resistance * resistance) ** 2, self.noise.model_V**2
        return x, P

    def soc(self, x: Array) -> Array:
        """State of charge of means ``(..., n + 2)``."""
        return np.asarray((x[..., 0] - self.empty) / self.window)

    def step(
        self,
        cell: Differences,
        x: Array,
        P: Array,
        current_A: float,
        voltage_V: float,
        coolant_K: Array,
        surface_K: Array,
    ) -> tuple[Array, Array, float, list[Seen]]:  # fmt: skip
        """One step: the voltage at its begin, current and coolants over it, surfaces at its end; NaN where absent.

        Returns
        -------
        tuple
            Mean, covariance, heat in W, and what each surface sensor and last the voltage said.
        """
        known = abs(current_A) < MOST_C * self.capacity_Ah  # NaN is not
        current = current_A if known else 0.0
        own = self.wall.T @ x[self.first : self.n] + self.reference_K
        coolant = np.where(np.isfinite(coolant_K), coolant_K, own)  # surroundings not known exchange nothing
        x, P, at, voltage = self._electric(cell, x, P, current, voltage_V if known else np.nan, coolant)
        after, found = cell.look(x[: self.n], current, coolant)
        more_W = x[-2] * current**2
        x, P = self._move(x, P, at, after + self.warm * more_W, current, known)
        seen = []
        for row, wall, measured in zip(self.sense, self.walls, surface_K, strict=True):
            away = measured - self.reference_K - self.share * (coolant[wall] - self.reference_K) - row @ x
            x, P, said = _correct(x, P, row, away, self.noise.sensor_K**2)
            seen.append(said)
        return x, P, float(found[1]) + more_W, [*seen, voltage]

    def _electric(
        self, cell: Differences, x: Array, P: Array, current: float, voltage_V: float, coolant: Array
    ) -> tuple[Array, Array, Linear, Seen]:
        """Correct by the voltage, along the slopes where the cell was."""
        at, n = cell.at(x[: self.n], current, coolant), self.n
        drop_V = self.noise.drop * at.voltage_by_current * current
        row = np.concatenate([at.voltage, [-current, 1.0]])
        away = voltage_V - (at.voltage_V - current * x[-2] + x[-1])
        better, P, said = _correct(x, P, row, away, self.noise.voltage_V**2 + drop_V**2)
        if said.variance:
            # the same reading from there: along the straight line it would be gone
            voltage = float(cell.look(better[:n], current, coolant)[1][0])
            again = voltage_V - (voltage - current * better[-2] + better[-1]) + row @ (better - x)
            better = x + (better - x) * (again / away) if away else better
        return better, P, at, said

    def _move(
        self, x: Array, P: Array, at: Linear, after: Array, current: float, known: bool
    ) -> tuple[Array, Array]:  # fmt: skip
        """Mean and covariance after the step."""
        n, noise, seconds = self.n, self.noise, self.reduced.step_s
        F = np.zeros((n + 2, n + 2))
        F[:n, :n], F[:n, n], F[n, n], F[n + 1, n + 1] = at.step, self.warm * current**2, 1.0, self.forgets
        amperes = (noise.current if known else LOST_C) * self.capacity_Ah
        drive = np.column_stack([
            amperes * (at.step_by_current + 2 * x[-2] * current * self.warm),
            noise.heat_W_rts / np.sqrt(seconds) * self.warm,
        ])  # fmt: skip
        moved = F @ P @ F.T
        moved[:n, :n] += drive @ drive.T
        own = np.zeros(n + 2)
        own[self.first : n] = FREEZING * seconds
        own[n] = (noise.resistance_rts * at.voltage_by_current) ** 2 * seconds
        own[n + 1] = noise.model_V**2 * (1.0 - self.forgets**2)
        mean = np.concatenate([after, [x[-2], self.forgets * x[-1]]])
        return mean, (moved + moved.T) / 2 + np.diag(own)


def _correct(x: Array, P: Array, row: Array, away: float, variance: float) -> tuple[Array, Array, Seen]:
    """Correct by one scalar that is `away` from what was expected; one that is not there changes nothing."""
    if not np.isfinite(away):
        return x, P, Seen()
    felt = P @ row
    total = float(row @ felt) + variance
    gain = felt / total
    left = np.eye(len(x)) - np.outer(gain, row)
    better = left @ P @ left.T + variance * np.outer(gain, gain)
    return x + gain * away, (better + better.T) / 2, Seen(float(away), total)
