"""One arithmetic everywhere: a bundle on a core against Python's build of the same kernel, byte by byte."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bmsthermal.errors import InputError
from bmsthermal.observer import Observer
from bmsthermal.reduced.observing import CoupledObserver
from firmware_export.form import Form, form_of, read_out, start_row
from firmware_export.form_coupled import CoupledForm
from firmware_export.render import DTYPES, Real
from firmware_export.targets import machine, native, qemu
from firmware_export.targets.cores import HOST, RECORD, RECORD_B, Core
from firmware_export.targets.cycle import Drive, cycle
from firmware_export.targets.toolchains import Image, Toolchain, build

if TYPE_CHECKING:
    from firmware_export.bundle import Bundle

Row = NDArray[np.floating]
#: Names of what is recorded, what is put in, and what Python makes of it, given what was found.
_Run = tuple[list[str], Row, Callable[[Row], Row]]
#: What `_get` writes is a function of the state: it is looked at every so many steps, the rest at every step.
STRIDE = 97


@dataclass(frozen=True)
class Equality:
    """What came of a comparison.

    Parameters
    ----------
    core, toolchain, level, emulator
        What ran, how it was built, and on what.
    steps
        Length of the run.
    first_difference
        The first step and member whose bytes are not Python's; None where all are.
    """

    core: str
    toolchain: str
    level: str
    emulator: str
    steps: int
    first_difference: str | None

    @property
    def equal(self) -> bool:
        """Whether every byte is Python's."""
        return self.first_difference is None

    def __str__(self) -> str:
        verdict = self.first_difference or f"{self.steps} steps equal to the bit"
        return f"{self.core}, {self.toolchain} {self.level}, {self.emulator}: {verdict}"


def emulators(core: Core, real: Real = "float") -> list[str]:
    """What runs a core's code here: ``native`` for this machine, else ``unicorn`` and ``qemu``, the first preferred.

    Where every sum is a call QEMU is four times as fast, and only it has the double precision of an M7.
    """
    if core is HOST:
        return ["native"]
    there = {"unicorn": core.unicorn and machine.version(), "qemu": qemu.version(core)}
    found = [name for name, version in there.items() if version]
    return found if core.hard_float and real == "float" else found[::-1]


def compare(
    bundle: Bundle,
    observer: Observer,
    core: Core,
    toolchain: Toolchain,
    place: Path,
    steps: int = 10_000,
    seed: int = 0,
    *,
    emulator: str | None = None,
    level: str = "-O2",
    flags: Sequence[str] = (),
) -> Equality:
    """Step a bundle on a core, and Python's build here, through a drive cycle with faults, and compare.

    State and what a step writes are compared after every step, what is read out of the state after every `STRIDE`.

    Parameters
    ----------
    bundle, observer
        What was exported, and from what.
    core, toolchain, level, flags
        What to build for and how, see `build`.
    place
        Folder to build in.
    steps, seed
        The run, see `cycle`.
    emulator
        One of `emulators`; by default the first.

    Raises
    ------
    InputError
        If there is no emulator, the run is too long for its memory, the compiler refuses, or the core stops.
    """
    emulator = emulator or next(iter(emulators(core, bundle.real)), None)
    if emulator is None:
        raise InputError(f"nothing that emulates {core.name}", hint='pip install "bmsthermal[target]", or QEMU')
    image = build(bundle.folder, bundle.name, core, toolchain, place, level=level, flags=flags)
    # the cycle is the same cell's, whatever its heat comes from
    thermal = Observer(observer.reduced, observer.measured) if isinstance(observer, CoupledObserver) else observer
    found = compare_on(bundle, observer, image, Drive(*cycle(thermal, thermal.packed, steps, seed)), emulator)
    return replace(found, level=" ".join([level, *flags]))


