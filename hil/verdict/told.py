"""What came of runs, in words: of one, of each requirement, of a campaign."""

from __future__ import annotations

from collections.abc import Sequence

from bmsthermal.files import figures
from hil.outcome import Outcome, Result


def word(result: Result) -> str:
    """What came of a requirement, in a word or two."""
    return {True: "passed", False: "FAILED", None: "not judged"}[result.passed]


def tone(outcome: Outcome) -> str:
    """Good or bad."""
    return "good" if outcome.passed else "bad"


def sentence(outcome: Outcome) -> str:
    """The verdict: whether it passed, and if not, why."""
    count, failed = len(outcome.results), [each for each in outcome.results if each.passed is False]
    unjudged = [each.requirement for each in outcome.results if each.passed is None and not each.excused]
    noted = sum(each.excused for each in outcome.results)
    parts = [f"The run ended before its time: {outcome.ended.rstrip('.')}."] if outcome.ended else []
    if failed:
        parts.append(
            f"{len(failed)} of {plural(count, 'requirement')} failed: {', '.join(r.requirement for r in failed)}."
        )
    if unjudged:
        parts.append(f"Not judged: {', '.join(unjudged)}.")
    if parts:
        return " ".join(["Failed.", *parts])
    if not count:
        return "The run went to its end. Nothing was required of it."
    note = f" {plural(noted, 'other')} noted, not judged." if noted else ""
    return f"Passed: {plural(count - noted, 'requirement')} held.{note}"


def plural(count: int, noun: str) -> str:
    """``1 requirement``, ``3 requirements``."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def span(seconds: float) -> str:
    """A length of time as people say it: 250 µs, 3.2 ms, 45 s, 12 min, 2.5 h."""
    for limit, unit, name in ((1e-3, 1e-6, "µs"), (1.0, 1e-3, "ms"), (120.0, 1.0, "s"), (7200.0, 60.0, "min")):
        if abs(seconds) < limit:
            return f"{figures(seconds / unit)} {name}"
    return f"{figures(seconds / 3600)} h"


def headline(outcome: Outcome) -> str:
    """Title of the scenario, or its name."""
    return str(outcome.scenario.title or outcome.scenario.name).rstrip(".")


def lead(outcome: Outcome) -> str:
    """What was run, in a line."""
    record, step = outcome.record, getattr(outcome.scenario, "step_s", None)
    parts = [outcome.scenario.name, f"seed {seed_of(outcome)}", f"on {outcome.device}"]
    if record.cells > 1:
        parts.append(f"{record.cells} cells")
    parts.append(f"{plural(len(record.rows), 'step')}{f' of {span(step)}' if step else ''}")
    if clock := outcome.timing.get("clock"):
        parts.append(f"{clock} clock")
    return ", ".join(parts)


def seed_of(outcome: Outcome) -> int:
    """Seed of a run."""
    return int(getattr(outcome.scenario, "seed", 0))


def kinds(outcome: Outcome) -> dict[str, str]:
    """Kind of each requirement by its identifier, where the scenario says it."""
    return {r.id: r.kind for r in getattr(outcome.scenario, "requirements", ()) if hasattr(r, "kind")}


def found(outcome: Outcome) -> tuple[str, str]:
    """What a campaign wants to know of a run: a word, and how long it took or why."""
    kind = kinds(outcome)
    of = {name: [r for r in outcome.results if kind.get(r.requirement) == name] for name in ("detect", "undetected")}
    failed = [each for each in outcome.results if each.passed is False]
    if outcome.ended:
        return "ended early", outcome.ended
    if missed := [each for each in of["detect"] if each.passed is False]:
        return "missed", "; ".join(each.found for each in missed)
    if failed:
        return "failed", "; ".join(f"{each.requirement}: {each.found}" for each in failed)
    if unjudged := [each for each in outcome.results if each.passed is None and not each.excused]:
        return "not judged", "; ".join(f"{each.requirement}: {each.found}" for each in unjudged)
    if of["detect"]:
        return "found", "; ".join(each.found for each in of["detect"])
    if of["undetected"]:
        return "undetectable", "; ".join(each.found for each in of["undetected"])
    return "passed", ""


def campaign_sentence(outcomes: Sequence[Outcome]) -> str:
    """The verdict over many runs."""
    words = [found(each)[0] for each in outcomes]
    said = [f"{words.count(each)} {each}" for each in dict.fromkeys(words)]
    passed = sum(each.passed for each in outcomes)
    start = "Passed" if passed == len(outcomes) else "Failed"
    return f"{start}: {passed} of {plural(len(outcomes), 'run')} hold what is required of them. {', '.join(said)}."


def campaign_lead(outcomes: Sequence[Outcome]) -> str:
    """What was run, in a line."""
    cases, seeds = {each.scenario.name for each in outcomes}, {seed_of(each) for each in outcomes}
    devices = list(dict.fromkeys(each.device for each in outcomes))
    return f"{plural(len(cases), 'case')}, {plural(len(seeds), 'seed')}, on {', '.join(devices)}"
