"""How the time was kept, as facts, figures and bars, of what `hil.timing` reports."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from bmsthermal.files import figures
from bmsthermal.pages import Table
from hil.verdict.told import span

#: Histograms are drawn in bars of half a decade: so many bins each.
PER_BAR = 10


def timing_facts(timing: Mapping[str, Any]) -> list[tuple[str, str]]:
    """How the time was kept, name and value."""
    facts: list[tuple[str, str]] = []
    if not measured(timing):
        facts = [(_named(key), _valued(key, timing[key])) for key in ("clock", "period_s", "steps") if key in timing]
        return [*facts, ("times", "none: on this clock a step takes no time")] if timing else []
    for key, value in timing.items():
        if key in ("edges_s", "lateness", "tasks"):
            continue
        for name, each in value.items() if isinstance(value, Mapping) else [("", value)]:
            if isinstance(each, (list, tuple)) and not any(isinstance(one, (Mapping, list, tuple)) for one in each):
                facts.append((_named(key, name), ", ".join(_valued(name or key, one) for one in each[:8])))
            elif not isinstance(each, (Mapping, list, tuple)):
                facts.append((_named(key, name), _valued(name or key, each)))
    return facts


def measured(timing: Mapping[str, Any]) -> bool:
    """Whether any time was: on a clock that stands still none is."""
    return any(report.get("max_s") for _, report, _ in _histograms(timing))


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
        if report.get("count") and measured(timing):
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
