"""The A2L file of a bundle (ASAM MCD-2 MC 1.7.1): what can be measured and calibrated, and where an ELF has it."""

from __future__ import annotations

import re
import shutil
import subprocess
import sysconfig
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bmsthermal.errors import InputError
from bmsthermal.files import write_whole
from bmsthermal.joint_packing import PackedJoint
from firmware_export.constants import Member, joint_members, members, rule_members, voltage_members
from firmware_export.form import Form, Number
from firmware_export.render import DTYPES, Real

#: Names that a bundle's A2L gives the caller's state and output.
INSTANCE, RESULT = "cell", "cell_output"
#: Tables over the state of charge.
TABLES = ("open_circuit_V", "entropy_V_K", "resistance_Ohm")
#: Constants that may be changed by themselves: the others follow from one another, or from how C was compiled.
CALIBRATED = (
    "noise", "heat_variance", "lost_heat_variance", "coolant_reference_K", "soc_per_A", "gradient_variance",
    "offset_variance", "conductance_W_K", "sense_variance", *TABLES,
    "activation_K", "lowest_V", "highest_V", "sensor_variance", "drop_variance", "usual_A", "charge_relative",
    "charge_fresh", "charge_lost", "growth_fresh", "curve_variance", "curve_relative",
)  # fmt: skip
#: Those of ``joint_t``, and the states without which they say nothing.
BESIDE = {
    "relative_variance": None, "log_h_fresh": "h_states", "slow_variance": "heat_states",
    "slow_relative_variance": "heat_states", "catch_up": "lag_states",
}  # fmt: skip
#: Those of ``filter_t``, the filter on a reduced cell.
COUPLED = (
    "coolant_reference_K", "most_A", "current_variance", "lost_variance", "heat_variance", "freezing",
    "resistance_fresh", "error_keep", "error_fresh", "voltage_variance", "drop", "sense_variance",
    "gradient_variance", "offset_variance",
)  # fmt: skip
#: What the watch over the sensors does not decide by.
NO_RULE = ("on", "step_s", "heat_J_K")
#: Temperatures; everything else in kelvin is a difference.
TEMPERATURES = ("core_K", "mean_K", "surface_K", "coolant_reference_K", "coldest_K", "hottest_K")
#: Where C says it beside other members.
_MEANT = {
    "core_K": "of the core", "heat_W": "released in the step",
    "coolant_reference_K": "reference temperature on the thermometer of the coolant",
}  # fmt: skip


@dataclass(frozen=True)
class Item:
    """One number, array or table that a tool reads or writes.

    Parameters
    ----------
    symbol
        How C reaches it; it is the item's name too.
    meaning
        What it is.
    unit
        Its unit in the file; ``degC`` for temperatures, which C keeps in kelvin.
    count
        None for one number.
    curve
        Whether it is a table over the state of charge.
    """

    symbol: str
    meaning: str
    unit: str
    count: int | None = None
    curve: bool = False

    @property
    def conversion(self) -> str:
        """Name of its conversion."""
        return "NO_COMPU_METHOD" if self.unit == "-" else "unit_" + re.sub(r"\W", "_", self.unit)


def measured(state: Iterable[Number], output: Iterable[Number]) -> list[Item]:
    """Members of state and output."""
    return [
        Item(f"{of}.{each.name}", _MEANT.get(each.name, each.meaning), unit_of(each), each.count)
        for of, numbers in ((INSTANCE, state), (RESULT, output))
        for each in numbers
    ]


def calibrated(name: str, constants: Iterable[tuple[str, Member]]) -> list[Item]:
    """Members of a bundle's model, each with the path to its struct."""
    return [
        Item(f"{name}_model.{path}{each.name}", _MEANT.get(each.name, each.meaning), _unit(each.name, each.unit),
             np.size(each.value) if np.ndim(each.value) else None, each.name in TABLES)
        for path, each in constants
    ]  # fmt: skip


def described(measured: list[Item], calibrated: list[Item], real: Real) -> dict[str, Any]:
    """What the template of the A2L file asks for beside the manifest."""
    units = {item.conversion: item.unit for item in (*measured, *calibrated) if item.unit != "-"}
    most = float(np.finfo(DTYPES[real]).max)
    return {
        "measured": measured,
        "calibrated": calibrated,
        "charge": f"{INSTANCE}.soc",
        "conversions": sorted(units.items()),
        "curves": any(item.curve for item in calibrated),
        "limits": f"{-most:.6e} {most:.6e}".replace("e+", "e"),
        "type": "FLOAT32_IEEE" if real == "float" else "FLOAT64_IEEE",
    }


def unit_of(number: Number) -> str:
    """Unit of a member of state or output, which stands at the end of its name."""
    found = re.search(r"_((K|W|V|Ohm)2?)$", number.name)
    return _unit(number.name, found[1] if found else "-")


