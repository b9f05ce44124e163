"""A task of the loop: how long it takes, and whether it is done before it is due again."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hil.timing.histogram import Histogram


@dataclass(frozen=True, slots=True)
class Tick:
    """A period that begins.

    Parameters
    ----------
    index
        Number of the period, from 0; those that were skipped are counted.
    deadline_s
        When it was to begin, on the clock.
    lateness_s
        By how much later it did.
    skipped
        Periods left out just before it.
    """

    index: int
    deadline_s: float
    lateness_s: float
    skipped: int


class Tally:
    """Overruns, and the longest run of them."""

    __slots__ = ("_run", "longest_run", "overruns")

    def __init__(self) -> None:
        self.overruns = self.longest_run = self._run = 0

    def count(self, overrun: bool) -> None:
        """Count one that was over, or was not."""
        if overrun:
            self.overruns += 1
            self._run += 1
            if self._run > self.longest_run:
                self.longest_run = self._run
        else:
            self._run = 0

    def report(self) -> dict[str, Any]:
        """Both, ready for JSON."""
        return {"overruns": self.overruns, "longest_run": self.longest_run}


class Task:
    """Part of a step, measured: ``with task: ...``; made by `hil.timing.Pacer.task`.

    A task of a slower rate is released every `every`-th period and has until its next release: ``if task.due(tick):
    with task: ...``. It overruns if it is not done by then, whoever is to blame: its own time is in the histogram.
    """

    __slots__ = ("_begun_s", "_end_s", "_now", "_span_s", "counting", "every", "execution", "name", "tally")

    def __init__(self, name: str, now: Callable[[], float], period_s: float, every: int) -> None:
        self.name, self.every = name, every
        self.execution, self.tally = Histogram(), Tally()
        self.counting = True
        self._now, self._span_s = now, every * period_s
        self._begun_s, self._end_s = 0.0, math.inf

    def due(self, tick: Tick) -> bool:
        """Whether it is released in this period, or was to be in one of those skipped before it."""
        return tick.index // self.every > (tick.index - tick.skipped - 1) // self.every

    def release(self, tick: Tick, begin_s: float, counting: bool) -> None:
        """Take over the period that begins; for the pacer."""
        if self.due(tick):
            self._end_s = begin_s + self._span_s - (tick.index % self.every) * self._span_s / self.every
        self.counting = counting

    def __enter__(self) -> Task:
        self._begun_s = self._now()
        return self

    def __exit__(self, *_: object) -> None:
        if self.counting:
            done_s = self._now()
            self.execution.add(done_s - self._begun_s)
            self.tally.count(done_s > self._end_s)

    def report(self) -> dict[str, Any]:
        """Its rate, overruns and execution times, ready for JSON."""
        return {"every": self.every, **self.tally.report(), "execution": self.execution.report()}
