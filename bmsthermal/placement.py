"""Where on a cylinder a sensor says most about the core."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from bmsthermal.errors import InputError
from bmsthermal.information import passage
from bmsthermal.observer import Observer
from bmsthermal.sensors import sensor_rows, sensor_walls

#: Places on the side, as shares of the height, and on an end, as shares of the radius.
HEIGHTS, RADII = (0.02, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.98), (0.0, 0.25, 0.5, 0.75, 0.98)
#: From when on the sigma of the core counts, in s: before, it is that of the start.
SETTLED_S = 60.0


@dataclass(frozen=True)
class Place:
    """A place on a face, and the sigma of the core in K with a sensor there, root mean square over the nominal run.

    ``share`` is of the height from the bottom on the side, and of the radius from the axis on an end.
    """

    wall: str
    share: float
    core_K: float


def placement(observer: Observer, kinds: Collection[str], beside: Sequence[str] = ()) -> tuple[Place, ...]:
    """Try one sensor at each place, beside others; the best first.

    What the conductivity leaves unsure (``gradient`` of the noise) is not in it: no place removes that.

    Raises
    ------
    InputError
        If the model is not r-z: there a face has one temperature.
    """
    reduced = observer.reduced
    if reduced.resolution != "r-z":
        raise InputError(
            f"places of sensors in a {reduced.resolution} model", where=reduced.cell.name, expected="r-z",
            hint="elsewhere a face has one temperature",
        )  # fmt: skip
    share, walls = reduced.cell.ambient_share, np.eye(len(reduced.walls))
    radius, (bottom, top) = float(reduced.position_m[-1]), (float(reduced.height_m[0]), float(reduced.height_m[-1]))
    inner = float(reduced.position_m[0])
    tried = [("side", at, radius, bottom + at * (top - bottom)) for at in HEIGHTS]
    tried += [
        (wall, at, max(inner, at * radius), end) for wall, end in (("bottom", bottom), ("top", top)) for at in RADII
    ]
    there = sensor_rows(reduced, beside) if beside else np.zeros((0, reduced.order))
    found = []
    for wall, at, r, z in tried:
        sense = (1 - share) * np.vstack([there, reduced.point(r, z)])
        mixed = share * walls[[*sensor_walls(reduced, beside), reduced.walls.index(wall)]]
        way = passage(observer, [*beside, "placed"], kinds, rows=(sense, mixed))
        P = way.covariances()[1:][way.time_s >= SETTLED_S][:, : reduced.order, : reduced.order]
        core = reduced.outputs[0]
        found.append(Place(wall, at, float(np.sqrt(np.mean(core @ P @ core)))))
    return tuple(sorted(found, key=lambda place: place.core_K))