def _unit(name: str, unit: str) -> str:
    return "degC" if name in TEMPERATURES else unit


def chosen(form: Form) -> Iterator[tuple[str, Member]]:
    """Constants of the observer on conduction that may be changed by themselves, each with the path to its struct."""
    cell = "kernel.cell." if isinstance(form.packed, PackedJoint) else "kernel."
    groups = members(form.cell if isinstance(form.packed, PackedJoint) else form.packed)[1:]
    for path, group in zip((cell, f"{cell}heat."), groups[: 1 if form.given else 2], strict=False):
        for each in group:
            if each.name in CALIBRATED:
                yield path, each
    if isinstance(form.packed, PackedJoint):
        for each in joint_members(form.packed):
            states = BESIDE.get(each.name, "")
            if states is None or (states and getattr(form.packed, states)):
                yield "kernel.", each
    for each in voltage_members(form.packed):
        if each.name in CALIBRATED:
            yield "kernel.voltage.", each
    for each in rule_members(form.packed):
        if each.name not in NO_RULE:
            yield "kernel.rules.", each


def chosen_coupled(filter: Iterable[Member], use: Iterable[Member]) -> Iterator[tuple[str, Member]]:
    """Those of the filter on a reduced cell, of ``filter_t`` and ``cell_use_t``."""
    yield from (("kernel.", each) for each in filter if each.name in COUPLED)
    yield from (("kernel.use.", each) for each in use)


def _read(path: str | Path) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror})", where=str(path)) from error


def find_a2ltool() -> str | None:
    """Path of ``a2ltool``, beside this Python or on the search path; None where there is none."""
    return shutil.which("a2ltool", path=sysconfig.get_path("scripts")) or shutil.which("a2ltool")


def fill_addresses(
    a2l: str | Path,
    elf: str | Path,
    *,
    instance: str = INSTANCE,
    result: str | None = None,
    out: str | Path | None = None,
) -> Path:
    """Write a bundle's A2L with the addresses that a linked program has, and its byte order.

    Parameters
    ----------
    a2l
        The bundle's file.
    elf
        The program, linked with debug information.
    instance
        The caller's state as C names it: ``cell``, ``pack.cells[3]``.
    result
        The caller's output; by default `instance` with ``_output`` after its last name: ``cell_output``,
        ``pack.cells_output[3]``. It has to outlive the step to be measured: a static object.
    out
        File to write; by default the program's name with the ending ``.a2l``.

    Returns
    -------
    Path
        The file written.

    Raises
    ------
    InputError
        If ``a2ltool`` is not there, a name is no C expression, a file cannot be read, or the program lacks
        debug information or one of the symbols.
    """
    tool = find_a2ltool()
    if tool is None:
        raise InputError("a2ltool is not installed", hint="pip install 'bmsthermal[target]'")
    result = re.sub(r"(\[\d+\])?$", r"_output\1", instance, count=1) if result is None else result
    for name in (instance, result):
        if not re.fullmatch(r"[A-Za-z_]\w*(\[\d+\]|\.[A-Za-z_]\w*)*", name):
            expected = "a name of C with members and indices, such as cell or pack.cells[3]"
            raise InputError(f"instance {name!r}", expected=expected)
    text, head = _read(a2l).decode(errors="replace"), _read(elf)[:6]
    if head[:4] != b"\x7fELF":
        raise InputError("is no ELF file", where=str(elf), expected="a linked program with debug information")
    text = re.sub(rf"(?<![\w.]){INSTANCE}\.(?=\w)", f"{instance}.", text)
    text = re.sub(rf"(?<![\w.]){RESULT}\.(?=\w)", f"{result}.", text)
    if head[5] == 2:
        text = text.replace("BYTE_ORDER MSB_LAST", "BYTE_ORDER MSB_FIRST")
    out = Path(elf).with_suffix(".a2l") if out is None else Path(out)
    with tempfile.TemporaryDirectory() as place:
        draft, filled = Path(place) / "draft.a2l", Path(place) / "filled.a2l"
        draft.write_bytes(text.encode())
        options = ["--elffile", str(elf), "--update", "FULL", "--update-mode", "STRICT", "--output", str(filled)]
        done = subprocess.run(
            [tool, *options, str(draft)], capture_output=True, text=True, errors="replace", check=False
        )
        if done.returncode or not filled.exists():
            said = (done.stdout + done.stderr).strip().splitlines() or [f"exit code {done.returncode}"]
            raise InputError(
                f"a2ltool says: {said[0]}", where=str(elf),
                hint="link with -g, keep state and output as objects, and name them with instance and result",
            )  # fmt: skip
        write_whole(out, filled.read_bytes())
    return out
