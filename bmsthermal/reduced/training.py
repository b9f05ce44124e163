"""Runs of the full model: those that a reduction is made from, and others that it is judged by."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from bmsthermal.cell import Cell
from bmsthermal.curves import is_number
from bmsthermal.errors import InputError
from bmsthermal.files import ZERO_DEGC_K
from bmsthermal.profiles import profile_of
from bmsthermal.reduced.range import Range
from bmsthermal.run import Run
from bmsthermal.vehicle import schedules as shipped

#: Ambient that every cell is measured at, and the constant rates that people ask for.
ROOM_DEGC, TRAINING_C, CHECK_C = 25.0, (1.0, 2.0), (0.5, 1.0, 2.0, 3.0)
#: Peak of a drive, and the charge it starts from: braking overcharges a full cell.
DRIVE_C, DRIVE_SOC = 2.5, 0.7
#: Longest run: eleven days is a mistake.
LONGEST_S = 1e6
#: How long a drive that snapshots come from lasts.
TRAINING_S = 1200.0
#: Drives that a reduction is judged by, and how long each lasts.
CHECK_S = {"us06": 1800.0, "udds": 1369.0, "wltc_3b": 1800.0}


@dataclass(frozen=True)
class Case:
    """One run of the full model that a reduction is made from or judged by.

    Parameters
    ----------
    profile
        ``2C`` for a constant discharge to the lower cut-off, or a schedule: hwfet, udds, us06, wltc_3b.
    ambient_degC
        Around the cell, and of the cell at the start.
    h
        Heat-transfer coefficient of every face [W/m2K].
    c_rate
        The constant rate, or the peak of the drive.
    initial_soc
        State of charge at the start, 0 to 1.
    duration_s
        The run is cut after this time, if any.

    Raises
    ------
    InputError
        If the profile is unknown or contradicts the rate, or a number is not finite or out of its limits.

    Examples
    --------
    >>> Case("us06", 25.0, 60.0, 2.5, 0.7).name
    'us06 25 degC h 60'
    """

    profile: str
    ambient_degC: float
    h: float
    c_rate: float
    initial_soc: float
    duration_s: float | None = None

    def __post_init__(self) -> None:
        given = (("ambient_degC", -273.15), ("h", 0.0), ("c_rate", 0.0), ("initial_soc", 0.0), ("duration_s", 0.0))
        for name, least in given:
            value = getattr(self, name)
            if name == "duration_s" and value is None:
                continue
            most = {"initial_soc": 1.0, "duration_s": LONGEST_S}.get(name, math.inf)
            positive = name in ("c_rate", "duration_s")
            if not is_number(value) or not least <= value <= most or (positive and value == 0):
                expected = f"a number {'above' if positive else 'from'} {least:g}"
                expected += "" if math.isinf(most) else f" to {most:g}"
                raise InputError(f"{name}={value!r:.60}", where=f"case {self.profile!r:.60}", expected=expected)
            object.__setattr__(self, name, float(value))
        if not self.drive and self.profile != _constant(self.c_rate):
            expected = f"{_constant(self.c_rate)} or one of {', '.join(shipped())}"
            raise InputError(f"profile {self.profile!r:.60} at a rate of {self.c_rate:g}", expected=expected)

    @property
    def name(self) -> str:
        """What people call it: profile, ambient and cooling."""
        return f"{self.profile} {self.ambient_degC:g} degC h {self.h:g}"

    @property
    def drive(self) -> bool:
        """Whether it follows a schedule, and not a constant current."""
        return self.profile in shipped()


def training_cases(wanted: Range, schedules: Sequence[str] = ("us06",)) -> tuple[Case, ...]:
    """Runs that snapshots come from: constant discharges and drives, at the corners in ambient and the middle in h.

    Parameters
    ----------
    wanted
        What the reduction is for.
    schedules
        Drives, by name.

    Raises
    ------
    InputError
        If there is no such schedule.
    """
    low, high = wanted.ambient_degC
    ambients = _rising([low, high, *_inside([ROOM_DEGC], wanted.ambient_degC)])
    rates = _rising([*wanted.c_rate, *_inside(TRAINING_C, wanted.c_rate)])
    h = middle_h(wanted)
    peak, soc = _drive(wanted)
    return (
        *(Case(_constant(rate), ambient, h, rate, wanted.soc[1]) for ambient in ambients for rate in rates),
        *(Case(name, ambient, h, peak, soc, TRAINING_S) for name in schedules for ambient in ambients),
    )


def check_cases(wanted: Range) -> tuple[Case, ...]:
    """Runs that the error is measured on: other coolings, ambients and drives than those of `training_cases`.

    Parameters
    ----------
    wanted
        What the reduction is for: its corners, and its middle in ambient.
    """
    low, high = wanted.ambient_degC
    ambients = _rising([low, (low + high) / 2, high])
    rates = _rising([*wanted.c_rate, *_inside(CHECK_C, wanted.c_rate)])
    ends, cooling = _rising(wanted.h), _rising([*wanted.h, middle_h(wanted)])
    peak, soc = _drive(wanted)
    found = [Case(_constant(rate), T, h, rate, wanted.soc[1]) for T in ambients for h in ends for rate in rates]
    for i, (name, seconds) in enumerate(CHECK_S.items()):
        # a Latin square: every drive meets every ambient and every cooling, in as few runs as there are ambients
        for j, ambient in enumerate(ambients):
            found.append(Case(name, ambient, cooling[(i + j) % len(cooling)], peak, soc, seconds))
    return tuple(found)


def current(case: Case, cell: Cell) -> Run | str:
    """What drives the cell, as `bmsthermal.CoupledModel.simulate` takes it.

    Parameters
    ----------
    case
        The wanted run.
    cell
        With electrodes; gives capacity and lower cut-off.

    Returns
    -------
    Run or str
        A drive is a run with a row every second, its schedule repeated until `Case.duration_s` or until the
        charge is used up, and scaled so that its largest current is ``c_rate`` times the capacity. A constant
        discharge is the text of a step.

    Raises
    ------
    InputError
        If the cell has no electrodes.
    """
    p = cell.electrochemistry
    if not case.drive:
        cut = "" if case.duration_s is None else f" for {case.duration_s!r} s"
        return f"discharge at {case.c_rate!r} C{cut} until {float(p.lower_voltage_V)!r} V"
    once, _ = profile_of(case.profile, p.nominal_Ah)
    amperes = case.c_rate * p.nominal_Ah / float(np.abs(once.current_A).max()) * once.current_A
    cycle = amperes[:-1]  # the last row is the instant at which the first one begins again
    seconds = case.duration_s
    if seconds is None:
        used = float(cycle.sum())
        seconds = len(cycle) * math.ceil(max(case.initial_soc, 0.01) * 3600 * p.nominal_Ah / used)
    count = max(2, math.ceil(seconds) + 1)
    rows = np.arange(count)
    time_s, unknown = rows.astype(float), np.full(count, np.nan)
    time_s[-1] = seconds
    ambient = np.full(count, case.ambient_degC + ZERO_DEGC_K)
    return Run(time_s, cycle[rows % len(cycle)], unknown, ambient, name=case.profile)


def middle_h(wanted: Range) -> float:
    """Geometric middle of the heat-transfer coefficients, to three digits; a low end of 0 counts as 1 % of the high."""
    low, high = wanted.h
    rounded = float(f"{math.sqrt(max(low, 0.01 * high) * high):.3g}")
    return min(max(rounded, low), high)


def _drive(wanted: Range) -> tuple[float, float]:
    """Peak of a drive, and the charge it starts from."""
    low, high = wanted.soc
    return min(DRIVE_C, wanted.c_rate[1]), DRIVE_SOC if low < DRIVE_SOC <= high else high


def _constant(rate: float) -> str:
    return f"{rate:g}C"


def _inside(values: Iterable[float], ends: tuple[float, float]) -> list[float]:
    return [value for value in values if ends[0] <= value <= ends[1]]


def _rising(values: Iterable[float]) -> list[float]:
    """Each of them once."""
    return sorted(set(values))
