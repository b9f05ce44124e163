"""Finding out about an export: build it for cores, run it there, measure it, prove it; every result as plain data."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from bmsthermal.errors import InputError
from firmware_export.bundle import Bundle
from firmware_export.folder import BUILD

if TYPE_CHECKING:
    from bmsthermal.observer import Observer
    from firmware_export.host import HostReport
    from firmware_export.measure import Measurement
    from firmware_export.targets.cores import Core
    from firmware_export.targets.toolchains import Toolchain

#: What gives each toolchain and each emulator.
INSTALL = {
    "zig": 'pip install "bmsthermal[target]"',
    "gcc": "apt-get install gcc-arm-none-eabi libnewlib-arm-none-eabi gcc-riscv64-unknown-elf",
}
#: Steps that every core is compared over, unless its memory holds less.
STEPS = 10_000

#: What GCC and clang ask of every environment, a freestanding one too, and may put in place of a loop.
OWED = ("memcpy", "memmove", "memset", "memcmp")

Say = Callable[[str], None]
Pair = tuple["Core", "Toolchain"]


def host_row(found: HostReport | None) -> dict[str, Any] | None:
    """What this machine's compiler made of a bundle, None where there is none."""
    if found is None:
        return None
    return {"compiler": found.compiler, "passed": found.passed, "failed_look": found.failed_look, "words": str(found)}


def chosen(targets: Sequence[str], toolchain: str | None) -> tuple[list[Pair], list[dict[str, str]]]:
    """Cores and toolchains that are asked for and here, and what is missing with how to install it.

    Parameters
    ----------
    targets
        Names of cores, or ``all``.
    toolchain
        ``zig`` or ``gcc``; None for each that is here.

    Raises
    ------
    InputError
        If a core or a toolchain is not known, or none of the toolchains or no reader of what they make is here.
    """
    if not targets:
        if toolchain is not None:
            raise InputError(f"--toolchain {toolchain} without --target", hint="name a core, or leave it out")
        return [], []
    from firmware_export.targets.cores import CORES
    from firmware_export.targets.equality import emulators
    from firmware_export.targets.toolchains import toolchains

    unknown = [name for name in targets if name not in (*CORES, "all")]
    if unknown:
        raise InputError(f"no core {unknown[0]!r}", where="--target", expected=", ".join([*CORES, "or all"]))
    if toolchain not in (None, *INSTALL):
        raise InputError(f"no toolchain {toolchain!r}", where="--toolchain", expected=" or ".join(INSTALL))
    wanted = list(CORES) if "all" in targets else list(dict.fromkeys(targets))
    pairs, absent = [], []
    for core in (CORES[name] for name in wanted):
        here = {each.name: each for each in toolchains(core)}
        names = [toolchain] if toolchain else list(INSTALL)
        pairs += [(core, here[name]) for name in names if name in here]
        absent += [{"tool": f"{name} for {core.name}", "hint": INSTALL[name]} for name in names if name not in here]
        if not emulators(core):
            hint = INSTALL["zig"] if core.unicorn else "apt-get install qemu-system-arm"
            absent.append({"tool": f"emulator of {core.name}", "hint": hint})
    for reader in ("elftools", "capstone"):
        if find_spec(reader) is None:
            raise InputError(f"--target needs {reader}, which is missing", hint=INSTALL["zig"])
    if not pairs:
        ways = " or ".join(dict.fromkeys(row["hint"] for row in absent))
        raise InputError(f"no compiler for {', '.join(wanted)} is here", where="--target", hint=ways)
    return pairs, absent


