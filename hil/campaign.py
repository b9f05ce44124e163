"""A campaign: one scenario with one fault after another, by seeds, on all cores; what was found of them, what not."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field, replace
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import numpy as np
from pydantic import BaseModel, Field, Strict, ValidationError, model_validator

from bmsthermal.errors import InputError
from bmsthermal.reduced.sweep import MOST_WORKERS, bare_start, begin_worker
from hil import metrics
from hil.faults import Fault
from hil.mistakes import MisfitError, read_toml
from hil.outcome import Outcome, Result
from hil.profile import CONFIG, Positive
from hil.record import Record, column_names
from hil.requirements import Detect, FalseAlarms, Undetected
from hil.scenario import Scenario, load_scenario

#: Called with the share that is done, 0 to 1, and the name of the case.
Progress = Callable[[float, str], None]
Flag = Literal["absent", "open", "short", "bias", "stuck", "drift", "swap", "heat"]
Seed = Annotated[int, Strict(), Field(ge=0)]


class Case(BaseModel):
    """A fault, and whether a device can tell it."""

    model_config = CONFIG
    fault: Fault
    """What goes wrong."""
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]+$")] = ""
    """Of the case; that of the fault by default."""
    detectable: bool
    """Whether the device has to flag it."""
    within_s: Positive | None = None
    """How soon."""
    flags: tuple[Flag, ...] | None = None
    """Which flags count; by default any."""
    reason: str = ""
    """Why it cannot be told."""
    scenario: dict[str, Any] = {}
    """What is another than in the campaign's scenario, in the scenario's own keys."""

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        if self.detectable == (self.within_s is None):
            raise ValueError("within_s goes with detectable = true, and with nothing else")
        if self.detectable == bool(self.reason):
            raise ValueError("reason goes with detectable = false, and with nothing else")
        if not self.name:
            object.__setattr__(self, "name", self.fault.name)
        return self


class Campaign(BaseModel):
    """Cases on one scenario. Made by `load_campaign`, or in Python."""

    model_config = CONFIG
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]+$")]
    """Short name; by default that of the file."""
    title: str = ""
    """What it is, in a line."""
    base: str
    """Scenario that all cases are of: a shipped name, or a file, seen from the folder of the campaign's."""
    scenario: dict[str, Any] = {}
    """What is another than in `base` in all cases, in the scenario's own keys: tables are merged, lists replaced."""
    seeds: Annotated[tuple[Seed, ...], Field(min_length=1)] = (1,)
    """Each case is run with each."""
    recovery_s: Annotated[float, Strict(), Field(ge=0)] = 0.0
    """What is flagged so long after the end of a fault is no false alarm."""
    case: Annotated[tuple[Case, ...], Field(min_length=1)]
    """The cases."""
    folder: Annotated[Path, Field(exclude=True)] = Path()
    """Where its files are seen from; set by the loader."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        names = [case.name for case in self.case]
        for i, name in enumerate(names):
            if name in names[:i]:
                raise MisfitError(("case", i, "name"), f"{name!r} is taken: each name once")
        for i in range(len(self.case)):
            try:
                _ = self.scenarios[i]
            except (ValidationError, InputError) as error:
                where = ("case", i, "scenario") if self.case[i].scenario else ("case", i, "fault")
                raise MisfitError(where, _said(error)) from None
        return self

    @cached_property
    def scenarios(self) -> Sequence[Scenario]:
        """Scenario of each case, in their order."""
        own = self.folder / self.base
        base = load_scenario(own if own.suffix == ".toml" and own.is_file() else self.base)
        return [self._scenario(base, case) for case in self.case]

    def _scenario(self, base: Scenario, case: Case) -> Scenario:
        asked: list[Any] = [
            FalseAlarms(id="ALARM", kind="false_alarms", per_hour=0.0, recovery_s=self.recovery_s),
        ]
        if case.within_s is not None:
            flags = {} if case.flags is None else {"flags": case.flags}
            asked.insert(0, Detect(id="DETECT", kind="detect", fault=case.fault.name, within_s=case.within_s, **flags))
        else:
            asked.insert(0, Undetected(id="UNDETECTED", kind="undetected", fault=case.fault.name, reason=case.reason))
        given = base.model_dump(exclude={"requirements", "faults"}, exclude_unset=True)
        given = _merged(_merged(given, self.scenario), case.scenario)
        title = case.scenario.get("title", case.fault.spec.text)
        given |= {"name": case.name, "title": title, "folder": base.folder, "requirements": tuple(asked)}
        return Scenario.model_validate(given | {"faults": (case.fault,)})


def _said(error: ValidationError | InputError) -> str:
    """First mistake of a scenario in a sentence."""
    if isinstance(error, InputError):
        return str(error)
    first = error.errors()[0]
    return ".".join(map(str, first["loc"])) + f": {first['msg']}"


def _merged(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Return one table with what another says: tables are merged, all else is replaced."""
    made = dict(one)
    for key, value in other.items():
        both = isinstance(value, Mapping) and isinstance(made.get(key), Mapping)
        made[key] = _merged(made[key], value) if both else value
    return made


