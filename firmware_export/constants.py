"""The constants of a bundle: what the kernel knows, member by member, with unit and meaning."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bmsthermal.errors import InputError
from bmsthermal.fixed import PackedFixed
from bmsthermal.joint_packing import PackedJoint
from bmsthermal.packing import Packed
from firmware_export.render import Real

#: Members of ``modal_t`` and then of ``model_t``, in their order: unit and meaning.
MODAL = {
    "decay": ("-", "what a step leaves of each insulated mode"),
    "drive": ("K/W", "change of each mode per watt held for a step"),
    "wall": ("-", "temperature at each wall, of the modes"),
    "sink": ("K/W", "change of each mode per watt out of each wall for a step"),
}
MODEL = {
    "noise": ("K2", "variance that a step adds to each mode by itself"),
    "heat_variance": ("W2", "of the heat of one step"),
    "lost_heat_variance": ("W2", "added while current or voltage is missing"),
    "mean": ("-", "mean temperature per unit of mode 0"),
    "reference_K": ("K", "temperature that the modes count from"),
    "coolant_reference_K": ("K", "the same on the thermometer of the coolant"),
    "sensors": ("-", "how many are fitted"),
    "uniform": ("-", "1 where heat reaches mode 0 alone"),
    "facing": ("-", "1 where the first sensor faces the one wall"),
    "gradient_variance": ("-", "relative, of a temperature difference inside the cell"),
    "offset_variance": ("K2", "of every temperature: what no measurement removes"),
    "core": ("-", "core temperature, of the modes"),
    "conductance_W_K": ("W/K", "h A of each wall, where the input does not give it"),
    "sense": ("-", "what each sensor reads, of the modes"),
    "mixed": ("-", "and of the surroundings of each wall"),
    "sense_variance": ("K2", "noise of each sensor"),
}
#: Members of ``fixed_t`` that ``model_t`` has not.
FIXED = {
    "drive": ("K/W", "change of each mode per watt held for a step"),
    "answer": ("-", "change of each mode per kelvin that each wall is above its surroundings"),
    "wall": ("-", "temperature at each wall, of the modes"),
    "gain": ("-", "change of each mode per kelvin of each innovation"),
    "variance_K2": ("K2", "of each innovation"),
    "core_variance_K2": ("K2", "of the core temperature"),
    "wall_variance_K2": ("K2", "of the temperature of the first wall"),
}
#: Members of ``heat_t``.
HEAT = {
    "soc_per_A": ("1/A", "state of charge that one ampere takes in a step"),
    "table_last": ("-", "index of the last point of a table"),
    "open_circuit_V": ("V", "open-circuit voltage over SOC 0 to 1"),
    "entropy_V_K": ("V/K", "its change with temperature, over SOC 0 to 1"),
}
#: Members of ``joint_t`` but for the thermal observer, which is ``cell``.
JOINT = {
    "h_states": ("-", "how many coefficients of cooling are estimated: none, one for all walls, or one of each"),
    "heat_states": ("-", "whether slow heat is"),
    "lag_states": ("-", "whether sensors have lags and discrepancies"),
    "bias_states": ("-", "whether biases of sensors are estimated"),
    "loss": ("-", "1 - decay of each insulated mode"),
    "relative_variance": ("-", "of the heat of one step, relative to its square"),
    "mean_share": ("-", "of a step in the running mean of the heat"),
    "log_h_fresh": ("-", "variance that a step adds to the logarithm of a coefficient of cooling"),
    "slow_variance": ("W2", "of slow heat"),
    "slow_relative_variance": ("-", "and relative to the square of the mean heat"),
    "heat": ("-", "slow heat: share lost in a step, and of its variance that comes in"),
    "discrepancy": ("-, K2", "of a sensor: share lost in a step, and variance that comes in"),
    "bias": ("-, K2", "of a sensor: share lost in a step, and variance that comes in"),
    "catch_up": ("-", "share of its lag that a sensor makes up in a step"),
}
#: Members of ``voltage_t``.
VOLTAGE = {
    "resistance_Ohm": ("Ohm", "DC resistance over SOC 0 to 1"),
    "activation_K": ("K", "its activation energy over the gas constant"),
    "half": ("-", "charge to each side over which the slope of a table counts"),
    "lowest_V": ("V", "a voltage below is a broken wire"),
    "highest_V": ("V", "and one above"),
    "sensor_variance": ("V2", "noise of the voltage"),
    "drop_variance": ("-", "noise of the drop of the resistance, relative to its square"),
    "share": ("-", "slow share of the drop"),
    "weight": ("-", "of the voltage in the heat; negative: by the variances"),
    "alike": ("-", "steps whose heat errs alike"),
    "bent": ("-", "steps over which what a table bends by is one error"),
    "charge_free": ("-", "1 where the charge is estimated"),
    "usual_A": ("A", "current that may flow unseen"),
    "charge_relative": ("1/A2", "variance that a step adds to the charge, relative to the square of the current"),
    "charge_fresh": ("-", "and always"),
    "charge_lost": ("-", "and while the current is missing"),
    "growth_fresh": ("-", "variance that a step adds to the logarithm of the resistance's growth"),
    "curve_per_A": ("1/A", "share of its error that the open circuit loses by an ampere over a step"),
    "curve_variance": ("V2", "of the open circuit"),
    "curve_relative": ("-", "and relative to the square of the drop of the current that may flow unseen"),
    "slow_loss": ("-", "share of the slow drop lost in a step"),
    "slow_fresh": ("-", "and of its variance that comes in"),
    "slow_variance": ("V2", "of the slow drop"),
    "slow_relative": ("-", "and relative to the square of the drop"),
    "share_loss": ("-", "share of its error that the slow share loses in a step"),
    "share_fresh": ("-", "variance that comes in"),
}
#: Members of ``rules_t``, the watch over the sensors.
RULES = {
    "on": ("-", "somebody watches"),
    "step_s": ("s", "length of a step"),
    "heat_J_K": ("J/K", "heat capacity of the cell"),
    "noise_K2": ("K2", "of a reading"),
    "along": ("-", "what the model is off by between places, per kelvin above the coolant"),
    "unsure_K2": ("K2", "discrepancy of a sensor that is trusted again"),
    "biased_K2": ("K2", "bias of a sensor that is trusted again"),
    "coldest_K": ("K", "no cell reads below"),
    "hottest_K": ("K", "no cell reads above"),
    "lost_s": ("s", "without readings for so long is absent"),
    "jump": ("-", "sigmas that two readings differ by"),
    "fastest_K_s": ("K/s", "no surface warms faster"),
    "confirm_s": ("s", "a jump that is gone by then was one bad reading"),
    "offset_K": ("K", "of a healthy sensor"),
    "limit": ("-", "of chi-square with one degree of freedom"),
    "window_s": ("s", "that twice the limit takes to be flagged"),
    "drift_s": ("s", "an error that took longer is a drift"),
    "resolution_K": ("K", "what a stuck reading may move by"),
    "stuck_K": ("K", "what the model has to move by, and four resolutions"),
    "stuck_s": ("s", "within that time"),
    "recover_s": ("s", "of agreement, after which a sensor is trusted again"),
    "alone_K": ("K", "what one sensor drifts by unseen"),
    "heat": ("-", "relative error of the heat"),
    "cooling": ("-", "relative error of the cooling"),
    "heat_K_s": ("K/s", "of the whole cell, that nobody accounts for"),
    "heat_limit": ("-", "of the square of the heat over its variance"),
    "heat_s": ("s", "time constant of its mean"),
    "settle_s": ("s", "left out after a start"),
}
#: Largest prior variance over sensor variance that a float covariance survives; above, it may turn indefinite.
LARGEST_RATIO = 4e6


@dataclass(frozen=True)
class Member:
    """A member of the kernel's model, with what is said about it in C."""

    name: str
    unit: str
    meaning: str
    value: ArrayLike


