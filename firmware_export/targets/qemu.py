"""An image from reset to its end under QEMU, with files through semihosting: the second witness, and M55's only one."""

from __future__ import annotations

import functools
import re
import shutil
import subprocess
from pathlib import Path

from bmsthermal.errors import InputError
from firmware_export.targets.cores import Core
from firmware_export.targets.toolchains import Image

#: What drive.c writes.
RECORD_FILE = "record.bin"
#: What it ends with where a bit of the self-test is not Python's.
DIFFERS = 1
#: Seconds after which a run is given up.
_LONGEST_S = 600


@functools.cache
def version(core: Core) -> str | None:
    """Which QEMU runs a core's code; None where it is not there, or has no such core."""
    program = shutil.which(_program(core)) if core.qemu else None
    if program is None:
        return None
    try:
        done = subprocess.run([program, "--version"], capture_output=True, text=True, errors="replace", check=False)
    except OSError:
        return None
    found = re.search(r"version (\S+)", done.stdout)
    return f"QEMU {found[1]}" if found else None


def run(image: Image, block: bytes, place: Path) -> bytes:
    """Start an image with a block of inputs in memory: what it recorded.

    Parameters
    ----------
    image
        With the driver of drive.c.
    block
        See there.
    place
        Folder to run in.

    Raises
    ------
    InputError
        If QEMU is not there, or the core stops.
    """
    core = image.core
    if version(core) is None:
        raise InputError(f"no QEMU for {core.name}", hint=f"install {_program(core)}")
    inputs, record = place / "block.bin", place / RECORD_FILE
    inputs.write_bytes(block)
    record.unlink(missing_ok=True)
    command = [
        _program(core), "-M", str(core.qemu), "-display", "none", "-monitor", "none", "-serial", "none",
        "-semihosting-config", "enable=on,target=native",
        *(["-bios", "none"] if core.family == "riscv" else []), "-kernel", str(image.path.resolve()),
        "-device", f"loader,file={inputs.name},addr={core.block:#x},force-raw=on",
    ]  # fmt: skip
    try:
        done = subprocess.run(
            command, cwd=place, capture_output=True, text=True, errors="replace", check=False, timeout=_LONGEST_S
        )
    except subprocess.TimeoutExpired:
        raise InputError(f"no end after {_LONGEST_S} s under QEMU", where=image.path.name) from None
    if done.returncode not in (0, DIFFERS) or not record.exists():
        said = next(iter(done.stderr.splitlines()), "no output")
        raise InputError(f"QEMU ended with {done.returncode} ({said})", where=image.path.name)
    return record.read_bytes()


def _program(core: Core) -> str:
    return f"qemu-system-{'riscv32' if core.family == 'riscv' else 'arm'}"
