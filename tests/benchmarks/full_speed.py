"""Speed of the full model at equal accuracy, against PyBaMM's fastest solver, both in one run and in turns.

    python tests/benchmarks/full_speed.py [--cell lgm50_21700] [--rounds 7] [--plot frontier.png] [--only warm]

Needs ``pybamm``. Three comparisons, each a ratio of CPU times (ours over theirs, least of several turns), bar 0.5:

cold
    From the file to the first solution, defaults, a fresh process each, its start and imports excluded.
warm
    A 1C discharge, everything built; V and T each minute on both sides. Families of meshes and tolerances give each
    side's least time for an error (each against its own converged answer, V as RMS, T as the largest); the ratio is
    taken at the error of PyBaMM's default (20 uniform points, 1e-4) and of its best mesh (Chebyshev, graded).
drive
    600 s of US06 in steps of 1 s, 3C peak, default meshes and tolerances, each sample held on both sides.

The last table is what a temperature costs: lumped over x-resolved, same mesh.
"""

from __future__ import annotations

import argparse
import gc
import os
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

for _threads in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
    os.environ.setdefault(_threads, "1")
sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np  # noqa: E402
import peer  # noqa: E402

from bmsthermal import Cell, CoupledModel, Run, load_cell  # noqa: E402
from bmsthermal.console import print_table, steps  # noqa: E402
from bmsthermal.dfn.mesh import Mesh  # noqa: E402
from bmsthermal.dfn.particle import ParticleGrid  # noqa: E402
from bmsthermal.vehicle import Vehicle, load_schedule  # noqa: E402

Array = np.ndarray
BAR, EVERY_S = 0.5, 60.0
CELLS = ("lgm50_21700", "lco_marquis")
READ = ("Voltage [V]", "Volume-averaged cell temperature [K]")
OURS = {
    f"{n}/{s}/{p} degree {degree}": Mesh(n, s, p, ParticleGrid(degree), ParticleGrid(degree))
    for n, s, p, degree in (
        (4, 2, 3, 4), (6, 2, 4, 4), (8, 2, 4, 5), (8, 3, 5, 6), (12, 3, 6, 6), (16, 4, 8, 7), (24, 4, 12, 7),
        (32, 6, 16, 9),
    )
}  # fmt: skip
OUR_TOLERANCES = (1e-3, 1e-4, 1e-5, 1e-6)
THEIR_TOLERANCES = ((1e-3, 1e-6), (1e-4, 1e-6), (1e-6, 1e-8))


def _chebyshev(n: int, r: int, stretch: float) -> dict[str, Any]:
    x_s = max(4, round(0.6 * n))
    return {"x_n": n, "x_s": x_s, "x_p": n, "r_n": r, "r_p": r, "x": "chebyshev", "stretch": stretch}


THEIRS: dict[str, Any] = {f"uniform {n}": n for n in (10, 20, 40, 80)} | {
    f"Chebyshev {n}": _chebyshev(n, n, 2.5 if n == 30 else 2.0) for n in (6, 8, 10, 14, 20, 30)
}


@dataclass
class Side:
    """One way to solve: what runs it, and what came of it."""

    name: str
    run: Callable[[], tuple[Array, Array]]
    spent_s: list[float] = field(default_factory=list)
    voltage_mV: float = np.nan
    temperature_mK: float = np.nan

    def once(self) -> tuple[Array, Array]:
        """Run and keep the CPU time."""
        gc.collect()
        began = time.process_time()
        found = self.run()
        self.spent_s.append(time.process_time() - began)
        return found

    @property
    def least_ms(self) -> float:
        """Least time so far."""
        return 1e3 * min(self.spent_s)


def ours(cell: Cell, thermal: str, mesh: Mesh | None, tolerance: float, every_s: float = EVERY_S) -> Callable[[], Any]:
    """What solves a 1C discharge with a model that is built, functions and all."""
    model = CoupledModel(cell, heat="three-term", thermal=thermal, mesh=mesh)
    text = f"discharge 1C until {model.equations.parameters.lower_voltage_V} V"

    def run() -> tuple[Array, Array]:
        found = model.simulate(text, step_s=every_s, rtol=tolerance, atol=tolerance)
        return found.voltage_V[:-1], found.mean_K[:-1]

    return run


