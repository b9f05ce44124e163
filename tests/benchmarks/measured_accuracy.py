"""Core error on the three public runs: shipped values, calibrated without the core, calibrated with it.

    python tests/benchmarks/measured_accuracy.py path/to/data

Prints a Markdown table. The core is measured; it is used by the rows that say
so, on the first 55 % of the run, and judged on the rest.
"""

from __future__ import annotations

import sys
from pathlib import Path

from bmsthermal import Cell, CoupledModel, Observer, Run, load_cell, read_measured
from bmsthermal.calibration import Calibration, calibrate
from bmsthermal.estimates import Score

#: Cell and file of each run.
RUNS = {
    "A123 26650, HEV 1": ("a123_26650", "a123_26650/hev_1.csv"),
    "32113, forced air": ("lfp_32113", "lfp_32113/forced_air_1.csv"),
    "32113, lagged": ("lfp_32113", "lfp_32113/lagged_1.csv"),
}
#: The README of the data says about 50 % for the A123 run; the 32113 runs begin under load.
INITIAL_SOC = 0.5
TRAINED = 0.55
HEAD = (
    "run", "parameters", "RMSE, K", "max, K", "raw RMSE, K", "mismatch, K", "in 2 sigma, %", "sigma, K",
    "sigma / RMSE", "k, W/mK", "sd of k",
)  # fmt: skip


def judge(cell: Cell, run: Run, from_fraction: float = 0.0) -> Score:
    """Score an observer of `cell` on the part of a run after a fraction of it."""
    found = Observer(CoupledModel(cell, heat="measured").reduce(order=4)).run(run, initial_soc=INITIAL_SOC)
    score = found.score(run.time_s[0] + from_fraction * (run.time_s[-1] - run.time_s[0]))
    assert score is not None
    return score


def row(run: str, way: str, score: Score, cell: Cell, calibration: Calibration | None) -> tuple[str, ...]:
    """Format one row of the table."""
    key = "Radial thermal conductivity [W.m-1.K-1]"
    k = float(cell.thermal[key])
    sd = k * cell.spread[key] if calibration is None else calibration.parameters[0].sd
    return (
        run, way, f"{score.rmse_K:.3f}", f"{score.max_K:.2f}", f"{score.raw_rmse_K:.3f}",
        f"{score.mismatch_K:+.3f}", f"{100 * score.coverage:.1f}", f"{score.median_std_K:.3f}",
        f"{score.median_std_K / score.rmse_K:.2f}", f"{k:.3f}", f"{sd:.3f}",
    )  # fmt: skip


def table(data: Path) -> list[tuple[str, ...]]:
    """Rows of the table for every run and way."""
    rows = []
    for name, (shipped, file) in RUNS.items():
        cell, run = load_cell(shipped), read_measured(data / file)
        first = run.part(0.0, TRAINED)
        rows.append(row(name, "shipped", judge(cell, run), cell, None))
        rows.append(row(name, "shipped, last 45 %", judge(cell, run, TRAINED), cell, None))
        for label, trained, use, start in (
            ("surface, whole run", run, ("surface",), 0.0),
            ("surface, 55 -> 45 %", first, ("surface",), TRAINED),
            ("surface and core, 55 -> 45 %", first, ("surface", "core"), TRAINED),
        ):
            found = calibrate(cell, trained, use=use, initial_soc=INITIAL_SOC)
            rows.append(row(name, label, judge(found.cell, run, start), found.cell, found))
            print(f"{name}, {label}: {found}", *found.notes, sep="\n  ", file=sys.stderr)
    return rows


def main() -> None:
    """Print the table."""
    if len(sys.argv) != 2 or not Path(sys.argv[1]).is_dir():
        raise SystemExit("usage: python tests/benchmarks/measured_accuracy.py FOLDER_OF_THE_DATA")
    print("| " + " | ".join(HEAD) + " |")
    print("| " + " | ".join(["---"] * len(HEAD)) + " |")
    for cells in table(Path(sys.argv[1])):
        print("| " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
