"""The verdict on a terminal, and its files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bmsthermal.console import console, print_table
from bmsthermal.files import check_outputs
from hil.extras import extra
from hil.outcome import Outcome
from hil.verdict.junit import write_junit
from hil.verdict.page import write_report
from hil.verdict.told import sentence, word

#: Most sentences of a device that are printed.
MOST_SAID = 10


def print_verdict(outcome: Outcome) -> None:
    """Print requirements, equality, what the device said, and the verdict."""
    print_table(
        f"{outcome.scenario.title}, on {outcome.device}", ("requirement", "found", "asked", "verdict"),
        [(each.requirement, each.found, each.bound, word(each)) for each in outcome.results],
    )  # fmt: skip
    for name, found in outcome.equality.items():
        console.print(f"{name}: {found}")
    said = outcome.record.said
    for at, words in said[:MOST_SAID]:
        console.print(f"{at:,.0f} s: {words}")
    if len(said) > MOST_SAID:
        console.print(f"and {len(said) - MOST_SAID} more")
    console.print(sentence(outcome))


def check_verdict(report: Path | None, junit: Path | None, inputs: Sequence[str | Path]) -> None:
    """Refuse, before a run, files that could not be written after it, as `bmsthermal.files.check_outputs` does.

    Raises
    ------
    InputError
        As of that, and if what writes them is missing.
    """
    check_outputs((report, (".html",)), (junit, (".xml",)), inputs=inputs)
    if junit is not None:
        extra("junitparser", "JUnit XML")


def write_verdict(
    outcomes: Outcome | tuple[Outcome, ...], report: Path | None, junit: Path | None, title: str = ""
) -> None:
    """Write the page and the XML that were asked for, and say so."""
    if report is not None:
        write_report(outcomes, report, title)
        console.print(f"wrote {report}", soft_wrap=True)
    if junit is not None:
        write_junit(outcomes, junit)
        console.print(f"wrote {junit}", soft_wrap=True)
