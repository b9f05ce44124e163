"""The pacer: begins each period when it is due, and counts what was late."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from bmsthermal.errors import InputError
from hil.timing.clock import Clock
from hil.timing.histogram import EDGES_S, Histogram
from hil.timing.policy import Policy
from hil.timing.task import Tally, Task, Tick
from hil.timing.usage import Usage


class Overrun(Exception):  # noqa: N818 - the field's word for it
    """The policy gave up: too many steps were not done in time."""


class Pacer:
    """Periods on a clock.

    An overrun is a step that is not done when the next one is due; `policy` says what becomes of the next one. In the
    first `grace_steps` nothing is counted, and an overrun moves the grid: what starts up begins on time afterwards.

    Parameters
    ----------
    clock
        Whose time it is.
    period_s
        Of the fastest rate.
    policy
        See `hil.timing.POLICIES`; a text or a `Policy`.
    grace_steps
        Periods at the start that are not counted.

    Examples
    --------
    >>> from hil.timing import FakeClock, Pacer
    >>> pacer = Pacer(FakeClock(), 1.0, "drop")
    >>> for tick in pacer.ticks(5):
    ...     with pacer.task("plant"):
    ...         pacer.burn(2.5 if tick.index == 1 else 0.25)
    ...     print(tick.index, tick.deadline_s, tick.skipped)
    0 0.0 0
    1 1.0 0
    4 4.0 2
    """

    def __init__(self, clock: Clock, period_s: float, policy: Policy | str = "slip", grace_steps: int = 0) -> None:
        if not (math.isfinite(period_s) and period_s > 0 and grace_steps >= 0):
            raise InputError(
                f"a period of {period_s} s with a grace of {grace_steps} steps", expected="a positive period"
            )
        self.clock, self.period_s, self.grace_steps = clock, period_s, grace_steps
        self.policy = Policy.parse(policy) if isinstance(policy, str) else policy
        self.lateness = Histogram()
        self.tally, self.grace_tally = Tally(), Tally()
        self.steps = self.skipped = 0
        self.slipped_s = 0.0
        self.usage = Usage()
        self._tasks: dict[str, Task] = {}
        self._period: tuple[Tick, float, bool] | None = None

    @property
    def real(self) -> bool:
        """Whether its clock goes on by itself."""
        return self.clock.real

    def task(self, name: str, every: int = 1) -> Task:
        """Return a task of that name; it is made the first time.

        Parameters
        ----------
        name
            Its name in the report.
        every
            It is released every so many periods; what is said the first time holds.
        """
        task = self._tasks.get(name)
        if task is None:
            task = self._tasks[name] = Task(name, self.clock.now, self.period_s, every)
            if self._period is not None:
                task.release(*self._period)
        return task

    def burn(self, seconds: float) -> None:
        """Let time go by as work would: the fault kind ``timing``."""
        if seconds > 0:
            self.clock.spend(seconds)

    def ticks(self, steps: int) -> Iterator[Tick]:
        """Yield each period when it begins; ``tick.index`` and what was skipped add up to `steps`.

        The last period is never skipped. Whatever ends the loop, the report is whole.

        Raises
        ------
        Overrun
            If the policy is ``abort`` and its overruns are used up.
        """
        now, sleep_until, period_s = self.clock.now, self.clock.sleep_until, self.period_s
        if self.real:
            self.usage.begin()
        origin_s, index, skipped, in_a_row, moves = now(), 0, 0, 0, False
        try:
            while index < steps:
                due_s = origin_s + index * period_s
                sleep_until(due_s)
                late_s = max(now() - due_s, 0.0)
                counting = index >= self.grace_steps
                if counting:
                    self.lateness.add(late_s)
                if moves:
                    origin_s += late_s
                    self.slipped_s += late_s
                tick = Tick(index, due_s, late_s, skipped)
                self._period = tick, origin_s + index * period_s, counting
                for task in self._tasks.values():
                    task.release(*self._period)
                self.steps += 1
                self.skipped += skipped
                yield tick
                done_s, next_s = now(), origin_s + (index + 1) * period_s
                overrun = done_s > next_s
                (self.tally if counting else self.grace_tally).count(overrun)
                skipped, moves = 0, False
                if not overrun:
                    in_a_row = 0
                elif self.policy.kind == "slip" or not counting:
                    moves = True
                elif self.policy.kind == "abort":
                    if self.tally.overruns >= self.policy.limit:
                        raise Overrun(self._why(index, done_s - next_s))
                elif self.policy.kind == "catch-up" and in_a_row < self.policy.limit:
                    in_a_row += 1
                else:
                    first = math.ceil((done_s - origin_s) / period_s)  # the first period that is not past
                    skipped, in_a_row = max(min(first, steps - 1) - index - 1, 0), 0
                index += 1 + skipped
        finally:
            self._period = None
            if self.real:
                self.usage.end()

    def _why(self, index: int, over_s: float) -> str:
        count = "an overrun" if self.tally.overruns == 1 else f"{self.tally.overruns} overruns"
        return f"{count}, the last by {1e3 * over_s:.3g} ms in step {index}; the policy is {self.policy}"

    def report(self) -> dict[str, Any]:
        """How the time was kept, ready for JSON.

        Returns
        -------
        dict
            ``clock period_s policy steps skipped slipped_s overruns longest_run grace edges_s lateness tasks``; counts
            of ``lateness`` and of each task's ``execution`` belong to the bins of `EDGES_S`. On a clock that goes on by
            itself also what the machine granted, see `hil.timing.usage.Usage.report`.
        """
        return {
            "clock": self.clock.name,
            "period_s": self.period_s,
            "policy": str(self.policy),
            "steps": self.steps,
            "skipped": self.skipped,
            "slipped_s": self.slipped_s,
            **self.tally.report(),
            "grace": {"steps": self.grace_steps, **self.grace_tally.report()},
            "edges_s": list(EDGES_S),
            "lateness": self.lateness.report(),
            "tasks": {name: task.report() for name, task in self._tasks.items()},
            **(self.usage.report() if self.real else {}),
        }
