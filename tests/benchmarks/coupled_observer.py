"""Accuracy of the observer on the reduced coupled model, beside the thermal one on the same runs.

    python tests/benchmarks/coupled_observer.py [--truth FOLDER] [--ambient 25] [--profile us06] [--lines rows.md]

One reduced LG M50 of 14 states. Truth is the full model, 1,800 s of US06 and WLTC with a peak of 2.5C from 70 % charge,
-10, 25 and 40 degC, h 60 W/m2K, whose heat capacity, thermal conductivity and resistance (those of electrolyte,
electrodes and reactions, each) are 10 % more or less than the model's: all eight corners. Both observers start 10 K
and 10 % of charge too high, or both too low; sensors have 0.05 K and 2 mV of noise. The thermal one has four states and
takes its heat from the measured voltage and the electrodes' own open-circuit voltage. Bar, each run: core within 0.3 K
RMSE after 300 s, and charge within 3 % at every row from there on. Exit code 1 if one is missed.

A full run is made once and kept in FOLDER (some 10 s of CPU each, and the runs that the model is made from).
"""

from __future__ import annotations

import argparse
import copy
import io
import itertools
import os
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

for _threads in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
    os.environ.setdefault(_threads, "1")
if not sys.stdout.isatty():
    os.environ.setdefault("COLUMNS", "165")  # a table in a file is not cut to a screen

import numpy as np  # noqa: E402

from bmsthermal import Cell, CoupledModel, Observer, Run, load_cell  # noqa: E402
from bmsthermal.console import print_table, steps  # noqa: E402
from bmsthermal.files import ZERO_DEGC_K, folder, write_whole  # noqa: E402
from bmsthermal.profiles import profile_of  # noqa: E402

CELL, H, PEAK_C, SOC, SECONDS, SPREAD = "lgm50_21700", 60.0, 2.5, 0.7, 1800, 0.1
DRIVES, AMBIENT_DEGC = ("us06", "wltc_3b"), (-10, 25, 40)
#: What is known at the start is off by, in K and in charge; sensors' noise in K and V; from when on it counts; bars.
OFF_K, OFF_SOC, SURFACE_K, VOLTAGE_V, FROM_S, CORE_BAR_K, SOC_BAR = 10.0, 0.1, 0.05, 0.002, 300, 0.3, 0.03
TRUTH = Path.home() / ".cache" / "bmsthermal" / "truth"
HEAD = (
    "drive, degC", "runs", "core minus surface, K rms", "core, K rms: coupled", "max", "inside 2 sigma, %",
    "thermal", "max", "charge off, %: coupled", "inside 2 sigma, %", "thermal", "bar",
)  # fmt: skip
#: Beyond the cut-offs in V, where a peak in the cold leads.
BEYOND_V = 0.5


def scaled(part: dict[str, Any], key: str, factor: float) -> None:
    """Multiply a number or a formula of a file."""
    part[key] = f"({part[key]}) * {factor!r}" if isinstance(part[key], str) else part[key] * factor


def cell_of(capacity: float = 1.0, conductivity: float = 1.0, resistance: float = 1.0) -> Cell:
    """LG M50 whose heat capacity, thermal conductivity and resistance are multiplied."""
    document = copy.deepcopy(dict(load_cell(CELL).document))
    p = document["Parameterisation"]
    scaled(p["Cell"], "Specific heat capacity [J.K-1.kg-1]", capacity)
    scaled(p["User-defined"], "Radial thermal conductivity [W.m-1.K-1]", conductivity)
    for section in ("Electrolyte", "Negative electrode", "Positive electrode"):
        scaled(p[section], "Conductivity [S.m-1]", 1 / resistance)
    for section in ("Negative electrode", "Positive electrode"):
        scaled(p[section], "Reaction rate constant [mol.m-2.s-1]", 1 / resistance)
    p["Cell"]["Lower voltage cut-off [V]"] -= BEYOND_V
    p["Cell"]["Upper voltage cut-off [V]"] += BEYOND_V
    cell = Cell(CELL, document)
    return cell.with_values({"Heat transfer coefficient [W.m-2.K-1]": dict.fromkeys(cell.walls, H)})


@dataclass(frozen=True)
class Case:
    """A drive, an ambient, and whether heat capacity, conductivity and resistance are more (1) or less (-1)."""

    kind: str
    degC: int
    signs: tuple[int, int, int]

    @property
    def ambient_K(self) -> float:
        return self.degC + ZERO_DEGC_K

    @property
    def file(self) -> str:
        corner = "".join("+-"[sign < 0] for sign in self.signs)
        return f"observed_{CELL}_{self.kind}_{self.degC}_{corner}.npz"


CASES = [Case(*each) for each in itertools.product(DRIVES, AMBIENT_DEGC, itertools.product((1, -1), repeat=3))]


def make(case: Case, place: Path) -> None:
    """Run the full model and keep a row each second."""
    cell = cell_of(*(1 + SPREAD * sign for sign in case.signs))
    run, _ = profile_of(case.kind, cell.capacity_Ah)
    current = run.current_A[:-1] * (PEAK_C * cell.capacity_Ah / np.abs(run.current_A).max())
    current = np.resize(current, SECONDS + 1)
    unknown = np.full(current.shape, np.nan)
    drive = Run(np.arange(float(len(current))), current, unknown, unknown, name=case.kind)
    found = CoupledModel(cell).simulate(drive, initial_soc=SOC, ambient_K=case.ambient_K)
    rows = np.searchsorted(found.time_s, np.arange(int(found.time_s[-1]) + 1) - 1e-9)
    columns = {name: getattr(found, name)[rows] for name in ("current_A", "voltage_V", "soc", "core_K")}
    columns["surface_K"] = next(iter(found.surfaces_K.values()))[rows]
    buffer = io.BytesIO()
    np.savez(buffer, **columns, digest=cell.digest)
    write_whole(place / case.file, buffer.getvalue())


