"""What the tests of plants share: no spread, a way to drive, what is wrong with one cell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from hil.plant import Plant, Spread
from hil.signals import Actuators, Command, Truth

SAME = Spread(capacity=0, resistance=0, heat_transfer=0, conductivity=0, heat_capacity=0)
ROOM_K = 298.15


def wrong(cells: int = 1, **given: Any) -> Actuators:
    """Actuators that are healthy but for what is given, a number for all cells."""
    arrays = {name: value if name == "inlet_K" else np.full(cells, float(value)) for name, value in given.items()}
    return replace(Actuators.healthy(cells), **arrays)


def driven(
    plant: Plant, current_A: Sequence[float], *, soc: float = 0.6, start_K: float = ROOM_K, ambient_K: float = ROOM_K,
    cooling: float | Sequence[float] = 1.0, actuators: Actuators | None = None,
) -> list[Truth]:  # fmt: skip
    """The truth after each step, and first that before."""
    found = [plant.reset(soc, start_K)]
    shares = np.broadcast_to(cooling, len(current_A))
    for amperes, share in zip(current_A, shares, strict=True):
        command = Command(float(amperes), ambient_K, float(share))
        found.append(plant.step(command, actuators or Actuators.healthy(plant.cells)))
    return found


def finite(truth: Truth) -> bool:
    return all(np.isfinite(value).all() for value in vars(truth).values())
