"""What the evidence says: checks with their figures and limits, the load of a core, and a verdict in a sentence."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

#: Cells that a core's load is given for, and the share of its time that they may take.
CELLS = (1, 12, 96)
MOST_LOAD = 0.7

Report = Mapping[str, Any]


class Check(NamedTuple):
    """Something that has to hold: what was found, what is asked, and whether it is so; None: open."""

    name: str
    found: str
    asked: str
    passed: bool | None


def load(row: Mapping[str, Any], cells: int, step_s: float, clock_MHz: float) -> float | None:
    """Share of a core's time that so many cells take, 0 to 1; None where its cycles are not known."""
    cycles = row.get("cycles")
    return None if cycles is None else cells * cycles / (clock_MHz * 1e6 * step_s)


def checks(report: Report) -> list[Check]:
    """Everything that was looked at."""
    looked = [*_host(report.get("host")), *_targets(report)]
    for proof in report["proofs"]:
        looked.append(
            Check(f"{proof['tool']} {proof['version']}".strip(), proof["found"], "no finding", proof["passed"])
        )
    for each in report["fmu"]:
        looked.append(Check(each["file"], each["found"], "valid, steps as Python does", each["passed"]))
    return looked


def _host(host: Mapping[str, Any] | None) -> list[Check]:
    if host is None:
        return []
    said = "every bit" if host["passed"] else f"look {host['failed_look']} differs"
    return [Check("self-test, this machine", said, "the bits of Python", host["passed"])]


def _targets(report: Report) -> list[Check]:
    """Checks of the cores, each of all that there are."""
    step_s, clock = report["bundle"]["step_s"], report["clock_MHz"]
    built = [row for row in report["targets"] if not row["failed"]]
    run = [row for row in built if row["equal"] is not None]
    seen = [row for row in built if row["undefined"] is not None]
    bounded = [row for row in seen if row["instructions"] is not None]
    loads = [(share, row) for row in built if (share := load(row, CELLS[-1], step_s, clock)) is not None]
    found = [Check(label(row), row["failed"], "builds and runs", False) for row in report["targets"] if row["failed"]]
    if run:
        said = f"{len(run)} of {len(run)}, over {min(row['steps'] for row in run):,} steps"
        found.append(_all("state and covariance on the cores", run, "the bits of Python", said,
                          lambda row: "" if row["equal"] else row["first_difference"]))  # fmt: skip
    if left := [label(row) for row in built if row["equal"] is None]:
        said = f"nothing emulates it here: {'; '.join(left)}"
        found.append(Check("state and covariance on the cores", said, "the bits of Python", None))
    if seen:
        found += [
            _all("undefined symbols", seen, "none but the compiler's own", _helped(seen),
                 lambda row: ", ".join(row["undefined"])),
            _all(".data and .bss", seen, "0 B", "0 B",
                 lambda row: f"{row['data_B'] + row['bss_B']} B" if row["data_B"] + row["bss_B"] else ""),
        ]  # fmt: skip
    if bounded:
        nearest = max(bounded, key=lambda row: (row["seen"] or 0) / row["instructions"])
        said = f"{nearest['seen'] or 0:,} of {nearest['instructions']:,} ({label(nearest)})"
        found.append(_all("instructions of a step, corner inputs", bounded, "at most the longest path", said,
                          lambda row: f"{row['seen']:,} seen, {row['instructions']:,} at most"
                          if (row["seen"] or 0) > row["instructions"] else ""))  # fmt: skip
    if loads:
        share, row = max(loads, key=lambda each: each[0])
        asked = f"at most {percent(MOST_LOAD)} at {clock:g} MHz"
        said = f"{percent(share)} ({label(row)})"
        found.append(Check(f"load of {CELLS[-1]} cells", said, asked, share <= MOST_LOAD))
    return found


def _helped(rows: Sequence[Mapping[str, Any]]) -> str:
    """What the compilers call by themselves, in words."""
    called = sorted({symbol for row in rows for symbol in row["helpers"]})
    more = f" and {len(called) - 3} more" if len(called) > 3 else ""
    return f"{', '.join(called[:3])}{more}" if called else "none"


def label(row: Mapping[str, Any]) -> str:
    """Core and toolchain of a row."""
    return f"{row['core']}, {row['toolchain']}"


def _all(
    name: str, rows: Sequence[Mapping[str, Any]], asked: str, good: str, wrong: Callable[[Mapping[str, Any]], str]
) -> Check:
    """Check of all rows; `wrong` says what is, or nothing."""
    said = [f"{wrong(row)} ({label(row)})" for row in rows if wrong(row)]
    return Check(name, "; ".join(said) or good, asked, not said)


def percent(share: float) -> str:
    """Share of a core in words of three figures: 0.00344 %."""
    return f"{float(f'{100 * share:.3g}'):g} %"


def verdict(report: Report) -> tuple[str, str]:
    """Tone (``good``, ``bad`` or empty) and sentence: what failed, or that nothing did; and what nobody looked at."""
    looked = checks(report)
    failed = [check for check in looked if check.passed is False]
    left = [f"{check.name} ({check.found})" for check in looked if check.passed is None]
    unasked = [what for what, key in (("no core (--target)", "targets"), ("no proof (--prove)", "proofs"))
               if not report[key]]  # fmt: skip
    done = sum(check.passed is True for check in looked)
    words = []
    if failed:
        words.append("Failed: " + "; ".join(f"{check.name}: {check.found}" for check in failed) + ".")
    if done:
        words.append(f"{done} {'check' if done == 1 else 'checks'} passed.")
    if unbounded := [label(row) for row in report["targets"] if row["bound"]]:
        words.append(f"Longest path not claimed: {'; '.join(unbounded)}.")
    if left:
        words.append(f"Open: {'; '.join(left)}.")
    if unasked:
        words.append(f"Not asked for: {', '.join(unasked)}.")
    tone = "bad" if failed else "good" if done and not unasked and not left else ""
    return tone, " ".join(words) or "Nothing was looked at."
