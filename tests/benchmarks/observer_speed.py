"""How fast the observer is, against filterpy in the same run.

    python tests/benchmarks/observer_speed.py [--repeats 9]

Six states, one wall, one sensor. Every row is the median of interleaved
repetitions, so that a machine that slows down slows down everything; ratios
are to filterpy's split ``predict`` and ``update``. Bars: one call 150x, `run`
400x, 96 cells 1000x per cell, all in float64.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np

from bmsthermal import CoupledModel, Inputs, Observer, load_cell
from bmsthermal.observer import compiled
from bmsthermal.reference import Reference
from rom.step import PlainStepper

CELLS, STEPS, FEW = 96, 100, 100
AGAIN = 30  # times over the same arrays: what is fast takes milliseconds too, and finds its caches warm
BARS = {"one call": 150.0, "run": 400.0, "96 cells, run": 1000.0}


def filterpy_loop(A: np.ndarray, H: np.ndarray, Q: np.ndarray) -> Callable[[], None]:
    """Return filterpy's extended Kalman filter on the same linear model, Jacobians at no cost."""
    from filterpy.kalman import ExtendedKalmanFilter

    ekf = ExtendedKalmanFilter(dim_x=len(A), dim_z=1)
    ekf.F, ekf.Q, ekf.R = A, Q, np.array([[0.0025]])
    z = np.array([[1.0]])

    def loop() -> None:
        for _ in range(FEW):
            ekf.predict()
            ekf.update(z, lambda x: H, lambda x: H @ x)

    return loop


def joseph_loop(A: np.ndarray, H: np.ndarray, Q: np.ndarray) -> Callable[[], None]:
    """Return the filter as a textbook writes it in NumPy."""

    def loop() -> None:
        x, P, one = np.zeros((len(A), 1)), np.eye(len(A)), np.eye(len(A))
        for _ in range(FEW):
            x, P = A @ x, A @ P @ A.T + Q
            K = P @ H.T / (H @ P @ H.T + 0.0025)
            x = x + K * (1.0 - H @ x)
            left = one - K @ H
            P = left @ P @ left.T + 0.0025 * (K @ K.T)

    return loop


def preallocated_loop(A: np.ndarray, H: np.ndarray, Q: np.ndarray) -> Callable[[], None]:
    """Return a rank-one update in NumPy without allocation, as fast as it gets there."""
    n, h = len(A), H[0].copy()
    x, P, AP, Ph, outer = np.zeros(n), np.eye(n), np.empty((n, n)), np.empty(n), np.empty((n, n))

    def loop() -> None:
        for _ in range(FEW):
            x[:] = A @ x
            np.matmul(A, P, out=AP)
            np.matmul(AP, A.T, out=P)
            np.add(P, Q, out=P)
            np.matmul(P, h, out=Ph)
            weight = 1.0 / (float(h @ Ph) + 0.0025)
            x.__iadd__(Ph * (weight * (1.0 - float(h @ x))))
            np.multiply.outer(Ph, Ph, out=outer)
            np.multiply(outer, weight, out=outer)
            np.subtract(P, outer, out=P)

    return loop


def kernel_loops(observer: Observer, name: str) -> dict[str, tuple[int, Callable[[], None]]]:
    """Every way to step the compiled kernel: label to steps of one cell, and what to time."""
    inputs = (5.0, 3.2, float("nan"), 298.15)
    one, many = observer.kernel(), observer.kernel(CELLS)
    start = observer.start(300.0, 0.5).row
    one.write(start[None].copy())
    many.write(np.tile(start, (CELLS, 1)))
    u = np.full((STEPS, CELLS, one.input_size), np.nan, observer.dtype)
    u[..., :4] = inputs
    z = np.full((STEPS, CELLS, 1), 299.0, observer.dtype)
    u1, z1 = np.tile(u[:, :1], (10, 1, 1)), np.tile(z[:, :1], (10, 1, 1))
    rows = [(np.ascontiguousarray(a), np.ascontiguousarray(b)) for a, b in zip(u[:, None], z[:, None], strict=True)]

    def call() -> None:
        step, reading = one.step, (299.0,)
        for _ in range(20 * STEPS):
            step(inputs, reading)

    def through() -> None:
        for _ in range(AGAIN):
            one.run(u1, z1)

    def batch() -> None:
        for _ in range(AGAIN):
            many.run(u, z)

    def side_by_side() -> None:
        run = many.run
        for _ in range(AGAIN):
            for a, b in rows:
                run(a, b)

    return {
        f"one call{name}": (20 * STEPS, call),
        f"run{name}": (AGAIN * len(u1), through),
        f"96 cells, run{name}": (AGAIN * STEPS * CELLS, batch),
        f"96 cells, step by step{name}": (AGAIN * STEPS * CELLS, side_by_side),
    }