def load_campaign(name: str | Path) -> Campaign:
    """Read a campaign: a shipped one by name (``faults``, or ``faults.toml``), or a file.

    Raises
    ------
    InputError
        If there is none; or with file, line, key, what was found and what was expected, for each mistake of the file.
    """
    path = Path(name)
    with resources.as_file(resources.files("hil") / "campaigns") as folder:
        shipped = {each.stem: each for each in sorted(folder.glob("*.toml"))}
    if not path.is_file():
        stem = path.stem if str(name) in (path.stem, f"{path.stem}.toml") else ""
        if stem not in shipped:
            raise InputError(f"no campaign {str(name)!r}", expected="a .toml file or one of " + ", ".join(shipped))
        path = shipped[stem]
    return read_toml(path, Campaign, {"name": path.stem}, {"folder": path.parent})


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
    def after_s(self) -> float:
        """Time from the first injection to the first flag in s; NaN if there was none."""
        record = self.outcome.record
        windows = [] if self.crashed else metrics.windows(record, self.case.fault.name)
        if not windows:
            return np.nan
        flags = metrics.flagged(record, metrics.FLAGS if self.case.flags is None else self.case.flags)
        return metrics.detected_after_s(record, windows[0], flags)

    @property
    def found(self) -> bool:
        """Whether it was flagged at all."""
        return bool(np.isfinite(self.after_s))

    @cached_property
    def flags(self) -> tuple[str, ...]:
        """Kinds of flags that rose in the fault, in the order of `hil.metrics.FLAGS`."""
        record = self.outcome.record
        windows = [] if self.crashed else metrics.windows(record, self.case.fault.name)
        return tuple(
            flag for flag in metrics.FLAGS if windows
            and np.isfinite(metrics.detected_after_s(record, windows[0], metrics.flagged(record, (flag,))))
        )  # fmt: skip

    @property
    def false_alarms(self) -> int:
        """Flags that rose before the fault was first there."""
        record = self.outcome.record
        if self.crashed:
            return 0
        windows = metrics.windows(record, self.case.fault.name)
        before = record.time_s < (windows[0][0] if windows else np.inf)
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

    def rows(self) -> list[tuple[str, ...]]:
        """Case, kind, what was expected and found, flags, time to detect, false alarms, worst core error."""
        table = []
        for case in self.campaign.case:
            runs = self.of(case)
            times = [run.after_s for run in runs if run.found]
            flags = dict.fromkeys(flag for run in runs for flag in run.flags)
            errors = [run.core_error_K for run in runs if np.isfinite(run.core_error_K)]
            crashed = sum(bool(run.crashed) for run in runs)
            expected = f"within {case.within_s:g} s" if case.detectable else f"not: {case.reason}"
            found = f"{len(times)} of {len(runs)}" + (f", {crashed} crashed" if crashed else "")
            table.append((
                case.name, case.fault.kind, expected, found, ", ".join(flags),
                f"{min(times):g} to {max(times):g} s" if times else "-", str(sum(run.false_alarms for run in runs)),
                f"{max(errors):.2f} K" if errors else "-",
            ))  # fmt: skip
        return table


