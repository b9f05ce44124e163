"""Clocks of one shape: time that is the step, time that runs as fast as told, and real time."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator
from typing import Protocol

from bmsthermal.errors import InputError

#: Factors of a scaled clock.
SLOWEST, FASTEST = 1e-3, 1e6
#: A sleep ends this much early and the rest is spun: a kernel wakes a sleeper some 50 to 100 us late.
SPIN_S = 200e-6


class Clock(Protocol):
    """Time in s since some moment; it never runs back.

    Parameters
    ----------
    name
        As `open_clock` takes it.
    real
        Whether it goes on by itself, so that a step can be late.
    """

    name: str
    real: bool

    def now(self) -> float:
        """Time now, s."""
        ...

    def sleep_until(self, deadline_s: float) -> None:
        """Return at a time, or at once if it is past."""
        ...

    def spend(self, seconds: float) -> None:
        """Let time go by as work would: what waits for this clock is late by it."""
        ...


class VirtualClock:
    """Time that stands still between the steps: nothing waits, nothing is late, two runs are the same."""

    name = "virtual"
    real = False

    def __init__(self) -> None:
        self._now_s = 0.0

    def now(self) -> float:
        """Time now, s."""
        return self._now_s

    def sleep_until(self, deadline_s: float) -> None:
        """Be there."""
        if deadline_s > self._now_s:
            self._now_s = deadline_s

    def spend(self, seconds: float) -> None:
        """Go on by that much."""
        self._now_s += seconds


class FakeClock(VirtualClock):
    """A virtual clock for tests, whose sleeps end as late as told.

    Parameters
    ----------
    late_s
        By how much each sleep overshoots, in order; then none does.
    """

    name = "fake"

    def __init__(self, late_s: Iterable[float] = ()) -> None:
        super().__init__()
        self._late: Iterator[float] = iter(late_s)

    def sleep_until(self, deadline_s: float) -> None:
        """Be there, or later."""
        super().sleep_until(deadline_s)
        self.spend(next(self._late, 0.0))


class ScaledClock:
    """Time that goes `factor` times as fast as the wall's: `spend` and `sleep_until` are in its own seconds.

    It reads the machine's monotonic counter (``CLOCK_MONOTONIC`` on Linux), which nobody sets, and sleeps up to
    `SPIN_S` short of an absolute deadline; the rest it spins.

    Parameters
    ----------
    factor
        Its seconds per second of the wall.
    spin_s
        What of each sleep is spun, in seconds of the wall; 0 sleeps only.
    """

    real = True

    def __init__(self, factor: float = 1.0, spin_s: float = SPIN_S) -> None:
        if not SLOWEST <= factor <= FASTEST:
            raise InputError(f"a clock of factor {factor}", expected=f"{SLOWEST:g} to {FASTEST:g}")
        self.name, self.factor = f"scaled:{factor:g}", factor
        self._spin_s = spin_s
        self._origin_s = time.perf_counter()

    def now(self) -> float:
        """Time since it was made, s."""
        return (time.perf_counter() - self._origin_s) * self.factor

    def sleep_until(self, deadline_s: float) -> None:
        """Sleep, spin, return; at once if the time is past."""
        counter, end = time.perf_counter, self._origin_s + deadline_s / self.factor
        rest = end - counter() - self._spin_s
        if rest > 0:
            time.sleep(rest)
        while counter() < end:
            pass

    def spend(self, seconds: float) -> None:
        """Keep the processor busy for that long."""
        end = self.now() + seconds
        while self.now() < end:
            pass


class RealClock(ScaledClock):
    """The time of the wall."""

    def __init__(self, spin_s: float = SPIN_S) -> None:
        super().__init__(1.0, spin_s)
        self.name = "real"


def open_clock(text: str) -> Clock:
    """Make a clock: ``virtual``, ``real`` or ``scaled:FACTOR``.

    Raises
    ------
    InputError
        If it is none of them.
    """
    if text == "virtual":
        return VirtualClock()
    if text == "real":
        return RealClock()
    kind, _, number = text.partition(":")
    try:
        factor = float(number) if kind == "scaled" else math.nan
    except ValueError:
        factor = math.nan
    if not (math.isfinite(factor) and factor > 0):
        raise InputError(
            f"no clock {text!r}", expected="virtual, real or scaled:FACTOR with a positive factor, such as scaled:10"
        )
    return ScaledClock(factor)
