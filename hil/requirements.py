"""What is asked of a device in a scenario, and how a record is judged against it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, Field, Strict

from hil import metrics
from hil.config import CONFIG, Positive, Share
from hil.judged import Judged
from hil.metrics import Flag, Rows
from hil.outcome import Result
from hil.record import Record

if TYPE_CHECKING:
    from hil.scenario import Scenario

Count = Annotated[int, Strict(), Field(ge=0)]
Seconds = Annotated[float, Strict(), Field(ge=0)]


class Asked(BaseModel):
    """What every requirement has."""

    model_config = CONFIG
    id: Annotated[str, Field(min_length=1)]
    """Identifier, such as that of a requirement document."""
    text: str = ""
    """What is asked, in words; written by itself if left out."""
    optional: bool = False
    """Whether the run may pass without it, where it cannot be judged."""

    def judge(self, run: Judged) -> Result:
        """Hold a run against it."""
        return self.result(*(self._found(run) if run.powered.any() else (None, "the device never had power")))

    def result(self, passed: bool | None, found: str) -> Result:
        """What was found, beside what was asked."""
        said = self.text or self._words()
        return Result(self.id, said, passed, found, self._bound(), self.optional and passed is None)

    def _found(self, run: Judged) -> tuple[bool | None, str]:
        """Whether it holds, None where that cannot be told, and the figure, or why there is none."""
        raise NotImplementedError

    def _words(self) -> str:
        """What is asked, in a sentence."""
        raise NotImplementedError

    def _bound(self) -> str:
        """What was asked, with unit."""
        raise NotImplementedError


def _when(during: str) -> str:
    when = {"all": "", "healthy": " without faults", "faulted": " during faults"}
    return when.get(during, f" during {during}")


class Over(Asked):
    """What a requirement on rows of a run has."""

    during: str = "all"
    """``all``, ``healthy`` (no fault injected), ``faulted`` (any), or the name of a fault."""
    settle_s: Seconds = 0.0
    """Left out from the start, from each key-on, and with ``healthy`` from the end of each fault."""

    def _when(self) -> str:
        return _when(self.during) + (f" from {self.settle_s:g} s on" if self.settle_s else "")


class CoreError(Over):
    """The estimate of the core is within a bound of the truth: of the worst cell, and no row without an estimate."""

    kind: Literal["core_error_K"]
    max_K: Positive | None = None
    """Of each row."""
    rms_K: Positive | None = None
    """Root of the mean square."""

    def _found(self, run: Judged) -> tuple[bool | None, str]:
        rows = run.rows(self.during, self.settle_s)
        if not rows.any():
            return None, "no rows to judge"
        if silent := metrics.unanswered(run.record, rows):
            return False, f"no estimate in {silent} of {rows.sum()} steps"
        largest, when, cell = metrics.max_K(run.record, rows)
        rms = metrics.rms_K(run.record, rows)
        of = f" in cell {cell}" if run.record.cells > 1 else ""
        found = f"{rms:.2f} K rms, {largest:.2f} K max at {when:g} s{of}"
        return largest <= (self.max_K or np.inf) and rms <= (self.rms_K or np.inf), found

    def _words(self) -> str:
        return f"The core is known{self._when()}."

    def _bound(self) -> str:
        bounds = ((self.rms_K, "rms"), (self.max_K, "max"))
        return "at most " + ", ".join(f"{bound:g} K {kind}" for bound, kind in bounds if bound is not None)


class Coverage(Over):
    """The device's own sigma is honest: so much of the truth is inside (`hil.metrics.coverage`)."""

    kind: Literal["coverage"]
    at_least: Share
    """Share of rows and cells."""
    sigmas: Positive = 2.0
    """Half the width of the band."""

    def _found(self, run: Judged) -> tuple[bool | None, str]:
        rows = run.rows(self.during, self.settle_s)
        if not rows.any():
            return None, "no rows to judge"
        share = metrics.coverage(run.record, rows, self.sigmas)
        return share >= self.at_least, f"{100 * share:.1f} %, NEES {metrics.nees(run.record, rows):.2f}"

    def _words(self) -> str:
        return f"The true core is within {self.sigmas:g} sigma{self._when()}."

    def _bound(self) -> str:
        return f"at least {100 * self.at_least:g} %"


