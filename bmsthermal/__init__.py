"""From a cell's parameters to the small observer that knows its core temperature.

The walk: `load_cell`, `CoupledModel`, its ``reduce``, `Observer`,
`read_measured`. Positive current discharges; kelvin inside, degC in files.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bmsthermal.belief import Belief, Estimate, Inputs
    from bmsthermal.calibration import calibrate
    from bmsthermal.cell import Cell, cells, load_cell
    from bmsthermal.consistency import Consistency
    from bmsthermal.coupled import CoupledModel, load_model
    from bmsthermal.dfn.mesh import Mesh
    from bmsthermal.dfn.particle import ParticleGrid
    from bmsthermal.entropy import EntropicCurve, entropic
    from bmsthermal.errors import InputError, InputWarning
    from bmsthermal.measured import read_measured
    from bmsthermal.noise import Noise
    from bmsthermal.observer import Observer
    from bmsthermal.potentiometry import read_steps
    from bmsthermal.protocol import Step
    from bmsthermal.reduced.model import ReducedCell
    from bmsthermal.reduced.range import Range
    from bmsthermal.reduction import ReducedModel
    from bmsthermal.run import Run
    from bmsthermal.simulation import Simulation
    from bmsthermal.tuning import tune

__all__ = [
    "Belief", "Cell", "Consistency", "CoupledModel", "EntropicCurve", "Estimate", "InputError", "InputWarning",
    "Inputs", "Mesh", "Noise", "Observer", "ParticleGrid", "Range", "ReducedCell",
    "ReducedModel", "Run", "Simulation", "Step", "calibrate", "cells",
    "entropic", "load_cell", "load_model", "read_measured", "read_steps", "tune",
]  # fmt: skip

# SciPy alone costs half a second: each name is fetched from its module when it is first used.
_HOME = {
    "Belief": "belief", "Estimate": "belief", "Inputs": "belief", "calibrate": "calibration", "Cell": "cell",
    "cells": "cell", "load_cell": "cell", "CoupledModel": "coupled", "load_model": "coupled",
    "InputError": "errors", "InputWarning": "errors", "read_measured": "measured", "Noise": "noise",
    "Observer": "observer", "ReducedModel": "reduction", "Run": "run",
    "EntropicCurve": "entropy", "entropic": "entropy", "read_steps": "potentiometry",
    "Range": "reduced.range", "ReducedCell": "reduced.model",
    "Simulation": "simulation", "Step": "protocol", "Mesh": "dfn.mesh", "ParticleGrid": "dfn.particle",
    "Consistency": "consistency", "tune": "tuning",
}  # fmt: skip


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("bmsthermal")
    if name not in _HOME:
        raise AttributeError(f"module 'bmsthermal' has no attribute {name!r}")
    return getattr(import_module(f"bmsthermal.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
