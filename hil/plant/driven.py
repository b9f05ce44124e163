"""A whole drive at once: the full model of one cell as the truth, seen through sensors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bmsthermal.coupled import CoupledModel
from bmsthermal.curves import Array
from bmsthermal.run import Run
from bmsthermal.simulation import Simulation
from hil.sensors import SensorSet


@dataclass(frozen=True)
class DrivenModel:
    """The full model of a cell as the truth, and the sensors that look at it.

    Parameters
    ----------
    model
        The full model.
    sensors
        What the device under test gets to see.
    """

    model: CoupledModel
    sensors: SensorSet

    def drive(
        self, time_s: Array, current_A: Array, *, ambient_K: float, initial_soc: float, start_K: float | None = None
    ) -> tuple[Simulation, Run]:
        """Drive the cell with a current; return the truth, and what the sensors say of it.

        Parameters
        ----------
        time_s, current_A
            Current over time, ``(k,)``; positive discharges.
        ambient_K
            Temperature around the cell.
        initial_soc
            State of charge at the start.
        start_K
            Temperature of the whole cell at the start; the ambient by default.
        """
        unknown = np.full(np.shape(time_s), np.nan)
        command = Run(time_s, current_A, unknown, np.full(np.shape(time_s), ambient_K), name="drive")
        truth = self.model.simulate(command, initial_soc=initial_soc, start_K=start_K)
        seen = Run(
            truth.time_s,
            self.sensors.current_A.read(current_A),
            self.sensors.voltage_V.read(truth.voltage_V),
            self.sensors.ambient_K.read(np.full(truth.time_s.shape, ambient_K)),
            {"surface": self.sensors.surface_K.read(truth.surface_K)},
            truth.core_K,
            "drive",
        )
        return truth, seen
