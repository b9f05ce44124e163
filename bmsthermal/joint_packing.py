"""The joint filter as rows of numbers, in the order of the structs of ``kernel/joint.h``."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import DTypeLike, NDArray

from bmsthermal.curves import Array
from bmsthermal.joint import BIAS_S, MEAN_S, SLOW_S, JointNoise, Layout
from bmsthermal.likelihood import DISCREPANCY_S
from bmsthermal.packing import HOST_SENSORS, Packed


@dataclass(frozen=True)
class PackedJoint:
    """Everything the kernel of the joint filter knows, as float64.

    Attributes are named as in ``joint_t`` and have its shapes; `cell` is the thermal observer.
    """

    h_states: float
    heat_states: float
    lag_states: float
    bias_states: float
    cell: Packed
    loss: Array
    relative_variance: float
    mean_share: float
    log_h_fresh: float
    slow_variance: float
    slow_relative_variance: float
    heat: tuple[float, float]
    discrepancy: tuple[float, float]
    bias: tuple[float, float]
    catch_up: float

    def row(self, dtype: DTypeLike, sensors: int = HOST_SENSORS) -> NDArray[np.floating]:
        """One row in the order of ``joint_t`` with room for `sensors` sensors."""
        parts = [
            value.row(np.float64, sensors) if isinstance(value, Packed) else np.ravel(value)
            for value in vars(self).values()
        ]
        return np.concatenate(parts).astype(dtype)


def pack_joint(model: Packed, layout: Layout, noise: JointNoise, step_s: float) -> PackedJoint:
    """Lay out a joint filter.

    Parameters
    ----------
    model
        The thermal observer.
    layout
        What is estimated beside.
    noise
        Standard deviations.
    step_s
        Length of a step.
    """
    places = layout.places

    def slow(lasts_s: float, variance: float) -> tuple[float, float]:
        """Share that first-order noise loses in a step, and the variance that comes in."""
        return float(-np.expm1(-step_s / lasts_s)), float(-variance * np.expm1(-2 * step_s / lasts_s))

    return PackedJoint(
        h_states=float(places["h"].stop - places["h"].start),
        heat_states=float("heat" in layout.kinds),
        lag_states=float(layout.lagged),
        bias_states=float("bias" in layout.kinds),
        cell=model,
        loss=1.0 - model.decay,
        relative_variance=noise.heat**2 / step_s,
        mean_share=min(step_s / MEAN_S, 1.0),
        log_h_fresh=noise.log_h_rth**2 * step_s / 3600.0,
        slow_variance=noise.slow_heat_W**2,
        slow_relative_variance=noise.slow_heat**2,
        heat=slow(SLOW_S, 1.0),
        discrepancy=slow(DISCREPANCY_S, noise.discrepancy_K**2),
        bias=slow(BIAS_S, noise.bias_K**2),
        catch_up=float(-np.expm1(-step_s / noise.lag_s)),
    )
