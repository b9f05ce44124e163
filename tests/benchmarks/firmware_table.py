"""What an exported step costs on cores, beside the bars that it is built to.

    python tests/benchmarks/firmware_table.py [--forms ekf,ud] [--reduced cell.npz] [--scaling growth.png]

Five states, one wall, one sensor, single precision. The first tables are those with bars: Cortex-M4F, GCC,
-O2 -ffp-contract=off; then the same, without a bar, for the observer that estimates cooling and heat beside, for
the one that measures the voltage too, and for one on a reduced coupled model where its file is given. Then other
levels, compilers and cores; the exit code says whether every bar holds.
Instructions are those of the longest way through a step, counted in the linked image and confirmed over corner
inputs on an emulated core; cycles are an estimate, whose assumptions are printed.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from bmsthermal import CoupledModel, Observer, load_cell
from bmsthermal.console import console, listed, print_table
from firmware_export import Bundle, export
from firmware_export.measure import COLUMNS, Measurement, measure
from firmware_export.measure.cycles import ASSUMPTIONS
from firmware_export.measure.scaling import COLUMNS as GROWTH
from firmware_export.measure.scaling import FORMS, draw, scaling
from firmware_export.targets.cores import CORES
from firmware_export.targets.toolchains import build, toolchains

WHAT = (
    "instructions, longest path", "cycles, estimated", "flash (text + rodata + data image) / B", ".data + .bss / B",
    "state / B", "stack of a step / B",
)  # fmt: skip
BARS = {"ekf": (450, 650, 2560, 0, 80, 128), "fixed-gain": (120, 170, 1024, 0, 20, 16)}
BARS["ud"] = tuple(2 * bar for bar in BARS["ekf"])
OTHERS = (
    ("cortex-m4f", "-Os", "gcc"), ("cortex-m4f", "-O0", "gcc"), ("cortex-m4f", "-O2", "zig"),
    *((core, "-O2", tool) for core in CORES if core != "cortex-m4f" for tool in ("gcc", "zig")),
)  # fmt: skip


def found(bundle: Bundle, core: str, level: str, tool: str, place: Path) -> Measurement | None:
    """One image of a bundle, measured; None where there is no such compiler."""
    for each in toolchains(CORES[core]):
        if each.name == tool:
            image = build(bundle.folder, bundle.name, CORES[core], each, place / f"{core}{level}{tool}", level=level)
            return measure(image, bundle.name, bundle.manifest)
    return None


def observers(forms: list[str], reduced: Path | None) -> dict[str, tuple[Observer, str | None]]:
    """What is exported: an observer and its form, by the name of its row."""
    model = CoupledModel(load_cell("a123_26650"), heat="measured").reduce(order=5)
    cases: dict[str, tuple[Observer, str | None]] = {form: (Observer(model), form) for form in forms}
    cases["joint"] = Observer(model, estimate=("h", "heat")), "ud"
    cases["joint, voltage"] = Observer(model, estimate=("h", "heat", "soc", "resistance")), "ud"
    if reduced is not None:
        cases["coupled"] = Observer.of(reduced), None
    return cases


def beside_bars(form: str, measured: Measurement) -> bool:
    """Print one form beside its bars, and say whether all hold."""
    step, added = measured.step, measured.added
    values = (step.longest, step.cycles, added.flash_B, added.ram_B, measured.state_B, measured.stack_B)
    bars = BARS.get(form, (None,) * len(WHAT))
    rows, holds = [], True
    for what, value, bar in zip(WHAT, values, bars, strict=True):
        kept = bar is None or (value is not None and value <= bar)
        holds &= kept
        shown = step.reason if value is None and step.reason else str(value)
        verdict = ("", "") if bar is None else (f"<= {bar}", "holds" if kept else "MISSED")
        rows.append((what, shown, *verdict))
    title = f"{form}, {measured.core}, {measured.compiler} {measured.level} -ffp-contract=off"
    print_table(title, ("", "measured", "bar", ""), rows)
    console.print(f"over corner inputs: {measured.seen} instructions; undefined: {measured.row()[-1]}\n")
    return holds


def main() -> int:
    """Print the tables; the exit code says whether every bar holds."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--forms", default=",".join(FORMS), help="which to export")
    parser.add_argument("--reduced", type=Path, help="a reduced coupled model (.npz) to measure too")
    parser.add_argument("--scaling", type=Path, help="also measure growth with states and sensors, and draw it here")
    given = parser.parse_args()
    forms = listed(given.forms, "--forms")
    holds, rows = True, []
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        cases = observers(forms, given.reduced)
        for name, (observer, form) in cases.items():
            bundle = export(observer, place / name, real="float", form=form, name="cell")
            first = found(bundle, "cortex-m4f", "-O2", "gcc", place / f"{name}_images")
            if first is None:
                console.print("no arm-none-eabi-gcc here: no table with bars")
                return 1
            holds &= beside_bars(name, first)
            for core, level, tool in OTHERS:
                measured = found(bundle, core, level, tool, place / f"{name}_images")
                if measured is not None:
                    rows.append((name, *measured.row()))
        print_table("other levels, compilers and cores", ("observer", *COLUMNS), rows)
        console.print("cycles: " + "; ".join(ASSUMPTIONS))
        if given.scaling is not None:
            core = CORES["cortex-m4f"]
            grown = scaling(cases[forms[0]][0], core, toolchains(core)[-1], place / "growth", forms=forms)
            print_table("growth, cortex-m4f -O2", GROWTH, [each.row() for each in grown])
            draw(grown, given.scaling)
    return int(not holds)


if __name__ == "__main__":
    sys.exit(main())
