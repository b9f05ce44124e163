"""What ``calibrate --tune`` does after the fit, and what it prints."""

from __future__ import annotations

from collections.abc import Sequence

from bmsthermal.cell import Cell
from bmsthermal.console import listed, print_table
from bmsthermal.observer import Observer
from bmsthermal.posterior import Progress
from bmsthermal.run import Run
from bmsthermal.tuning import AHEAD_S, Tuning, tune


def tune_observer(
    cell: Cell, runs: Sequence[Run], beside: str | None, initial_soc: float | None, progress: Progress
) -> Tuning:
    """Tune the observer that a cell file describes, with what the option says that it estimates beside."""
    observer = Observer.of(cell, estimate=None if beside is None else listed(beside, "--estimate"))
    return tune(observer, runs, initial_soc=initial_soc, progress=progress)


def print_tuning(tuning: Tuning) -> None:
    """Print the noise before and after, and what it says of the predictions."""
    title = f"noise of the observer, by predictions {AHEAD_S:g} s ahead"
    print_table(title, ("noise", "default", "before", "tuned", "95 %", "unit", "learnt"), tuning.table())
    columns = ("run and reading", "windows", "count as", "NIS before", "NIS tuned", "gain, nats each")
    print_table("predictions of the runs that it was tuned on", columns, tuning.predictions())
