"""Frama-C Eva: one step from every state of a box, whatever the inputs, by interval arithmetic over the C itself.

Two runs. In the first every input is in its box, and no operation may give a number that is not finite. In the second
some inputs are absent - NaN, infinite or absurd, in every subset of the kinds of inputs - infinities may come and go,
and the state has to be finite after the step. In both no index may leave its row, nothing may be read before it is
written, and no float may be turned into an integer that does not hold it. A copy of the kernel with one clamp removed
has to alarm. What is not proved: that the state stays in the box for ever, and anything about accuracy.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from firmware_export.bundle import Bundle
from firmware_export.prove.header import charges, groups, members, numbers
from firmware_export.prove.seeds import checked_copy
from firmware_export.prove.tools import find, run, version
from firmware_export.prove.verdict import Verdict, absent
from firmware_export.render import environment

#: Inputs that are present.
INPUTS = {
    "current_A": (-1000.0, 1000.0), "voltage_V": (-100.0, 100.0), "heat_W": (-1000.0, 1000.0),
    "coolant_K": (150.0, 600.0), "conductance_W_K": (0.0, 10.0), "surface_K": (150.0, 600.0),
}  # fmt: skip
#: The state before the step; numbers that are not here are as ``init`` leaves them.
STATE = {
    "x": (-200.0, 200.0), "soc": (0.0, 1.0), "carry": (-1e-2, 1e-2), "soc_carry": (-1e-6, 1e-6),
    "mean_heat_W": (0.0, 1000.0),
}  # fmt: skip

#: A covariance before the step, relative to that of a start.
WIDER = 4.0


def eva(bundle: Bundle, place: Path, subsets: bool = True) -> Verdict:
    """Run Eva on a bundle and on a copy with a bug.

    Parameters
    ----------
    bundle
        The bundle.
    place
        Folder for the driver and the copy.
    subsets
        Whether every subset of the kinds of inputs is absent once; otherwise each one, and all.
    """
    program = find("frama-c")
    if program is None:
        return absent("Frama-C Eva", "apt-get install frama-c-base")
    place.mkdir(parents=True, exist_ok=True)
    kinds = list(_cases(bundle, subsets))
    folder = checked_copy(bundle, place / "checked")
    inside = _analyse(program, bundle, folder, place / "inside.c", kinds[:1], "non-finite")
    anything = _analyse(program, bundle, folder, place / "anything.c", kinds[1:], "none")
    seeded = checked_copy(bundle, place / "seeded", seeded=True)
    control = _analyse(program, bundle, seeded, place / "seeded.c", [kinds[0], (1,) * len(kinds[0])], "none")
    caught = any("assert" in each for each in control)
    alarms = [*(f"inside the box: {each}" for each in inside), *(f"inputs absent: {each}" for each in anything)]
    found = f"{len(alarms)} alarms; the bug that was put into a copy was {'' if caught else 'not '}found"
    box = ", ".join(f"{name} {low:g} to {high:g}" for name, (low, high) in (INPUTS | STATE).items())
    box += f", variances to {WIDER:g} times those of a start and covariances that go with them"
    how = "every subset of them" if subsets else "each one, and all of them"
    return Verdict(
        "Frama-C Eva", version(program, "-version"), not alarms and caught, found,
        (*alarms, f"the box: {box}", f"inputs absent as NaN, infinite or beyond 1e6, {how}, by kinds",
         "proved for one step from any state of the box, on a machine of 32 bits; not that the state stays in it"),
    )  # fmt: skip


def _covariance(bundle: Bundle) -> list[tuple[str, float, float]]:
    """Box of a packed covariance: variances up to `WIDER` times a start's, and the largest covariances of such."""
    model = (bundle.folder / f"{bundle.name}_model.c").read_text()
    start = [float(number) for number in re.findall(r"[-+.\de]+", re.search(r"\.start = \{([^}]*)\}", model)[1])]
    found = []
    for name, count, _ in members(bundle, "state"):
        for at in range(count if name == "P" else 0):
            i = int(((8 * at + 1) ** 0.5 - 1) / 2)
            j = at - i * (i + 1) // 2
            most = WIDER * (start[i * (i + 3) // 2] * start[j * (j + 3) // 2]) ** 0.5
            found.append((f"P[{at}]", 0.0 if i == j else -most, most))
    return found


def _beyond(name: str) -> tuple[float, float]:
    """From where an input is absent: a temperature is looked at above its reference, and a conductance is not negative."""
    return -1e-30 if name == "conductance_W_K" else -1.001e6, 1.001e6


def _cases(bundle: Bundle, subsets: bool) -> Iterator[tuple[int, ...]]:
    """All present, and then what is absent: 1 above, 2 below, 3 the first of several."""
    many = [len(places) > 1 for _, places in groups(bundle)]
    sizes = range(len(many) + 1) if subsets else (0, 1, len(many))
    for size, side in itertools.product(sizes, (1, 2)):
        if size == 0:
            if side == 1:
                yield (0,) * len(many)
            continue
        for which in itertools.combinations(range(len(many)), size):
            yield tuple(side * (i in which) for i in range(len(many)))
    for i in itertools.compress(range(len(many)), many):
        yield tuple(3 * (i == j) for j in range(len(many)))


def _analyse(
    program: str, bundle: Bundle, folder: Path, driver: Path, cases: Sequence[tuple[int, ...]], special: str
) -> list[str]:
    """Alarms, by file and line."""
    kinds = groups(bundle)
    states = [
        (f"{name}[{i}]" if row else name, *STATE[name])
        for name, count, row in members(bundle, "state") if name in STATE for i in range(count)
    ] + _covariance(bundle)  # fmt: skip
    inputs = [
        (at, group, *INPUTS[name], *_beyond(name), i == 0)
        for group, (name, places) in enumerate(kinds)
        for i, at in enumerate(places)
    ]
    template = environment(bundle.real).get_template("prove_eva.c.jinja")
    driver.write_text(
        template.render(
            name=bundle.name, NAME=bundle.name.upper(), real=bundle.real, groups=[name for name, _ in kinds],
            state=states, inputs=inputs, checked=numbers(bundle, "state"), charges=charges(bundle), cases=cases, surface=INPUTS["surface_K"],
            table=bundle.manifest["sizes"]["table"],
        )
    )  # fmt: skip
    said = run(
        [program, "-eva", "-eva-precision", "3", "-machdep", "gcc_x86_32", "-warn-special-float", special,
         f"-cpp-extra-args=-I{folder}", "-main", "main", driver.resolve(), folder / f"{bundle.name}.c",
         folder / f"{bundle.name}_model.c"], driver.parent,
    )  # fmt: skip
    if "[eva] done for function main" not in said.stdout:
        return [f"the analysis did not end: {(said.stdout + said.stderr).strip().splitlines()[-1]}"]
    return _alarms(said.stdout)


def _alarms(said: str) -> list[str]:
    alarms = []
    for block in re.split(r"^(?=\[)", said, flags=re.MULTILINE):
        match = re.match(r"\[eva:alarm\] (.*?):(\d+): Warning:\s*(.*)", block, re.DOTALL)
        if match:
            alarms.append(f"{Path(match[1]).name}:{match[2]}: {' '.join(match[3].split())}")
    return alarms
