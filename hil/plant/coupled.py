"""Cells by the reduced electrochemical model: voltage and heat are their own, each one a kernel with its state."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from bmsthermal.cell import Cell
from bmsthermal.coupled import CoupledModel
from bmsthermal.curves import Array
from bmsthermal.errors import InputError
from bmsthermal.files import digest
from bmsthermal.reduced.model import ReducedCell
from bmsthermal.reduced.packing import WALLS, pack
from bmsthermal.reduced.sweep import cache_folder
from bmsthermal.sensors import sensor_rows
from hil.plant.module import Stops, check_start, tamed
from hil.plant.spec import Factors, PlantSpec
from hil.signals import Actuators, Command, Truth

#: A pulse that says what the resistance of a cell is, in capacities per hour and s.
PULSE_C, PULSE_S = 1.0, 10.0


def reduced_cell(cell: Cell, spec: PlantSpec) -> ReducedCell:
    """Reduced cell of a file; or made of the cell, which takes minutes once, and kept in the cache.

    Raises
    ------
    InputError
        If the file is of another cell, or the cell has no electrodes.
    """
    if spec.file is not None:
        found = ReducedCell.load(spec.file)
        if found.cell.name != cell.name:
            raise InputError(f"a reduced {found.cell.name}", where=str(spec.file), expected=f"one of {cell.name}")
        return found
    if not cell.has_electrodes:
        raise InputError(
            "model = 'coupled'", where=cell.name, expected="a cell file with electrodes",
            hint="model = 'conduction' needs none",
        )  # fmt: skip
    thermal = {"r-z": "r-z"}.get(spec.thermal or "")
    made: Path = cache_folder(None) / f"plant-{digest([cell.digest, cell.name, spec.order, thermal], {})}.npz"
    try:
        return ReducedCell.load(made)
    except InputError:  # none yet, or of another version
        reduced: ReducedCell = CoupledModel(cell, thermal=thermal).reduce(spec.order)
        reduced.save(made)
        return reduced


@dataclass
class _OneCell:
    """A reduced cell, its kernel, and what it runs with."""

    model: ReducedCell
    row: Array
    factors: Factors

    def __post_init__(self) -> None:
        thermal = self.model.thermal
        self.first = -self.model.size[1]
        self.zero_K = thermal.cell.reference_K
        self._g = float(self.factors.heat_transfer[0]) * thermal.conductance_W_K
        self.area = (1.0 - self.model.capacity_fade) * float(self.factors.capacity[0])
        self._use: tuple[float, ...] = ()
        self.adapt(1.0, 1.0)
        self.u = np.zeros((1, 1 + WALLS))
        self.out = np.zeros((1, self.kernel.out_size))

    @cached_property
    def resistance_Ohm(self) -> float:
        """DC resistance: the drop after `PULSE_S` at half charge and reference temperature."""
        model = self.model
        pulse_A = PULSE_C * model.cell.capacity_Ah
        kernel = model.rest(0.5, self.zero_K)
        u = model.inputs(np.full(max(round(PULSE_S / model.step_s), 1) + 1, pulse_A), self.zero_K)
        u[0, 0] = 0.0
        out = np.zeros((len(u), kernel.out_size))
        kernel.run(u, out)
        return float(out[0, 0] - out[-1, 0]) / pulse_A

    def adapt(self, cooling: float, growth: float) -> None:
        """Take a cooling and a growth of resistance from here on; the state stays."""
        if self._use and (cooling, growth) == self._use:
            return
        self._use = cooling, growth
        self.g = cooling * self._g
        more = (growth * float(self.factors.resistance[0]) - 1.0) * self.resistance_Ohm
        use = np.zeros(3 + WALLS)
        use[:3] = self.model.resistance_Ohm + more, self.model.entropic_scale, self.area
        use[3 : 3 + len(self.g)] = self.g
        from bmsthermal._cell import Kernel

        model = self.model
        made = Kernel(self.row, use, len(model.negative.depth), len(model.positive.depth), model.size[0])
        if hasattr(self, "kernel"):
            made.state = self.kernel.state
        self.kernel: Any = made

    def run(self, current_A: float, ambient_K: float, heat_W: float) -> tuple[float, float] | None:
        """Step on; return voltage at its begin and heat over it, None where numbers do not hold it: it then stays."""
        before = self.kernel.state
        self.u[0, 0], self.u[0, 1:] = current_A, ambient_K - self.zero_K
        if not self.kernel.run(self.u, self.out) or not np.isfinite(self.out).all():
            self.kernel.state = before
            return None
        if heat_W:  # the conduction is linear in heat: what the kernel did not know of is added to its end
            state = np.frombuffer(self.kernel.state).copy()
            step = self.model.thermal.step
            thermal = state[len(state) + self.first :]
            thermal[: len(step.decay)] += step.matrices(self.g)[1][:, 0] * heat_W
            self.kernel.state = state.tobytes()
        return float(self.out[0, 0]), float(self.out[0, 1]) + heat_W

    def thermal(self) -> Array:
        """States of its conduction."""
        state = np.frombuffer(self.kernel.state)
        return state[len(state) + self.first :][: self.model.thermal.order]


class CoupledPlant:
    """A module of reduced electrochemical cells; see `hil.plant.Plant`.

    A cell that is empty or full takes no more current of that sign, and a growth of resistance is one in series, whose
    heat stays in the cell: a multiple of the cell's drop after 10 s at half charge.

    Parameters
    ----------
    cell, spec, factors, step_s, sensors
        As for `hil.plant.conduction.ConductionPlant`.

    Raises
    ------
    InputError
        If there is no reduced cell, or none can be made.
    """

    def __init__(self, cell: Cell, spec: PlantSpec, factors: Factors, step_s: float, sensors: Sequence[str]) -> None:
        model = reduced_cell(cell, spec).with_step(step_s).with_h(cell.h_W_m2K)
        self.cells, self.places, self.step_s, self.model = len(factors.capacity), tuple(sensors), step_s, model
        self._each = [_one(model, factors.of(i)) for i in range(self.cells)]
        faded = model.cell.electrochemistry.capacity_Ah * np.array([one.area for one in self._each])
        self._stops = Stops(faded)
        rows = model.thermal.outputs[:2], sensor_rows(model.thermal, self.places), model.thermal.step.wall.T
        self._rows, self._zero_K = np.vstack(rows), model.thermal.cell.reference_K
        self.digest = digest([model.digest, step_s, list(self.places)], vars(factors))

    @property
    def said(self) -> list[tuple[float, str]]:
        """What could not be as asked: time in s and sentence."""
        return self._stops.said

    def reset(self, soc: float, start_K: float) -> Truth:
        """See `hil.plant.Plant`."""
        check_start(soc, start_K)
        self._stops.clear()
        self._steps, self._soc = 0, np.full(self.cells, float(soc))
        self.heated_J, self.cooled_J = np.zeros(self.cells), np.zeros(self.cells)
        p = self.model.cell.electrochemistry
        for one in self._each:
            one.kernel.rest(p.stoichiometries(soc)[0], start_K)
        self._voltage_V = np.full(self.cells, float(p.open_circuit_V(soc, start_K)))
        nothing = np.zeros(self.cells)
        return self._truth(nothing, self._voltage_V, np.full(self.cells, float(start_K)), nothing)

    def step(self, command: Command, actuators: Actuators) -> Truth:
        """See `hil.plant.Plant`."""
        begun_s = self._steps * self.step_s
        command, actuators = self._stops.checked(begun_s, command), tamed(actuators)
        ambient_K = command.ambient_K + actuators.inlet_K
        current_A, heat_W = np.full(self.cells, command.current_A), np.zeros(self.cells)
        # what the short draws is taken at the voltage of the last step; an empty cell has nothing left to short
        short_W = np.where(self._soc > 0.0, actuators.short_W, 0.0)
        short_A = short_W / np.maximum(self._voltage_V, 0.1)
        self._soc_limits(begun_s, current_A, short_A)
        for i, one in enumerate(self._each):
            one.adapt(command.cooling * float(actuators.cooling[i]), float(actuators.resistance[i]))
            found = one.run(float(current_A[i] + short_A[i]), ambient_K, float(short_W[i]))
            if found is None:
                self._stops.say(
                    begun_s, "left", f"{begun_s:g} s: cell {i} left what numbers can hold: no current flows there"
                )
                current_A[i] = short_A[i] = 0.0
                found = one.run(0.0, ambient_K, 0.0) or (float(self._voltage_V[i]), 0.0)
            self._voltage_V[i], heat_W[i] = found
        self._soc = self._stops.charged(begun_s, self._soc, current_A + short_A, self.step_s)
        self._steps += 1
        around = np.full(self.cells, ambient_K)
        truth = self._truth(current_A, self._voltage_V - current_A * actuators.contact_Ohm, around, heat_W)
        walls = self._seen[:, 2 + len(self.places) :]  # the flow through a wall is solved at the end of a step
        flows = np.array([one.g for one in self._each]) * (walls - ambient_K)
        self.heated_J += heat_W * self.step_s
        self.cooled_J += flows.sum(axis=1) * self.step_s
        self._stops.warm(begun_s, truth.mean_K)
        return truth

    def _soc_limits(self, begun_s: float, current_A: Array, short_A: Array) -> None:
        """Take away the current of empty and full cells."""
        drawn = current_A + short_A
        over = ((self._soc <= 0.0) & (drawn > 0)) | ((self._soc >= 1.0) & (drawn < 0))
        for i in np.flatnonzero(over):
            word = "empty" if self._soc[i] <= 0 else "full"
            self._stops.say(begun_s, f"none {word}", f"{begun_s:g} s: cell {i} is {word}: no current flows there")
            current_A[i] = short_A[i] = 0.0

    def _truth(self, current_A: Array, voltage_V: Array, ambient_K: Array, heat_W: Array) -> Truth:
        states = np.array([one.thermal() for one in self._each])
        self._seen = (states[:, None, :] * self._rows).sum(axis=-1) + self._zero_K
        return Truth(
            self._steps * self.step_s, current_A, voltage_V.copy(), self._soc, self._seen[:, 0], self._seen[:, 1],
            self._seen[:, 2 : 2 + len(self.places)], ambient_K, heat_W,
        )  # fmt: skip


def _one(model: ReducedCell, factors: Factors) -> _OneCell:
    """Make a cell whose conduction and heat capacity are off the model's."""
    conduct, hold = float(factors.conductivity[0]), float(factors.heat_capacity[0])
    if conduct == hold == 1.0:
        return _OneCell(model, model.row, factors)
    modal, root = model.thermal.modal, np.sqrt(hold)
    other = replace(modal, K=modal.K * (conduct / hold), B=modal.B / root, E=modal.E / root, C=modal.C / root)
    made = replace(model, thermal=replace(model.thermal, modal=other))
    return _OneCell(made, pack(made), factors)
