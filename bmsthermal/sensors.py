"""Where surface sensors sit, and what the reduced model says there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bmsthermal.conduction_pouch import PouchModel
from bmsthermal.curves import Array
from bmsthermal.reduction import ReducedModel
from bmsthermal.schema import SENSORS

#: Share of the height at which ``left`` and ``right`` sit on the side of a cylinder: a thermocouple near its end.
END = 0.02
#: Places by what a name ends in, where the cell file gives none.
NAMED: dict[str, dict[str, Any]] = {
    "left": {"wall": "side", "height": END}, "right": {"wall": "side", "height": 1.0 - END},
    "bottom": {"wall": "bottom"}, "top": {"wall": "top"},
}  # fmt: skip


def place(reduced: ReducedModel, name: str) -> dict[str, Any]:
    """Return the face of a sensor as ``wall``, and how far along it the sensor sits, 0 to 1.

    The cell file's ``Sensors`` say so: ``{"surface_left": {"wall": "side", "height": 0.02}}``, where ``height`` counts
    on the side from the bottom, and ``radius`` on an end from the axis; on a pouch ``x`` and ``y`` count along its
    width and height. By default a name that ends in a face sits in the middle of it, and in r-z one that ends in
    ``left`` or ``right`` near that end of the side.
    """
    given = reduced.cell.settings.get(SENSORS)
    found = dict(given.get(name, {})) if isinstance(given, Mapping) else {}
    if not found and reduced.resolution == "r-z":
        found = next((dict(where) for end, where in NAMED.items() if name.endswith(end)), {})
    if found.get("wall") not in reduced.walls:  # without the ends of a cylinder, all sit on its side
        found = {"wall": next((wall for wall in reduced.walls if name.endswith(wall)), reduced.walls[0])}
    return found


def sensor_walls(reduced: ReducedModel, names: Sequence[str]) -> list[int]:
    """Return the number of the face that each sensor sits on."""
    return [reduced.walls.index(place(reduced, name)["wall"]) for name in names]


def sensor_rows(reduced: ReducedModel, names: Sequence[str]) -> Array:
    """Temperature at each sensor, of the states, ``(m, r)``: what it reads but for the share of the surroundings.

    In one dimension a face has one temperature; in r-z and on a pouch the sensor reads the one at its place.
    """
    if isinstance(reduced, PouchModel):
        found = [place(reduced, name) for name in names]
        return np.array([
            reduced.place(at.get("x", 0.5), at.get("y", 0.5), float(at["wall"] == "front")) for at in found
        ])  # fmt: skip
    if reduced.resolution != "r-z":
        return np.asarray(reduced.step.wall.T[sensor_walls(reduced, names)])
    return np.asarray(sensor_weights(reduced, names) @ reduced.shapes / reduced.scale)


def sensor_weights(reduced: ReducedModel, names: Sequence[str]) -> Array:
    """Temperature at each sensor, of the nodes of the full model, ``(m, n)``; for r-z."""
    (low, high), (bottom, top) = ((float(at[0]), float(at[-1])) for at in (reduced.position_m, reduced.height_m))
    rows = []
    for name in names:
        at = place(reduced, name)
        if at["wall"] == "side":
            rows.append(reduced.weights(high, bottom + at.get("height", 0.5) * (top - bottom)))
        else:
            radius = max(low, at.get("radius", 0.0) * high)  # the axis of a hollow roll is its mandrel
            rows.append(reduced.weights(radius, bottom if at["wall"] == "bottom" else top))
    return np.array(rows)
