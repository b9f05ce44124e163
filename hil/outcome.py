"""What came of a run: the record, each requirement's result, how the time was kept, and what it was made with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from hil.record import Record

if TYPE_CHECKING:
    from hil.scenario import Scenario


@dataclass(frozen=True)
class Result:
    """A requirement, and what was found.

    Parameters
    ----------
    requirement
        Its identifier.
    text
        What it asks, in words.
    passed
        None where it could not be judged.
    found
        Figure with unit, or why there is none.
    bound
        What was asked, with unit.
    optional
        Whether a run may pass where it could not be judged.
    """

    requirement: str
    text: str
    passed: bool | None
    found: str
    bound: str
    optional: bool = False

    @property
    def excused(self) -> bool:
        """Whether a run may pass without its being judged."""
        return self.passed is None and self.optional


@dataclass(frozen=True)
class Outcome:
    """A run and its verdict.

    Parameters
    ----------
    scenario, device
        What was run, and on what.
    record
        Signals.
    results
        Of each requirement.
    timing
        How the time was kept, see `hil.timing`: plain numbers, texts and lists.
    equality
        Model, software and processor on this run's inputs, a sentence each, by name.
    digests
        Of scenario, cell, model, kernel and record, by name.
    ended
        Why the run ended before its time; empty if it did not.
    frames
        Of CAN, in bench time, where there were any.
    """

    scenario: Scenario
    device: str
    record: Record = field(repr=False)
    results: tuple[Result, ...]
    timing: Mapping[str, Any] = field(default_factory=dict, repr=False)
    equality: Mapping[str, str] = field(default_factory=dict)
    digests: Mapping[str, str] = field(default_factory=dict, repr=False)
    ended: str = ""
    frames: tuple[Any, ...] = field(default=(), repr=False)

    @property
    def passed(self) -> bool:
        """Whether the run went to its end and no requirement failed, or went unjudged that had to be."""
        return not self.ended and all(result.passed or result.excused for result in self.results)
