"""libFuzzer with the address and undefined-behaviour sanitizers: arbitrary bytes as inputs over many steps.

After each step every number of the state is finite, the state of charge is in 0 to 1, no variance that is read out is
negative, and every index is inside its table. A copy with a bug has to fail.
"""

from __future__ import annotations

import re
from pathlib import Path

from firmware_export.bundle import Bundle
from firmware_export.prove.eva import INPUTS
from firmware_export.prove.header import charges, groups, numbers
from firmware_export.prove.seeds import checked_copy
from firmware_export.prove.tools import find, run, version
from firmware_export.prove.verdict import Verdict, absent
from firmware_export.render import environment

SANITIZERS = "fuzzer,address,undefined,float-cast-overflow,float-divide-by-zero"
#: Inputs of a short run, and of the one that counts.
SHORT, LONG = 20_000, 1_000_000
#: Bytes of the longest input: some tens of steps.
LONGEST_B = 1500


def fuzz(bundle: Bundle, place: Path, runs: int = LONG) -> Verdict:
    """Fuzz a bundle, and a copy with a bug.

    Parameters
    ----------
    bundle
        The bundle.
    place
        Folder for the programs and what they find.
    runs
        How many inputs; the same each time.
    """
    program = find("clang-14", "clang-19", "clang")
    install = "apt-get install clang-14 libclang-rt-14-dev libfuzzer-14-dev"
    if program is None:
        return absent("libFuzzer", install)
    place.mkdir(parents=True, exist_ok=True)
    built = [_build(program, bundle, place / word, seeded=word == "seeded") for word in ("checked", "seeded")]
    if not all(path.exists() for path in built):
        return absent("libFuzzer", install)
    said, control = (_fuzz(path, runs) for path in built)
    failed = _failure(said)
    caught = _failure(control)
    inputs = re.search(r"Done (\d+) runs", said)
    found = failed or f"{inputs[1] if inputs else 'no'} inputs, nothing found"
    found += f"; the bug that was put into a copy: {caught or 'not found'}"
    steps = LONGEST_B // (3 * sum(len(places) for _, places in groups(bundle)))
    details = (
        f"{SANITIZERS}; inputs of at most {LONGEST_B} bytes, some {steps} steps, numbers in their boxes or any bits",
        "checked after each step: state finite, charge in 0 to 1, variances not negative, indices inside their tables",
    )
    return Verdict("libFuzzer", version(program), failed == "" and bool(caught and inputs), found, details)


def _build(program: str, bundle: Bundle, place: Path, seeded: bool) -> Path:
    folder = checked_copy(bundle, place, seeded)
    template = environment(bundle.real).get_template("prove_fuzz.c.jinja")
    inputs = [(at, *INPUTS[name]) for name, places in groups(bundle) for at in places]
    (folder / "fuzz.c").write_text(
        template.render(
            name=bundle.name, NAME=bundle.name.upper(), real=bundle.real, inputs=inputs, surface=INPUTS["surface_K"],
            checked=numbers(bundle, "state"), charges=charges(bundle), table=bundle.manifest["sizes"]["table"],
            variances=[each for each in numbers(bundle, "output") if "variance" in each],
        )
    )  # fmt: skip
    output = folder / "fuzz"
    run(
        [program, "-std=c99", "-O1", "-g", "-ffp-contract=off", f"-fsanitize={SANITIZERS}", "-fno-sanitize-recover=all",
         "fuzz.c", f"{bundle.name}.c", f"{bundle.name}_model.c", "-o", output.name], folder,
    )  # fmt: skip
    return output


def _fuzz(program: Path, runs: int) -> str:
    options = [f"-runs={runs}", "-seed=1", f"-max_len={LONGEST_B}", "-len_control=0", "-print_final_stats=1"]
    return run([program.resolve(), *options, "-artifact_prefix=found_"], program.parent).stderr


def _failure(said: str) -> str:
    """What went wrong first, empty if nothing did."""
    match = re.search(r"PROVE: (.*)|runtime error: (.*)|(SUMMARY: .*)|(==\d+== ERROR.*)", said)
    return next((each for each in match.groups() if each), "") if match else ""
