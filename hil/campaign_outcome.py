"""What came of a campaign: each run, what was found of its fault and how soon."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from hil import metrics
from hil.metrics import Flag
from hil.outcome import Outcome

if TYPE_CHECKING:
    from hil.campaign import Campaign, Case


@dataclass(frozen=True)
class CaseRun:
    """A case with a seed, and what came of it.

    Parameters
    ----------
    case
        Which.
    outcome
        The run and its verdict.
    crashed
        Why it did not run; empty if it did.
    """

    case: Case
    outcome: Outcome = field(repr=False)
    crashed: str = ""

    @property
    def seed(self) -> int:
        """Of its run."""
        return self.outcome.scenario.seed

    @cached_property
    def _windows(self) -> list[tuple[float, float]]:
        """When the fault was there."""
        return [] if self.crashed else metrics.windows(self.outcome.record, self.case.fault.name)

    @cached_property
    def after_s(self) -> float:
        """Time from the first injection to the first flag in s; NaN if there was none."""
        return self._rose_after_s(self.case.flags)

    def _rose_after_s(self, flags: Sequence[Flag]) -> float:
        if not self._windows:
            return np.nan
        record = self.outcome.record
        return metrics.detected_after_s(record, self._windows[0], metrics.flagged(record, flags))

    @property
    def found(self) -> bool:
        """Whether it was flagged at all."""
        return bool(np.isfinite(self.after_s))

    @cached_property
    def flags(self) -> tuple[str, ...]:
        """Kinds of flags that rose in the fault, in the order of `hil.metrics.FLAGS`."""
        return tuple(flag for flag in metrics.FLAGS if np.isfinite(self._rose_after_s((flag,))))

    @property
    def false_alarms(self) -> int:
        """Flags that rose before the fault was first there."""
        record = self.outcome.record
        if self.crashed:
            return 0
        before = record.time_s < (self._windows[0][0] if self._windows else np.inf)
        return metrics.alarms(metrics.flagged(record), before)

    @cached_property
    def core_error_K(self) -> float:
        """Largest error of the core while the fault was there; NaN where the device was silent."""
        record = self.outcome.record
        rows = np.zeros(len(record.rows), bool) if self.crashed else metrics.under(record, self.case.fault.name)
        rows &= ~np.isnan(metrics.core_error_K(record)).any(axis=1) if len(rows) else rows
        return metrics.max_K(record, rows)[0] if rows.any() else np.nan


@dataclass(frozen=True)
class CampaignOutcome:
    """All runs of a campaign, case by case and seed by seed.

    Parameters
    ----------
    campaign, device
        What was run, and on what.
    runs
        In the order of the cases, then of the seeds.
    """

    campaign: Campaign = field(repr=False)
    device: str
    runs: tuple[CaseRun, ...] = field(repr=False)

    @property
    def outcomes(self) -> tuple[Outcome, ...]:
        """Of each run."""
        return tuple(run.outcome for run in self.runs)

    @property
    def passed(self) -> bool:
        """Whether every run holds what is asked of it: what is detectable was found in time, and nothing else."""
        return all(outcome.passed for outcome in self.outcomes)

    def of(self, case: Case) -> tuple[CaseRun, ...]:
        """Runs of a case, in the order of their seeds."""
        return tuple(run for run in self.runs if run.case is case)

    def reasons(self) -> list[tuple[str, str]]:
        """Cases that are not detectable, each with the reason."""
        return [(case.name, case.reason) for case in self.campaign.case if not case.detectable]

    def rows(self) -> list[tuple[str, ...]]:
        """Case, kind, what was expected and found, flags, time to detect, false alarms, worst core error."""
        table: list[tuple[str, ...]] = []
        for case in self.campaign.case:
            runs = self.of(case)
            times = [run.after_s for run in runs if run.found]
            flags = dict.fromkeys(flag for run in runs for flag in run.flags)
            errors = [run.core_error_K for run in runs if np.isfinite(run.core_error_K)]
            crashed = sum(bool(run.crashed) for run in runs)
            expected = f"within {case.within_s:g} s" if case.detectable else "not"
            found = f"{len(times)} of {len(runs)}" + (f", {crashed} crashed" if crashed else "")
            table.append((
                case.name, case.fault.kind, expected, found, ", ".join(flags),
                f"{min(times):g} to {max(times):g} s" if times else "-", str(sum(run.false_alarms for run in runs)),
                f"{max(errors):.2f} K" if errors else "-",
            ))  # fmt: skip
        return table
