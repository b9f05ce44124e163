"""The joint filter as rows of numbers, in the order of the structs of ``kernel/joint.h``."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import DTypeLike, NDArray

from bmsthermal.curves import Array
from bmsthermal.faults import Watch
from bmsthermal.joint import BIAS_S, MEAN_S, SLOW_S, JointNoise, Layout
from bmsthermal.likelihood import DISCREPANCY_S
from bmsthermal.packing import HOST_SENSORS, Packed
from bmsthermal.voltage import VoltageFilter
from bmsthermal.voltage_packing import NUMBERS, PackedVoltage, pack_voltage


@dataclass(frozen=True)
class PackedRules:
    """What the watch over the sensors goes by, named as in ``rules_t``: see `bmsthermal.faults.FaultRules`.

    Beside those, `on` is 1, `along` is its ``place`` or ``place_1d``, and `unsure_K2` and `biased_K2` are what
    discrepancy and bias of a sensor may be that is trusted again.
    """

    on: float
    step_s: float
    heat_J_K: float
    noise_K2: float
    along: float
    unsure_K2: float
    biased_K2: float
    coldest_K: float
    hottest_K: float
    lost_s: float
    jump: float
    fastest_K_s: float
    confirm_s: float
    offset_K: float
    limit: float
    window_s: float
    drift_s: float
    resolution_K: float
    stuck_K: float
    stuck_s: float
    recover_s: float
    alone_K: float
    heat: float
    cooling: float
    heat_K_s: float
    heat_limit: float
    heat_s: float
    settle_s: float


@dataclass(frozen=True)
class PackedJoint:
    """Everything the kernel of the joint filter knows, as float64.

    Attributes are named as in ``joint_t`` and have its shapes; `cell` is the thermal observer, `voltage` None where the
    voltage is no measurement.
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
    voltage: PackedVoltage | None = None
    rules: PackedRules | None = None

    def row(self, dtype: DTypeLike, sensors: int | None = None) -> NDArray[np.floating]:
        """One row in the order of ``joint_t``: of a host, or of a target with that many sensors and what it uses."""
        parts = [
            value.row(np.float64, HOST_SENSORS if sensors is None else sensors) if isinstance(value, Packed)
            else np.ravel(value)
            for name, value in vars(self).items() if name not in ("voltage", "rules")
        ]  # fmt: skip
        if self.voltage is not None:
            parts.append(np.concatenate([[1.0], self.voltage.row(np.float64)]))
        elif sensors is None:
            parts.append(np.zeros(1 + len(self.cell.open_circuit_V) + NUMBERS))
        if self.rules is not None:
            parts.append(np.array([*vars(self.rules).values()], float))
        elif sensors is None:
            parts.append(np.zeros(len(fields(PackedRules))))
        return np.concatenate(parts).astype(dtype)


def pack_rules(watch: Watch, noise: JointNoise) -> PackedRules:
    """Lay out the rules of a watch."""
    told = {name: float(value) for name, value in vars(watch.rules).items() if name in PackedRules.__annotations__}
    return PackedRules(
        on=1.0, step_s=watch.step_s, heat_J_K=watch.heat_J_K, noise_K2=watch.noise_K2, along=watch.place,
        unsure_K2=noise.discrepancy_K**2, biased_K2=noise.bias_K**2, **told,
    )  # fmt: skip


def pack_joint(
    model: Packed,
    layout: Layout,
    noise: JointNoise,
    step_s: float,
    voltage: VoltageFilter | None = None,
    watch: Watch | None = None,
) -> PackedJoint:
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
    voltage
        Where it is a measurement.
    watch
        Over its sensors, if there is one.
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
        voltage=None if voltage is None else pack_voltage(voltage),
        rules=None if watch is None else pack_rules(watch, noise),
    )
