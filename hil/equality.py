"""Model, software, processor: the observer in Python, its compiled C and emulated cores on the inputs of a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from bmsthermal.errors import InputError
from bmsthermal.files import ZERO_DEGC_K
from bmsthermal.observer import Observer
from firmware_export.bundle import Bundle
from firmware_export.targets.cores import HOST, Core
from firmware_export.targets.cycle import Drive
from firmware_export.targets.equality import Equality, compare_on, emulators
from firmware_export.targets.toolchains import core_named
from hil.devices.compiled import exported
from hil.devices.images import image
from hil.devices.numbers import start_K
from hil.record import Record
from hil.signals import Readings

#: Steps that are compared on a core: one that is emulated takes about a second for so many; and on this machine.
MOST_STEPS, MOST_HERE = 3600, 50_000


def equality(
    observer: Observer, record: Record, soc: float, cores: Sequence[str] = ("cortex-m4f",), *, cell: int = 0
) -> dict[str, str]:
    """Compare state and output of Python in single precision, compiled C and emulated cores, byte by byte.

    All three get what the device saw, rounded to single precision once; a run of a module is that of one cell of it.

    Parameters
    ----------
    observer
        The observer under test; its precision does not matter.
    record
        Of the run.
    soc
        State of charge that it starts from; its temperature is that of the first readings.
    cores
        Of `firmware_export.targets.cores.CORES`; ``host`` is the software, which is compared in any case.
    cell
        Which cell.

    Returns
    -------
    dict
        A sentence each: ``software``, and ``processor`` or, of several, ``processor cortex-m4f`` and so on. Where a
        compiler or an emulator is not there, it says so; where a byte differs, in which step and member.

    Raises
    ------
    InputError
        If there is no such core.
    """
    bare = [core_named(name) for name in cores if name != HOST.name]
    asked = {"software": HOST} | {("processor" if len(bare) == 1 else f"processor {core.name}"): core for core in bare}
    try:
        bundle, drive = exported(observer), drive_of(observer, record, soc, cell)
    except InputError as error:
        return dict.fromkeys(asked, f"not compared: {error}")
    of = "" if record.cells == 1 else f", cell {cell} of {record.cells}"
    return {name: _sentence(bundle, observer, core, drive, of) for name, core in asked.items()}


def drive_of(observer: Observer, record: Record, soc: float, cell: int = 0) -> Drive:
    """What the device saw of a cell, as the kernel takes it."""
    walls = len(observer.reduced.walls)
    u = np.full((len(record.rows), 3 + 2 * walls), np.nan)
    u[:, 0], u[:, 1] = record["seen_current_A"], record.each("seen_voltage_V")[:, cell]
    u[:, 3 : 3 + walls] = record["seen_ambient_degC"][:, None] + ZERO_DEGC_K
    z = np.column_stack([record.each(f"seen_{name}_degC")[:, cell] for name in observer.measured]) + ZERO_DEGC_K
    begun = start_K(Readings(0.0, u[0, 0], u[:1, 1], u[0, 3], z[:1]))[0]
    return Drive(u, z, float(observer.reduced.cell.reference_K if np.isnan(begun) else begun), soc)


def _sentence(bundle: Bundle, observer: Observer, core: Core, drive: Drive, of: str) -> str:
    emulator = next(iter(emulators(core)), None)
    if emulator is None:
        return f'not compared: nothing that emulates {core.name}; pip install "bmsthermal[target]", or QEMU'
    most = MOST_HERE if core is HOST else MOST_STEPS
    part = replace(drive, inputs=drive.inputs[:most], measurements=drive.measurements[:most])
    try:
        found = compare_on(bundle, observer, image(bundle, core), part, emulator)
    except InputError as error:
        return f"not compared: {error}"
    return f"{_verdict(found, len(drive.inputs))}{of} ({_where(found, core)})"


def _verdict(found: Equality, steps: int) -> str:
    if found.first_difference is not None:
        return f"DIFFERS: {found.first_difference}"
    first = "" if found.steps == steps else f"first {found.steps:,} of "
    return f"{first}{steps:,} steps equal to the bit"


def _where(found: Equality, core: Core) -> str:
    built = f"{found.toolchain} {found.level}"
    return f"{built}, {found.emulator}" if core is HOST else f"{found.core}, {built}, {found.emulator}"
