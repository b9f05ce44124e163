"""Plants of the bench: modules of cells that know their own cores, stepped with their actuators.

A plant is the truth of a run. It is on purpose not the model that the observer has: another order, another way of
stepping, other equations, and parameters that are spread.
"""

from hil.plant.build import build_plant
from hil.plant.driven import DrivenModel
from hil.plant.module import Plant
from hil.plant.spec import PlantSpec, Spread

__all__ = ["DrivenModel", "Plant", "PlantSpec", "Spread", "build_plant"]
