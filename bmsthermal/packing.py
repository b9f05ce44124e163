"""The observer as rows of numbers, in the order of the structs of ``kernel/observer.h``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from bmsthermal.curves import Array
from bmsthermal.noise import Noise
from bmsthermal.reduction import ReducedModel
from bmsthermal.sensors import sensor_rows, sensor_walls

#: Rows of sensors that a host kernel reserves; a target reserves what it uses.
HOST_SENSORS = 8
#: Members of ``heat_t``.
TABLES = ("soc_per_A", "table_last", "open_circuit_V", "entropy_V_K")


@dataclass(frozen=True)
class Packed:
    """Everything the kernel knows, as float64; `row` lays it out and `rounded` makes it float32.

    Attributes are named as in ``model_t`` and have its shapes.
    """

    decay: Array
    drive: Array
    wall: Array
    sink: Array
    noise: Array
    heat_variance: float
    lost_heat_variance: float
    mean: float
    reference_K: float
    coolant_reference_K: float
    sensors: float
    uniform: float
    facing: float
    gradient_variance: float
    offset_variance: float
    core: Array
    conductance_W_K: Array
    sense: Array
    mixed: Array
    sense_variance: Array
    soc_per_A: float
    table_last: float
    open_circuit_V: Array
    entropy_V_K: Array

    def row(self, dtype: DTypeLike, sensors: int = HOST_SENSORS, given: bool = False) -> NDArray[np.floating]:
        """One row in the order of ``model_t`` with room for `sensors` sensors; `given` heat needs no tables."""
        return flat(vars(self), dtype, ("sense", "mixed", "sense_variance"), sensors, given)


def flat(
    members: Mapping[str, ArrayLike], dtype: DTypeLike, by_sensor: Sequence[str], sensors: int, given: bool
) -> NDArray[np.floating]:
    """Members one after another, those `by_sensor` with room for as many; without `TABLES` where heat is given."""
    parts = []
    for name, member in members.items():
        value = np.atleast_1d(np.asarray(member, float))
        if name in by_sensor:
            room = np.zeros((sensors, *value.shape[1:]))
            room[: len(value)] = value
            value = room
        if not (given and name in TABLES):
            parts.append(value.ravel())
    return np.concatenate(parts).astype(dtype)


def pack(
    reduced: ReducedModel, measured: Sequence[str], noise: Noise, ambient_share: float, ambient_offset_K: float
) -> Packed:
    """Lay out a reduced model and its noise.

    Parameters
    ----------
    reduced
        The model.
    measured
        Names of the sensors.
    noise
        Standard deviations.
    ambient_share
        Share of the surroundings in what a sensor reads.
    ambient_offset_K
        What the coolant is warmer than its thermometer says.
    """
    step, heat = reduced.step, reduced.heat
    walls = step.wall.shape[1]
    seconds = reduced.step_s
    sense = (1.0 - ambient_share) * sensor_rows(reduced, measured)
    mixed = ambient_share * np.eye(walls)[sensor_walls(reduced, measured)]
    return Packed(
        decay=step.decay,
        drive=step.drive.T,
        wall=step.wall.T,
        sink=step.sink.T,
        # White heat fills every mode it reaches; a little of its own keeps the others from freezing.
        noise=seconds * 1e-8 / reduced.felt,
        heat_variance=noise.heat_W_rts**2 / seconds,
        lost_heat_variance=noise.lost_heat_W**2,
        mean=float(reduced.outputs[1, 0]),
        reference_K=reduced.cell.reference_K,
        coolant_reference_K=reduced.cell.reference_K - ambient_offset_K,
        sensors=float(len(measured)),
        uniform=float(not step.drive[1:].any()),
        facing=float(walls == 1 and np.ptp(sense[0]) == 0.0),  # modes are 1 at the first wall
        gradient_variance=noise.gradient**2,
        offset_variance=noise.offset_K**2,
        core=reduced.outputs[0],
        conductance_W_K=reduced.conductance_W_K,
        sense=sense,
        mixed=mixed,
        sense_variance=np.full(len(measured), noise.sensor_variance(seconds)),
        soc_per_A=seconds / (3600.0 * reduced.cell.capacity_Ah),
        table_last=float(len(heat.soc) - 1),
        open_circuit_V=heat.open_circuit_V,
        entropy_V_K=heat.entropy_V_K,
    )


def unpack_covariance(rows: NDArray[np.floating], n: int) -> Array:
    """Full symmetric covariance ``(..., n, n)`` from packed lower rows ``(..., n (n + 1) / 2)``."""
    i, j = np.tril_indices(n)
    P = np.zeros((*rows.shape[:-1], n, n))
    P[..., i, j] = rows
    P[..., j, i] = rows
    return P
