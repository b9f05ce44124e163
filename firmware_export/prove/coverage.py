"""What the tests pass through: both outcomes of every condition, and MC/DC of those that are joined, by clang.

The tests are the self-test, whose bits are Python's, and a program of further drives: faults, absurd inputs and states
that no drive leads to. A condition alone has been tested when it was true and false; where several are joined by ``&&``
or ``||``, each has to have changed the decision by itself. Comparisons that are joined without a branch (`ROM_BOTH`)
make no decision: clang does not count them, and neither does this.
"""

from __future__ import annotations

import csv
import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

from firmware_export.bundle import Bundle
from firmware_export.prove.decisions import Constants
from firmware_export.prove.header import charges, groups, numbers, sensors
from firmware_export.prove.tools import find, run, version
from firmware_export.prove.verdict import Verdict, absent
from firmware_export.render import environment

#: What is drawn in the further drives, where nothing is wrong.
USUAL = {
    "current_A": (-10.0, 10.0), "voltage_V": (2.5, 3.6), "heat_W": (-5.0, 5.0), "coolant_K": (280.0, 310.0),
    "conductance_W_K": (-0.1, 2.0),
}  # fmt: skip
#: Drives and the steps of each.
DRIVES, STEPS = 60, 2000
INSTALL = "apt-get install clang-19 llvm-19 libclang-rt-19-dev"


@dataclass
class Tally:
    """Outcomes of conditions of one file: all, missed, and missed for a reason."""

    outcomes: int = 0
    joined: int = 0
    missed: list[str] = field(default_factory=list)
    justified: Counter[str] = field(default_factory=Counter)


def coverage(bundle: Bundle, place: Path, drives: int = DRIVES) -> Verdict:
    """Measure what the self-test and the further drives pass through in the kernel and the bundle's functions.

    Parameters
    ----------
    bundle
        The bundle.
    place
        Folder for the program and its profile.
    drives
        How many further drives; with 0 the self-test alone.
    """
    clang = find("clang-19", "clang-20", "clang-21", "clang")
    tools = [find(f"llvm-{word}{clang[clang.rindex('clang') + 5 :]}") for word in ("profdata", "cov")] if clang else []
    if clang is None or None in tools:
        return absent("MC/DC coverage", INSTALL)
    place.mkdir(parents=True, exist_ok=True)
    said = _build(clang, bundle, place, drives)
    if said:
        return Verdict("MC/DC coverage", version(clang), None, f"{clang} does not measure it: {said}", (INSTALL,))
    done = run([(place / "cases").resolve()], place, LLVM_PROFILE_FILE="cases.profraw")
    if done.returncode:
        why = done.stderr.strip() or "the self-test does not pass"
        return Verdict("MC/DC coverage", version(clang), False, why)
    profdata, cov = (str(tool) for tool in tools)
    run([profdata, "merge", "cases.profraw", "-o", "cases.profdata"], place)
    report = json.loads(run([cov, "export", "cases", "-instr-profile=cases.profdata"], place).stdout)["data"][0]
    tallies = _tallies(bundle, report, place)
    return _verdict(bundle, report, tallies, version(clang), drives)


def _build(clang: str, bundle: Bundle, place: Path, drives: int) -> str:
    """Compile, the bundle's functions alone with counters; what the compiler said if it failed."""
    inputs = [(at, *USUAL[name]) for name, places in groups(bundle) if name != "surface_K" for at in places]
    text = environment(bundle.real).get_template("prove_cases.c.jinja").render(
        name=bundle.name, NAME=bundle.name.upper(), real=bundle.real, inputs=inputs, sensors=sensors(bundle),
        checked=numbers(bundle, "state"), charges=charges(bundle), drives=drives, steps=STEPS,
    )  # fmt: skip
    (place / "cases.c").write_text(text)
    folder, name = bundle.folder.resolve(), bundle.name
    common = [clang, "-std=c99", "-O0", "-ffp-contract=off", f"-I{folder}"]
    counters = ["-fprofile-instr-generate", "-fcoverage-mapping", "-fcoverage-mcdc"]
    others = [folder / f"{name}_model.c", folder / f"{name}_selftest.c", "cases.c"]
    for command in (
        [*common, *counters, "-c", folder / f"{name}.c", "-o", "kernel.o"],
        [*common, "-fprofile-instr-generate", *others, "kernel.o", "-o", "cases"],
    ):
        done = run(command, place)
        if done.returncode:
            return (done.stderr.splitlines() or ["no output"])[0]
    return ""


