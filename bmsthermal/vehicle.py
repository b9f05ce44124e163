"""A small vehicle: a speed schedule in, the current of one cell out.

Longitudinal dynamics on a level road, after L. Guzzella and A. Sciarretta, Vehicle Propulsion
Systems, 3rd ed., Springer 2013, section 2.1 (doi 10.1007/978-3-642-35913-2)::

    F = m dv/dt + 1/2 rho_air C_d A v^2 + C_r m g   (the last only while v > 0)

with the schedule's speed taken as linear between its samples, so that the mean speed and the
acceleration of an interval are ``(v[i] + v[i+1]) / 2`` and ``(v[i+1] - v[i]) / (t[i+1] - t[i])``
and the kinetic energy balances exactly over every interval.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, fields
from importlib.resources import files

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bmsthermal.errors import InputError, InputWarning

Array = NDArray[np.float64]

GRAVITY_M_S2 = 9.80665
_M_S = {"speed_m_s": 1.0, "speed_mph": 0.44704, "speed_km_h": 1 / 3.6}


@dataclass(frozen=True)
class Vehicle:
    """What stands between the speed of a car and the current of a cell; positive power drives.

    The default is a compact plug-in hybrid that drives on its battery of 900 cells of 2.3 Ah and
    3.3 V (100 in series, 9 parallel; 330 V, 6.8 kWh). It is chosen so that US06 works an A123 26650
    hard and inside its data sheet (70 A out, 10 A in): 28 A at most, -10 A at braking, 7.3 A rms.
    One cycle takes 30 % of the charge, so that two of them fit between 0.9 and 0.2.

    Parameters
    ----------
    mass_kg
        Mass with driver, rotating parts included as their equivalent mass.
    drag_area_m2
        Drag coefficient times frontal area (0.29 x 2.2 m2).
    rolling
        Rolling resistance coefficient.
    air_kg_m3
        Density of air (15 degC, sea level).
    drivetrain_efficiency
        Efficiency from battery to wheel, and from wheel to battery, in (0, 1].
    regeneration_fraction
        Share of the braking power that goes to the motor and not to the brakes, 0 to 1.
    regeneration_limit_W
        Most power that the battery takes back [W]; the default is 10 A a cell.
    auxiliary_W
        Power of everything that is not the motor [W].
    cells_in_series, cells_in_parallel
        The pack.
    cell_voltage_V
        Nominal voltage of a cell [V], which turns power into current.

    Raises
    ------
    InputError
        If a value is not finite, negative, or zero where that has no meaning.
    """

    mass_kg: float = 1400.0
    drag_area_m2: float = 0.64
    rolling: float = 0.009
    air_kg_m3: float = 1.225
    drivetrain_efficiency: float = 0.9
    regeneration_fraction: float = 0.7
    regeneration_limit_W: float = 30e3
    auxiliary_W: float = 500.0
    cells_in_series: int = 100
    cells_in_parallel: int = 9
    cell_voltage_V: float = 3.3

    def __post_init__(self) -> None:
        positive = (
            "mass_kg",
            "drivetrain_efficiency",
            "cells_in_series",
            "cells_in_parallel",
            "cell_voltage_V",
        )
        for name in (f.name for f in fields(self)):
            value = getattr(self, name)
            if not 0 <= value < np.inf or (name in positive and value == 0):
                limit = "a positive number" if name in positive else "a number of at least 0"
                raise InputError(f"{name} = {value!r}", where="vehicle", expected=limit)
            if name in ("drivetrain_efficiency", "regeneration_fraction") and value > 1:
                raise InputError(f"{name} = {value!r}", where="vehicle", expected="a fraction of at most 1")

    def wheel_power_W(self, time_s: ArrayLike, speed_m_s: ArrayLike) -> Array:
        """Mean power at the wheels from each sample to the next [W], shape ``(k,)``; negative brakes.

        Parameters
        ----------
        time_s, speed_m_s
            The schedule [s] and [m/s], shape ``(k,)``, time increasing, no speed below 0.

        Returns
        -------
        ndarray
            Entry ``i`` holds from ``t[i]`` to ``t[i+1]``; the last one keeps the last speed.

        Raises
        ------
        InputError
            If the schedule is not two such arrays.

        Warns
        -----
        InputWarning
            If the speed exceeds 100 m/s, which looks like km/h or mph.
        """
        time, speed = _schedule(time_s, speed_m_s)
        mean = np.append((speed[1:] + speed[:-1]) / 2, speed[-1])
        acceleration = np.append(np.diff(speed) / np.diff(time), 0.0)
        drag = 0.5 * self.air_kg_m3 * self.drag_area_m2 * mean**2  # eq. 2.2
        rolling = self.rolling * self.mass_kg * GRAVITY_M_S2  # eq. 2.3; no power at v = 0
        power: Array = (self.mass_kg * acceleration + drag + rolling) * mean  # eq. 2.1
        return power

    def cell_power_W(self, time_s: ArrayLike, speed_m_s: ArrayLike) -> Array:
        """Power out of one cell [W], shape ``(k,)``, positive discharges; see `wheel_power_W`."""
        wheel = self.wheel_power_W(time_s, speed_m_s)
        returned = np.minimum(
            -wheel * self.regeneration_fraction * self.drivetrain_efficiency, self.regeneration_limit_W
        )
        motor = np.where(wheel >= 0, wheel / self.drivetrain_efficiency, -returned)
        return (motor + self.auxiliary_W) / (self.cells_in_series * self.cells_in_parallel)

    def cell_current_A(self, time_s: ArrayLike, speed_m_s: ArrayLike) -> Array:
        """Divide by the nominal voltage: current of one cell [A], shape ``(k,)``, positive discharges.

        Hold each entry until the next sample. See `wheel_power_W` for arguments and errors.
        """
        return self.cell_power_W(time_s, speed_m_s) / self.cell_voltage_V


def schedules() -> tuple[str, ...]:
    """Names of the regulatory speed schedules that come along."""
    folder = files("bmsthermal") / "schedules"
    return tuple(sorted(f.name.removesuffix(".csv") for f in folder.iterdir() if f.name.endswith(".csv")))


def load_schedule(name: str) -> tuple[Array, Array]:
    """Read a speed schedule by name: time [s] and speed [m/s], shape ``(k,)`` each, every second.

    Raises
    ------
    InputError
        If there is no schedule of that name.
    """
    if name not in schedules():
        raise InputError(f"no schedule {name!r}", expected=f"one of {', '.join(schedules())}")
    text = (files("bmsthermal") / "schedules" / f"{name}.csv").read_text(encoding="utf-8")
    header, *rows = (line for line in text.splitlines() if not line.startswith("#"))
    time, speed = np.array([row.split(",") for row in rows], dtype=np.float64).T.copy()
    return time, speed * _M_S[header.split(",")[1]]


def _schedule(time_s: ArrayLike, speed_m_s: ArrayLike) -> tuple[Array, Array]:
    time, speed = np.asarray(time_s, np.float64), np.asarray(speed_m_s, np.float64)
    if time.ndim != 1 or time.shape != speed.shape or time.size < 2:
        found = f"time of shape {time.shape} and speed of shape {speed.shape}"
        raise InputError(found, where="schedule", expected="two arrays of one length, at least 2")
    if not (np.isfinite(time).all() and (np.diff(time) > 0).all()):
        raise InputError("time_s is not finite and increasing", where="schedule")
    if not (np.isfinite(speed).all() and (speed >= 0).all()):
        raise InputError("speed_m_s is negative or not finite", where="schedule", expected="forward m/s")
    if np.max(speed) > 100:
        fast = f"schedule: a speed of {np.max(speed):.4g} m/s looks like km/h or mph, expected m/s"
        warnings.warn(fast, InputWarning, stacklevel=4)
    return time, speed
