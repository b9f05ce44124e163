"""The filter of the voltage as a row of numbers, in the order of the struct of ``kernel/voltage.h``."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import DTypeLike, NDArray

from bmsthermal.curves import Array
from bmsthermal.voltage import CURRENT_S, LOST_C, VoltageFilter

#: Weight of the voltage in the heat, as the kernel knows it: negative is by the variances.
WEIGHTS = {"measured": 1.0, "model": 0.0, "fused": -1.0}


@dataclass(frozen=True)
class PackedVoltage:
    """Everything that the kernel of the voltage knows, as float64; named as in ``voltage_t`` and in its shapes."""

    resistance_Ohm: Array
    activation_K: float
    half: float
    lowest_V: float
    highest_V: float
    sensor_variance: float
    drop_variance: float
    share: float
    weight: float
    alike: float
    bent: float
    charge_free: float
    usual_A: float
    charge_relative: float
    charge_fresh: float
    charge_lost: float
    growth_fresh: float
    curve_per_A: float
    curve_variance: float
    curve_relative: float
    slow_loss: float
    slow_fresh: float
    slow_variance: float
    slow_relative: float
    share_loss: float
    share_fresh: float

    def row(self, dtype: DTypeLike) -> NDArray[np.floating]:
        """One row in the order of ``voltage_t``."""
        return np.concatenate([np.ravel(value) for value in vars(self).values()]).astype(dtype)


#: Numbers beside the table of a row.
NUMBERS = len(PackedVoltage.__dataclass_fields__) - 1


def pack_voltage(filter_: VoltageFilter) -> PackedVoltage:
    """Lay out a filter of the voltage."""
    t, noise, step_s = filter_.tables, filter_.noise, filter_.step_s
    free = {kind: float(kind in filter_.kinds) for kind in ("soc", "resistance")}
    usual_A, per_A2 = LOST_C * t.capacity_Ah, filter_.soc_per_A**2 / step_s * free["soc"]
    return PackedVoltage(
        resistance_Ohm=t.resistance_Ohm,
        activation_K=t.activation_K,
        half=noise.curve_soc,
        lowest_V=filter_.range_V[0],
        highest_V=filter_.range_V[1],
        sensor_variance=noise.sensor_V**2,
        drop_variance=noise.drop**2,
        share=noise.share,
        weight=WEIGHTS[filter_.heat],
        alike=max(2 * noise.slow_s / step_s, 1.0),
        bent=filter_.bent,
        charge_free=free["soc"],
        usual_A=usual_A,
        charge_relative=per_A2 * CURRENT_S * noise.current**2,
        charge_fresh=per_A2 * CURRENT_S * (noise.offset * t.capacity_Ah) ** 2,
        charge_lost=per_A2 * noise.slow_s * usual_A**2,
        growth_fresh=noise.growth_rth**2 * step_s / 3600.0 * free["resistance"],
        curve_per_A=filter_.soc_per_A / noise.curve_soc,
        curve_variance=noise.curve_V**2,
        curve_relative=noise.load**2,
        slow_loss=float(-np.expm1(-step_s / noise.slow_s)),
        slow_fresh=float(-np.expm1(-2 * step_s / noise.slow_s)),
        slow_variance=noise.slow_V**2,
        slow_relative=noise.slow**2,
        share_loss=float(-np.expm1(-step_s / noise.share_s)),
        share_fresh=float(-(noise.share_sd**2) * np.expm1(-2 * step_s / noise.share_s)),
    )
