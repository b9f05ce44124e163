"""What passes between the parts of the bench in one step: command, truth, readings, answer."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from bmsthermal.curves import Array
from bmsthermal.files import ZERO_DEGC_K


@dataclass(frozen=True)
class Command:
    """What the bench asks of the plant over one step.

    Parameters
    ----------
    current_A
        Through the module; positive discharges.
    ambient_K
        Of the coolant at the inlet.
    cooling
        What pump or fan are told, as a share of the cell file's heat transfer: 0 is off, 1 is as the file says.
    """

    current_A: float
    ambient_K: float
    cooling: float = 1.0


@dataclass(frozen=True)
class Actuators:
    """What faults of the plant make of it in one step; the defaults are a healthy plant. Arrays ``(cells,)``.

    Parameters
    ----------
    cooling
        Factor on the heat transfer of each cell: pump off, fan stuck, blocked branch.
    inlet_K
        What the coolant is warmer than commanded.
    resistance
        Factor on the resistance of each cell.
    contact_Ohm
        Resistance in series with each cell; its heat stays outside of it.
    short_W
        Heat of an internal short in each cell; its current discharges the cell too.
    """

    cooling: Array
    inlet_K: float
    resistance: Array
    contact_Ohm: Array
    short_W: Array

    @classmethod
    def healthy(cls, cells: int) -> Actuators:
        """Nothing is wrong with any of the cells."""
        return cls(np.ones(cells), 0.0, np.ones(cells), np.zeros(cells), np.zeros(cells))


@dataclass(frozen=True)
class Truth:
    """The plant at the end of a step: what no device sees. Arrays ``(cells,)``, temperatures in K.

    Parameters
    ----------
    time_s
        End of the step.
    current_A
        Through each cell's terminals, mean over the step; positive discharges.
    voltage_V
        At the terminals, mean over the step, contacts included.
    soc
        State of charge, 0 to 1.
    core_K, mean_K
        Inside.
    surfaces_K
        ``(cells, places)``: where the sensors sit.
    ambient_K
        Of the coolant around each cell.
    heat_W
        Released in each cell over the step.
    """

    time_s: float
    current_A: Array
    voltage_V: Array
    soc: Array
    core_K: Array
    mean_K: Array
    surfaces_K: Array
    ambient_K: Array
    heat_W: Array


@dataclass(frozen=True)
class Readings:
    """What the device under test gets to see of a step; NaN where absent, or marked invalid.

    Parameters
    ----------
    time_s
        End of the step.
    current_A
        Of the module; positive discharges.
    voltage_V
        Of each cell ``(cells,)``.
    ambient_K
        One thermometer in the coolant.
    surfaces_K
        ``(cells, sensors)``.
    """

    time_s: float
    current_A: float
    voltage_V: Array
    ambient_K: float
    surfaces_K: Array


class Status(IntEnum):
    """How a device did in a step."""

    OK = 0
    LATE = 1  #: no answer in time: the last one stands
    GARBAGE = 2  #: what came was no answer
    DEAD = 3  #: it is gone, and no step is asked of it any more
    OFF = 4  #: it has no power, and nothing is asked


@dataclass(frozen=True)
class Answer:
    """What the device says after a step; NaN where it says nothing. Arrays ``(cells,)``.

    Parameters
    ----------
    time_s
        Of the readings that it answers to.
    core_K, core_std_K
        Estimate, and its standard deviation.
    fault
        ``(cells, sensors)``: codes of `bmsthermal.faults.NAMES`; 0 none.
    heat_fault
        Whether heat is flagged that nobody accounts for.
    status
        How it did.
    said
        Why, where that is not OK.
    """

    time_s: float
    core_K: Array
    core_std_K: Array
    fault: NDArray[np.int_]
    heat_fault: NDArray[np.bool_]
    status: Status = Status.OK
    said: str = field(default="", compare=False)

    def row(self, end_s: float) -> Array:
        """Its columns of a `hil.record.Record`, from ``core_degC`` to ``answer_age_s``, at the end of a step."""
        flags = self.fault.T.ravel(), self.heat_fault
        return np.concatenate(
            [self.core_K - ZERO_DEGC_K, self.core_std_K, *flags, (int(self.status), end_s - self.time_s)]
        )

    @classmethod
    def none(cls, time_s: float, cells: int, sensors: int, status: Status, said: str = "") -> Answer:
        """No answer, and why."""
        nothing = np.full(cells, np.nan)
        return cls(
            time_s, nothing, nothing, np.zeros((cells, sensors), int), np.zeros(cells, bool), status, said
        )  # fmt: skip
