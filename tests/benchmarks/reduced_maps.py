"""Ways to map the coordinates of the reduced model to voltage and heats: their errors and costs, beside each other.

    python tests/benchmarks/reduced_maps.py [--cell lgm50_21700] [--states 24] [--cache FOLDER]

Every map is asked at the same states, those of runs of the full model, and held against what that says there: voltage
and heat of the solids' and the electrolyte's resistance, of reaction, entropy and mixing (contact is R I^2 in all). The
coordinates are projections of the full fields on the shapes of a reduction to so many states: with 24 little is lost
before the map, 14 and 18 are what people use. Maps are made from the runs that a reduction is made from, and judged on
others (UDDS, WLTC, 1C and 2C at other coolings and ambients), at 10 to 95 % charge and until 50 mol/m3 of salt or 80
degC. Most states of a drive stand at a jump of its current, and there is no step: fast modes, which no reduction has,
count in the heat of mixing more than they do over a second.

least dissipation
    what the package does: the reaction at Gauss points, two Newton rounds; 1 + 1 is a uniform reaction.
every cell
    the reaction in every cell of the mesh, to the end: what is left is the coordinates' own error.
empirical interpolation
    principal directions of the reaction, resistivity and each heat through every electrode, in the training states;
    cells by the greedy choice; the reaction's equation is collocated there and solved by two Newton rounds. Reaction
    and resistivity have the uniform profile first, and mixing two cells more: without, the judged runs are worse.
polynomial, radial
    what is fitted is the difference from least dissipation at 1 + 1 points, of the voltage and each heat, in nine
    variables (current, 1/T, lithium, two of the salt, and surface filling of each electrode, its mean and slope
    through the depth) or in all coordinates, by degree or by number of centres; the penalty is what does best on
    training runs left out. A fit can make up for the coordinates' own error too.

``balance`` is heat summed over its terms, less what the particles give up, plus the electric work: 0 where energy
closes. The heat of reaction of least dissipation is counted here; the package takes it from the balance, which then
holds to rounding. Costs are of one evaluation beside the curves' tables; tensors on a target have k^3 numbers.
Exit code 1 if the interpolation of a profile in its own span, or the balance in every cell, is wrong.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

for _threads in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
    os.environ.setdefault(_threads, "1")
if not sys.stdout.isatty():
    os.environ.setdefault("COLUMNS", "175")  # a table in a file is not cut to a screen
sys.path.insert(0, str(Path(__file__).parent))

import numpy as np  # noqa: E402
from reduced_maps_methods import (  # noqa: E402
    HEATS,
    INTERPOLATED,
    SIDES,
    Collocated,
    Coordinates,
    Half,
    Polynomial,
    Radial,
    everywhere,
    fitted,
    greedy,
    interpolation,
    principal,
    structured,
)  # fmt: skip
from reduced_truth import CELLS  # noqa: E402

from bmsthermal import CoupledModel, Range, load_cell  # noqa: E402
from bmsthermal.console import print_table, steps  # noqa: E402
from bmsthermal.dfn.events import Events  # noqa: E402
from bmsthermal.dfn.inputs import CONTROLLED, COOLANT  # noqa: E402
from bmsthermal.dfn.solver import Solver  # noqa: E402
from bmsthermal.reduced import particles, salt  # noqa: E402
from bmsthermal.reduced.build import Ingredients, Sizes  # noqa: E402
from bmsthermal.reduced.judge import WINDOW, Referee  # noqa: E402
from bmsthermal.reduced.sweep import sweep  # noqa: E402
from bmsthermal.reduced.trace import Trace  # noqa: E402
from bmsthermal.reduced.training import check_cases, training_cases  # noqa: E402
from bmsthermal.reduced.twin import ROUNDS  # noqa: E402

Array = np.ndarray
#: Check runs that are unlike the training runs, and points, cells and centres of the maps.
TESTED = ("1C", "2C", "udds", "wltc_3b")
POINTS, CELLS_OF, CENTRES = ((1, 1), (2, 2), (3, 2), (4, 3)), ((2, 2), (3, 3), (4, 4)), 300
#: Shapes of salt, and of each electrode's particles (Padé, POD), by states.
SIZES = {14: (2, (3, 1), (3, 1)), 18: (2, (3, 3), (3, 3)), 24: (4, (5, 3), (5, 3))}
#: What has the uniform profile first in its basis, and cells more for the heat of mixing, which needs no kinetics.
UNIFORM, EXTRA = ("current", "resist"), 2
#: Voltage error in every cell beyond which a state is no example: its coordinates say that a cell has no salt.
SOUND_V = 0.05
#: Newton rounds that are enough in every cell, and what a check may be off by.
ENOUGH, EXACT = 60, 1e-9


@dataclass(frozen=True)
class Seen:
    """States of the full model: fields by name, its voltage and heats ``(k, 7)``, and the run of each."""

    fields: dict[str, Array]
    truth: Array
    run: Array

    @property
    def current_A(self) -> Array:
        return self.fields["current_A"]


def solved(model: CoupledModel, traces: Sequence[Trace], step: Callable[[str], None]) -> Seen:
    """Potentials, voltage and heats at the kept states that count: the fields say them."""
    eq, at, names = model.equations, model.equations.places, model.equations.system.names
    initial = eq.parameters.electrolyte.initial_concentration_mol_m3
    events = Events(eq, np.inf)
    solver = Solver(eq.system, 1e-5, 1e-5, events, events.count)
    fields: dict[str, list[Array]] = {name: [] for name in ("filling", "salt", "mean_K", "current_A", *SIDES)}
    truth, run = [], []
    for number, trace in enumerate(traces):
        step(f"states of {trace.case.name}")
        soc = np.interp(trace.snapshot_s, trace.time_s, trace.soc)
        until = Referee(trace, 1.0, initial).until[0]
        rows = np.flatnonzero((trace.snapshot_s < until) & (soc >= WINDOW[0]) & (soc <= WINDOW[1]))
        if not len(rows):
            continue
        y = eq.rest(soc[rows[0]], trace.snapshot_K[rows[0]])
        for i in rows:
            for name, value in (("salt", trace.salt[i]), ("T", trace.snapshot_K[i])):
                y[at[name]] = value
            for side in SIDES:
                y[at[f"x_{side}"]] = getattr(trace, side)[i].ravel()
            solver.u[:COOLANT] = *CONTROLLED["current"], trace.snapshot_current_A[i]
            y = solver.consistent(y)
            found = {
                n: float(v.sum()) for n, v in zip(names, map(np.asarray, eq.system.observe(y, solver.u)), strict=True)
            }
            sums = {heat: sum(v for n, v in found.items() if n.endswith(heat)) for heat in ("ohmic", *HEATS[2:])}
            electrolyte = sum(v for n, v in found.items() if n.endswith("ohmic") and n.startswith("electrolyte"))
            truth.append([y[at["V"][0]], sums["ohmic"] - electrolyte, electrolyte, *(sums[heat] for heat in HEATS[2:])])
        run += [number] * len(rows)
        mesh = eq.mesh
        fields["filling"].append((trace.negative[rows] @ mesh.particle_negative.share).mean(axis=1))
        for side in SIDES:
            fields[side].append(particles.expand(getattr(mesh, f"particle_{side}"), getattr(trace, side)[rows]))
        for name, values in (
            ("salt", trace.salt), ("mean_K", trace.snapshot_K), ("current_A", trace.snapshot_current_A),
        ):  # fmt: skip
            fields[name].append(values[rows])
    return Seen({name: np.concatenate(values) for name, values in fields.items()}, np.array(truth), np.array(run))


@dataclass(frozen=True)
class Workshop:
    """Makes reduced cells, and maps that are collocated in cells of the mesh."""

    ingredients: Ingredients
    states: int

    def coordinates(self, points: tuple[int, int]) -> tuple[Coordinates, list[tuple]]:
        """Coordinates of a reduced cell with these points, and of each electrode what a `Half` is made from."""
        model, (salts, *modes) = self.ingredients.model, SIZES[self.states]
        p, mesh = model.cell.electrochemistry, model.equations.mesh
        # one point asks for no shape that changes with depth
        modes = [(a, b) if n > 1 else (a + b, 0) for (a, b), n in zip(modes, points, strict=True)]
        reduced = self.ingredients.build(Sizes(3, salts, *modes, points))
        traces = [trace for trace in self.ingredients.traces if len(trace.snapshot_s)]
        shape = salt.shapes(p, mesh, salts, np.vstack([trace.salt for trace in traces]))
        weighted = shape.T * model.equations.system.mass[model.equations.places["salt"]].ravel()
        parts, matrices = [], []
        for side, size, n, cells in zip(
            SIDES, modes, points, (slice(mesh.negative), slice(-mesh.positive, None)), strict=True
        ):
            grid, count = getattr(mesh, f"particle_{side}"), getattr(mesh, side)
            seen = np.vstack([particles.expand(grid, getattr(trace, side)) for trace in traces])
            basis = particles.basis(getattr(p, side), self.ingredients.step_s, n, *size, seen)
            fine, matrix = everywhere(getattr(reduced, side), basis, (np.arange(count) + 0.5) / count)
            parts.append((getattr(p, side), fine, shape[cells]))
            matrices.append(matrix)
        into = Coordinates(reduced, (matrices[0], matrices[1]), np.linalg.solve(weighted @ shape, weighted))
        return into, parts


def everywhere_collocated(reduced: object, parts: list[tuple]) -> Collocated:
    """Map whose reaction is found in every cell."""
    halves = []
    for electrode, fine, shape in parts:
        count = len(fine.depth)
        cells, spread = dict.fromkeys(INTERPOLATED, np.arange(count)), dict.fromkeys(INTERPOLATED, np.eye(count))
        halves.append(Half(reduced, electrode, fine, shape, cells, spread))
    return Collocated(reduced, halves, ENOUGH)


def empirical(reduced: object, parts: list[tuple], profiles: list[dict[str, Array]], count: tuple) -> Collocated:
    """Map by empirical interpolation at so many cells of each electrode; those of the reaction serve its heats too."""
    halves = []
    for (electrode, fine, shape), seen, k in zip(parts, profiles, count, strict=True):
        size = {name: min(k + EXTRA * (name == "mixing"), len(fine.depth)) for name in seen}
        bases = {name: principal(values, size[name], uniform=name in UNIFORM) for name, values in seen.items()}
        own = {name: greedy(bases[name]) for name in ("current", "resist", "mixing")}
        cells = {name: own.get(name, own["current"]) for name in INTERPOLATED}
        spread = {name: interpolation(bases[name], cells[name]) for name in INTERPOLATED}
        halves.append(Half(reduced, electrode, fine, shape, cells, spread))
    return Collocated(reduced, halves, ROUNDS)


def variables(whole: Collocated, states: Array, seen: Seen) -> tuple[Array, Array]:
    """Nine variables that people would fit in, and all coordinates."""
    lithium, salts, *modes, _ = np.split(states, whole.twin.cuts, axis=1)
    first = np.column_stack([seen.current_A, 1 / seen.fields["mean_K"], lithium])
    deep = [
        z @ half.fine.surface.T @ np.column_stack([half.fine.weight, half.fine.weight * (half.fine.depth - 0.5)])
        for half, z in zip(whole.halves, modes, strict=True)
    ]
    return np.hstack([first, salts[:, :2], *deep]), np.hstack([first, salts, *modes])


def errors(answer: Array, seen: Seen) -> list[float]:
    """Voltage in mV, RMS and largest; each heat, their sum and the balance, RMS in percent of the mean heat."""
    off, heat = answer[:, :7] - seen.truth, seen.truth[:, 1:].sum(axis=1)
    balance = answer[:, 1:7].sum(axis=1) - answer[:, 7] + seen.current_A * answer[:, 0]
    columns = np.column_stack([off[:, 1:6], answer[:, 1:7].sum(axis=1) - heat, balance])
    rms = 100 * np.sqrt((columns**2).mean(axis=0)) / heat.mean()
    return [1e3 * float(np.sqrt((off[:, 0] ** 2).mean())), 1e3 * float(np.abs(off[:, 0]).max()), *rms.tolist()]


def cost_of_points(reduced: object, points: tuple[int, int]) -> list[str]:
    """Asinh, lookups, solutions, functions, kB of the package's map."""
    (s, r), total = (len(reduced.salt.separator), len(reduced.negative.share)), sum(points)
    modes = [len(side.rate) for side in (reduced.negative, reduced.positive)]
    numbers = s + sum(q * (1 + m + m * r + q + s) for q, m in zip(points, modes, strict=True))
    return [f"{ROUNDS * total}", f"{4 + 2 * total + total * r}", _solves(points), "-", f"{8e-3 * numbers:.1f}"]


