"""What tuning buys on what it has not seen: the rest of the same run, and the other rigs.

    python tests/benchmarks/tuned_accuracy.py path/to/data [h,heat]

Cells are calibrated with surface and core on the first 55 % of each run, and the noise is tuned there, on the surface;
with the second argument, that of an observer which estimates h and heat beside. Every noise is then judged on the last
45 % of every run, with the cell of that run. Prints two Markdown tables: by run and noise, and pooled over the runs,
where *own* is the noise tuned on the first part of each.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
from joint_accuracy import INITIAL_SOC, RUNS, TRAINED

from bmsthermal import Observer, Run, load_cell, read_measured
from bmsthermal.calibration import calibrate
from bmsthermal.consistency import Consistency
from bmsthermal.estimates import Estimates
from bmsthermal.innovations import look_ahead
from bmsthermal.noise import Noise
from bmsthermal.tuning import AHEAD_S, CORE, tune

HEAD = (
    "run", "noise", "gain, nats a minute", "NIS, 60 s ahead", "core RMSE, K", "core NEES", "in 1 sigma, %",
    "in 2 sigma, %", "sigma / RMSE",
)  # fmt: skip


def lent(observer: Observer, noise: Noise) -> Observer:
    """The observer with the noise of another one, but for what belongs to its own cell."""
    own = {name: getattr(observer.noise, name) for name in (*CORE, "lag_s") if hasattr(observer.noise, name)}
    return observer.changed(noise=replace(noise, **own))


def judge(observer: Observer, run: Run, from_s: float) -> tuple[float, float, Estimates]:
    """Mean log density and NIS of the surface a minute ahead, and the estimates."""
    ahead = look_ahead(observer, run, AHEAD_S, INITIAL_SOC)
    rows = ahead.time_s >= from_s
    found = observer.run(run, initial_soc=INITIAL_SOC)
    return float(ahead.scores()[rows, 0].mean()), float(np.nanmean(ahead.nis[rows, 0])), found


def core_cells(said: Consistency) -> tuple[str, ...]:
    """Last columns of the tables."""
    core = said.core
    assert core is not None
    return (
        f"{core.rmse_K:.3f}", f"{core.nees.mean:.2f}", f"{100 * core.inside_1:.0f}", f"{100 * core.inside_2:.1f}",
        f"{core.median_std_K / core.rmse_K:.2f}",
    )  # fmt: skip


def tables(data: Path, kinds: tuple[str, ...]) -> tuple[list[tuple[str, ...]], list[tuple[str, ...]]]:
    """Rows by run and noise, and pooled."""
    runs = {name: read_measured(data / file) for name, (_, file) in RUNS.items()}
    observers, noises, rows, late, pooled = {}, {}, [], {}, []
    for name, (shipped, _) in RUNS.items():
        first = runs[name].part(0.0, TRAINED)
        cell = calibrate(load_cell(shipped), first, use=("surface", "core"), initial_soc=INITIAL_SOC).cell
        observers[name] = Observer.of(cell, estimate=kinds)
        found = tune(observers[name], first, initial_soc=INITIAL_SOC)
        noises[name] = found.observer.noise
        print(name, *found.table(), *found.predictions(), *found.notes, sep="\n  ", file=sys.stderr)
    for name, run in runs.items():
        from_s = float(run.time_s[0] + TRAINED * (run.time_s[-1] - run.time_s[0]))
        score = {}
        for source in ("default", *runs):
            observer = observers[name] if source == "default" else lent(observers[name], noises[source])
            score[source], nis, found_ = judge(observer, run, from_s)
            late["own" if source == name else source, name] = found_, from_s
            cells = core_cells(Consistency.of(found_, from_s))
            rows.append((name, source, f"{score[source] - score['default']:+.2f}", f"{nis:.2f}", *cells))
    for source in ("default", "own"):
        judged, starts = zip(*(late[source, name] for name in runs), strict=True)
        said = Consistency.of(judged, starts)
        assert said.core is not None
        pooled.append((source, *core_cells(said), f"{100 * said.core.least_2:.1f}", str(said.sensors[0].nis)))
    return rows, pooled


def main() -> None:
    """Print the tables."""
    if len(sys.argv) not in (2, 3) or not Path(sys.argv[1]).is_dir():
        raise SystemExit("usage: python tests/benchmarks/tuned_accuracy.py FOLDER_OF_THE_DATA [h,heat]")
    rows, pooled = tables(Path(sys.argv[1]), tuple(sys.argv[2].split(",")) if len(sys.argv) == 3 else ())
    for head, body in ((HEAD, rows), (("noise", *HEAD[4:], "least in 2 sigma, %", "NIS, 1 s"), pooled)):
        print("| " + " | ".join(head) + " |\n| " + " | ".join(["---"] * len(head)) + " |")
        for cells in body:
            print("| " + " | ".join(cells) + " |")
        print()


if __name__ == "__main__":
    main()