def theirs(cell: Cell, file: Path, thermal: str, mesh: Any, tolerance: tuple[float, float]) -> Callable[[], Any]:
    """The same by PyBaMM; the solver keeps and computes nothing but the two series."""
    built = peer.build(
        file, None, c_rate=1.0, thermal=thermal, ambient_K=298.15, initial_soc=1.0, profile=None, mesh=mesh,
        rtol=tolerance[0], atol=tolerance[1], h_W_m2K=_cooling(cell, thermal), only=READ,
    )  # fmt: skip
    grid = np.arange(0.0, 5400.0 + EVERY_S / 2, EVERY_S)
    current = {"I": built.pieces[0][2]}

    def run() -> tuple[Array, Array]:
        solution = built.sim.solve(grid[[0, -1]], t_interp=grid, inputs=current)
        rows = int(np.searchsorted(grid, solution.t[-1]))
        voltage, temperature = (np.asarray(solution[name].data)[:rows] for name in READ)
        return voltage, temperature

    return run


def _cooling(cell: Cell, thermal: str) -> float:
    return 10.0 if thermal == "lumped" else 5.0 * cell.external_area_m2 / cell.electrochemistry.area_m2


def prepared(name: str, folder: Path) -> tuple[Cell, Path]:
    """Cell with the numbers that make both sides the same, and its file."""
    cell = peer.alike(load_cell(name), peer.EXTRA[name])
    cell.save(folder / f"{name}.json")
    return cell, folder / f"{name}.json"


def _error(side: Side, found: tuple[Array, Array], reference: tuple[Array, Array]) -> None:
    n = min(len(found[0]), len(reference[0]))
    if abs(len(found[0]) - len(reference[0])) > 2:  # it gave up on the way: no answer, however fast
        side.voltage_mV = side.temperature_mK = np.inf
        return
    side.voltage_mV = 1e3 * float(np.sqrt(np.mean((found[0][:n] - reference[0][:n]) ** 2)))
    side.temperature_mK = 1e3 * float(np.abs(found[1][:n] - reference[1][:n]).max())


def frontier(sides: list[Side], quantity: str) -> tuple[Array, Array]:
    """Errors, falling, and the least time that reaches each."""
    points = sorted((s.least_ms, getattr(s, quantity)) for s in sides if np.isfinite(getattr(s, quantity)))
    best: list[tuple[float, float]] = []
    for spent, error in points:
        if not best or error < best[-1][1]:
            best.append((spent, error))
    spent, error = np.array(best).T
    return error, spent


def reach_ms(sides: list[Side], quantity: str, error: float) -> float:
    """Least time to an error, between points by logarithms; the fastest point where all are better."""
    errors, spent = frontier(sides, quantity)
    if error < errors[-1]:
        return np.inf
    return float(np.exp(np.interp(-np.log(error), -np.log(errors), np.log(spent))))


def warm(name: str, thermal: str, rounds: int, folder: Path, say: Callable[[str], None]) -> dict[str, list[Side]]:
    """Families of both sides, timed in turns."""
    cell, file = prepared(name, folder)
    say(f"{name} {thermal}: references")
    reference = {
        "ours": ours(cell, thermal, peer.OUR_MESH[name], 1e-8)(),
        "theirs": theirs(cell, file, thermal, peer.THEIR_MESH[name], (1e-7, 1e-9))(),
    }
    sides: dict[str, list[Side]] = {"ours": [], "theirs": []}
    for title, mesh in OURS.items():
        sides["ours"] += [Side(f"{title}, {tol:g}", ours(cell, thermal, mesh, tol)) for tol in OUR_TOLERANCES]
    for title, points in THEIRS.items():
        say(f"{name} {thermal}: build {title}")
        wanted = THEIR_TOLERANCES if points != 80 else THEIR_TOLERANCES[1:2]
        sides["theirs"] += [Side(f"{title}, {tol[0]:g}", theirs(cell, file, thermal, points, tol)) for tol in wanted]
    for who, some in sides.items():
        for side in some:
            say(f"{name} {thermal}: first run of {side.name}")
            _error(side, side.run(), reference[who])
    for turn in range(rounds):
        say(f"{name} {thermal}: turn {turn + 1} of {rounds}")
        longest = max(map(len, sides.values()))
        for k in range(longest):
            for some in sides.values():
                if k < len(some) and (turn < 2 or some[k].least_ms < 300):
                    some[k].once()
    return sides


