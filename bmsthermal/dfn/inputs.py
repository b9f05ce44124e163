"""What acts on the equations from outside, in its order: the control, then each wall's coolant and conductance."""

from __future__ import annotations

from collections.abc import Sequence

#: The control is ``a I + b V + c I V = d``.
CONTROL = ("control_current", "control_voltage", "control_power", "control_target")
#: What a controlled quantity sets a, b and c to.
CONTROLLED = {"current": (1.0, 0.0, 0.0), "voltage": (0.0, 1.0, 0.0), "power": (0.0, 0.0, 1.0)}
#: Where the coolants begin; the conductances follow them.
COOLANT = len(CONTROL)


def names(walls: Sequence[str]) -> tuple[str, ...]:
    """Names of the inputs of a model with these walls."""
    return (*CONTROL, *(f"coolant_{wall}" for wall in walls), *(f"conductance_{wall}" for wall in walls))
