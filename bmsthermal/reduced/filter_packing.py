"""The filter on a reduced cell as a row of numbers, in the order of ``filter_t`` in ``kernel/cell_filter.h``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from bmsthermal.curves import Array
from bmsthermal.packing import HOST_SENSORS
from bmsthermal.reduced.differences import reaches
from bmsthermal.reduced.filter import FREEZING, LOST_C, MOST_C
from bmsthermal.reduced.packing import WALLS

if TYPE_CHECKING:
    from bmsthermal.reduced.filter import Filter

#: States that a host kernel reserves: the largest class, and two more.
ROOM = 29


@dataclass(frozen=True)
class PackedFilter:
    """Everything the kernel knows, as float64; attributes are named as in ``filter_t`` and have its shapes.

    ``use`` and ``cell`` are rows, of ``cell_use_t`` and ``cell_t`` as a host has them.
    """

    salt_states: float
    negative_states: float
    positive_states: float
    thermal_states: float
    sensors: float
    empty: float
    window: float
    coolant_reference_K: float
    most_A: float
    current_variance: float
    lost_variance: float
    heat_variance: float
    freezing: float
    resistance_fresh: float
    error_keep: float
    error_fresh: float
    voltage_variance: float
    drop: float
    sense_variance: float
    gradient_variance: float
    offset_variance: float
    reach: Array
    sense: Array
    mixed: Array
    use: Array
    cell: Array

    def row(self, dtype: DTypeLike) -> NDArray[np.floating]:
        """One row of ``filter_t``, with the room that a host has."""
        rooms = {"reach": (ROOM,), "sense": (HOST_SENSORS, self.sense.shape[1]), "mixed": (HOST_SENSORS, WALLS)}
        parts = []
        for name, value in vars(self).items():
            array = np.atleast_1d(np.asarray(value, float))
            shape: Any = rooms.get(name, array.shape)
            room = np.zeros(shape)
            room[tuple(slice(n) for n in array.shape)] = array
            parts.append(room.ravel())
        return np.concatenate(parts).astype(dtype)


def pack_filter(filter: Filter, ambient_offset_K: float = 0.0) -> PackedFilter:
    """Lay out a filter and the cell that it is of."""
    reduced, noise, thermal = filter.reduced, filter.noise, filter.reduced.thermal
    seconds, capacity, walls = reduced.step_s, filter.capacity_Ah, len(thermal.walls)
    sensors, room = len(filter.walls), reduced.size[1]
    sense, mixed = np.zeros((sensors, room)), np.zeros((sensors, WALLS))
    sense[:, : thermal.order] = filter.sense[:, filter.first : filter.n]
    mixed[np.arange(sensors), filter.walls] = filter.share
    use = np.zeros(3 + WALLS)
    use[:3] = reduced.resistance_Ohm, reduced.entropic_scale, 1.0 - reduced.capacity_fade
    use[3 : 3 + walls] = thermal.conductance_W_K
    return PackedFilter(
        salt_states=len(reduced.salt.separator), negative_states=len(reduced.negative.rate),
        positive_states=len(reduced.positive.rate), thermal_states=thermal.order, sensors=sensors,
        empty=filter.empty, window=filter.window,
        coolant_reference_K=thermal.cell.reference_K - ambient_offset_K, most_A=MOST_C * capacity,
        current_variance=(noise.current * capacity) ** 2, lost_variance=(LOST_C * capacity) ** 2,
        heat_variance=noise.heat_W_rts**2 / seconds, freezing=FREEZING * seconds,
        resistance_fresh=noise.resistance_rts**2 * seconds, error_keep=filter.forgets,
        error_fresh=noise.model_V**2 * (1.0 - filter.forgets**2), voltage_variance=noise.voltage_V**2,
        drop=noise.drop, sense_variance=noise.sensor_K**2, gradient_variance=noise.gradient**2,
        offset_variance=noise.offset_K**2, reach=reaches(reduced), sense=sense, mixed=mixed, use=use,
        cell=reduced.row,
    )  # fmt: skip