def members(packed: Packed | PackedFixed) -> tuple[list[Member], list[Member], list[Member]]:
    """Members of ``modal_t``, those of ``model_t`` after it, and those of ``heat_t`` at its end, in their order.

    Of ``fixed_t``, which has no ``modal_t``, the first are none.
    """
    said = MODAL | MODEL | HEAT | (FIXED if isinstance(packed, PackedFixed) else {})
    found = [Member(name, *said[name], value) for name, value in vars(packed).items()]
    modal = 0 if isinstance(packed, PackedFixed) else len(MODAL)
    return found[:modal], found[modal : -len(HEAT)], found[-len(HEAT) :]


def joint_members(packed: PackedJoint) -> list[Member]:
    """Members of ``joint_t`` in their order, without the thermal observer, the voltage and the rules of the watch."""
    return [Member(name, *JOINT[name], value) for name, value in vars(packed).items() if name in JOINT]


def voltage_members(packed: Packed | PackedJoint | PackedFixed) -> list[Member]:
    """Members of ``voltage_t`` in their order; none where the voltage is no measurement."""
    volts = packed.voltage if isinstance(packed, PackedJoint) else None
    return [] if volts is None else [Member(name, *VOLTAGE[name], value) for name, value in vars(volts).items()]


def rule_members(packed: Packed | PackedJoint | PackedFixed) -> list[Member]:
    """Members of ``rules_t`` in their order, none where nobody watches."""
    rules = packed.rules if isinstance(packed, PackedJoint) else None
    return [] if rules is None else [Member(name, *RULES[name], value) for name, value in vars(rules).items()]


def digest(row: NDArray[np.floating]) -> str:
    """SHA-256 of all constants as the target holds them, little end first."""
    return hashlib.sha256(row.astype(row.dtype.newbyteorder("<")).tobytes()).hexdigest()


def check_precision(packed: Packed, start_P: NDArray[np.float64], real: Real) -> None:
    """Refuse a prior that single precision cannot carry.

    Parameters
    ----------
    packed
        The model.
    start_P
        Covariance ``(n, n)`` that a start has, in K2.
    real
        Number type.

    Raises
    ------
    InputError
        If prior over sensor variance is beyond `LARGEST_RATIO` and the numbers are ``float``.
    """
    ratio = float(np.diag(start_P).max() / packed.sense_variance.min())
    if real == "float" and ratio > LARGEST_RATIO:
        raise InputError(
            f"the start's variance is {ratio:.3g} times the sensor's",
            expected=f"at most {LARGEST_RATIO:.0e}, beyond which a float covariance may turn indefinite",
            hint="lower 'Start uncertainty [K]', raise 'Sensor noise [K]', or export double",
        )