def full_and_reduced() -> dict[str, tuple[int, Callable[[], None]]]:
    """One step of the full model and of the reduced one, in the same language: NumPy, a matrix times a vector."""
    full = CoupledModel(load_cell("a123_26650"), heat="measured")
    held = full.system.closed(full.conductance_W_K).discretise(1.0)
    T, drive = np.zeros(full.system.order), np.array([1.0, 0.0])

    def dense() -> None:
        x = T
        for _ in range(FEW):
            x = held.A @ x + held.B @ drive

    def reduced() -> None:
        x = small.x
        for _ in range(FEW):
            x = A @ x + B @ drive
        small.x = x.tolist()

    model = full.reduce(4)
    small = PlainStepper(model.step, model.conductance_W_K)
    A, B = model.step.matrices(model.conductance_W_K)
    return {
        f"full model, {full.system.order} states, NumPy": (FEW, dense),
        "reduced model, 4 states, NumPy": (FEW, reduced),
    }


def rows() -> dict[str, tuple[int, Callable[[], None]]]:
    """Label to (steps of one cell, what to time)."""
    model = CoupledModel(load_cell("a123_26650"), heat="measured").reduce(6)
    double, single = Observer(model), Observer(model, real="float", form="ekf")
    A, B = model.step.matrices(model.conductance_W_K)
    H = double.packed.sense
    Q = double.packed.heat_variance * np.outer(B[:, 0], B[:, 0]) + 1e-8 * np.eye(len(A))
    twin, u, z = Reference(double.packed), np.array([5.0, 3.2, np.nan, 298.15, np.nan]), np.array([299.0])
    twin.write(double.start(300.0, 0.5).row[None].copy())

    def reference() -> None:
        for _ in range(FEW):
            twin.step(u, z)

    def friendly() -> None:
        belief = double.start(300.0, 0.5)
        for _ in range(FEW):
            belief, _ = double.step(belief, Inputs(5.0, 3.2, 298.15), [299.0])

    table = {
        "filterpy predict + update": (FEW, filterpy_loop(A, H, Q)),
        "NumPy, Joseph form": (FEW, joseph_loop(A, H, Q)),
        "NumPy, preallocated": (FEW, preallocated_loop(A, H, Q)),
        "our twin on filterpy": (FEW, reference),
    }
    if compiled():
        table |= kernel_loops(double, "") | kernel_loops(single, ", float")
    return table | {"Observer.step, with estimate": (FEW, friendly)} | full_and_reduced()


def machine() -> str:
    """Processor, compiler and versions, in one line."""
    names = [platform.processor() or platform.machine()]
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as info:
            names = [line.split(":")[1].strip() for line in info if line.startswith("model name")][:1] or names
        gcc = subprocess.run(["cc", "--version"], capture_output=True, text=True, check=True).stdout.splitlines()[0]
    except (OSError, subprocess.CalledProcessError):
        gcc = "no compiler found"
    return f"{names[0]}; {gcc}; Python {platform.python_version()}, NumPy {np.__version__}"


def main() -> int:
    """Print the table; the exit code says whether every bar holds."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=9, help="interleaved repetitions, at least 7")
    repeats = max(7, parser.parse_args().repeats)
    table = rows()
    seconds: dict[str, list[float]] = {label: [] for label in table}
    for _ in range(repeats + 1):
        for label, (steps, work) in table.items():
            begun = time.perf_counter()
            work()
            seconds[label].append((time.perf_counter() - begun) / steps)
    median = {label: 1e9 * statistics.median(taken[1:]) for label, taken in seconds.items()}  # the first one warms up
    first = next(iter(median.values()))
    print(machine())
    print(f"\n{'6 states, 1 wall, 1 sensor':<34}{'ns per step':>12}{'x filterpy':>12}")
    for label, ns in median.items():
        bar = BARS.get(label)
        verdict = "" if bar is None else f"   bar {bar:.0f}x: {'holds' if first / ns >= bar else 'MISSED'}"
        print(f"{label:<34}{ns:>12.0f}{first / ns:>12.1f}{verdict}")
    full, reduced = (ns for label, ns in median.items() if "model" in label)
    print(f"\nreduced against full model, both NumPy: {full / reduced:.1f}x")
    return int(not compiled() or any(first / median[label] < bar for label, bar in BARS.items()))


if __name__ == "__main__":
    sys.exit(main())
