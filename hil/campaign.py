"""A campaign: one scenario with one fault after another, by seeds, on all cores; what was found of them, what not."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property, partial
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Self

import numpy as np
from pydantic import BaseModel, Field, Strict, ValidationError, model_validator

from bmsthermal.errors import InputError
from bmsthermal.reduced.sweep import MOST_WORKERS
from hil import bench
from hil.campaign_outcome import CampaignOutcome, CaseRun
from hil.config import CONFIG, Positive
from hil.faults import Fault
from hil.metrics import FLAGS, Flag
from hil.mistakes import MisfitError, read_toml
from hil.outcome import Outcome
from hil.processes import in_processes
from hil.record import Record, column_names
from hil.scenario import Scenario, load_scenario

__all__ = ["Campaign", "CampaignOutcome", "Case", "CaseRun", "load_campaign", "run_campaign"]

#: Called with the share that is done, 0 to 1, and the name of the case.
Progress = Callable[[float, str], None]
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
    flags: tuple[Flag, ...] = FLAGS
    """Which flags count, some of `hil.metrics.FLAGS`; by default any."""
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
        if taken := sorted({"faults", "requirements", "name", "seed"} & {*self.scenario}):
            raise ValueError(f"scenario with {taken[0]!r}, which is the campaign's own")
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
        _ = self.scenarios
        return self

    @cached_property
    def scenarios(self) -> Sequence[Scenario]:
        """Scenario of each case, in their order."""
        own = self.folder / self.base
        try:
            base = load_scenario(own if own.suffix == ".toml" and own.is_file() else self.base)
        except InputError as error:
            raise MisfitError(("base",), str(error)) from None
        made = []
        for i, case in enumerate(self.case):
            try:
                made.append(self._scenario(base, case))
            except (ValidationError, InputError) as error:
                raise MisfitError(("case", i, "scenario" if case.scenario else "fault"), _said(error)) from None
        return made

    def _scenario(self, base: Scenario, case: Case) -> Scenario:
        fault, alarms = case.fault.name, {"id": "ALARM", "kind": "false_alarms", "recovery_s": self.recovery_s}
        told: dict[str, Any] = {"id": "UNDETECTED", "kind": "undetected", "fault": fault, "reason": case.reason}
        if case.detectable:
            told = {"id": "DETECT", "kind": "detect", "fault": fault, "within_s": case.within_s, "flags": case.flags}
        asked = told, alarms | {"optional": True}  # a fault that is there from the start leaves no time for them
        given = base.model_dump(exclude={"requirements", "faults"}, exclude_unset=True)
        given = _merged(_merged(given, self.scenario), case.scenario)
        title = case.scenario.get("title", case.fault.spec.text)
        given |= {"name": case.name, "title": title, "folder": base.folder, "requirements": asked}
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
        Processes, by default one a core; 1 is this process. The answer does not depend on it, as long as linear
        algebra has one thread here too, as it has there.
    progress
        Called with the share that is done and the name of the case that was.

    Returns
    -------
    CampaignOutcome
        A case that crashed is a run that failed, with the reason.

    Raises
    ------
    InputError
        If there is no such campaign or device, or a number is none.
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
    # what is wrong with the device is said before any work, and what it is compiled to is there for all processes
    bench.open_bench(jobs[0][1], device=device).device.close()
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
        scenarios = {index: scenario for index, (_, scenario) in enumerate(jobs)}
        for index in in_processes(scenarios, partial(_run, device=device), count, keep):
            keep(index, "its process died")
    runs = [_case_run(*jobs[index], device, found[index]) for index in range(len(jobs))]
    return CampaignOutcome(campaign, device, tuple(runs))


def _run(scenario: Scenario, device: str) -> Outcome | str:
    """Outcome of a case, or why it crashed."""
    try:
        outcome = bench.run_scenario(scenario, device=device)
    except Exception as error:  # a campaign goes on, whatever happens to one of its cases
        return f"{type(error).__name__}: {error}"
    return replace(outcome, frames=())  # of so many runs nobody keeps them


def _case_run(case: Case, scenario: Scenario, device: str, found: Outcome | str) -> CaseRun:
    if isinstance(found, Outcome):
        return CaseRun(case, found)
    names = column_names(scenario.plant.cells, scenario.observer.sensors, [case.fault.name])
    record = Record(
        names, np.empty((0, len(names))), scenario.plant.cells, scenario.observer.sensors, (case.fault.name,)
    )  # fmt: skip
    results = tuple(each.result(False, f"crashed: {found}") for each in scenario.requirements)
    return CaseRun(case, Outcome(scenario, device, record, results, ended=f"crashed: {found}"), found)
