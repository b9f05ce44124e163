"""Core error on measured runs where the cooling is not known: coefficient off by two, wrong start, key-on.

    python tests/benchmarks/joint_accuracy.py path/to/data

Prints a Markdown table. Cells are calibrated with surface and core on the first
55 % of a run (*core-blind*: with the surface of the whole run), then the whole
run is observed with h and the slow heat estimated, and judged from the time in the table on;
*from the other rig* takes the parameters of the other 32113 run as they are.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from bmsthermal import Cell, CoupledModel, Observer, Run, load_cell, read_measured
from bmsthermal.calibration import calibrate
from bmsthermal.estimates import Estimates
from bmsthermal.schema import THERMAL

#: Cell and file of each run; the README of the data says about 50 % for the charge.
RUNS = {
    "A123, HEV 1": ("a123_26650", "a123_26650/hev_1.csv"),
    "32113, forced air": ("lfp_32113", "lfp_32113/forced_air_1.csv"),
    "32113, lagged": ("lfp_32113", "lfp_32113/lagged_1.csv"),
}
INITIAL_SOC, TRAINED, KINDS = 0.5, 0.55, ("h", "heat")
#: When the key is turned on without history, mid-drive, and how long it may take, in s.
KEY_ON_S, SETTLED_S = 2000.0, 180.0
ALONG = ("surface", "surface_left", "surface_right")
HEAD = ("run", "case", "judged, s", "RMSE, K", "max, K", "in 2 sigma, %", "sigma, K", "h at 1,200 s", "h at the end")


def observe(cell: Cell, run: Run, factor: float = 1.0, off_K: float = 0.0) -> Estimates:
    """Estimate along a run with an h that is wrong by a factor and a start that is off, in the cell's resolution."""
    thermal = cell.settings.get(THERMAL)
    model = CoupledModel(cell, heat="measured", thermal=thermal).reduce(order=8 if thermal else 4)
    own = dict(zip(model.walls, (factor * model.conductance_W_K / model.areas_m2).tolist(), strict=True))
    start_K = float(run.surfaces_K["surface"][0]) + off_K if off_K else None
    observer = Observer(model.with_h(own), ALONG if thermal else ("surface",), estimate=KINDS)
    return observer.run(run, initial_soc=INITIAL_SOC, start_K=start_K)


def row(
    name: str, case: str, found: Estimates, own: float, apart_K: float, first: float, last: float = np.inf
) -> tuple[str, ...]:
    """Format one row; what the thermocouples are apart at rest is subtracted, h is relative to `own`."""
    assert found.run is not None and found.run.core_K is not None
    error = found.core_K - found.run.core_K + apart_K
    judged = (found.time_s >= first) & (found.time_s <= last)
    std, h = found.core_std_K[judged], found.h_W_m2K[:, 0] / own  # type: ignore[attr-defined]
    return (
        name, case, f"{first:g} to {found.time_s[judged][-1]:g}", f"{np.sqrt(np.mean(error[judged] ** 2)):.3f}",
        f"{np.abs(error[judged]).max():.2f}", f"{100 * np.mean(np.abs(error[judged]) <= 2 * std):.0f}",
        f"{np.median(std):.2f}", f"{h[np.searchsorted(found.time_s, found.time_s[0] + 1200)]:.2f}", f"{h[-1]:.2f}",
    )  # fmt: skip


def apart(run: Run) -> float:
    """Core less surface over the first ten rows, where they should agree."""
    assert run.core_K is not None
    return float((run.core_K - run.surfaces_K["surface"])[:10].mean())


def table(data: Path) -> list[tuple[str, ...]]:
    """Rows for every run and case."""
    runs = {name: read_measured(data / file) for name, (_, file) in RUNS.items()}
    cells, rows = {}, []
    for name, (shipped, _) in RUNS.items():
        run, apart_K = runs[name], apart(runs[name])
        first = run.part(0.0, TRAINED)
        cells[name] = calibrate(load_cell(shipped), first, use=("surface", "core"), initial_soc=INITIAL_SOC).cell
        blind = calibrate(load_cell(shipped), run, initial_soc=INITIAL_SOC).cell
        for what, cell in (("with core", cells[name]), ("core-blind", blind)):
            own = CoupledModel(cell, heat="measured").reduce(order=4)
            h = float(own.conductance_W_K[0] / own.areas_m2[0])
            for factor in (1.0, 2.0, 0.5):
                rows.append(row(name, f"{what}, h x {factor:g}", observe(cell, run, factor), h, apart_K, 600.0))
            if shipped == "a123_26650":
                rows.append(
                    row(name, f"{what}, h x 2, +20 K", observe(cell, run, 2.0, 20.0), h, apart_K, 1200.0, 3500.0)
                )
                late = run.part(KEY_ON_S / run.time_s[-1], 1.0)
                settled_s = float(late.time_s[0]) + SETTLED_S
                rows.append(row(name, f"{what}, key-on", observe(cell, late), h, apart_K, settled_s))
        if ALONG[1] in run.surfaces_K:
            use = (*ALONG, "core")
            ends = calibrate(load_cell(shipped), first, use=use, initial_soc=INITIAL_SOC, thermal="r-z").cell
            cells[f"{name}, r-z"], h = ends, float(ends.h_W_m2K["side"])
            for factor in (1.0, 2.0, 0.5):
                rows.append(row(name, f"r-z, with core, h x {factor:g}", observe(ends, run, factor), h, apart_K, 600.0))
    for name, other in (("32113, forced air", "32113, lagged"), ("32113, lagged", "32113, forced air")):
        for what, key in (("from the other rig", other), ("r-z, from the other rig", f"{other}, r-z")):
            h = float(cells[key].h_W_m2K["side"])
            rows.append(row(name, what, observe(cells[key], runs[name]), h, apart(runs[name]), 600.0))
    return rows


def main() -> None:
    """Print the table."""
    if len(sys.argv) != 2 or not Path(sys.argv[1]).is_dir():
        raise SystemExit("usage: python tests/benchmarks/joint_accuracy.py FOLDER_OF_THE_DATA")
    print("| " + " | ".join(HEAD) + " |")
    print("| " + " | ".join(["---"] * len(HEAD)) + " |")
    for cells in table(Path(sys.argv[1])):
        print("| " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
