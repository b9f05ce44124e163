"""Static analysers of compilers: gcc -fanalyzer with a wide set of warnings, clang-tidy and clang --analyze."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

from firmware_export.bundle import Bundle
from firmware_export.host import STRICT
from firmware_export.prove.tools import find, run, version
from firmware_export.prove.verdict import Verdict, absent

WARNINGS = (
    "-Wfloat-equal", "-Wundef", "-Wcast-qual", "-Wcast-align", "-Wshadow", "-Wstrict-prototypes",
    "-Wmissing-prototypes", "-Wold-style-definition", "-Wredundant-decls", "-Wnested-externs", "-Wpointer-arith",
    "-Wwrite-strings", "-Wswitch-default", "-Wswitch-enum", "-Wvla", "-Walloca", "-Wlogical-op", "-Wduplicated-cond",
    "-Wduplicated-branches", "-Wnull-dereference", "-Wjump-misses-init", "-Wformat=2", "-Warith-conversion",
    "-Wsign-conversion", "-Wfloat-conversion",
)  # fmt: skip
CHECKS = "-*,bugprone-*,cert-*,clang-analyzer-*,misc-*,performance-*,portability-*"
#: Findings that stay, and why.
ACCEPTED = {
    "-Wduplicated-branches": "the packed index of a diagonal element; a choice between parts of which none is there",
    "-Wfloat-equal": "codes of faults are whole numbers, kept as numbers",
    "bugprone-easily-swappable-parameters": "surface_K and soc of init: the names carry their units",
    "bugprone-implicit-widening-of-multiplication-result": "offsets into rows of some tens of numbers",
    "-Wanalyzer-use-of-uninitialized-value": "rows are written in loops of constant length, which the analyser cuts short",
    "deadcode.DeadStores": "a name for what this form leaves out",
    "misc-include-cleaner": "the kernel's headers are text, included through one file",
    "misc-confusable-identifiers": "names of one letter, as in the equations",
}
_LINE = re.compile(
    r"(?P<file>[^:\s]+):(?P<line>\d+):\d+: (?P<kind>warning|error): (?P<said>.*?)(?: \[(?P<check>[^]]*)\])?"
)


def gcc(bundle: Bundle, place: Path) -> Verdict:
    """Analyse with ``gcc -fanalyzer`` and compile under every warning that means something in C."""
    program = find("gcc")
    if program is None or "clang" in run([program, "--version"], Path.cwd()).stdout:
        return absent("gcc -fanalyzer", "apt-get install gcc")
    strict = [flag for flag in STRICT if flag != "-Werror"]
    command = [program, *strict, *WARNINGS, "-O2", "-fanalyzer", "-c", "-o", "/dev/null"]
    return _verdict("gcc -fanalyzer", program, command, [], bundle)


def clang_tidy(bundle: Bundle, place: Path) -> Verdict:
    """Check with clang-tidy, its analyser included."""
    program = find("clang-tidy", "clang-tidy-19", "clang-tidy-14")
    if program is None:
        return absent("clang-tidy", "apt-get install clang-tidy, or pip install clang-tidy")
    return _verdict("clang-tidy", program, [program, "--quiet", f"--checks={CHECKS}"], ["--", "-std=c99"], bundle)


def clang_analyze(bundle: Bundle, place: Path) -> Verdict:
    """Run clang's analyser by itself."""
    program = find("clang-19", "clang", "clang-14")
    if program is None:
        return absent("clang --analyze", "apt-get install clang")
    command = [program, "--analyze", "--analyzer-output", "text", "-std=c99"]
    return _verdict("clang --analyze", program, command, [], bundle)


def _verdict(tool: str, program: str, command: list[str], after: list[str], bundle: Bundle) -> Verdict:
    found, broken = {}, []
    for source in (f"{bundle.name}.c", f"{bundle.name}_model.c", f"{bundle.name}_selftest.c"):
        done = run([*command, bundle.folder.resolve() / source, *after], bundle.folder)
        for line in (done.stdout + done.stderr).splitlines():
            match = _LINE.fullmatch(line)
            if match:
                check = (match["check"] or "analyser").split(",")[0]
                found[Path(match["file"]).name, match["line"], check] = match["said"]
        if done.returncode and not found:
            broken.append(f"it did not run on {source}: {(done.stderr.splitlines() or ['no output'])[-1]}")
    accepted = Counter(check for *_, check in found if check in ACCEPTED)
    counted = [
        f"{file}:{line}: {check}: {said}" for (file, line, check), said in found.items() if check not in ACCEPTED
    ]
    details = [*broken, *counted, *(f"accepted {check}: {n}, {ACCEPTED[check]}" for check, n in accepted.items())]
    said = f"{len(counted)} findings" + (f", {accepted.total()} accepted" if accepted else "")
    return Verdict(tool, version(program), not counted and not broken, said, tuple(details))