class Flagged(Asked):
    """What a requirement on flags has."""

    flags: tuple[Flag, ...] = metrics.FLAGS
    """Which count; by default any."""
    sensors: tuple[str, ...] | None = None
    """Whose flags count; by default those of all. Heat is of a cell, and of no sensor."""
    cells: tuple[Count, ...] | None = None
    """Which cells count; by default all."""

    def _flags(self, run: Judged) -> Rows:
        return metrics.flagged(run.record, self.flags, self.sensors, self.cells)


class Detect(Flagged):
    """A fault is flagged in time, each time it is injected; a flag that was there before does not count."""

    kind: Literal["detect"]
    fault: str
    """Its name."""
    within_s: Positive
    """From the first thing that it changes."""

    def _found(self, run: Judged) -> tuple[bool | None, str]:
        windows = metrics.windows(run.record, self.fault)
        if not windows:
            return None, "was never injected"
        flags = self._flags(run)
        # a fault that is over may still be flagged in time
        spans = [(start, max(end, start + self.within_s)) for start, end in windows]
        times = [metrics.detected_after_s(run.record, span, flags) for span in spans]
        missed = sum(not time <= self.within_s for time in times)
        found = [time for time in times if np.isfinite(time)]
        latest = f"after {max(found):g} s" if found else "not flagged"
        many = f", {missed} of {len(times)} injections missed" if len(times) > 1 and missed else ""
        return missed == 0, latest + many

    def _words(self) -> str:
        return f"The fault {self.fault} is flagged."

    def _bound(self) -> str:
        return f"within {self.within_s:g} s"


class FalseAlarms(Flagged):
    r"""Flags where nothing is wrong, per hour: :math:`n / T` over rows with power.

    With ``during = "healthy"`` these are the rows outside of faults; with a fault and other sensors or cells than those
    that it acts on, whether the healthy ones are blamed for it.
    """

    kind: Literal["false_alarms"]
    per_hour: Seconds = 0.0
    """At most."""
    during: str = "healthy"
    """As of the core's error."""
    recovery_s: Seconds = 0.0
    """After the end of a fault a flag may stand for so long."""
    settle_s: Seconds = 0.0
    """Left out from the start and from each key-on."""

    def _found(self, run: Judged) -> tuple[bool | None, str]:
        rows = run.rows(self.during, self.settle_s, self.recovery_s)
        hours = float(rows.sum()) * run.scenario.step_s / 3600
        if not hours:
            return None, "no rows to judge"
        flags = self._flags(run)
        count = metrics.alarms(flags, rows)
        first = ""
        if count:
            at = int(np.flatnonzero(flags.any(axis=1) & rows)[0])
            first = f", the first at {run.record.time_s[at]:g} s ({', '.join(metrics.blamed(run.record, at))})"
        return count / hours <= self.per_hour, f"{count} in {hours:.2f} h{first}"

    def _words(self) -> str:
        return f"Nothing is flagged{_when(self.during)} that is not wrong."

    def _bound(self) -> str:
        return f"at most {self.per_hour:g} an hour"


class Recovery(Asked):
    """After a fault has ended, the core is soon known again, and stays so until the next one."""

    kind: Literal["recovery"]
    fault: str
    """Its name."""
    within_K: Positive
    """Error from then on."""
    within_s: Positive
    """From the end of the fault."""

    def _found(self, run: Judged) -> tuple[bool | None, str]:
        record = run.record
        starts = sorted(start for name in record.faults for start, _ in metrics.windows(record, name))
        windows = metrics.windows(record, self.fault)
        ends = [end for _, end in windows if end < record.time_s[-1]]
        if not ends:
            return None, "the fault does not end" if windows else "was never injected"
        times = [
            metrics.recovery_s(record, end, self.within_K, next((at for at in starts if at > end), np.inf))
            for end in ends
        ]
        worst = float(np.max(times))  # NaN wins
        return bool(worst <= self.within_s), f"after {worst:g} s" if np.isfinite(worst) else "not to the end"

    def _words(self) -> str:
        return f"The core is known again to {self.within_K:g} K after the fault {self.fault}."

    def _bound(self) -> str:
        return f"within {self.within_s:g} s"


class Alive(Asked):
    """The device answers: share of steps with power in which it said so in time, and made sense."""

    kind: Literal["alive"]
    at_least: Share = 1.0
    """Share of steps."""

    def _found(self, run: Judged) -> tuple[bool | None, str]:
        share = metrics.answered(run.record, run.powered)
        return share >= self.at_least, f"{100 * share:.4g} %"

    def _words(self) -> str:
        return "The device answers."

    def _bound(self) -> str:
        return f"at least {100 * self.at_least:g} % of steps"


