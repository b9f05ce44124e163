"""A histogram of times in fixed bins, which allocates nothing while it counts."""

from __future__ import annotations

import math
from array import array
from bisect import bisect_right
from typing import Any

#: Between the bins, s: twenty a decade, from 100 ns to 100 s, to four digits. A time on an edge is in the bin above.
EDGES_S = tuple(float(f"{10 ** (k / 20):.4g}") for k in range(-140, 41))


class Histogram:
    """Counts of times: below the first of `EDGES_S`, between each two, from the last on."""

    __slots__ = ("_sum_s", "counts", "max_s")

    def __init__(self) -> None:
        self.counts = array("q", bytes(8 * (len(EDGES_S) + 1)))
        self.max_s = 0.0
        self._sum_s = 0.0

    def add(self, seconds: float) -> None:
        """Count one."""
        self.counts[bisect_right(EDGES_S, seconds)] += 1
        self._sum_s += seconds
        if seconds > self.max_s:
            self.max_s = seconds

    def quantile(self, share: float) -> float:
        """Time that this share of all does not pass: the upper edge of its bin, or the largest; 0 if there are none."""
        rank, seen = math.ceil(share * sum(self.counts)), 0
        for edge, count in zip(EDGES_S, self.counts, strict=False):
            seen += count
            if seen >= rank:
                return min(edge, self.max_s)
        return self.max_s

    def report(self) -> dict[str, Any]:
        """Counts and figures in s, ready for JSON."""
        count = sum(self.counts)
        return {
            "count": count,
            "mean_s": self._sum_s / count if count else 0.0,
            "p50_s": self.quantile(0.5),
            "p99_s": self.quantile(0.99),
            "p99_9_s": self.quantile(0.999),
            "max_s": self.max_s,
            "counts": self.counts.tolist(),
        }
