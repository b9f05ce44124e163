r"""Cells by conduction at every node, heated through the maps of the cell file; all of a module in one array.

Each cell is the full model in its insulated modes, which are stepped exactly. The flow through a wall is taken to
change along a straight line within a step, from what it is at the begin to what it must be at the end,

.. math:: x_1 = e^{-\lambda h} x_0 + \int_0^h e^{-\lambda (h - s)} \bigl(b\,Q - e\,[q_0 + (q_1 - q_0) s / h]\bigr) ds,
    \qquad q_1 = g\,(e^\top x_1 - c),

which is of second order in the step (3/2 where the coolant jumps) and stable for every constant conductance: a triangle
hold leaves a passive system passive. The observer's step knows the flow at the end alone: it is of first order, so the
two are not the same model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from bmsthermal.cell import Cell
from bmsthermal.conduction_pouch import PouchModel
from bmsthermal.coupled import CoupledModel
from bmsthermal.curves import Array
from bmsthermal.files import digest
from bmsthermal.heat import GAS_CONSTANT_J_molK, MeasuredHeat
from bmsthermal.reduction import ReducedModel
from bmsthermal.schema import THERMAL
from bmsthermal.sensors import place, sensor_walls, sensor_weights
from hil.plant.module import Stops, check_start, tamed
from hil.plant.spec import Factors, PlantSpec
from hil.signals import Actuators, Command, Truth
from rom.passive import held

#: Points that a curve without points of its own is tabled at; what is below this of a step is at rest.
POINTS, SLOW = 1025, 1e-3


def every_mode(cell: Cell, order: int | None, thermal: str | None, step_s: float) -> ReducedModel:
    """Conduction of a cell in all its modes, or in `order` of a balanced basis, which no observer has by default."""
    model = CoupledModel(cell, heat="measured", thermal=thermal)
    if order is not None:
        return model.reduce_conduction(order, step_s=step_s, method="balanced")
    modal, shapes = model.system.modal()
    return replace(model.reduce_conduction(2, step_s=step_s), modal=modal, shapes=shapes, method="every mode")


def _rows(reduced: ReducedModel, names: Sequence[str]) -> Array:
    """Temperature at each place, of the modes, ``(m, n)``: `bmsthermal.sensors.sensor_rows` before it is scaled."""
    if isinstance(reduced, PouchModel):
        at = [place(reduced, name) for name in names]
        weights = [reduced.sheet.weights(a.get("x", 0.5), a.get("y", 0.5), float(a["wall"] == "front")) for a in at]
        return np.asarray(np.array(weights) @ reduced.shapes)
    if reduced.resolution == "r-z":
        return np.asarray(sensor_weights(reduced, names) @ reduced.shapes)
    return np.asarray(reduced.modal.E.T[sensor_walls(reduced, names)])


@dataclass(frozen=True)
class Maps:
    """Open-circuit voltage, entropic coefficient and DC resistance, on a straight line between their points.

    Parameters
    ----------
    soc
        Points ``(k,)``.
    values
        ``(k, 3)`` in V, V/K and Ohm.
    """

    soc: Array
    values: Array

    @classmethod
    def of(cls, cell: Cell) -> Maps:
        """Take them from a cell file: all points of its tables and of `MeasuredHeat`."""
        heat, resistance = MeasuredHeat(cell), cell.curve("DC resistance [Ohm]")
        own = resistance.source["x"] if isinstance(resistance.source, dict) else np.linspace(0.0, 1.0, POINTS)
        soc = np.union1d(heat.soc, np.clip(own, 0.0, 1.0))
        columns = [np.interp(soc, heat.soc, values) for values in (heat.open_circuit_V, heat.entropy_V_K)]
        return cls(soc, np.column_stack([*columns, resistance(soc)]))

    @cached_property
    def _slopes(self) -> Array:
        return np.asarray(np.diff(self.values, axis=0) / np.diff(self.soc)[:, None])

    def at(self, soc: Array) -> Array:
        """Values ``(3, cells)`` at states of charge from 0 to 1, ``(cells,)``."""
        place = np.searchsorted(self.soc, soc, side="right") - 1
        place = np.minimum(place, len(self._slopes) - 1)
        return (self.values[place] + (soc - self.soc[place])[:, None] * self._slopes[place]).T


class ConductionPlant:
    """A module of cells that conduct heat; see the module's text, and `hil.plant.Plant`.

    Parameters
    ----------
    cell
        With open-circuit voltage and DC resistance against state of charge.
    spec
        What is asked for; its spread is drawn already.
    factors
        Of each cell.
    step_s
        Length of a step.
    sensors
        Places by name, see `bmsthermal.sensors.place`.

    Raises
    ------
    InputError
        If the file lacks a curve, or the order is more than there is.
    """

    def __init__(self, cell: Cell, spec: PlantSpec, factors: Factors, step_s: float, sensors: Sequence[str]) -> None:
        thermal = cell.settings.get(THERMAL) if spec.thermal is None else spec.thermal
        reduced = every_mode(cell, spec.order, None if thermal == "through" else thermal, step_s)
        self.cells, self.places, self.step_s = len(factors.capacity), tuple(sensors), step_s
        self._maps, self._factors, self._stops = Maps.of(cell), factors, Stops(cell.capacity_Ah * factors.capacity)
        self._zero_K, self._reference_K = cell.reference_K, cell.reference_K
        self._activation_K = cell.resistance_activation_J_mol / GAS_CONSTANT_J_molK
        self._conductance_W_K = factors.heat_transfer[:, None] * reduced.conductance_W_K
        self._assemble(reduced, factors, step_s)
        self.digest = digest(
            [spec.model_dump(mode="json"), cell.digest, step_s, list(self.places), reduced.method],
            vars(factors) | {"rows": self._rows, "rates": np.diag(reduced.modal.K)},
        )  # fmt: skip

    def _assemble(self, reduced: ReducedModel, factors: Factors, step_s: float) -> None:
        """Make what a step takes: modes of each cell over the root of its factor of heat capacity."""
        modal, h = reduced.modal, step_s
        share = 1.0 / factors.heat_capacity[:, None]
        rate = np.diag(modal.K) * factors.conductivity[:, None] * share
        self._decay, gain = held(rate, h)
        near, far = rate * h < SLOW, np.where(rate * h < SLOW, 1.0, rate)
        # the integral against s / h; by series where the difference would cancel
        late = np.where(near, h * (0.5 - rate * h / 6 + (rate * h) ** 2 / 24), (h - gain) / (far * h))
        self._heated = gain * share * modal.B[:, 0]
        self._first = -((gain - late) * share)[:, None, :] * modal.E.T  # (cells, w, n)
        self._last = -(late * share)[:, None, :] * modal.E.T
        through = np.einsum("nw,cvn->cwv", modal.E, -self._last)
        self._through = through
        outputs = modal.C[:2].copy()
        outputs[1, 1:] = 0.0  # modes but the constant carry no mean, to the last bit
        self._walls = modal.E.shape[1]
        self._rows = np.vstack([modal.E.T, outputs, _rows(reduced, self.places)])
        self._constant = 1.0 / outputs[1, 0]
        self._touch = self._rows[: self._walls]

    @property
    def said(self) -> list[tuple[float, str]]:
        """What could not be as asked: time in s and sentence."""
        return self._stops.said

    def reset(self, soc: float, start_K: float) -> Truth:
        """See `hil.plant.Plant`."""
        check_start(soc, start_K)
        self._stops.clear()
        self._steps = 0
        self.heated_J, self.cooled_J = np.zeros(self.cells), np.zeros(self.cells)
        self._x = np.zeros_like(self._decay)
        self._x[:, 0] = (start_K - self._zero_K) * self._constant
        self._soc = np.full(self.cells, float(soc))
        self._look()
        nothing = np.zeros(self.cells)
        return self._truth(nothing, self._maps.at(self._soc)[0], np.full(self.cells, float(start_K)), nothing)

    def step(self, command: Command, actuators: Actuators) -> Truth:
        """See `hil.plant.Plant`."""
        begun_s = self._steps * self.step_s
        command, actuators = self._stops.checked(begun_s, command), tamed(actuators)
        current_A = np.full(self.cells, command.current_A)
        mean_K = self._seen[:, self._walls + 1] + self._zero_K
        warm_K = self._stops.warm(begun_s, mean_K)
        open_V, entropy_V_K, resistance_Ohm = self._maps.at(self._soc)
        resistance_Ohm = resistance_Ohm * self._factors.resistance * actuators.resistance * np.exp(
            self._activation_K * (1.0 / warm_K - 1.0 / self._reference_K)
        )  # fmt: skip
        # an empty cell has nothing left to short
        short_A = np.where(self._soc > 0.0, actuators.short_W / open_V, 0.0)
        inside_V = open_V - (current_A + short_A) * resistance_Ohm
        # what its chemistry gives less what leaves at the terminals, and the reversible heat of the terminals' current
        heat_W = (current_A + short_A) * open_V - current_A * inside_V - current_A * mean_K * entropy_V_K
        ambient_K = np.full(self.cells, command.ambient_K + actuators.inlet_K)
        self._conduct(heat_W, self._conductance_W_K * (command.cooling * actuators.cooling)[:, None], ambient_K)
        self._soc = self._stops.charged(begun_s, self._soc, current_A + short_A, self.step_s)
        self._steps += 1
        return self._truth(current_A, inside_V - current_A * actuators.contact_Ohm, ambient_K, heat_W)

    def _conduct(self, heat_W: Array, g: Array, ambient_K: Array) -> None:
        """Step the temperatures under heat ``(cells,)``, conductances ``(cells, w)`` and the coolant ``(cells,)``."""
        outside = (ambient_K - self._zero_K)[:, None]
        begun = g * (self._seen[:, : self._walls] - outside)
        x = self._decay * self._x + self._heated * heat_W[:, None]
        for wall in range(self._walls):
            x += self._first[:, wall] * begun[:, wall, None]
        free = g * ((x[:, None, :] * self._touch).sum(axis=-1) - outside)
        if self._walls == 1:
            ended = free / (1.0 + g * self._through[:, 0])
        else:
            ended = np.linalg.solve(np.eye(self._walls) + g[:, :, None] * self._through, free[:, :, None])[:, :, 0]
        for wall in range(self._walls):
            x += self._last[:, wall] * ended[:, wall, None]
        self._x = x
        self._look()
        self.heated_J += heat_W * self.step_s
        self.cooled_J += (begun + ended).sum(axis=1) * (0.5 * self.step_s)

    def _look(self) -> None:
        # a sum along each row: a cell's numbers do not depend on how many others there are
        self._seen = (self._x[:, None, :] * self._rows).sum(axis=-1)

    def _truth(self, current_A: Array, voltage_V: Array, ambient_K: Array, heat_W: Array) -> Truth:
        seen, w = self._seen + self._zero_K, self._walls
        return Truth(
            self._steps * self.step_s, current_A, voltage_V, self._soc, seen[:, w], seen[:, w + 1], seen[:, w + 2 :],
            ambient_K, heat_W,
        )  # fmt: skip