def compare_on(bundle: Bundle, observer: Observer, image: Image, drive: Drive, emulator: str) -> Equality:
    """Do what `compare` does, with a bundle that was built, on a run that is given.

    Raises
    ------
    InputError
        If the run is too long for the core's memory, or the core stops.
    """
    core, steps = image.core, len(drive.inputs)
    run = _coupled if isinstance(observer, CoupledObserver) else _thermal
    names, rows, expect = run(bundle, observer, drive)
    part = RECORD_B // (len(names) * rows.itemsize)
    start = np.array([drive.start_K, drive.start_soc], rows.dtype)
    block = struct.pack(f"{core.order}II", steps, part) + b"".join(
        each.astype(each.dtype.newbyteorder(core.order)).tobytes() for each in (start, rows)
    )
    if len(block) > RECORD:
        raise InputError(f"{steps} steps", expected=f"at most {RECORD // rows[0].nbytes - 1}, which the memory holds")
    data, version = _run(image, emulator, block, part)
    found = np.frombuffer(data, rows.dtype.newbyteorder(core.order)).reshape(steps, -1).astype(rows.dtype)
    expected = expect(found)
    wrong = np.argwhere(_bits(found) != _bits(expected))
    difference = None
    if len(wrong):
        k, i = wrong[0]
        difference = f"{names[i]} after step {k} is {found[k, i]!s}, and {expected[k, i]!s} in Python"
    return Equality(core.name, str(image.toolchain), image.level, version, steps, difference)


def _thermal(bundle: Bundle, observer: Observer, drive: Drive) -> _Run:
    observer = observer.on_target(bundle.real, bundle.manifest["form"])
    form = form_of(observer, bundle.given)
    u, z = _rounded(drive, bundle.real)
    taken = form.taken(len(observer.reduced.walls))
    u[:, ~taken] = np.nan
    return (
        _names(form), np.hstack([u[:, taken], z]),
        lambda found: _expected(found, observer, form, bundle.real, u, z, drive),
    )  # fmt: skip


def _coupled(bundle: Bundle, observer: Observer, drive: Drive) -> _Run:
    """The same of a filter on a reduced cell, which takes current, voltage and coolants."""
    assert isinstance(observer, CoupledObserver)
    form = CoupledForm(observer, bundle.real)
    u, z = _rounded(drive, bundle.real)
    u = u[:, [0, 1, *range(3, 3 + len(observer.reduced.walls))]]
    start = drive.start_K, drive.start_soc
    return _names(form), np.hstack([u, z]), lambda found: np.hstack(form.run(u, z, *start)).astype(u.dtype)


def _rounded(drive: Drive, real: Real) -> tuple[Row, Row]:
    """The run in the precision of the target."""
    dtype: Any = DTYPES[real]
    return drive.inputs.astype(dtype), drive.measurements.astype(dtype)


def _names(form: Form | CoupledForm) -> list[str]:
    return [name for each in (*form.state, *form.output) for name in _places(each.name, each.count)]


def python_run(observer: Observer, form: Form, u: Row, z: Row, start: Row) -> tuple[Row, Row]:
    """States and outputs of the Python build after every step, ``(steps, numbers)`` each."""
    kernel = form.engine(u.dtype, z.shape[1])
    kernel.write(start[None, :])
    past = np.empty((len(u), 1, kernel.state_size), u.dtype)
    out = np.zeros((len(u), 1, kernel.output_size), u.dtype)
    kernel.run(u[:, None, :], z[:, None, :], out, past)
    return past[:, 0], out[:, 0]


def _places(name: str, count: int | None) -> list[str]:
    return [name] if count is None else [f"{name}[{i}]" for i in range(count)]


def _run(image: Image, emulator: str, block: bytes, part: int) -> tuple[bytes, str]:
    """What the image records, and what ran it."""
    if emulator == "native":
        return native.run(image, block, part), native.version()
    if emulator == "qemu":
        return qemu.run(image, block, image.path.parent), str(qemu.version(image.core))
    return machine.Machine(image).drive(block, part), f"Unicorn {machine.version()}"


def _expected(found: Row, observer: Observer, form: Form, real: Real, u: Row, z: Row, drive: Drive) -> Row:
    """What Python says of each number that it was asked for, and what was found of the others."""
    past, out = python_run(observer, form, u, z, start_row(observer, form, drive.start_K, drive.start_soc, real))
    sensors, room, layout = z.shape[1], (out.shape[1] - 1) // 2, getattr(observer, "layout", None)
    expected = found.copy()
    expected[:, : form.numbers] = form.kept(past)
    stepped = np.hstack([out[:, :1], out[:, 1 : 1 + sensors], out[:, 1 + room : 1 + room + sensors]])
    expected[:, -stepped.shape[1] :] = stepped
    for k in {*range(0, len(u), STRIDE), len(u) - 1}:
        expected[k, form.numbers :] = read_out(form, layout, past[k], out[k], sensors)
    return expected


def _bits(rows: Row) -> NDArray[np.unsignedinteger]:
    bits: NDArray[np.unsignedinteger] = rows.view(np.uint32 if rows.itemsize == 4 else np.uint64)
    return bits
