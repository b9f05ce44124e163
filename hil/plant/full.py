"""One cell by the full five-field electrochemical model, a step of the bench at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from bmsthermal.cell import Cell
from bmsthermal.coupled import CoupledModel
from bmsthermal.curves import Array
from bmsthermal.dfn.events import Events
from bmsthermal.dfn.inputs import CONTROLLED
from bmsthermal.dfn.solver import Solver, UnsolvableError
from bmsthermal.errors import InputError
from bmsthermal.files import digest
from bmsthermal.protocol import Step
from bmsthermal.schema import COOLING
from hil.plant.module import Stops, check_start, tamed
from hil.plant.spec import Factors, PlantSpec
from hil.signals import Actuators, Command, Truth

#: Tolerances, as of `bmsthermal.CoupledModel.simulate`, and the first step as a share of the bench's.
RTOL, ATOL, FIRST_SHARE = 1e-5, 1e-5, 0.1
#: What the spread of conductivity multiplies: the end of these keys.
CONDUCTIVITY = "thermal conductivity [W.m-1.K-1]"


def _spread(cell: Cell, factors: Factors) -> Cell:
    """Return the cell with its parameters off the file's."""
    by = {name: float(value[0]) for name, value in vars(factors).items()}
    area, heat = "Electrode area [m2]", "Specific heat capacity [J.K-1.kg-1]"
    changes: dict[str, Any] = {area: float(cell.lumped[area]) * by["capacity"]}
    if heat in cell.lumped:
        changes[heat] = float(cell.lumped[heat]) * by["heat_capacity"]
    changes[COOLING] = {wall: h * by["heat_transfer"] for wall, h in cell.h_W_m2K.items()}
    if changes[COOLING].keys() == {"surface"}:  # a file without a form has the one
        changes[COOLING] = changes[COOLING]["surface"]
    for key, value in cell.thermal.items():
        if key.endswith(CONDUCTIVITY) and isinstance(value, int | float):
            changes[key] = value * by["conductivity"]
    return cell.with_values(changes)