def cost_of_cells(reduced: object, count: tuple[int, int]) -> list[str]:
    """The same of empirical interpolation."""
    (s, r), total = (len(reduced.salt.separator), len(reduced.negative.share)), sum(count)
    modes = [len(side.rate) for side in (reduced.negative, reduced.positive)]
    numbers, mixed = s, total + 2 * EXTRA
    for k, m in zip(count, modes, strict=True):
        # ohmic drop and heat are forms in the reaction and the resistivity; then sums, salt, surface and inside
        numbers += 2 * k**3 + 6 * k**2 + k * (6 + 2 * s + 2 * m) + (k + EXTRA) * (1 + k + m + m * r)
    sizes = count[0] + 1, count[1] + 1
    return [f"{ROUNDS * total}", f"{4 + 3 * total + mixed * (1 + r)}", _solves(sizes), "-", f"{8e-3 * numbers:.1f}"]


def _solves(sizes: tuple[int, int]) -> str:
    if sizes == (1, 1):
        return "-"
    return " + ".join(f"{sizes.count(n) * ROUNDS} of {n}" for n in dict.fromkeys(sizes))


def in_the_span() -> float:
    """How far empirical interpolation is off for profiles in its own span."""
    profiles = np.vander(np.linspace(0.0, 1.0, 16), 4) @ np.diag([3.0, -1.0, 2.0, 5.0])
    basis = principal(profiles.T, 4)
    cells = greedy(basis)
    return float(np.abs(interpolation(basis, cells) @ profiles[cells] - profiles).max())