def target_row(bundle: Bundle, observer: Observer, core: Core, toolchain: Toolchain, say: Say) -> dict[str, Any]:
    """Build a bundle for a core, run it there beside Python, and measure it; what fails is part of the row."""
    from firmware_export.measure import measure
    from firmware_export.targets.cores import RECORD_B
    from firmware_export.targets.equality import compare, emulators
    from firmware_export.targets.toolchains import build

    place = bundle.folder / BUILD / f"{core.name}-{toolchain.name}"
    place.mkdir(parents=True, exist_ok=True)
    row = dict(EMPTY, core=core.name, toolchain=toolchain.name, version=toolchain.version)
    try:
        say(f"{core.name}: compile with {toolchain.name}")
        image = build(bundle.folder, bundle.name, core, toolchain, place)
        row |= {"level": image.level}
        say(f"{core.name}: measure")
        row |= measured(measure(image, bundle.name, bundle.manifest), bundle.real == "double" or not core.hard_float)
        say(f"{core.name}: run beside Python")
        if not emulators(core):
            return row
        sizes = bundle.manifest["sizes"]
        steps = min(STEPS, RECORD_B // (sizes["state_bytes"] + sizes["output_bytes"]))
        row |= compared(compare(bundle, observer, core, toolchain, place, steps=steps))
    except InputError as error:
        row["failed"] = str(error)
    return row


#: A row of which nothing is known yet.
EMPTY: dict[str, Any] = {
    "level": "", "failed": "", "equal": None, "steps": 0, "first_difference": "", "emulator": "", "instructions": None,
    "bound": "", "seen": None, "calls": None, "back_edges": None, "cycles": None, "stack_B": None, "flash_B": None,
    "text_B": None, "rodata_B": None, "data_B": None, "bss_B": None, "undefined": None, "helpers": [], "functions": [],
    "assumptions": [],
}  # fmt: skip


def measured(found: Measurement, helped: bool) -> dict[str, Any]:
    """Measurement as it goes into a row; `helped`: a compiler's library does arithmetic that the core has not."""
    helpers = [each for each in found.undefined if each in OWED or (helped and each.startswith("__"))]
    ways = {way.name: (way, deep) for way, deep in zip(found.paths, found.stacks, strict=True)}
    functions = []
    for name, code_B in sorted(found.functions_B.items()):
        way, deep = ways.get(name, (None, None))
        functions.append({
            "function": name, "code B": code_B, "longest path": way and way.longest, "cycles": way and way.cycles,
            "stack B": deep and deep.deepest_B,
        })  # fmt: skip
    size, step = found.added, found.step
    return {
        "instructions": step.longest, "bound": step.reason, "calls": step.calls, "back_edges": step.back_edges,
        "cycles": step.cycles,
        "seen": found.corners and found.corners.most, "stack_B": found.stack_B, "flash_B": size.flash_B,
        "text_B": size.text_B, "rodata_B": size.rodata_B, "data_B": size.data_B, "bss_B": size.bss_B,
        "undefined": [symbol for symbol in found.undefined if symbol not in helpers], "helpers": helpers,
        "functions": functions, "assumptions": list(found.assumptions),
    }  # fmt: skip


def compared(found: Any) -> dict[str, Any]:
    """An `Equality` as it goes into a row."""
    return {
        "equal": found.equal, "steps": found.steps, "first_difference": str(found.first_difference or ""),
        "emulator": str(found.emulator),
    }  # fmt: skip


def scaling_rows(
    bundle: Bundle, observer: Observer, core: Core, toolchain: Toolchain, say: Say
) -> list[dict[str, Any]]:
    """How the cell's observer grows with states and sensors, on one core."""
    from firmware_export.measure.scaling import scaling

    with TemporaryDirectory() as place:
        grown = scaling(observer, core, toolchain, Path(place), progress=say)
    return [
        {
            "form": each.form, "states": each.states, "sensors": each.sensors,
            "longest path": each.measured.step.longest,
            "most seen": each.measured.corners and each.measured.corners.most, "cycles": each.measured.step.cycles,
            "flash B": each.measured.added.flash_B, "stack B": each.measured.stack_B,
            "state B": each.measured.state_B,
        }
        for each in grown
    ]  # fmt: skip


def proof_rows(bundle: Bundle, say: Say) -> list[dict[str, Any]]:
    """Verdicts of every tool of proof and analysis, those that are not here among them."""
    from firmware_export.prove import prove

    bundle = replace(bundle, folder=bundle.folder.resolve())  # tools work in folders of their own
    place = bundle.folder / BUILD / "proofs"
    place.mkdir(parents=True, exist_ok=True)
    return [
        {"tool": v.tool, "version": v.version, "passed": v.passed, "found": v.found, "details": list(v.details)}
        for v in prove(bundle, place, say)
    ]


def fmu_rows(bundle: Bundle, observer: Observer, versions: Iterable[int]) -> list[dict[str, Any]]:
    """Put FMUs into a bundle's folder, and say what a validator finds wrong with each."""
    from fmpy.validation import validate_fmu

    from firmware_export.fmu import add_fmus, said

    rows = []
    for version in sorted(set(versions)):
        (path,) = add_fmus(bundle, observer, [version])
        wrong = validate_fmu(str(path))
        rows.append({
            "file": path.name, "fmi": f"{version}.0", "bytes": path.stat().st_size, "passed": not wrong,
            "found": "; ".join(wrong) or f"valid ({said(path).partition(': ')[2]})",
        })  # fmt: skip
    return rows
