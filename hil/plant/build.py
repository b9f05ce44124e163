"""From a cell and what a scenario says of its plant to the plant."""

from __future__ import annotations

from collections.abc import Sequence

from bmsthermal.cell import Cell
from bmsthermal.errors import InputError
from bmsthermal.schema import COOLING, STEP, check_number
from hil.plant.module import Plant
from hil.plant.spec import Factors, PlantSpec


def build_plant(cell: Cell, spec: PlantSpec, *, step_s: float, sensors: Sequence[str], seed: int) -> Plant:
    """Make the plant of a bench.

    Parameters
    ----------
    cell
        What it is made of.
    spec
        What is asked for.
    step_s
        Length of its step.
    sensors
        Places by name where a cell is looked at, see `bmsthermal.sensors.place`.
    seed
        Of the spread: the same seed gives the same cells.

    Raises
    ------
    InputError
        If the cell file lacks what the model needs, or the spec asks for what it cannot do.
    """
    check_number(step_s, STEP, "step_s")
    if spec.h_W_m2K is not None:
        given = spec.h_W_m2K
        cell = cell.with_values({COOLING: given if isinstance(given, dict) else dict.fromkeys(cell.walls, given)})
    if spec.model == "full" and spec.cells != 1:
        raise InputError(f"cells = {spec.cells} of the full model", where="plant", expected="1, or another model")
    if spec.file is not None and spec.model != "coupled":
        raise InputError(f"file with model = {spec.model!r}", where="plant", expected="model = 'coupled'")
    factors = Factors.draw(spec.spread, spec.cells, seed)
    if spec.model == "coupled":
        from hil.plant.coupled import CoupledPlant

        return CoupledPlant(cell, spec, factors, float(step_s), sensors)
    if spec.model == "full":
        from hil.plant.full import FullPlant

        return FullPlant(cell, spec, factors, float(step_s), sensors)
    from hil.plant.conduction import ConductionPlant

    return ConductionPlant(cell, spec, factors, float(step_s), sensors)
