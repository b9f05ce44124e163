"""One arithmetic everywhere: a bundle on a core against Python's build of the same kernel, byte by byte."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from bmsthermal.errors import InputError
from firmware_export.form import Form, form_of, read_out, start_row
from firmware_export.render import DTYPES
from firmware_export.targets import machine, native, qemu
from firmware_export.targets.cores import HOST, RECORD, RECORD_B, Core
from firmware_export.targets.cycle import cycle
from firmware_export.targets.toolchains import Image, Toolchain, build

if TYPE_CHECKING:
    from bmsthermal.observer import Observer
    from firmware_export.bundle import Bundle

Row = NDArray[np.floating]
START_K, START_SOC = 301.7, 0.63
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


def emulators(core: Core) -> list[str]:
    """What runs a core's code here: ``native`` for this machine, else ``unicorn`` and ``qemu``, the first preferred."""
    if core is HOST:
        return ["native"]
    there = {"unicorn": core.unicorn and machine.version(), "qemu": qemu.version(core)}
    return [name for name, version in there.items() if version]


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
    emulator = emulator or next(iter(emulators(core)), None)
    if emulator is None:
        raise InputError(f"nothing that emulates {core.name}", hint='pip install "bmsthermal[target]", or QEMU')
    observer = observer.on_target(bundle.real, bundle.manifest["form"])
    form = form_of(observer)
    u, z = (each.astype(DTYPES[bundle.real]) for each in cycle(observer, form.cell, steps, seed))
    names = [name for each in (*form.state, *form.output) for name in _places(each.name, each.count)]
    size = steps * len(names) * u.itemsize
    block = _block(bundle, observer, u, z, core)
    if size > RECORD_B or len(block) > RECORD:
        raise InputError(f"{steps} steps", expected=f"at most {RECORD_B // (size // steps)}, which the memory holds")
    image = build(bundle.folder, bundle.name, core, toolchain, place, level=level, flags=flags)
    data, version = _run(image, emulator, block, size)
    found = np.frombuffer(data, u.dtype.newbyteorder(">" if core.big_endian else "<")).astype(u.dtype)
    difference = _difference(found.reshape(steps, -1), observer, form, bundle, u, z, names)
    return Equality(core.name, str(toolchain), " ".join([level, *flags]), version, steps, difference)


def python_run(observer: Observer, form: Form, u: Row, z: Row, start: Row) -> tuple[Row, Row]:
    """States and outputs of the Python build after every step, ``(steps, numbers)`` each."""
    from bmsthermal._observer import Kernel

    n, w = len(form.cell.decay), len(form.cell.wall)
    kernel = Kernel(form.packed.row(u.dtype), n, w, z.shape[1], joint=form.name == "ud")
    kernel.write(start[None, :])
    past = np.empty((len(u), 1, kernel.state_size), u.dtype)
    out = np.zeros((len(u), 1, kernel.output_size), u.dtype)
    kernel.run(u[:, None, :], z[:, None, :], out, past)
    return past[:, 0], out[:, 0]


def _places(name: str, count: int | None) -> list[str]:
    return [name] if count is None else [f"{name}[{i}]" for i in range(count)]


def _block(bundle: Bundle, observer: Observer, u: Row, z: Row, core: Core) -> bytes:
    """Inputs as drive.c reads them, in the core's byte order."""
    walls = observer.reduced.walls
    every = ["current_A", "voltage_V", "heat_W", *(f"coolant_{w}_K" for w in walls),
             *(f"conductance_{w}_W_K" for w in walls)]  # fmt: skip
    taken = [every.index(name) for name in bundle.manifest.get("inputs", every)]
    u[:, [i for i in range(len(every)) if i not in taken]] = np.nan
    order = ">" if core.big_endian else "<"
    rows = np.hstack([u[:, taken], z]).astype(u.dtype.newbyteorder(order))
    start = struct.pack(f"{order}II", len(u), 0) + np.array([START_K, START_SOC], rows.dtype).tobytes()
    return start + rows.tobytes()


def _run(image: Image, emulator: str, block: bytes, size: int) -> tuple[bytes, str]:
    """What the image records, and what ran it."""
    if emulator == "native":
        return native.run(image, block, size), native.version()
    if emulator == "qemu":
        return qemu.run(image, block, image.path.parent), str(qemu.version(image.core))
    emulated = machine.Machine(image)
    emulated.write_bytes(emulated.block, block)
    emulated.run("drive", emulated.block, emulated.record)
    return emulated.read_bytes(emulated.record, size), f"Unicorn {machine.version()}"


def _difference(
    found: Row, observer: Observer, form: Form, bundle: Bundle, u: Row, z: Row, names: Sequence[str]
) -> str | None:
    """Say the first number that is not Python's."""
    start = start_row(observer, form, START_K, START_SOC, bundle.real)
    past, out = python_run(observer, form, u, z, start)
    sensors, room, layout = z.shape[1], (out.shape[1] - 1) // 2, getattr(observer, "layout", None)
    expected = found.copy()
    expected[:, : form.numbers] = past
    stepped = np.hstack([out[:, :1], out[:, 1 : 1 + sensors], out[:, 1 + room : 1 + room + sensors]])
    expected[:, -stepped.shape[1] :] = stepped
    for k in {*range(0, len(u), STRIDE), len(u) - 1}:
        expected[k, form.numbers :] = read_out(form, layout, past[k], out[k], sensors)
    bits = np.uint32 if found.itemsize == 4 else np.uint64
    wrong = np.argwhere(found.view(bits) != expected.view(bits))
    if not len(wrong):
        return None
    k, i = wrong[0]
    return f"{names[i]} after step {k} is {found[k, i]!s}, and {expected[k, i]!s} in Python"
