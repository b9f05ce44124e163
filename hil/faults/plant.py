"""Faults of the plant: what they make of cooling and cells."""

from __future__ import annotations

import numpy as np

from bmsthermal.curves import Array
from hil.faults.live import Live
from hil.signals import Actuators


def apply(live: Live, actuators: Actuators) -> Actuators:
    """Add a fault to what the others have made of the plant already."""
    fault, level, index = live.fault, live.level, live.index
    cooling, resistance = actuators.cooling.copy(), actuators.resistance.copy()
    contact, short, inlet_K = actuators.contact_Ohm.copy(), actuators.short_W.copy(), actuators.inlet_K
    if fault.kind == "cooling" and fault["part"] == "inlet":
        inlet_K += level * fault["inlet_K"]
    elif fault.kind == "cooling":
        cooling[index] *= 1 + level * (fault["left"] - 1)
    else:
        grown = 1.0 if fault["resistance"] is None else fault["resistance"]
        resistance[index] *= (1 + level * (grown - 1)) * np.exp(level * (fault["spread"] or 0.0) * _drawn(live))
        contact[index] += level * (fault["contact_Ohm"] or 0.0)
        short[index] += level * (fault["short_W"] or 0.0)
    return Actuators(cooling, inlet_K, resistance, contact, short)


def differ(one: Actuators, other: Actuators) -> bool:
    """Whether two say anything different."""
    return any(np.any(getattr(one, name) != value) for name, value in vars(other).items())


def _drawn(live: Live) -> Array:
    """What each cell is off by, in standard deviations: drawn once, however often the fault comes."""
    draws = [np.random.default_rng([*live.seed, 2, int(cell)]).standard_normal() for cell in live.index]
    return np.array(draws)
