"""Outcomes of runs that never were, from plain formulas: what the tests of the verdict look at."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np

from hil.outcome import Outcome, Result
from hil.record import Record, column_names, names_of


def record(cells: int = 1, sensors=("surface", "can"), faults=("drift",), steps: int = 3600, seed: int = 1) -> Record:
    """A core that warms up and cools down, sensors of which the first drifts from half of the run on."""
    rng = np.random.default_rng(seed)
    names = column_names(cells, sensors, faults)
    rows = np.zeros((steps, len(names)))
    place = {name: i for i, name in enumerate(names)}

    def put(name: str, values: Any, many: bool = True) -> None:
        for cell, each in enumerate(names_of(name, cells) if many else [name]):
            column = np.asarray(values, float)
            rows[:, place[each]] = column[:, cell] if column.ndim == 2 else column

    time = np.arange(1.0, steps + 1)
    current = 20 * np.sign(np.sin(time / 60)) + 15 * np.sin(time / 7)
    warm = 12 * np.sin(np.pi * time / steps)[:, None] * (1 + 0.2 * np.arange(cells) / max(cells - 1, 1))
    core = 25 + warm + 0.4 * np.sin(time / 60)[:, None]
    std = np.full((steps, cells), 0.25) + 4 * np.exp(-time / 20)[:, None]
    estimate = core + 0.15 * np.sin(time / 90)[:, None] + 5 * np.exp(-time / 30)[:, None]
    at = steps // 2
    drift = np.where(np.arange(steps) < at, 0, (np.arange(steps) - at) * 4e-3)
    put("time_s", time, False)
    put("command_A", current, False)
    put("ambient_degC", np.full(steps, 20.0), False)
    put("cooling", np.ones(steps), False)
    for name, values in (("true_current_A", current), ("true_voltage_V", 3.3 - 0.004 * current),
                         ("true_soc", 0.9 - time / steps / 2), ("true_core_degC", core), ("true_mean_degC", core - 1),
                         ("true_ambient_degC", np.full(steps, 20.0)), ("true_heat_W", 0.01 * current**2),
                         ("seen_voltage_V", 3.3 - 0.004 * current + 0.002 * rng.standard_normal(steps)),
                         ("core_degC", estimate), ("core_std_K", std)):  # fmt: skip
        put(name, values)
    for i, sensor in enumerate(sensors):
        surface = core - 2 - i
        put(f"true_{sensor}_degC", surface)
        put(f"seen_{sensor}_degC", surface + 0.05 * rng.standard_normal(core.shape) + (drift[:, None] if i == 0 else 0))
    put("seen_current_A", current + 0.1, False)
    put("seen_ambient_degC", np.full(steps, 20.05), False)
    put(f"fault_{sensors[0]}", np.where(time > 0.7 * steps, 6, 0))
    put("answer_age_s", np.zeros(steps), False)
    put("status", np.where((time > 0.3 * steps) & (time < 0.3 * steps + 20), 1, 0), False)
    for fault in faults:
        for state in ("enabled", "active", "injected"):
            put(f"{fault}.{state}", np.where(time > at, 1, 0) if state != "enabled" else np.ones(steps), False)
    return Record(names, rows, cells, tuple(sensors), tuple(faults), ((0.3 * steps, "no answer in time"),))


RESULTS = (
    Result("CORE-1", "The core is known from 60 s on.", True, "0.12 K rms, 0.83 K max at 61 s", "at most 1 K max"),
    Result("DETECT-1", "drift is flagged.", True, "after 720 s", "within 900 s"),
    Result("ALIVE-1", "The device answers.", False, "99.47 %", "at least 100 % of steps"),
    Result("TIME-1", "The bench keeps its time.", None, "no real clock, no overruns", "at most 0"),
)

EDGES = [float(f"{10 ** (k / 20):.4g}") for k in range(-140, 41)]


def histogram(centre_s: float, count: int = 3600) -> dict[str, Any]:
    values = centre_s * np.exp(0.4 * np.random.default_rng(2).standard_normal(count))
    counts = np.bincount(np.searchsorted(EDGES, values, "right"), minlength=len(EDGES) + 1)
    quantiles = {
        f"{name}_s": float(np.quantile(values, q)) for name, q in (("p50", 0.5), ("p99", 0.99), ("p99_9", 0.999))
    }
    return {"count": count, "mean_s": float(values.mean()), **quantiles, "max_s": float(values.max()),
            "counts": counts.tolist()}  # fmt: skip


TIMING = {
    "clock": "real", "period_s": 1.0, "policy": "slip", "steps": 3600, "skipped": 0, "slipped_s": 0.0, "overruns": 0,
    "longest_run": 0, "grace": {"steps": 10, "overruns": 0, "longest_run": 0}, "edges_s": EDGES,
    "lateness": histogram(2e-6),
    "tasks": {"plant": {"every": 1, "overruns": 0, "longest_run": 0, "execution": histogram(6e-5)},
              "device": {"every": 1, "overruns": 0, "longest_run": 0, "execution": histogram(9e-6)}},
    "scheduler": "SCHED_FIFO 50", "memory_locked": True, "cpu_share": 0.021, "load": [0.4, 0.3, 0.7],
}  # fmt: skip


@dataclass(frozen=True)
class Asked:
    id: str
    kind: str


def outcome(
    *, name="us06_sensor_drift", title="US06, a sensor drifts", seed=1, results=RESULTS, timing=TIMING, ended="", **made
):
    """A run; `made` goes to `record`."""
    kinds = {"CORE": "core_error_K", "DETECT": "detect", "UNDETECTED": "undetected"}
    asked = tuple(Asked(each.requirement, kinds.get(each.requirement.split("-")[0], "alive")) for each in results)
    scenario: Any = SimpleNamespace(
        name=name, title=title, seed=seed, cell="a123_26650", step_s=1.0, requirements=asked,
        surroundings={"ambient_degC": 20.0}, faults=[{"kind": "drift", "K_h": 14.4}],
    )  # fmt: skip
    found = record(seed=seed, **made)
    return Outcome(
        scenario, "sil", found, results, timing,
        {"bundle": "equal bit for bit to Python float32 over 3600 steps", "cortex-m4f": "equal bit for bit"},
        {"record": found.digest, "cell": "ab" * 32}, ended,
    )  # fmt: skip