def drive(name: str, rounds: int, folder: Path, say: Callable[[str], None]) -> tuple[Side, Side]:
    """US06, both at their defaults; errors against our converged answer."""
    cell, file = prepared(name, folder)
    time_s, speed = load_schedule("us06")
    current = Vehicle().cell_current_A(time_s, speed)[:601]
    at = np.arange(601.0)
    peak = 3 * cell.electrochemistry.nominal_Ah / np.abs(current).max()
    current = np.append(peak * current[:600], peak * current[599])
    profile = Run(at, current, np.full(601, np.nan), np.full(601, 298.15), name="US06")

    def mine(mesh: Mesh | None, tolerance: float) -> Callable[[], Any]:
        model = CoupledModel(cell, heat="three-term", thermal="lumped", mesh=mesh)

        def run() -> tuple[Array, Array]:
            found = model.simulate(profile, initial_soc=0.7, rtol=tolerance, atol=tolerance)
            return found.voltage_V[:-1], found.mean_K[:-1]

        return run

    say(f"{name}: drive, references and builds")
    limits = cell.electrochemistry.lower_voltage_V, cell.electrochemistry.upper_voltage_V
    built = peer.build(
        file, None, c_rate=1.0, thermal="lumped", ambient_K=298.15, initial_soc=0.7, profile=(at, current),
        mesh="default", rtol=1e-4, atol=1e-6, h_W_m2K=10.0, limits_V=limits,
    )  # fmt: skip

    def their_run() -> tuple[Array, Array]:
        solution = peer._solve(built.sim, built.pieces, at)
        grid = peer._grid(at[:-1], built.pieces, float(solution.t[-1]))
        voltage, temperature = (np.asarray(solution[key](t=grid)) for key in READ)
        return voltage, temperature

    reference = mine(peer.OUR_MESH[name], 1e-7)()
    pair = Side("ours", mine(None, 1e-5)), Side("PyBaMM", their_run)
    for side in pair:
        _error(side, side.run(), reference)
        if len(side.run()[0]) < 600:
            raise RuntimeError(f"{side.name} does not reach the end of the drive")
    for turn in range(min(rounds, 3)):
        say(f"{name}: drive, turn {turn + 1}")
        for side in pair:
            side.once()
    return pair


COLD = """
import sys, time, warnings; warnings.simplefilter("ignore"); sys.path[:0] = {paths!r}
import full_speed as speed
from bmsthermal import load_cell
from pathlib import Path
import bmsthermal.dfn.build, bmsthermal.protocol, sksundae.ida, scipy.sparse.linalg, rich.progress
file, thermal = Path({file!r}), {thermal!r}
cooling = {cooling!r}
speed._cooling = lambda cell, thermal: cooling
began = time.process_time()
run = speed.ours(load_cell(file), thermal, None, 1e-5) if {who!r} == "ours" else speed.theirs(
    None, file, thermal, "default", (1e-4, 1e-6))
run()
print(time.process_time() - began)
"""


def cold(name: str, thermal: str, rounds: int, folder: Path, say: Callable[[str], None]) -> tuple[Side, Side]:
    """Fresh processes in turns."""
    cell, file = prepared(name, folder)
    pair = Side("ours", lambda: (np.empty(0), np.empty(0))), Side("PyBaMM", lambda: (np.empty(0), np.empty(0)))
    for turn in range(min(rounds, 3)):
        for side in pair:
            say(f"{name} {thermal}: cold, turn {turn + 1}, {side.name}")
            paths = [str(Path(__file__).parent), str(Path(__file__).parents[1])]
            code = COLD.format(
                paths=paths, file=str(file), thermal=thermal, cooling=_cooling(cell, thermal), who=side.name
            )
            done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
            side.spent_s.append(float(done.stdout.split()[-1]))
    return pair