class FullPlant:
    """One cell of the full model; see `hil.plant.Plant`.

    It goes beyond its cut-off voltages, as a cell does; where the physics ends (no lithium, no salt) the rest of the
    step has no current. The drop and heat of a grown resistance, and the heat of a short, are added at the end of each
    step, the heat evenly: the solver does not know of them.

    Parameters
    ----------
    cell, spec, factors, step_s, sensors
        As for `hil.plant.conduction.ConductionPlant`; sensors sit on faces.

    Raises
    ------
    InputError
        If the file has no electrodes, or an order is asked for.
    """

    cells = 1

    def __init__(self, cell: Cell, spec: PlantSpec, factors: Factors, step_s: float, sensors: Sequence[str]) -> None:
        if spec.order is not None:
            raise InputError(
                f"order = {spec.order} of the full model", where="plant", expected="another model, or none"
            )
        made = _spread(cell, factors)
        model = CoupledModel(made, thermal="r-z" if spec.thermal == "r-z" else None)
        self._eq, self.places, self.step_s = model.equations, tuple(sensors), step_s
        if self._eq.resolution == "isothermal":
            raise InputError("a cell without heat capacity", where=cell.name, expected="one that can warm up")
        self._factors, self._known_Ohm = factors, 0.0
        if "DC resistance [Ohm]" in cell.thermal:
            self._known_Ohm = float(cell.curve("DC resistance [Ohm]")(0.5))
        walls = self._eq.heat.walls
        place = [next((i for i, wall in enumerate(walls) if name.endswith(wall)), 0) for name in sensors]
        self._rows = np.asarray(self._eq.heat.outputs)[[0, 1, *(2 + i for i in place)]]
        self._stops = Stops(np.array([self._eq.parameters.capacity_Ah]))
        self._capacity_J_K = float(self._eq.heat.capacity_J_K.sum())
        self.digest = digest([made.digest, model.thermal, step_s, list(self.places)], vars(factors))

    @property
    def said(self) -> list[tuple[float, str]]:
        """What could not be as asked: time in s and sentence."""
        return self._stops.said

    def reset(self, soc: float, start_K: float) -> Truth:
        """See `hil.plant.Plant`."""
        check_start(soc, start_K)
        self._stops.clear()
        self._steps, self._soc = 0, np.array([float(soc)])
        self.heated_J, self.cooled_J = np.zeros(1), np.zeros(1)
        self._events = Events(self._eq)
        self._solver: Any = Solver(
            self._eq.system, RTOL, ATOL, self._events, self._events.count, FIRST_SHARE * self.step_s
        )  # fmt: skip
        self._y, self._u = self._eq.rest(soc, start_K), np.empty(0)
        voltage = np.array([float(self._eq.parameters.open_circuit_V(soc, start_K))])
        return self._truth(np.zeros(1), voltage, float(start_K), np.zeros(1))

    def step(self, command: Command, actuators: Actuators) -> Truth:
        """See `hil.plant.Plant`."""
        begun_s = self._steps * self.step_s
        command, actuators = self._stops.checked(begun_s, command), tamed(actuators)
        at, before = self._eq.places, self._y
        short_W = float(actuators.short_W[0]) if self._soc[0] > 0 else 0.0
        short_A = short_W / max(float(before[at["V"]][0]), 0.1)
        ambient_K, cooling = command.ambient_K + actuators.inlet_K, command.cooling * float(actuators.cooling[0])
        y = self._march(begun_s, command.current_A + short_A, ambient_K, cooling)
        gone = {name: float(y[at[name]][0] - before[at[name]][0]) for name in ("charge_C", "work_J", "heat_J")}
        cooled_J = float(y[at["cooling_J"]][0] - before[at["cooling_J"]][0])
        mean_A = gone["charge_C"] / self.step_s
        flowing = abs(mean_A) > 1e-9
        voltage = gone["work_J"] / gone["charge_C"] if flowing else float(y[at["V"]][0])
        current_A = mean_A - short_A if flowing else 0.0
        more_Ohm = (float(actuators.resistance[0] * self._factors.resistance[0]) - 1.0) * self._known_Ohm
        added_W = (current_A**2 * more_Ohm) + (short_W if flowing else 0.0)
        if added_W:
            y = y.copy()
            y[at["T"]] += added_W * self.step_s / self._capacity_J_K
            self._u = np.empty(0)  # so that the solver begins anew
        self._y = y
        heat_W = np.array([gone["heat_J"] / self.step_s + added_W])
        self.heated_J += heat_W * self.step_s
        self.cooled_J += cooled_J
        self._soc = self._stops.charged(begun_s, self._soc, np.array([mean_A]), self.step_s)
        self._steps += 1
        outside = current_A * (more_Ohm + float(actuators.contact_Ohm[0]))
        return self._truth(np.array([current_A]), np.array([voltage - outside]), ambient_K, heat_W)

    def _march(self, begun_s: float, current_A: float, ambient_K: float, cooling: float) -> Array:
        """State at the end of the step, of which what cannot carry the current carries none."""
        end_s = begun_s + self.step_s
        t, y = begun_s, self._y
        try:
            t, y, limit = self._to(t, end_s, y, current_A, ambient_K, cooling)
            why = "" if limit is None else self._events.sentences[limit]()
        except UnsolvableError as error:
            t, y, why = begun_s, self._y, str(error)
        if not why:
            return y
        self._stops.say(begun_s, "stop", f"{begun_s:g} s: {why}: no current flows")
        self._u = np.empty(0)
        try:
            return self._to(t, end_s, y, 0.0, ambient_K, cooling)[1]
        except UnsolvableError:
            self._u = np.empty(0)
            return self._y

    def _to(
        self, t: float, end_s: float, y: Array, current_A: float, ambient_K: float, cooling: float
    ) -> tuple[float, Array, int | None]:
        walls, solver = len(self._eq.heat.walls), self._solver
        conductance = cooling * self._eq.conductance_W_K
        u = np.concatenate([[*CONTROLLED["current"], current_A], np.full(walls, ambient_K), conductance])
        if not np.array_equal(u, self._u):
            solver.u[:] = u
            y = solver.start(t, y)
            self._events.begin(Step("voltage", 1.0), y)  # a held voltage has no cut-off
            self._u = u
            if current_A and (beyond := self._events.reached(t, y)) is not None:
                return t, y, beyond
        while t < end_s:
            found = solver.step(end_s, end_s)
            if found.status < 0:
                raise UnsolvableError(f"the solver gave up ({found.message.strip()})")
            t, y = float(found.t), np.asarray(found.y).copy()
            if found.status == 2 and current_A:
                return t, y, self._events.nearest(t, y)
        return t, y, None

    def _truth(self, current_A: Array, voltage_V: Array, ambient_K: float, heat_W: Array) -> Truth:
        seen = self._rows @ self._y[self._eq.places["T"]]
        return Truth(
            self._steps * self.step_s, current_A, voltage_V, self._soc, seen[:1], seen[1:2], seen[None, 2:],
            np.array([ambient_K]), heat_W,
        )  # fmt: skip