def observers(place: Path) -> tuple[Observer, Observer]:
    """Return the coupled observer, and the thermal one with the open-circuit voltage of the electrodes."""
    cell = cell_of()
    reduced = CoupledModel(load_cell(CELL)).reduce(order=14, cache=folder(place / "sweep")).with_h(H)
    charge = np.linspace(0.0, 1.0, 65)
    table = {"x": charge.tolist(), "y": cell.electrochemistry.open_circuit_V(charge).tolist()}
    thermal = CoupledModel(cell.with_values({"Open-circuit voltage [V]": table}), heat="measured").reduce(order=4)
    return Observer(reduced), Observer(thermal)


@dataclass(frozen=True)
class Score:
    """Errors of an observer from `FROM_S` on: core in K, charge in parts of 1; what is inside two of its sigma."""

    core_rms_K: float
    core_max_K: float
    soc: float
    core_inside: float
    soc_inside: float

    @classmethod
    def of(cls, observer: Observer, run: Run, soc: np.ndarray, sign: int) -> Score:
        """Run it from a wrong start; charge has a sigma in the coupled one only."""
        start_K, start_soc = run.ambient_K[0] + sign * OFF_K, SOC + sign * OFF_SOC
        found = observer.run(run, initial_soc=start_soc, start_K=float(start_K))
        assert run.core_K is not None
        core, charge = (found.core_K - run.core_K)[FROM_S:], (found.soc - soc)[FROM_S:]
        sure = getattr(found, "soc_std", np.full(len(soc), np.nan))[FROM_S:]
        return cls(
            float(np.sqrt(np.mean(core**2))), float(np.abs(core).max()), float(np.abs(charge).max()),
            float(np.mean(np.abs(core) <= 2 * found.core_std_K[FROM_S:])), float(np.mean(np.abs(charge) <= 2 * sure)),
        )  # fmt: skip


def measured(case: Case, place: Path) -> tuple[Run, np.ndarray]:
    """Full run as sensors see it, always with the same noise, and its charge."""
    with np.load(place / case.file) as kept:
        data = dict(kept)
    noise, k = np.random.default_rng(CASES.index(case)), len(data["soc"])
    surface = data["surface_K"] + SURFACE_K * noise.standard_normal(k)
    voltage = data["voltage_V"] + VOLTAGE_V * noise.standard_normal(k)
    around = np.full(k, case.ambient_K)
    run = Run(np.arange(float(k)), data["current_A"], voltage, around, {"surface": surface}, data["core_K"])
    return run, data["soc"]


def row(kind: str, degC: int, scores: Iterable[tuple[float, Score, Score]]) -> tuple[str, ...]:
    """Worst of all runs of a drive and an ambient."""
    apart, ours, other = zip(*scores, strict=True)
    core, soc = max(s.core_rms_K for s in ours), max(s.soc for s in ours)
    missed = [name for name, found, bar in (("core", core, CORE_BAR_K), ("charge", soc, SOC_BAR)) if not found <= bar]
    return (
        f"{kind} {degC}", str(len(ours)), f"{max(apart):.2f}",
        f"{core:.3f}", f"{max(s.core_max_K for s in ours):.2f}", f"{100 * min(s.core_inside for s in ours):.0f}",
        f"{max(s.core_rms_K for s in other):.3f}", f"{max(s.core_max_K for s in other):.2f}",
        f"{100 * soc:.2f}", f"{100 * min(s.soc_inside for s in ours):.0f}", f"{100 * max(s.soc for s in other):.1f}",
        "MISSED " + ", ".join(missed) if missed else "pass",
    )  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description="Accuracy of the observer on the reduced coupled model.")
    parser.add_argument("--profile", action="append", choices=DRIVES)
    parser.add_argument("--ambient", action="append", type=int, choices=AMBIENT_DEGC, help="degC")
    parser.add_argument("--truth", type=Path, default=TRUTH, help=f"folder of the full runs, by default {TRUTH}")
    parser.add_argument("--lines", type=Path, help="file that the rows go to, for a page")
    chosen = parser.parse_args()
    place = folder(chosen.truth)
    cases = [
        case for case in CASES
        if case.kind in (chosen.profile or DRIVES) and case.degC in (chosen.ambient or AMBIENT_DEGC)
    ]  # fmt: skip
    scores: dict[tuple[str, int], list[tuple[float, Score, Score]]] = {}
    with steps(1 + len(cases)) as step:
        step("reduced model")
        coupled, thermal = observers(place)
        for case in cases:
            step(case.file)
            if not (place / case.file).is_file():
                make(case, place)
            run, soc = measured(case, place)
            assert run.core_K is not None
            apart = float(np.sqrt(np.mean((run.core_K - run.surfaces_K["surface"])[FROM_S:] ** 2)))
            for sign in (1, -1):
                both = [Score.of(observer, run, soc, sign) for observer in (coupled, thermal)]
                scores.setdefault((case.kind, case.degC), []).append((apart, both[0], both[1]))
    table = [row(*where, found) for where, found in scores.items()]
    print_table("errors from 300 s on, worst of all runs", HEAD, table)
    if chosen.lines:
        write_whole(chosen.lines, "".join("| " + " | ".join(line) + " |\n" for line in table))
    return int(any(line[-1] != "pass" for line in table))


if __name__ == "__main__":
    raise SystemExit(main())
