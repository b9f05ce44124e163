"""Single precision against double at 100 Hz, over ten million steps: python tests/benchmarks/short_steps.py [steps].

A step of 10 ms moves temperatures by less than their last digit, and the charge too; factored covariances and
increments with a carry are what a target runs. The run is one of the model itself, under pulses of heat.
"""

from __future__ import annotations

import sys

import numpy as np
from rich.progress import track

from bmsthermal import CoupledModel, Observer, load_cell

HZ, BLOCK_S, BAR_K = 100, 600, 0.02


def drive(model, seconds: int):
    """Heat, surface through a lag with noise, and the ambient, second by second."""
    rng = np.random.default_rng(3)
    heat = 0.012 * np.repeat(rng.choice([-12.0, 0.0, 15.0, 20.0], seconds // 20 + 1), 20)[:seconds] ** 2
    A, B = model.step.matrices(model.conductance_W_K)
    ambient_K = 283.15 + 2.0 * np.sin(np.arange(seconds) / 5000.0)
    x, reading = (ambient_K[0] - model.cell.reference_K) * model.constant, ambient_K[0]
    surface_K = np.empty(seconds)
    for k in range(seconds):
        surface = model.outputs[2] @ x + model.cell.reference_K
        reading += (surface - reading) * (1 - np.exp(-1.0 / 8.0))
        surface_K[k] = reading + 0.02 * rng.standard_normal()
        x = A @ x + B @ [heat[k], ambient_K[k] - model.cell.reference_K]
    return heat, surface_K, ambient_K


def main(steps: int) -> bool:
    """Print how far the two get from one another, and whether that is within the bar."""
    full = CoupledModel(load_cell("a123_26650"), heat="measured")
    heat, surface_K, ambient_K = drive(full.reduce(order=4), steps // HZ)
    model = full.reduce(order=4, step_s=1.0 / HZ)
    observers = [Observer(model, estimate=("h", "heat"), real=real) for real in ("double", "float")]
    engines = [observer.kernel() for observer in observers]
    for engine, observer in zip(engines, observers, strict=True):
        engine.write(observer.start(ambient_K[0], 0.5).row[None].copy())
    worst = np.zeros(3)
    for first in track(range(0, len(heat), BLOCK_S), "steps of 10 ms"):
        rows = slice(first, first + BLOCK_S)
        u = np.full((len(heat[rows]), 1, 5), np.nan)
        u[:, 0, 0], u[:, 0, 2], u[:, 0, 3] = np.sin(np.arange(len(u)) / 50.0), heat[rows], ambient_K[rows]
        states = []
        for engine, observer in zip(engines, observers, strict=True):
            given = (np.repeat(each, HZ, axis=0).astype(observer.dtype) for each in (u, surface_K[rows, None, None]))
            past = np.empty((HZ * len(u), 1, engine.state_size), observer.dtype)
            engine.run(*given, None, past)
            states.append(past[:, 0].astype(float))
        apart = np.abs(states[0] - states[1])
        core = np.abs((states[0] - states[1])[:, : model.order] @ model.outputs[0])
        worst = np.maximum(worst, [core.max(), apart[:, model.order].max(), apart[:, -3].max()])
    print(f"{steps:,} steps at {HZ} Hz, single against double precision, largest difference:")
    print(f"  core {worst[0]:.4f} K (bar {BAR_K}), ln h {worst[1]:.5f}, charge {worst[2]:.1e}")
    return bool(worst[0] <= BAR_K)


if __name__ == "__main__":
    sys.exit(0 if main(int(float(sys.argv[1])) if len(sys.argv) > 1 else 10_000_000) else 1)
