"""From a cell's parameters to the small observer that knows its core temperature.

The walk: `load_cell`, `CoupledModel`, its ``reduce``, `Observer`,
`read_measured`. Positive current discharges; kelvin inside, degC in files.
"""

from bmsthermal.belief import Belief, Estimate, Inputs
from bmsthermal.cell import Cell, cells, load_cell
from bmsthermal.coupled import CoupledModel, load_model
from bmsthermal.errors import InputError, InputWarning
from bmsthermal.measured import read_measured
from bmsthermal.noise import Noise
from bmsthermal.observer import Observer
from bmsthermal.reduction import ReducedModel
from bmsthermal.run import Run

__all__ = [
    "Belief", "Cell", "CoupledModel", "Estimate", "InputError", "InputWarning", "Inputs", "Noise", "Observer",
    "ReducedModel", "Run", "cells", "load_cell", "load_model", "read_measured",
]  # fmt: skip
