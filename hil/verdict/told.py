"""What came of runs, in words and tables: verdict, requirements, faults, cells, how the time was kept, the scenario."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bmsthermal.faults import NAMES
from bmsthermal.files import figures
from bmsthermal.pages import Table
from hil.outcome import Outcome, Result

#: Histograms are drawn in bins of half a decade.
PER_BAR = 10


def word(result: Result) -> str:
    """What came of a requirement, in a word or two."""
    return {True: "passed", False: "FAILED", None: "not judged"}[result.passed]


def excused(result: Result) -> bool:
    """Whether a run may pass without the requirement being judged."""
    return result.passed is None and bool(getattr(result, "optional", False))


def tone(outcome: Outcome) -> str:
    """Good or bad."""
    return "good" if outcome.passed else "bad"


def sentence(outcome: Outcome) -> str:
    """The verdict: whether it passed, and if not, why."""
    count, failed = len(outcome.results), [each for each in outcome.results if each.passed is False]
    unjudged = [each.requirement for each in outcome.results if each.passed is None and not excused(each)]
    noted = sum(map(excused, outcome.results))
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


def fault_table(outcome: Outcome) -> Table | None:
    """When each fault was injected, and what the device said first after that; none without faults."""
    record, rows = outcome.record, []
    flags: list[tuple[str, tuple[str, ...], Any]] = [(f"{sensor}{_cell(record.cells, cell)}", NAMES, column)
             for sensor in record.sensors for cell, column in enumerate(record.each(f"fault_{sensor}").T)]  # fmt: skip
    flags += [(f"heat{_cell(record.cells, cell)}", ("none", "flagged"), column)
              for cell, column in enumerate(record.each("heat_fault").T)]  # fmt: skip
    for fault in record.faults:
        windows = record.injected(fault)
        if not windows:
            rows.append((fault, "never injected", "", "", ""))
        for start, end in windows:
            first = int(np.searchsorted(record.time_s, start))
            found = None
            for name, words, column in flags:
                before = column[first - 1] if first else 0
                new = np.flatnonzero((column[first:] > 0) & (column[first:] != before))
                if new.size and (found is None or new[0] < found[0]):
                    code = int(column[first + new[0]])
                    found = int(new[0]), f"{name}: {words[code] if code < len(words) else code}"
            if found is None:
                rows.append((fault, f"{start:g} s", f"{end:g} s", "nothing", ""))
            else:
                after = float(record.time_s[first + found[0]]) - start
                late = " (after its end)" if start + after > end else ""
                rows.append((fault, f"{start:g} s", f"{end:g} s", found[1] + late, f"{after:g} s"))
    columns = ("fault", "injected from", "to", "first new flag after that", "time to it")
    return Table("Faults that were injected, in time of the bench", columns, tuple(rows)) if rows else None


def _cell(cells: int, cell: int) -> str:
    return f" of cell {cell + 1}" if cells > 1 else ""


def cell_table(outcome: Outcome) -> Table | None:
    """Each cell of a module, the worst marked; none for one cell."""
    record = outcome.record
    if record.cells == 1 or not len(record.rows):
        return None
    true, said = record.each("true_core_degC"), record.each("core_degC")
    error = np.abs(said - true)
    known = np.isfinite(error)
    largest = np.where(known, error, -1.0).max(0)
    square = np.where(known, error**2, 0.0).sum(0) / np.maximum(known.sum(0), 1)
    flagged = np.zeros(record.cells, bool)
    for name in (*(f"fault_{sensor}" for sensor in record.sensors), "heat_fault"):
        flagged |= (record.each(name) > 0).any(0)
    rows = tuple(
        (
            f"{cell + 1}", f"{true[:, cell].min():.2f}", f"{true[:, cell].max():.2f}",
            f"{np.sqrt(square[cell]):.2f}" if known[:, cell].any() else "no answer",
            f"{largest[cell]:.2f}" if known[:, cell].any() else "no answer",
            f"{record.time_s[largest_row(error[:, cell])]:g}",
            "yes" if flagged[cell] else "",
        )
        for cell in range(record.cells)
    )  # fmt: skip
    columns = ("cell", "coldest core, degC", "hottest core, degC", "error rms, K", "error max, K", "at, s", "flagged")
    return Table("Cells, true core and error of the estimate", columns, rows, (int(largest.argmax()),))


def largest_row(error: Any) -> int:
    """Row of the largest error; the first where there is none."""
    return int(np.where(np.isfinite(error), error, -1.0).argmax())


def timing_facts(timing: Mapping[str, Any]) -> list[tuple[str, str]]:
    """How the time was kept, name and value."""
    facts = []
    for key, value in timing.items():
        if key in ("edges_s", "lateness", "tasks"):
            continue
        for name, each in value.items() if isinstance(value, Mapping) else [("", value)]:
            if isinstance(each, (list, tuple)) and not any(isinstance(one, (Mapping, list, tuple)) for one in each):
                facts.append((_named(key, name), ", ".join(_valued(name or key, one) for one in each[:8])))
            elif not isinstance(each, (Mapping, list, tuple)):
                facts.append((_named(key, name), _valued(name or key, each)))
    return facts


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


def _named(key: str, name: str = "") -> str:
    return f"{key} {name}".strip().removesuffix("_s").replace("_", " ")


def _valued(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (int, float)) and name.endswith("_s"):
        return span(value)
    return figures(value) if isinstance(value, float) else str(value)


def task_table(timing: Mapping[str, Any]) -> Table | None:
    """Lateness of the steps and execution times of the tasks: figures of their histograms."""
    rows = []
    for name, report, task in _histograms(timing):
        if report.get("count"):
            figured = [span(report[key]) for key in ("mean_s", "p50_s", "p99_s", "p99_9_s", "max_s") if key in report]
            rows.append((name, f"{report['count']}", *figured, f"{task.get('overruns', '')}"))
    columns = ("", "count", "mean", "50 %", "99 %", "99.9 %", "largest", "overruns")
    fits = rows and all(len(row) == len(columns) for row in rows)
    return Table("Lateness of steps, execution time of tasks", columns, tuple(rows)) if fits else None


def _histograms(timing: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any], Mapping[str, Any]]]:
    tasks = timing.get("tasks") or {}
    lateness = [("lateness of the step", timing["lateness"], timing)] if timing.get("lateness") else []
    return [*lateness, *((name, task.get("execution") or {}, task) for name, task in tasks.items())]


def histograms(timing: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Bars of each histogram that counted something, `PER_BAR` bins a bar, their heights as shares of the highest."""
    edges, made = timing.get("edges_s") or [], []
    for name, report, _ in _histograms(timing):
        counts = np.asarray(report.get("counts") or [], float)
        if len(counts) != len(edges) + 1 or not counts.sum() or not report.get("max_s"):
            continue
        sums = np.add.reduceat(counts[1:-1], np.arange(0, len(counts) - 2, PER_BAR))
        sums[0] += counts[0]
        sums[-1] += counts[-1]
        starts = [float(edge) for edge in edges[:-1:PER_BAR]]
        used = np.flatnonzero(sums)
        first, last = max(int(used[0]) - 1, 0), min(int(used[-1]) + 2, len(sums))
        # counts differ by powers of ten: one late step in a thousand must be seen
        heights = np.log10(1 + sums) / np.log10(1 + sums.max())
        made.append({
            "name": name, "count": int(counts.sum()),
            "bars": [{"from": span(starts[i]), "count": int(sums[i]), "height": round(float(heights[i]), 3)}
                     for i in range(first, last)],
        })  # fmt: skip
    return made