def run_campaign(
    campaign: Campaign | str | Path, *, seeds: Sequence[int] | None = None, device: str = "sil",
    workers: int | None = None, progress: Progress | None = None,
) -> CampaignOutcome:  # fmt: skip
    """Run all cases with all seeds.

    Parameters
    ----------
    campaign
        A campaign, the name of a shipped one, or its file.
    seeds
        In place of the campaign's.
    device
        As for `hil.bench.run_scenario`.
    workers
        Processes, by default one a core; 1 is this process. The answer does not depend on it.
    progress
        Called with the share that is done and the name of the case that was.

    Returns
    -------
    CampaignOutcome
        A case that crashed is a run that failed, with the reason.

    Raises
    ------
    InputError
        If there is no such campaign, or a number is none.
    """
    campaign = campaign if isinstance(campaign, Campaign) else load_campaign(campaign)
    seeds = campaign.seeds if seeds is None else tuple(seeds)
    if not seeds or len(set(seeds)) < len(seeds) or not all(isinstance(seed, int) and seed >= 0 for seed in seeds):
        raise InputError(f"seeds = {seeds!r:.60}", expected="whole numbers from 0 on, each once")
    if workers is not None and not (isinstance(workers, int) and 1 <= workers <= MOST_WORKERS):
        raise InputError(f"workers = {workers!r}", expected=f"1 to {MOST_WORKERS}")
    jobs = [
        (case, scenario.model_copy(update={"seed": seed}))
        for case, scenario in zip(campaign.case, campaign.scenarios, strict=True) for seed in seeds
    ]  # fmt: skip
    found: dict[int, Outcome | str] = {}

    def keep(index: int, outcome: Outcome | str) -> None:
        found[index] = outcome
        if progress is not None:
            progress(len(found) / len(jobs), f"{jobs[index][0].name}, seed {jobs[index][1].seed}")

    count = min(len(jobs), workers or os.cpu_count() or 1)
    if count == 1:
        for index, (_, scenario) in enumerate(jobs):
            keep(index, _run(scenario, device))
    else:
        _in_processes({i: scenario for i, (_, scenario) in enumerate(jobs)}, device, count, keep)
    runs = [_case_run(*jobs[index], device, found[index]) for index in range(len(jobs))]
    return CampaignOutcome(campaign, device, tuple(runs))


def _run(scenario: Scenario, device: str) -> Outcome | str:
    """Outcome of a case, or why it crashed."""
    from hil.bench import run_scenario

    try:
        outcome = run_scenario(scenario, device=device)
    except Exception as error:  # a campaign goes on, whatever happens to one of its cases
        return f"{type(error).__name__}: {error}"
    return replace(outcome, frames=())  # of so many runs nobody keeps them


def _in_processes(
    jobs: Mapping[int, Scenario], device: str, count: int, keep: Callable[[int, Outcome | str], None]
) -> None:
    """Run jobs in processes of their own; those that were under way when one died, each once more in one of its own."""
    waiting = list(jobs)
    while waiting:
        lost, waiting = _in_pool({index: jobs[index] for index in waiting}, device, count, keep)
        for index in lost:
            if _in_pool({index: jobs[index]}, device, 1, keep)[0]:
                keep(index, "its process died")


def _in_pool(
    jobs: Mapping[int, Scenario], device: str, count: int, keep: Callable[[int, Outcome | str], None]
) -> tuple[list[int], list[int]]:
    """Run jobs in a pool; return which were under way when one of its processes died, and which had not begun."""
    waiting = list(jobs)
    running: dict[Future[Outcome | str], int] = {}
    lost: list[int] = []
    pool = ProcessPoolExecutor(count, multiprocessing.get_context("spawn"), begin_worker)
    try:
        while (waiting or running) and not lost:
            with bare_start():
                for index in waiting[: count - len(running)]:
                    running[pool.submit(_run, jobs[index], device)] = index
                    waiting.remove(index)
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                if isinstance(future.exception(), BrokenProcessPool):
                    lost.append(running.pop(future))
                else:
                    keep(running.pop(future), future.result())
    except BrokenProcessPool:  # between two jobs: the one that was not taken has not begun
        pass
    finally:
        pool.shutdown(cancel_futures=True)
    return sorted([*lost, *running.values()]), waiting


def _case_run(case: Case, scenario: Scenario, device: str, found: Outcome | str) -> CaseRun:
    if isinstance(found, Outcome):
        return CaseRun(case, found)
    names = column_names(scenario.plant.cells, scenario.observer.sensors, [case.fault.name])
    record = Record(
        names, np.empty((0, len(names))), scenario.plant.cells, scenario.observer.sensors, (case.fault.name,)
    )  # fmt: skip
    results = tuple(
        Result(each.id, each._words(), False, f"crashed: {found}", each._bound()) for each in scenario.requirements
    )
    return CaseRun(case, Outcome(scenario, device, record, results, ended=f"crashed: {found}"), found)
