"""How much faster than real time the bench is on its virtual clock.

    python tests/benchmarks/bench_hil_virtual.py [--repeats 9]

The whole loop of shipped scenarios (plant, sensors and their faults, device, record), one cell, 1 s steps: without
what is done once, which is opened before and judged after it. Medians of interleaved repetitions. The bar is 1,000x
for a reduced plant and the compiled device in process; the other rows are for comparison. Then what a step of each
device takes by itself, in a module of as many cells.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable

import numpy as np

from bmsthermal import InputError
from hil.bench import open_bench
from hil.devices import plain_device
from hil.scenario import load_scenario
from hil.signals import Readings

BAR = 1000.0
#: Scenario and device of the bar, and others beside it.
MARK = "us06", "sil"
RUNS = (MARK, ("us06_sensor_drift", "sil"), ("us06", "model"), ("us06", "fmu"), ("us06", "emulated:cortex-m4f"))
DEVICES, CELLS, FEW = ("model", "sil", "fmu"), (1, 96), 200


def loop(name: str, device: str) -> Callable[[], float]:
    """Return what runs a scenario once: simulated over real seconds."""

    def once() -> float:
        with open_bench(name, device=device) as bench:
            steps = bench.steps - bench.done
            begun = time.perf_counter()
            bench.run()
            taken = time.perf_counter() - begun
            assert bench.done == bench.steps and not bench.said, bench.said
            return steps * bench.step_s / taken

    return once


def alone(text: str, cells: int) -> Callable[[], float]:
    """Return what steps a device by itself: microseconds per step."""
    observer = load_scenario("us06").make_observer()
    device = plain_device(text, observer, cells)
    volts, warm = np.full(cells, 3.3), np.full((cells, len(observer.measured)), 299.0)
    first = Readings(0.0, 5.0, volts, 298.0, warm)

    def once() -> float:
        device.reset(first, 0.5)
        begun = time.perf_counter()
        for k in range(FEW):
            device.step(Readings(k + 1.0, 5.0, volts, 298.0, warm))
        return 1e6 * (time.perf_counter() - begun) / FEW

    return once


def main() -> int:
    """Print the tables; the exit code says whether the bar holds."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=9, help="interleaved repetitions, at least 3")
    repeats = max(3, parser.parse_args().repeats)
    table: dict[tuple[str, str], Callable[[], float]] = {}
    for name, device in RUNS:
        run = loop(name, device)
        try:
            run()  # builds what is cached
        except InputError as error:
            print(f"{name} on {device} left out: {error}")
        else:
            table[name, device] = run
    found: dict[tuple[str, str], list[float]] = {key: [] for key in table}
    for _ in range(repeats):
        for key, run in table.items():
            found[key].append(run())
    if hasattr(os, "getloadavg"):
        print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors: what else runs here is in the times")
    print(f"{'scenario':<20}{'device':<24}{'x real time':>12}{'least':>9}{'us per step':>13}")
    for (name, device), ratios in found.items():
        middle = statistics.median(ratios)
        verdict = f"   bar {BAR:,.0f}x: {'holds' if middle >= BAR else 'MISSED'}" if (name, device) == MARK else ""
        print(f"{name:<20}{device:<24}{middle:>12,.0f}{min(ratios):>9,.0f}{1e6 / middle:>13.0f}{verdict}")
    print(f"\n{'device alone':<20}{'cells':>6}{'us per step':>13}")
    for text in DEVICES:
        for cells in CELLS:
            step = alone(text, cells)
            print(f"{text:<20}{cells:>6}{statistics.median(step() for _ in range(repeats)):>13.0f}")
    return int(MARK not in found or statistics.median(found[MARK]) < BAR)


if __name__ == "__main__":
    sys.exit(main())
