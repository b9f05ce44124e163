"""What people see while they wait and when it is done: progress, tables, the words of an option."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from bmsthermal.errors import InputError

#: Says what it is given: a file called ``a[b]`` or ``:smile:`` is no markup.
console = Console(highlight=False, markup=False, emoji=False)


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table whose columns carry their units; numbers stand to the right, and none is cut short."""
    table = Table(title=title, title_justify="left", title_style="bold")
    for i, column in enumerate(columns):
        table.add_column(column, justify="left" if i == 0 else "right", overflow="fold")
    for row in rows:
        table.add_row(*row)
    console.print(table)


@contextmanager
def steps(total: int) -> Iterator[_Steps]:
    """Show a bar with the name of the step under way: ``with steps(3) as step: step("reduce")``."""
    bar = Progress(
        TextColumn("{task.description:<42}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"),
        TimeElapsedColumn(), console=Console(stderr=True), transient=True,
    )  # fmt: skip
    with bar:
        yield _Steps(bar, total)


@contextmanager
def timeline(name: str, total_s: float, *, shown: bool = True) -> Iterator[Callable[[float], None]]:
    """Show how far a simulation is: ``with timeline("simulate", 3600) as report: report(12.5)``."""
    bar = Progress(
        TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[at]}"), TimeElapsedColumn(),
        console=Console(stderr=True), transient=True, disable=not shown,
    )  # fmt: skip
    with bar:
        task = bar.add_task(name, total=total_s if math.isfinite(total_s) else None, at="")
        yield lambda t: bar.update(task, completed=t, at=f"{t:.0f} s simulated")


class _Steps:
    def __init__(self, bar: Progress, total: int) -> None:
        self.bar, self.task, self.begun = bar, bar.add_task("", total=total), 0

    def __call__(self, name: str) -> None:
        """Begin the next step."""
        self.bar.update(self.task, description=name, completed=self.begun)
        self.begun += 1

    def within(self, share: float, name: str) -> None:
        """Tell how far the step under way is, 0 to 1, and what it is doing."""
        self.bar.update(self.task, description=name, completed=self.begun - 1 + share)


def listed(text: str, option: str) -> list[str]:
    """Split ``a,b,c`` as an option holds it."""
    parts = [part.strip() for part in text.split(",")]
    if not all(parts):
        raise InputError(f"{text!r}", where=option, expected="names with commas between them")
    return parts


def mapped(text: str | None, option: str) -> dict[str, str]:
    """Read ``ours=theirs,ours=theirs`` as an option holds it."""
    if text is None:
        return {}
    pairs = [part.partition("=") for part in listed(text, option)]
    if not all(sign and ours and theirs for ours, sign, theirs in pairs):
        raise InputError(f"{text!r}", where=option, expected="OURS=THEIRS,..., such as ambient_degC=chamber_degC")
    return {ours.strip(): theirs.strip() for ours, _, theirs in pairs}


def ranged(text: str, option: str) -> tuple[float, float]:
    """Read ``low:high`` as an option holds it."""
    try:
        low, high = (float(part) for part in text.split(":"))
    except ValueError:
        low = high = math.nan
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise InputError(f"{text!r}", where=option, expected="LOW:HIGH, two numbers of which the second is larger")
    return low, high
