"""A module of 96 cells in real time at 10 Hz, its device behind CAN in another process.

    python tests/benchmarks/bench_hil_module.py [--minutes 10] [--device can] [--cells 96]

Plant, sensors and bus are stepped under SCHED_FIFO with locked memory where the machine grants them; the device is our
observer as a CAN device on a loopback bus; each row of signals and each frame is streamed to loggers in processes of
their own. The bar: 0 overruns in 10 minutes. What else the machine does is told by its load, which is printed.
"""

from __future__ import annotations

import argparse
import math
import os
import resource
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from bmsthermal.console import print_table
from hil.bench import GRACE_STEPS, open_bench
from hil.bus import CanDevice, Framed
from hil.record import column_names
from hil.scenario import Scenario
from hil.signals import Status
from hil.timing import CsvSink, FrameStream, Stream, realtime

STEP_S, CYCLE_S = 0.1, 600.0


def module(cells: int, minutes: float) -> Scenario:
    """A drive of US06 by a module whose cells are not alike."""
    return Scenario.model_validate({
        "name": "module",
        "title": f"{cells} cells, US06",
        "step_s": STEP_S,
        "duration_s": 60.0 * minutes,
        "initial_soc": 0.9,
        "profile": [{"kind": "drive", "schedule": "us06", "repeat": math.ceil(60.0 * minutes / CYCLE_S)}],
        "plant": {"cells": cells},
        "bus": {},
        "requirements": [{"id": "OVERRUNS", "kind": "overruns"}],
    })  # fmt: skip


def measure(scenario: Scenario, device: str, bus: str, policy: str) -> dict[str, Any]:
    """Run it, with the rows going to a logger; how the time was kept, and what the logger and the device did."""
    names = column_names(scenario.plant.cells, scenario.observer.sensors, ())
    with (
        tempfile.TemporaryDirectory() as folder,
        Stream(len(names), partial(CsvSink, Path(folder) / "module.csv", names), depth=64) as rows,
        FrameStream(Path(folder) / "module.blf") as frames,
        open_bench(
            scenario, device=device, bus=bus, clock="real", policy=policy, seen=lambda _, row: rows.put(row)
        ) as bench,
    ):  # fmt: skip
        if isinstance(bench.device, (CanDevice, Framed)):
            bench.device.log = frames
        for name, logger in (("rows", rows), ("frames", frames.stream)):
            if logger.pid is not None:
                bench.pacer.usage.watch(f"logger of {name}", logger.pid)
        with realtime():
            record = bench.run()
        rows.close()
        frames.close()
        # the first answer comes a step late: what starts up is not counted, as it is not among the overruns
        status = np.bincount(record["status"][GRACE_STEPS:].astype(int), minlength=len(Status))
        return bench.pacer.report() | {
            "logged": {"rows": rows.report(), "frames": frames.report()},
            "answers": {each.name: int(status[each]) for each in Status if status[each]},
            "said": record.said[:3],
            "resident_MB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        }


def show(timing: dict[str, Any]) -> None:
    """Print how the time was kept."""
    measured = {"begins late by": timing["lateness"]}
    measured |= {name: task["execution"] for name, task in timing["tasks"].items()}
    keys = "p50_s", "p99_s", "p99_9_s", "max_s"
    rows = [[name, *(f"{1e3 * times[key]:.3f}" for key in keys)] for name, times in measured.items()]
    print_table("times", ("task", "p50, ms", "p99, ms", "p99.9, ms", "max, ms"), rows)
    print(f"{timing['steps']} steps of {timing['period_s']:g} s, {timing['overruns']} overruns", end=", ")
    print(f"{timing['skipped']} skipped, {timing['grace']['overruns']} overruns in the grace")
    print(f"{timing['scheduler']}, memory {'locked' if timing['memory_locked'] else 'not locked'}", end=", ")
    print(f"load {timing['load'][0]:.2f} to {timing['load'][1]:.2f} on {os.cpu_count()} cores")
    print("share of a core: " + ", ".join(f"{who} {_percent(share)}" for who, share in timing["cpu_share"].items()))
    for name, logged in timing["logged"].items():
        print(f"{name}: {logged['written']} written, {logged['lost']} lost")
    print(f"answers: {timing['answers']}; resident memory {timing['resident_MB']:.0f} MB at most")
    for time_s, sentence in timing["said"]:
        print(f"at {time_s:.1f} s: {sentence}")


def _percent(share: float | None) -> str:
    return "unknown" if share is None else f"{100 * share:.1f} %"


def main() -> int:
    """Measure; the exit code says whether the bar holds."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--cells", type=int, default=96)
    parser.add_argument("--device", default="can")
    parser.add_argument("--bus", default="udp_loopback", help="python-can interface, or interface:channel")
    parser.add_argument("--policy", default="drop")
    given = parser.parse_args()
    scenario = module(given.cells, given.minutes)
    timing = measure(scenario, given.device, given.bus, given.policy)
    show(timing)
    answered = timing["answers"].get("OK", 0) / sum(timing["answers"].values())
    held = not timing["overruns"] and not timing["skipped"] and answered >= 0.999
    print(f"bar 0 overruns in {given.minutes:g} min: {'holds' if held else 'MISSED'}")
    return int(not held)


if __name__ == "__main__":
    sys.exit(main())
