"""A module of 96 cells in real time at 10 Hz, its device behind CAN in another process.

    python tests/benchmarks/bench_hil_module.py [--minutes 10] [--device can] [--cells 96]

Plant, sensors and bus are stepped under SCHED_FIFO with locked memory where the machine grants them; the device is our
observer as a CAN device on a loopback bus, and each row is streamed to a logger in a third process. The bar: 0 overruns
in 10 minutes. A machine that does other things too is told by its load, which is printed.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

from bmsthermal.console import print_table
from hil.bench import run_scenario
from hil.bus import BusSpec
from hil.outcome import Outcome
from hil.plant import PlantSpec
from hil.record import column_names
from hil.scenario import Scenario
from hil.timing import CsvSink, Stream

STEP_S, CYCLE_S = 0.1, 600.0


def module(cells: int, minutes: float, bus: str | None) -> Scenario:
    """A drive of US06 by a module whose cells are not alike."""
    return Scenario.model_validate({
        "name": "module",
        "title": f"{cells} cells, US06",
        "step_s": STEP_S,
        "duration_s": 60.0 * minutes,
        "initial_soc": 0.9,
        "profile": [{"kind": "drive", "schedule": "us06", "repeat": math.ceil(60.0 * minutes / CYCLE_S)}],
        "plant": PlantSpec(cells=cells, spread={"capacity": 0.02, "resistance": 0.1, "heat_transfer": 0.1}),
        "bus": None if bus is None else BusSpec(interface=bus),
        "requirements": [{"id": "ALIVE", "kind": "alive"}, {"id": "OVERRUNS", "kind": "overruns"}],
    })  # fmt: skip


def measure(scenario: Scenario, device: str, policy: str) -> tuple[Outcome, dict[str, Any]]:
    """Run it, with the rows going to a logger; outcome, and what the logger did."""
    names = column_names(scenario.plant.cells, scenario.observer.sensors, ())
    with tempfile.TemporaryDirectory() as folder:
        with Stream(len(names), partial(CsvSink, Path(folder) / "module.csv", names), depth=64) as stream:
            outcome = run_scenario(
                scenario, device=device, clock="real", policy=policy, seen=lambda _, row: stream.put(row)
            )  # fmt: skip
        return outcome, stream.report()


def show(outcome: Outcome, logged: dict[str, Any]) -> None:
    """Print how the time was kept."""
    timing = outcome.timing
    rows = []
    for name, times in {"begins late by": timing["lateness"]} | {
        name: task["execution"] for name, task in timing["tasks"].items()
    }.items():
        rows.append([name, *(f"{1e3 * times[key]:.3f}" for key in ("p50_s", "p99_s", "p99_9_s", "max_s"))])
    print_table("times", ("task", "p50, ms", "p99, ms", "p99.9, ms", "max, ms"), rows)
    steps, shares = timing["steps"], timing["cpu_share"]
    print(f"{steps} steps of {timing['period_s']:g} s, {timing['overruns']} overruns, {timing['skipped']} skipped")
    print(f"{timing['scheduler']}, memory {'locked' if timing['memory_locked'] else 'not locked'}, ", end="")
    print(f"load {timing['load'][0]:.2f} to {timing['load'][1]:.2f} on {os.cpu_count()} cores")
    print("share of a core: " + ", ".join(f"{who} {_percent(share)}" for who, share in shares.items()))
    print(f"logger: {logged['written']} rows written, {logged['lost']} lost")
    for result in outcome.results:
        print(f"{result.requirement}: {'passed' if result.passed else 'FAILED'}, {result.found}")


def _percent(share: float | None) -> str:
    return "unknown" if share is None else f"{100 * share:.1f} %"


def main() -> int:
    """Measure; the exit code says whether the bar holds."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--cells", type=int, default=96)
    parser.add_argument("--device", default="can")
    parser.add_argument("--bus", default="udp_loopback", help="python-can interface, or 'none'")
    parser.add_argument("--policy", default="drop")
    given = parser.parse_args()
    scenario = module(given.cells, given.minutes, None if given.bus == "none" else given.bus)
    outcome, logged = measure(scenario, given.device, given.policy)
    show(outcome, logged)
    held = outcome.passed and not outcome.timing["overruns"] and len(outcome.record.rows) == scenario.steps
    print(f"bar 0 overruns in {given.minutes:g} min: {'holds' if held else 'MISSED'}")
    return int(not held)


if __name__ == "__main__":
    sys.exit(main())