def _reasons() -> list[tuple[str, str, str]]:
    """File, pattern of a condition that cannot have both outcomes, and why."""
    with (resources.files("firmware_export.prove") / "infeasible.csv").open(encoding="utf-8") as file:
        return [(row["file"], row["condition"], row["reason"]) for row in csv.DictReader(file)]


def _tallies(bundle: Bundle, report: dict[str, Any], place: Path) -> dict[str, Tally]:
    """Outcomes by file, of the functions that are in this form."""
    constants, reasons = Constants(bundle), _reasons()
    there = set(run(["nm", "kernel.o"], place).stdout.split())
    tallies: dict[str, Tally] = {}

    def miss(at: tuple[int, ...], file: str, text: str, what: str) -> None:
        tally = tallies[Path(file).name]
        reason = next(
            (why for name, like, why in reasons if name in ("*", Path(file).name) and re.fullmatch(like, text)), ""
        )
        if reason:
            tally.justified[reason] += 1
        else:
            tally.missed.append(f"{Path(file).name}:{at[0]}: {text}: {what}")

    for function in report["functions"]:
        if function["name"].split(":")[-1] not in there:
            continue
        files = function["filenames"]
        decided = [
            at for *at, _, _, _ in function["mcdc_records"] if constants.value(constants.text(files[0], at)) is not None
        ]
        calls = {each[6]: (each[5], each[:4]) for each in function["regions"] if each[7] == 1}
        for *at, yes, no, file, _, _ in function["branches"]:
            text = constants.text(files[file], at)
            if re.fullmatch(r"\(?(test|a|b)\)?", text) and file in calls:  # of a macro: what it was called with
                file, at = calls[file]
                text = constants.call(files[file], at) + ("" if "test" in text else ", inside it")
            if (yes or no) and constants.value(text) is None and not any(_within(at, each) for each in decided):
                tallies.setdefault(Path(files[file]).name, Tally()).outcomes += 2
                for count, what in ((yes, "never true"), (no, "never false")):
                    if count == 0:
                        miss(tuple(at), files[file], text, what)
        for *at, _, _, tested in function["mcdc_records"]:
            decision = constants.text(files[0], at)
            leaves = constants.leaves(decision)
            ran = any(_within(each[:4], at) and each[4] + each[5] for each in function["branches"])
            if not ran or constants.value(decision) is not None or len(leaves) != len(tested):
                continue
            for leaf, ok in zip(leaves, tested, strict=True):
                if constants.value(leaf) is None:
                    tallies.setdefault(Path(files[0]).name, Tally()).joined += 1
                    if not ok:
                        miss(tuple(at), files[0], leaf, f"has not changed {decision!r} by itself")
    return tallies


def _within(inner: Sequence[int], outer: Sequence[int]) -> bool:
    return tuple(outer[:2]) <= tuple(inner[:2]) and tuple(inner[2:4]) <= tuple(outer[2:4])


def _verdict(bundle: Bundle, report: dict[str, Any], tallies: dict[str, Tally], number: str, drives: int) -> Verdict:
    missed = [each for tally in tallies.values() for each in tally.missed]
    lines = {Path(file["filename"]).name: file["summary"]["lines"] for file in report["files"]}
    details = list(missed)
    for name, tally in sorted(tallies.items()):
        reasons = "".join(f"; {count} cannot be: {why}" for why, count in tally.justified.items())
        text = f", {lines[name]['covered']} of {lines[name]['count']} lines" if lines.get(name, {}).get("count") else ""
        counts = f"{tally.outcomes} outcomes, {tally.joined} joined conditions, {len(tally.missed)} missed"
        details.append(f"{name}: {counts}{text}{reasons}")
    details += [
        "lines count the whole text, with what this form leaves out; conditions only what it compiles",
        f"tested by the self-test and {drives} drives of {STEPS} steps",
        "comparisons joined without a branch are no decisions for clang, and are not counted; ?: is",
    ]
    every = sum(tally.outcomes + tally.joined for tally in tallies.values())
    justified = sum(tally.justified.total() for tally in tallies.values())
    share = 100.0 * (every - justified - len(missed)) / max(every - justified, 1)
    found = f"{share:.1f} % of {every - justified} outcomes and joined conditions, {justified} more cannot be"
    return Verdict("MC/DC coverage", number, not missed and every > 0, found, tuple(details))
