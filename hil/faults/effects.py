"""What a fault does to the numbers of its stage; each changes its own channels in place, no others.

Numbers are those of the stage: K at the place, Ohm, share of the reference, code (not yet rounded), then K, V and A.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np

from bmsthermal.curves import Array
from bmsthermal.files import ZERO_DEGC_K
from hil.faults.live import Live, Scene

Effect = Callable[[Live, Array, Scene], None]


def _detached(live: Live, x: Array, scene: Scene) -> None:
    # T = a T_surf + (1 - a) T_air, and a lag; what the glue had warmed is where it begins
    fault, k = live.fault, live.index
    felt = x[k] + live.level * (1 - fault["coupling"]) * (scene.coolant_K[k] - x[k])
    keep = math.exp(-scene.step_s / fault["lag_s"]) if fault["lag_s"] else 0.0
    behind = live.memory.get("felt", x[k].copy())
    live.memory["felt"] = x[k] = keep * behind + (1 - keep) * felt


def _open(live: Live, x: Array, scene: Scene) -> None:
    x[live.index] = math.inf


def _short(live: Live, x: Array, scene: Scene) -> None:
    x[live.index] = 0.0


def _series(live: Live, x: Array, scene: Scene) -> None:
    x[live.index] += live.level * live.fault["series_Ohm"]


def _leakage(live: Live, x: Array, scene: Scene) -> None:
    with np.errstate(divide="ignore"):
        x[live.index] = 1 / (1 / x[live.index] + live.level / live.fault["leakage_Ohm"])


def _pull_up(live: Live, x: Array, scene: Scene) -> None:
    # a divider sees R / R_pull only: a larger pull-up is a smaller thermistor
    if live.fault["pull_up_percent"] is not None:
        x[live.index] /= 1 + live.level * live.fault["pull_up_percent"] / 100


def _reference(live: Live, x: Array, scene: Scene) -> None:
    if live.fault["reference_percent"] is not None:
        x[live.index] /= 1 + live.level * live.fault["reference_percent"] / 100


def _contact(live: Live, x: Array, scene: Scene) -> None:
    fault = live.fault
    if fault["contact_p"] is None:
        return
    left = live.memory.setdefault("burst", np.zeros(live.index.size))
    opens, length = live.random.random((2, live.index.size))
    # a burst lasts one reading at least, and burst_s on the mean of its exponential rest
    steps = 1 + np.floor(-np.log1p(-length) * fault["burst_s"] / scene.step_s)
    left[:] = np.where((left <= 0) & (opens < live.level * fault["contact_p"]), steps, left)
    x[live.index[left > 0]] = math.inf
    left -= 1


def _bits(live: Live, x: Array, scene: Scene) -> None:
    if (live.fault["bits"] or math.inf) < scene.bits:
        step = 2.0 ** (scene.bits - live.fault["bits"])
        x[live.index] = np.rint(x[live.index] / step) * step


def _lsb(live: Live, x: Array, scene: Scene) -> None:
    if live.fault["lsb_K"] is not None:
        lsb = live.fault["lsb_K"]
        x[live.index] = np.rint((x[live.index] - ZERO_DEGC_K) / lsb) * lsb + ZERO_DEGC_K


def _stuck(live: Live, x: Array, scene: Scene) -> None:
    constant = live.fault["value_degC"]
    held = live.memory.setdefault("held", scene.last[live.index].copy())
    x[live.index] = held if constant is None else constant + ZERO_DEGC_K


def _bias(live: Live, x: Array, scene: Scene) -> None:
    fault, k = live.fault, live.index
    zero = ZERO_DEGC_K if live.unit == "K" else 0.0
    gain = 1.0 if fault["gain"] is None else 1 + live.level * (fault["gain"] - 1)
    x[k] = gain * (x[k] - zero) + zero + live.level * (fault[f"offset_{live.unit}"] or 0.0)


def _drift(live: Live, x: Array, scene: Scene) -> None:
    fault = live.fault
    limit = math.inf if fault["limit_K"] is None else fault["limit_K"]
    walked = fault["rate_K_h"] * (scene.end_s - live.begun_s) / 3600
    x[live.index] += max(-limit, min(walked, limit))


def _noise(live: Live, x: Array, scene: Scene) -> None:
    fault, size = live.fault, live.index.size
    white, (phase, chance, sign) = live.random.standard_normal(size), live.random.random((3, size))
    added = (fault["sigma_K"] or 0.0) * white
    added += (fault["ripple_K_A"] or 0.0) * scene.current_A * np.sin(2 * math.pi * phase)
    added += (fault["spike_K"] or 0.0) * (chance < fault["spike_p"]) * np.where(sign < 0.5, -1.0, 1.0)
    x[live.index] += live.level * added


def _delay(live: Live, x: Array, scene: Scene) -> None:
    # it remembers before it begins, too
    history = live.history
    history.append(x[live.index].copy())
    while len(history) > round(live.fault["delay_s"] / scene.step_s) + 1:
        history.popleft()
    if live.active:
        x[live.index] = history[0]


def _current(live: Live, x: Array, scene: Scene) -> None:
    fault, k, level = live.fault, live.index, live.level
    gain = 1.0 if fault["gain"] is None else 1 + level * (fault["gain"] - 1)
    x[k] = (-gain if fault["reversed"] else gain) * x[k] + level * (fault["offset_A"] or 0.0)
    if fault["hold"]:
        x[k] = live.memory.setdefault("held", scene.last[k].copy())
    if fault["hold_A"] is not None:
        x[k] = fault["hold_A"]


def _swap(live: Live, x: Array, scene: Scene) -> None:
    one, other = np.split(live.index, 2)
    x[live.index] = x[np.concatenate([other, one])]


#: What each kind does, by stage; those of bus, plant and time are applied where those are.
EFFECTS: Mapping[str, Mapping[str, Effect]] = {
    "open": {"resistance": _open},
    "short": {"resistance": _short},
    "stuck": {"value": _stuck},
    "bias": {"value": _bias},
    "drift": {"value": _drift},
    "series_resistance": {"resistance": _series},
    "leakage": {"resistance": _leakage},
    "reference": {"resistance": _pull_up, "divider": _reference},
    "noise": {"resistance": _contact, "value": _noise},
    "quantisation": {"adc": _bits, "value": _lsb},
    "delay": {"value": _delay},
    "detached": {"thermal": _detached},
    "swap": {"map": _swap},
    "current": {"value": _current},
}
#: Kinds that look on before they begin.
WATCHING = ("delay",)
