"""Accuracy of the reduced coupled model against the full one at twice its default mesh, every figure against its bar.

    python tests/benchmarks/reduced_accuracy.py [--cell lgm50_21700] [--profile us06] [--ambient 25] [--h 60]
        [--peers] [--plot front.png] [--lines rows.md] [--truth FOLDER] [--cached] [--workers 2]

LG M50 and Marquis 2019, h of 10, 60 and 300 W/m2K, -10, 25 and 45 degC; constant discharges at C/2, 1C, 2C and 3C from
full, and US06, UDDS and WLTC, each schedule repeated from 70 to 8 % charge with a peak of 2.5C. A run is judged until
the full model reaches its cut-off, 50 mol/m3 of salt anywhere, or 80 degC; under 120 s it is listed and not scored.
Voltage counts between 10 and 95 % charge, core and mean heat always. Bars of one row:

drives, 25 and 45 degC
    at most 14 states; voltage 5 mV RMS and 20 mV; core 0.1 K, or 1 % of its rise if that is more; mean heat 1 %.
constant currents, and all at -10 degC
    at most 18 states; voltage 10 mV RMS and 40 mV; core 0.1 K, or 2 % of its rise if that is more; mean heat 2 %.

Each cell is reduced twice, to 14 and to 18 states, for the default range; h is set on what came out. A full run is
made once and kept in FOLDER (a drive takes over a minute of CPU): ``--cached`` leaves out rows whose run is not there.
Exit code 1 if a bar is missed. ``--cell oregan2022``, the electrochemistry of O'Regan et al. 2022 in the body of the
LG M50, has no bar: its rows are run with 14 and with 18 states and reported. ``--peers`` (needs ``pybamm``) compares
errors and cost with other models of that size, see ``reduced_peers.py``. An option may be given several times, and
leaves the rows with one of its values.
"""

from __future__ import annotations

import argparse
import itertools
import os
import sys
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

for _threads in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
    os.environ.setdefault(_threads, "1")
if not sys.stdout.isatty():
    os.environ.setdefault("COLUMNS", "165")  # a table in a file is not cut to a screen
sys.path.insert(0, str(Path(__file__).parent))

import numpy as np  # noqa: E402
from reduced_truth import (  # noqa: E402
    AMBIENT_DEGC,
    CELLS,
    CONSTANT,
    DRIVES,
    EXTRA,
    Case,
    H,
    Truth,
    cell_of,
    drive,
    prepare,
    read,
)  # fmt: skip

from bmsthermal import CoupledModel  # noqa: E402
from bmsthermal.console import print_table, steps  # noqa: E402
from bmsthermal.files import folder  # noqa: E402

#: Shorter runs are listed, not scored.
SHORT_S = 120
#: Where full runs are kept.
TRUTH = Path.home() / ".cache" / "bmsthermal" / "truth"
HEAD = (
    "cell, profile, degC, h", "states", "judged, s", "ended by", "V rms, mV", "V max, mV", "core, K", "bar, K",
    "rise, K", "heat, %", "bars",
)  # fmt: skip


class Steps(Protocol):
    """What shows how far it is."""

    def __call__(self, name: str) -> None: ...

    def within(self, share: float, name: str) -> None: ...


@dataclass(frozen=True)
class Errors:
    """Reduced minus full: RMS and largest size in mV, largest size in K, share of the mean heat in percent."""

    states: int
    judged_s: int
    rms_mV: float
    most_mV: float
    core_K: float
    rise_K: float
    heat_percent: float
    sooner: bool

    def misses(self, case: Case) -> list[str]:
        """What is above its bar; NaN is."""
        rms, most, heat = case.bars
        found = {
            "states": self.states <= case.order, "rms": self.rms_mV <= rms, "max": self.most_mV <= most,
            "core": self.core_K <= case.core_bar_K(self.rise_K), "heat": abs(self.heat_percent) <= heat,
            "ends sooner": not self.sooner,
        }  # fmt: skip
        return [name for name, holds in found.items() if not holds]


def judge(model: Any, case: Case, truth: Truth) -> Errors:
    """Run a reduced model at its h and take the difference."""
    run = drive(model, case, truth)
    n = int(min(run.time_s[-1], truth.seconds))
    rows = np.searchsorted(run.time_s, np.arange(n + 1) - 1e-9)
    off = 1e3 * (run.voltage_V[rows] - truth.voltage_V[: n + 1])[truth.scored[: n + 1]]
    rms, most = (float(np.sqrt(np.mean(off**2))), float(np.abs(off).max())) if off.size else (0.0, 0.0)
    core = float(np.abs(run.core_K[rows] - truth.core_K[: n + 1]).max())
    heat = float(100 * (run.heat_W[rows][:-1].mean() / truth.heat_W - 1))
    rise = float(truth.core_K.max() - case.ambient_K)
    return Errors(model.order, n, rms, most, core, rise, heat, n < truth.seconds)


def reductions(wanted: Iterable[tuple[str, int]], place: Path, say: Steps) -> dict[tuple[str, int], Any]:
    """Reduced models by cell and order, made as a user makes them; the runs they are made from are kept too."""
    found: dict[tuple[str, int], Any] = {}
    for name, order in sorted(wanted):
        title = f"{name}, {order} states: "
        say(title)

        def report(share: float, doing: str, title: str = title) -> None:
            say.within(share, title + doing)

        made = CoupledModel(cell_of(name)).reduce(order=order, cache=folder(place / "sweep"), progress=report)
        found[name, order] = open_ended(made)
    return found


