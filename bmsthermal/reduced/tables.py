"""Cubic Hermite tables that a complex step goes through: the readable twin of those in ``kernel/cell.h``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bmsthermal.curves import Array

#: Where the last interval is left: the kernel counts intervals by cutting off digits.
LAST = 0.999999


def limit(x: Array, low: float, high: float) -> Array:
    """`x` between two ends, by its real part; at an end it no longer depends on anything."""
    return np.where(np.real(x) > high, high, np.where(np.real(x) < low, low, x))


@dataclass(frozen=True)
class Table:
    """Quantities against a place, with equal intervals; outside them the end holds.

    Parameters
    ----------
    grid
        First place, intervals per unit, number of the last interval.
    value, slope
        Of each quantity at each place ``(k, ...)``; slopes are per interval.
    """

    grid: Sequence[float]
    value: Array
    slope: Array

    @classmethod
    def of(cls, table: Array, grid: Sequence[float]) -> Table:
        """From values and slopes in turn, ``(k, 2 n)`` or ``(k, 2 n, m)``."""
        return cls(grid, table[:, 0::2], table[:, 1::2])

    def place(self, x: Array) -> tuple[Array, Array]:
        """Interval, and how far into it."""
        low, per, last = self.grid
        at = limit((x - low) * per, 0.0, last + LAST)
        i = np.real(at).astype(int)
        return i, at - i

    def inside(self, x: Array) -> Array:
        """1 where the table answers to its place, 0 where an end holds."""
        low, per, last = self.grid
        at = np.real(x - low) * per
        return np.asarray((at >= 0.0) & (at <= last + LAST), float)

    def __call__(self, x: Array) -> Array:
        """Values ``(..., n)`` at places ``(...)``."""
        i, s = self.place(x)
        s = s.reshape(s.shape + (1,) * (self.value.ndim - 1))
        step = self.value[i + 1] - self.value[i]
        rise, fall = self.slope[i] - step, step - self.slope[i + 1]
        return np.asarray(self.value[i] + s * (step + (1 - s) * (rise + s * (fall - rise))))

    def rise(self, x: Array) -> Array:
        """Derivatives ``(..., n)`` of the interval that is used, also where its end holds."""
        i, s = self.place(x)
        s = s.reshape(s.shape + (1,) * (self.value.ndim - 1))
        step = self.value[i + 1] - self.value[i]
        rise, fall = self.slope[i] - step, step - self.slope[i + 1]
        return np.asarray((step + (1 - 2 * s) * rise + s * (2 - 3 * s) * (fall - rise)) * self.grid[1])