def scenario_table(scenario: Any) -> Table:
    """The scenario as it was run: key and value, nested keys with dots."""
    data = scenario.model_dump(mode="json") if hasattr(scenario, "model_dump") else dict(vars(scenario))
    return Table("Scenario as it was run", ("key", "value"), tuple(_flat("", data)))


def _flat(prefix: str, value: Any) -> list[tuple[str, str]]:
    """Rows of nested settings; long lists are cut."""
    if isinstance(value, Mapping):
        return [row for key, each in value.items() for row in _flat(f"{prefix}.{key}" if prefix else str(key), each)]
    if isinstance(value, (list, tuple)) and any(isinstance(each, Mapping) for each in value):
        return [row for i, each in enumerate(value) for row in _flat(f"{prefix}[{i + 1}]", each)]
    if value is None or value == [] or value == ():
        return []
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    return [(prefix, text if len(text) <= 300 else text[:300] + " ...")]


def sentences(outcome: Outcome, most: int = 50) -> Table | None:
    """What the device was heard to say, with the time; the first `most`."""
    said = outcome.record.said
    rows = tuple((f"{at:g} s", text[:500]) for at, text in said[:most])
    more = f", the first {most} of {len(said)}" if len(said) > most else ""
    return Table(f"What was heard of the device{more}", ("at", "sentence"), rows) if rows else None


def named_table(title: str, named: Mapping[str, str]) -> Table | None:
    """Names and sentences as a table; none without any."""
    return Table(title, ("", ""), tuple((str(k), str(v)) for k, v in named.items())) if named else None


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
    if unjudged := [each for each in outcome.results if each.passed is None and not excused(each)]:
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