def open_ended(model: Any) -> Any:
    """Go on beyond the cut-offs: a row is judged until the full model reaches them."""
    p = model.cell.electrochemistry
    cuts = {"Lower voltage cut-off [V]": p.lower_voltage_V - 0.5, "Upper voltage cut-off [V]": p.upper_voltage_V + 0.5}
    return replace(
        model, cell=model.cell.with_values(cuts), thermal=replace(model.thermal, cell=model.cell.with_values(cuts))
    )


def rows_of(chosen: argparse.Namespace) -> list[Case]:
    every = itertools.starmap(Case, itertools.product(chosen.cell or CELLS, (*CONSTANT, *DRIVES), AMBIENT_DEGC, H))
    wanted = {"kind": chosen.profile, "degC": chosen.ambient, "h": chosen.h}
    return [case for case in every if all(not some or getattr(case, key) in some for key, some in wanted.items())]


def line(case: Case, order: int, models: Mapping[tuple[str, int], Any], truth: Truth | str) -> tuple[str, ...]:
    """Judge one row and say so; what cannot be run misses, and the others still run."""
    if isinstance(truth, str):
        return (case.name, *["-"] * (len(HEAD) - 2), f"MISSED: {truth}"[:90])
    try:
        found = judge(models[case.cell, order].with_h(float(case.h)), case, truth)
    except Exception as error:
        said = f"MISSED: {type(error).__name__}: {error}"[:90].replace("\n", " ")
        return (case.name, *["-"] * (len(HEAD) - 2), said)
    missed, core_bar_K = found.misses(case), case.core_bar_K(found.rise_K)
    said = "MISSED " + ", ".join(missed) if missed else "pass"
    return (
        case.name, str(found.states), str(found.judged_s), truth.why,
        *((f"{found.rms_mV:.2f}", f"{found.most_mV:.1f}") if truth.scored.any() else "--"),
        f"{found.core_K:.3f}", f"{core_bar_K:.2f}", f"{found.rise_K:.2f}", f"{found.heat_percent:+.2f}",
        "not scored" if case.cell == EXTRA else f"not scored ({said})" if truth.seconds < SHORT_S else said,
    )  # fmt: skip


def options() -> argparse.Namespace:
    """What was asked for."""
    parser = argparse.ArgumentParser(description="Accuracy of the reduced coupled model against the full one.")
    parser.add_argument("--cell", action="append", choices=(*CELLS, EXTRA))
    parser.add_argument("--profile", action="append", choices=(*CONSTANT, *DRIVES), help="rate in C, or a schedule")
    parser.add_argument("--ambient", action="append", type=int, choices=AMBIENT_DEGC, help="degC")
    parser.add_argument("--h", action="append", type=int, choices=H, help="W/m2K")
    parser.add_argument("--truth", type=Path, default=TRUTH, help=f"folder of the full runs, by default {TRUTH}")
    parser.add_argument("--cached", action="store_true", help="leave out rows whose full run is not in the folder")
    parser.add_argument("--workers", type=int, default=os.cpu_count(), help="processes that make full runs")
    parser.add_argument("--lines", type=Path, help="write each row to this file as it is done")
    parser.add_argument("--peers", action="store_true", help="compare with other models too; needs pybamm")
    parser.add_argument("--plot", type=Path, help="with --peers: draw error against cost")
    chosen = parser.parse_args()
    if chosen.plot and not chosen.peers:
        parser.error("--plot draws what --peers compares")
    return chosen


def main() -> int:
    """Run the rows that were asked for."""
    chosen = options()
    warnings.simplefilter("ignore")
    place, cases = folder(chosen.truth), rows_of(chosen)
    truths: dict[Case, Truth | str | None] = {case: read(case, place) for case in cases}
    absent = [case for case, truth in truths.items() if truth is None]
    if absent and not chosen.cached:
        with steps(len(absent)) as step:
            failed = prepare(absent, place, chosen.workers, step)
        truths |= {case: failed.get(case) or read(case, place) for case in absent}
    todo = {case: truth for case, truth in truths.items() if truth is not None}
    table: list[tuple[str, ...]] = []
    wanted = [(case, order) for case in todo for order in case.orders]
    with steps(len(wanted) + len({(case.cell, order) for case, order in wanted})) as step:
        models = reductions({(case.cell, order) for case, order in wanted}, place, step)
        for case, order in wanted:
            step(case.name)
            table.append(line(case, order, models, todo[case]))
            if chosen.lines:
                with chosen.lines.open("a", encoding="utf-8") as file:
                    file.write("| " + " | ".join(table[-1]) + " |\n")
    print_table("reduced minus full", HEAD, table)
    counts = {word: sum(row[-1].startswith(word) for row in table) for word in ("pass", "MISSED", "not scored")}
    print(
        ", ".join(f"{count} {word}" for word, count in counts.items()), f"- {len(cases) - len(todo)} without a full run"
    )
    if chosen.peers:
        import reduced_peers

        reduced_peers.report(chosen.cell or CELLS[:1], place, chosen.plot, reductions)
    return int(counts["MISSED"] > 0 or not table)


if __name__ == "__main__":
    raise SystemExit(main())
