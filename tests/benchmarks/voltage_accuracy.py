"""What the voltage tells the thermal observer of charge and resistance, and what the model's heat is worth without it.

    python tests/benchmarks/voltage_accuracy.py [SHARED_DATA]

Truth of the first two tables is the full model on a coarse mesh, 3,000 s of US06 with a peak of 2.5C from 80 % charge,
as it is and with conductivities and rate constants over 1.2; the observer has the open-circuit voltage of the
electrodes, a resistance fitted to WLTC at 25 and -10 degC, and starts 10 % of charge too high or too low. Then 10
minutes are without voltage, and with ``surface lost`` without a surface too. Of SHARED_DATA come the runs of an
NCR18650PF, whose charge is counted from full; its resistance is fitted to two of them, at 10 degC with a rising
ambient and at 0 degC.
"""

from __future__ import annotations

import copy
import os
import sys
from dataclasses import replace
from pathlib import Path

for _threads in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
    os.environ.setdefault(_threads, "1")
if not sys.stdout.isatty():
    os.environ.setdefault("COLUMNS", "140")  # a table in a file is not cut to a screen

import numpy as np  # noqa: E402

from bmsthermal import Cell, CoupledModel, Mesh, Observer, ParticleGrid, Run, load_cell, read_measured  # noqa: E402
from bmsthermal.console import print_table  # noqa: E402
from bmsthermal.files import ZERO_DEGC_K  # noqa: E402
from bmsthermal.open_circuit import open_circuit  # noqa: E402
from bmsthermal.profiles import profile_of  # noqa: E402
from bmsthermal.resistance import fit_resistance  # noqa: E402

KINDS, SOC, SECONDS, PEAK_C, AGED = ("soc", "resistance", "heat"), 0.8, 3000, 2.5, 1.2
GAP = slice(900, 1500)
UNLOGGED_DEGC = {"10degC_cycle_1": 10.0, "0degC_cycle_1": 0.0, "0degC_us06": 0.0, "n10degC_cycle_1": -10.0}
FITTED = ("10degC_rising_ambient_cycle_1", "0degC_cycle_1")
OTHERS = ("25degC_cycle_1", "25degC_cycle_2", "10degC_cycle_1", "0degC_us06", "n10degC_cycle_1")


def aged(name: str, resistance: float) -> Cell:
    """The cell with its conductivities and rate constants over a factor, its cut-offs wider, h 60 W/m2K."""
    document = copy.deepcopy(dict(load_cell(name).document))
    p = document["Parameterisation"]
    for section in ("Electrolyte", "Negative electrode", "Positive electrode"):
        for key in ("Conductivity [S.m-1]", "Reaction rate constant [mol.m-2.s-1]"):
            if key in p[section]:
                text = isinstance(p[section][key], str)
                p[section][key] = f"({p[section][key]}) / {resistance!r}" if text else p[section][key] / resistance
    p["Cell"]["Lower voltage cut-off [V]"] -= 0.5
    p["Cell"]["Upper voltage cut-off [V]"] += 0.5
    cell = Cell(name, document)
    return cell.with_values({"Heat transfer coefficient [W.m-2.K-1]": dict.fromkeys(cell.walls, 60.0)})


def drive(cell: Cell, kind: str, degC: float, seed: int = 0) -> tuple[Run, np.ndarray]:
    """A full run as sensors see it, 0.05 K and 2 mV of noise, and its charge."""
    given, _ = profile_of(kind, cell.capacity_Ah)
    current = np.resize(given.current_A[:-1] * (PEAK_C * cell.capacity_Ah / np.abs(given.current_A).max()), SECONDS + 1)
    unknown = np.full(len(current), np.nan)
    model = CoupledModel(cell, mesh=Mesh(8, 3, 4, ParticleGrid(8), ParticleGrid(8)), nodes=8)
    wanted = Run(np.arange(float(len(current))), current, unknown, unknown, name=kind)
    found = model.simulate(wanted, initial_soc=SOC, ambient_K=degC + ZERO_DEGC_K)
    rows = np.searchsorted(found.time_s, np.arange(int(found.time_s[-1]) + 1) - 1e-9)
    noise, k = np.random.default_rng(seed), len(rows)
    voltage = found.voltage_V[rows] + 0.002 * noise.standard_normal(k)
    surface = {"surface": found.surface_K[rows] + 0.05 * noise.standard_normal(k)}
    around = np.full(k, degC + ZERO_DEGC_K)
    run = Run(np.arange(float(k)), found.current_A[rows], voltage, around, surface, found.core_K[rows], kind)
    return run, found.soc[rows]


def charge(error: np.ndarray, sigma: np.ndarray, from_s: int) -> tuple[str, ...]:
    """Columns of an error of the charge."""
    error, sigma = 100 * error[from_s:], 100 * sigma[from_s:]
    inside = f"{100 * np.mean(np.abs(error) < 2 * sigma):.0f}"
    return f"{np.sqrt(np.mean(error**2)):.1f}", f"{error[-1]:+.1f}", f"{sigma[-1]:.1f}", inside