def main() -> int:
    """Print both tables."""
    parser = argparse.ArgumentParser(description="Maps from reduced coordinates to voltage and heats.")
    parser.add_argument("--cell", choices=CELLS, default=CELLS[0])
    parser.add_argument("--states", type=int, choices=SIZES, default=24)
    parser.add_argument("--cache", type=Path, help="folder of the runs of the full model")
    chosen = parser.parse_args()
    model, training = CoupledModel(load_cell(chosen.cell)), training_cases(Range())
    cases = [*training, *(case for case in check_cases(Range()) if case.profile in TESTED)]
    found: list[tuple[str, Array, Array, list[str]]] = []
    with steps(1 + len(cases) + len(POINTS) + 1 + len(CELLS_OF) + 4) as step:
        step("runs of the full model")
        traces = sweep(
            model, cases, cache=chosen.cache, progress=lambda share, name: step.within(share, f"full run of {name}")
        )
        seen, other = (solved(model, part, step) for part in (traces[: len(training)], traces[len(training) :]))
        shop = Workshop(Ingredients(model, traces[: len(training)], 1.0), chosen.states)
        for points in POINTS:
            step(name := f"least dissipation, {points[0]} + {points[1]}")
            into, parts = shop.coordinates(points)
            answers = [structured(into.reduced, into(part.fields), part.current_A) for part in (seen, other)]
            found.append((name, *answers, cost_of_points(into.reduced, points)))
        step("every cell")
        whole, states = everywhere_collocated(into.reduced, parts), [into(part.fields) for part in (seen, other)]
        answers = [whole(z, part.current_A) for z, part in zip(states, (seen, other), strict=True)]
        found.append(("every cell", *answers, ["-"] * 5))
        sound = np.abs(answers[0][:, 0] - seen.truth[:, 0]) < SOUND_V
        profiles = whole.profiles(states[0][sound], seen.current_A[sound])
        for count in CELLS_OF:
            step(name := f"empirical interpolation, {count[0]} + {count[1]}")
            made = empirical(into.reduced, parts, profiles, count)
            answers = [made(z, part.current_A) for z, part in zip(states, (seen, other), strict=True)]
            found.append((name, *answers, cost_of_cells(into.reduced, count)))
        _, *base, cost = found[0]
        few, every = zip(
            *(variables(whole, z, part) for z, part in zip(states, (seen, other), strict=True)), strict=True
        )
        for name, kind, most, (v, w) in (
            ("polynomial 2, nine variables", Polynomial, 2, few),
            ("polynomial 3, nine variables", Polynomial, 3, few),
            (f"polynomial 2, all {every[0].shape[1]}", Polynomial, 2, every),
            (f"radial {CENTRES}, nine variables", Radial, CENTRES, few),
        ):
            step(name)
            fit = fitted(kind, most, v, seen.truth - base[0][:, :7], seen.run)
            answers = [part + np.pad(fit(at), ((0, 0), (0, 1))) for part, at in zip(base, (v, w), strict=True)]
            kept = f"{float(cost[-1]) + 8e-3 * fit.numbers:.1f}"
            found.append((name, *answers, [*cost[:3], str(fit.functions), kept]))
    rows = []
    for name, trained, tested, _ in found:
        ours, (rms, most, *rest) = errors(trained, seen), errors(tested, other)
        rows.append((name, f"{ours[0]:.2f}", f"{rms:.2f}", f"{most:.1f}", *(f"{value:.2g}" for value in rest)))
    head = ("map", "trained, mV", "rms, mV", "max, mV")
    percent = tuple(f"{heat}, %" for heat in (*HEATS[:5], "heat", "balance"))
    counts = f"{len(seen.truth)} states to train, {len(other.truth)} others"
    title = f"{chosen.cell}, {chosen.states} coordinates, {counts}; voltage, and rms in % of mean heat"
    print_table(title, (*head, *percent), rows)
    title = f"one evaluation, {ROUNDS} Newton rounds"
    print_table(
        title, ("map", "asinh", "table lookups", "linear solutions", "functions fitted", "kB in double"),
        [(name, *kept) for name, _, _, kept in found],
    )  # fmt: skip
    off, closed = in_the_span(), errors(found[len(POINTS)][2], other)[-1] / 100
    print(f"check: a profile in the span of its interpolation is off by {off:.1e}; balance in every cell {closed:.1e}")
    return int(not (off < EXACT and closed < 1e-4))


if __name__ == "__main__":
    raise SystemExit(main())