def plot(found: dict[tuple[str, str], dict[str, list[Side]]], path: Path) -> None:
    """Error against time, and each side's frontier."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(2, len(found), figsize=(4.2 * len(found), 8), layout="constrained", squeeze=False)
    for column, (title, sides) in zip(axes.T, found.items(), strict=True):
        for axis, quantity in zip(column, ("voltage_mV", "temperature_mK"), strict=True):
            for who, colour in (("ours", "C0"), ("theirs", "C1")):
                label = {"ours": "bmsthermal", "theirs": "PyBaMM, IDAKLU"}[who]
                axis.loglog([s.least_ms for s in sides[who]], [getattr(s, quantity) for s in sides[who]], ".", c=colour)
                error, spent = frontier(sides[who], quantity)
                axis.loglog(spent, error, "-", c=colour, label=label)
            axis.set(xlabel="CPU time of one solve, ms", title=", ".join(title))
            axis.grid(alpha=0.3, which="both")
        column[0].set_ylabel("voltage, RMS error, mV")
        column[1].set_ylabel("temperature, largest error, mK")
        column[0].legend()
    figure.suptitle("1C discharge, everything built, V and T each minute; error against the own converged answer")
    figure.savefig(path, dpi=120)


def _compare(found: dict[tuple[str, str], dict[str, list[Side]]]) -> tuple[list[list[str]], list[float]]:
    rows, ratios = [], []
    for (name, thermal), sides in found.items():
        for quantity, unit in (("voltage_mV", "mV"), ("temperature_mK", "mK")):
            default = next(side for side in sides["theirs"] if side.name == "uniform 20, 0.0001")
            best = min((s for s in sides["theirs"] if s.name.startswith("Cheb")), key=lambda s: getattr(s, quantity))
            for side in (default, best):
                error = getattr(side, quantity)
                mine, their = (reach_ms(sides[who], quantity, error) for who in ("ours", "theirs"))
                ratios.append(mine / their)
                rows.append([
                    f"{name} {thermal}, {quantity[0].upper()}", side.name, f"{error:.3g} {unit}",
                    f"{side.least_ms:.1f}", f"{their:.1f}", f"{mine:.1f}", f"{mine / side.least_ms:.2f}",
                    f"{mine / their:.2f}", _said(mine / their),
                ])  # fmt: skip
    return rows, ratios


def _said(ratio: float, bar: float = BAR) -> str:
    return "pass" if ratio <= bar else "MISSED"


def main() -> int:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(description="Speed of the full model at equal accuracy, against PyBaMM.")
    parser.add_argument("--cell", action="append", choices=CELLS)
    parser.add_argument("--only", action="append", choices=("cold", "warm", "drive"))
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--plot", type=Path)
    chosen = parser.parse_args()
    warnings.simplefilter("ignore")
    names, only = chosen.cell or CELLS, chosen.only or ("cold", "warm", "drive")
    found: dict[tuple[str, str], dict[str, list[Side]]] = {}
    table: list[list[str]] = []
    ratios: list[float] = []
    with tempfile.TemporaryDirectory() as made, steps(400 * len(names)) as say:
        folder = Path(made)
        for name in names:
            for thermal in ("lumped", "x"):
                if "warm" in only:
                    found[name, thermal] = warm(name, thermal, chosen.rounds, folder, say)
                if "cold" in only:
                    pair = cold(name, thermal, chosen.rounds, folder, say)
                    table.append(_pair(f"{name} {thermal}, cold", pair))
                    ratios.append(pair[0].least_ms / pair[1].least_ms)
            if "drive" in only:
                pair = drive(name, chosen.rounds, folder, say)
                table.append(_pair(f"{name} lumped, US06 600 s", pair))
                ratios.append(pair[0].least_ms / pair[1].least_ms)
    columns = ("side", "V rms, mV", "T max, mK", "least, ms", "median, ms")
    for title, sides in found.items():
        rows = [_line(f"{who}: {side.name}", side) for who, some in sides.items() for side in some]
        print_table(" ".join(title) + ", 1C discharge", columns, rows)
    if found:
        rows, warm_ratios = _compare(found)
        ratios += warm_ratios
        print_table(
            "warm, at equal accuracy", ("what", "PyBaMM's mesh", "its error", "its, ms", "its frontier, ms", "ours, ms",
            "ours / its", "frontiers", f"bar {BAR}"), rows,
        )  # fmt: skip
        for name in names:
            sums = {t: {s.name: s.least_ms for s in found[name, t]["ours"]} for t in ("lumped", "x")}
            shares = [sums["lumped"][side] / sums["x"][side] for side in sums["x"]]
            ratios.append(BAR * float(np.median(shares)))  # a bar of one
            said = _said(float(np.median(shares)), 1.0)
            print(f"{name}: lumped over x, same mesh and tolerance: median {np.median(shares):.2f}, bar 1: {said}")
    if table:
        columns = ("what", "ours, ms", "V rms, T max", "PyBaMM, ms", "V rms, T max", "ratio", f"bar {BAR}")
        print_table("cold and drive, defaults", columns, table)
    if found and chosen.plot:
        plot(found, chosen.plot)
    return int(max(ratios) > BAR)


def _line(title: str, side: Side) -> list[str]:
    middle = 1e3 * float(np.median(side.spent_s))
    return [title, f"{side.voltage_mV:.4f}", f"{side.temperature_mK:.3f}", f"{side.least_ms:.1f}", f"{middle:.1f}"]


def _pair(title: str, pair: tuple[Side, Side]) -> list[str]:
    ratio, shown = pair[0].least_ms / pair[1].least_ms, []
    for side in pair:
        known = np.isfinite(side.voltage_mV)
        error = f"{side.voltage_mV:.2f} mV, {side.temperature_mK:.1f} mK" if known else "-"
        shown += [f"{side.least_ms:.0f}", error]
    return [title, *shown, f"{ratio:.2f}", _said(ratio)]


if __name__ == "__main__":
    raise SystemExit(main())
