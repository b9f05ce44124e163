"""A run that is judged, and which of its rows count."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from hil import metrics
from hil.metrics import Rows
from hil.profile import Profile
from hil.record import Record

if TYPE_CHECKING:
    from hil.scenario import Scenario


@dataclass(frozen=True)
class Judged:
    """A run, and which of its rows count.

    Parameters
    ----------
    scenario, record, timing
        Of the run.
    profile
        Of the scenario: when the device had power.
    """

    scenario: Scenario
    record: Record
    timing: Mapping[str, Any]
    profile: Profile

    @cached_property
    def powered(self) -> Rows:
        """Rows ``(k,)`` of steps in which the device had power."""
        step = self.scenario.step_s
        return np.array([self.profile.powered(end - step) for end in self.record.time_s], bool)

    def rows(self, during: str, settle_s: float, recovery_s: float | None = None) -> Rows:
        """Rows ``(k,)`` that a requirement looks at: with power, settled, in, out of, or whatever of faults.

        Parameters
        ----------
        during
            ``all``, ``healthy``, ``faulted``, or the name of a fault.
        settle_s
            Left out from the start and from each key-on.
        recovery_s
            If healthy, left out from the end of each fault; as `settle_s` by default.
        """
        record = self.record
        names = record.faults if during in ("all", "healthy", "faulted") else [during]
        columns = [metrics.under(record, name) for name in names]
        faulted = np.any(columns, axis=0) if columns else np.zeros(len(record.rows), bool)
        rows = self.powered & self._settled(~self.powered, settle_s)
        if during == "healthy":
            recovery_s = settle_s if recovery_s is None else recovery_s
            return np.asarray(rows & ~faulted & self._settled(faulted, recovery_s, from_start=False))
        return rows if during == "all" else rows & faulted

    def _settled(self, disturbed: Rows, settle_s: float, from_start: bool = True) -> Rows:
        """Rows that are so long after the start or the last disturbance."""
        time, begun = self.record.time_s, self.record.time_s - self.scenario.step_s
        last = np.maximum.accumulate(np.where(disturbed, time, begun[0] if from_start else -np.inf))
        return np.asarray(time - last >= settle_s - 1e-9)