def made() -> None:
    """Tables of the runs of the full model."""
    rows, gaps = [], []
    for name in ("lgm50_21700", "a123_26650"):
        cell, soc = aged(name, 1.0), np.linspace(0.0, 1.0, 65)
        curve = {"x": soc.tolist(), "y": cell.electrochemistry.open_circuit_V(soc).tolist()}
        known = cell.with_values({"Open-circuit voltage [V]": curve})
        known = fit_resistance(known, [drive(cell, "wltc_3b", t, 9)[0] for t in (25, -10)], initial_soc=SOC).written(
            known
        )
        model = CoupledModel(known, heat="measured").reduce(order=4)
        for degC in (25, -10):
            for factor in (1.0, AGED):
                run, truth = drive(aged(name, factor), "us06", degC)
                for off in (0.1, -0.1):
                    found = Observer(model, estimate=KINDS).run(run, initial_soc=SOC + off)
                    said = charge(found.soc - truth, found.soc_std, 60)
                    growth = f"{found.growth[-1]:+.2f} +- {found.growth_sd[-1]:.2f}"
                    rows.append((name, f"{degC}", f"{factor:g}", f"{100 * off:+.0f}", *said, growth))
                if name == "lgm50_21700":
                    gaps += [(f"{degC}", f"{factor:g}", *line) for line in without(Observer, model, run)]
    columns = ("cell", "degC", "R x", "start, %", "rms, %", "end, %", "sigma, %", "inside 2 sigma, %", "growth")
    print_table("charge and resistance, full model", columns, rows)
    columns = ("degC", "R x", "heat", "core, K rms: voltage lost", "max", "surface lost too", "max")
    print_table("core in 10 minutes without voltage, LG M50", columns, gaps)


def without(kind: type[Observer], model: object, run: Run) -> list[tuple[str, ...]]:
    """Core in a gap of the voltage, with every source of heat."""
    voltage, surface, lines = run.voltage_V.copy(), run.surfaces_K["surface"].copy(), []
    voltage[GAP] = surface[GAP] = np.nan
    for heat in (None, "measured", "model", "fused"):
        line = ["voltage an input" if heat is None else heat]
        for sensors in (run.surfaces_K, {"surface": surface}):
            given = {"estimate": ("heat",)} if heat is None else {"estimate": KINDS, "heat": heat}
            found = kind(model, **given).run(replace(run, voltage_V=voltage, surfaces_K=sensors), initial_soc=SOC)
            error = (found.core_K - run.core_K)[GAP]
            line += [f"{np.sqrt(np.mean(error**2)):.2f}", f"{np.abs(error).max():.2f}"]
        lines.append(tuple(line))
    return lines


def panasonic(folder: Path, name: str) -> Run:
    """A measured run; where the chamber was not logged, its set point."""
    degC = UNLOGGED_DEGC.get(name)
    columns = {"ambient_degC": "chamber_degC"} if degC is None else None
    return read_measured(folder / f"{name}.csv", columns=columns, ambient_degC=degC)


def measured(folder: Path) -> None:
    """Table of the measured runs, from full and from the middle of use."""
    cell = load_cell("panasonic_18650pf")
    cell = open_circuit(cell, panasonic(folder, "25degC_c20_ocv")).written(cell)
    cell = fit_resistance(cell, [panasonic(folder, name) for name in FITTED], initial_soc=1.0).written(cell)
    model, rows = CoupledModel(cell, heat="measured").reduce(4), []
    for name in (*OTHERS, *FITTED):
        run = panasonic(folder, name)
        used = np.cumsum(np.r_[0.0, np.nan_to_num(run.resample(1.0).current_A[:-1])])
        for part, off in ((0.0, -0.1), (0.4, 0.1), (0.4, -0.1)):
            rest = run.part(part, 1.0)
            truth = 1.0 - used[round(rest.time_s[0] - run.time_s[0]) :] / 3600 / cell.capacity_Ah
            found = Observer(model, estimate=KINDS).run(rest, initial_soc=min(truth[0] + off, 1.0))
            said = charge(found.soc - truth[: len(found.soc)], found.soc_std, 600)
            rows.append((name + " *" * (name in FITTED), f"{truth[0]:.2f}", f"{100 * off:+.0f}", *said))
    columns = ("run (* fitted)", "begins at", "start, %", "rms, %", "end, %", "sigma, %", "inside 2 sigma, %")
    print_table("charge, NCR18650PF, from 10 minutes on", columns, rows)


if __name__ == "__main__":
    made()
    if len(sys.argv) > 1:
        measured(Path(sys.argv[1]) / "panasonic_18650pf")