class Latency(Asked):
    """Answers are fresh, and quickly found."""

    kind: Literal["latency"]
    age_steps: Count | None = None
    """Largest age of an answer, in steps; 0 is of the step itself."""
    step_ms: Positive | None = None
    """Longest time that the device takes over a step; only a real clock tells."""

    def _found(self, run: Judged) -> tuple[bool | None, str]:
        age = run.record["answer_age_s"][run.powered] / run.scenario.step_s
        fresh = self.age_steps is None or bool(age.max() <= self.age_steps + 1e-6)
        said = [] if self.age_steps is None else [f"{age.max():g} steps"]
        took = None if self.step_ms is None else device_ms(run.timing)
        if self.step_ms is not None:
            said.append("no real clock, no time to judge" if took is None else f"{took:.3g} ms at most")
        if fresh and self.step_ms is not None and took is None:
            return None, ", ".join(said)
        return fresh and (took is None or took <= (self.step_ms or np.inf)), ", ".join(said)

    def _words(self) -> str:
        return "Answers are fresh."

    def _bound(self) -> str:
        steps = [] if self.age_steps is None else [f"{self.age_steps} step{'s' * (self.age_steps != 1)} old"]
        return "at most " + ", ".join([*steps, *([] if self.step_ms is None else [f"{self.step_ms:g} ms a step"])])


class Overruns(Asked):
    """The bench keeps its time; on a virtual clock only what a fault makes late is."""

    kind: Literal["overruns"]
    at_most: Count = 0
    """Steps that were not done before the next one was due."""

    def _found(self, run: Judged) -> tuple[bool | None, str]:
        count = run.timing.get("overruns")
        return (None, "not counted") if count is None else (count <= self.at_most, f"{count}")

    def _words(self) -> str:
        return "The bench keeps its time."

    def _bound(self) -> str:
        return f"at most {self.at_most}"


class Undetected(Asked):
    """A fault that this device cannot tell, and why: it is written down, whether it was flagged is said."""

    kind: Literal["undetected"]
    fault: str
    """Its name."""
    reason: Annotated[str, Field(min_length=1)]
    """Why it cannot be told."""

    optional: bool = True
    """There is nothing to pass."""

    def _found(self, run: Judged) -> tuple[bool | None, str]:
        flags = metrics.flagged(run.record)
        times = [
            metrics.detected_after_s(run.record, window, flags) for window in metrics.windows(run.record, self.fault)
        ]
        said = f"something flagged after {np.nanmin(times):g} s" if np.isfinite(times).any() else "not flagged"
        return None, f"{said}: {self.reason}"

    def _words(self) -> str:
        return f"The fault {self.fault} is not told."

    def _bound(self) -> str:
        return "none"


Requirement = Annotated[
    CoreError | Coverage | Detect | FalseAlarms | Recovery | Alive | Latency | Overruns | Undetected,
    Field(discriminator="kind"),
]


#: Sets of requirements by name, for the key ``sets`` of a scenario. ``foxbms``: what foxBMS 2 (v1.11, BSD-3-Clause)
#: takes for plausible. It believes two sensors of a cell as long as they are within 5 K of each other: no estimate may
#: be worse than what a second sensor would be believed to say. What it asks of an answer in time is that there is one.
SETS: dict[str, tuple[Requirement, ...]] = {
    "foxbms": (
        CoreError(
            id="FOXBMS-REDUNDANCY", kind="core_error_K", max_K=5.0,
            text="The core is as close to the truth as foxBMS 2 asks of two sensors.",
        ),
        FalseAlarms(id="FOXBMS-SENSOR", kind="false_alarms", text="No sensor is called wrong that is not."),
        Alive(id="FOXBMS-TIMEOUT", kind="alive", text="No answer is missed."),
    )
}  # fmt: skip


def judge(scenario: Scenario, record: Record, timing: Mapping[str, Any]) -> tuple[Result, ...]:
    """Hold a run against the requirements of its scenario, in their order.

    Parameters
    ----------
    scenario
        Of the run.
    record
        What it left.
    timing
        How the time was kept, as `hil.timing` reports it.
    """
    run = Judged(scenario, record, timing, scenario.make_profile())
    return tuple(requirement.judge(run) for requirement in scenario.asked)


def device_ms(timing: Mapping[str, Any]) -> float | None:
    """Longest time that the device took over a step; None on a clock that stands still meanwhile."""
    if timing.get("clock", "virtual") == "virtual" or "device" not in timing.get("tasks", {}):
        return None
    return 1e3 * float(timing["tasks"]["device"]["execution"]["max_s"])
