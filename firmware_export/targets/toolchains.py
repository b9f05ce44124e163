"""Cross compilers: zig, which pip installs, and gcc, which a distribution has; and what they build."""

from __future__ import annotations

import functools
import importlib.util
import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from string import Template

from bmsthermal.errors import InputError
from firmware_export.folder import MANIFEST
from firmware_export.host import compile_bundle
from firmware_export.targets.cores import BLOCK_B, CORES, FLASH_B, HOST, RAM_B, RECORD, Core

#: Start-up code, linker script, and the program that drives a bundle.
BARE = Path(__file__).parent / "bare"
#: Asks a compiler for its version.
_ASK = {"gcc": "-dumpfullversion", "clang": "-dumpversion"}
#: What each toolchain needs on a bare core.
_BARE = {
    "zig": ("-ffreestanding", "-fno-sanitize=all", "-fno-unwind-tables", "-fno-asynchronous-unwind-tables",
            "-fomit-frame-pointer"),
    "gcc": ("-ffreestanding", "-fstack-usage"),  # so that the stack of each function can be asked for
}  # fmt: skip


@dataclass(frozen=True)
class Toolchain:
    """A compiler.

    Parameters
    ----------
    name
        ``zig``, ``gcc`` or ``clang``.
    version
        As it says.
    command
        What starts it.
    """

    name: str
    version: str
    command: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.name} {self.version}"


@dataclass(frozen=True)
class Image:
    """A bundle as a program for a bare core, or as a shared object for this machine.

    Parameters
    ----------
    path
        The linked ELF, with the bundle, its self-test, `drive` of drive.c and a start.
    objects
        The bundle's own part: its functions, its constants, its self-test.
    core, toolchain, level
        What it was built for, with what, and the level of optimisation.
    """

    path: Path
    objects: tuple[Path, ...]
    core: Core
    toolchain: Toolchain
    level: str


@functools.cache
def _version(command: tuple[str, ...], *ask: str) -> str | None:
    try:
        done = subprocess.run([*command, *ask], capture_output=True, text=True, errors="replace", check=False)
    except OSError:
        return None
    lines = done.stdout.splitlines()
    return lines[0] if done.returncode == 0 and lines else None


def toolchains(core: Core) -> list[Toolchain]:
    """Toolchains that are here and compile for a core, the one that pip installs first; none is an empty list."""
    found = []
    for name, flags in core.flags.items():
        if name == "zig":
            zig = (sys.executable, "-m", "ziglang") if importlib.util.find_spec("ziglang") else ()
            program, said = (*zig, "cc"), _version(zig, "version") if zig else None
        else:
            path = _newest(flags[0])
            program, said = (path or "",), _version((path,), _ASK[name]) if path else None
        if said is not None:
            found.append(Toolchain(name, said, program))
    return found


def _newest(program: str) -> str | None:
    """Path of a program, or of one that has its version behind its name."""
    names = program, *(f"{program}-{number}" for number in range(30, 8, -1))
    return next((path for path in map(shutil.which, names) if path is not None), None)


def core_named(name: str) -> Core:
    """Core of a name.

    Raises
    ------
    InputError
        If there is none.
    """
    if name not in CORES:
        raise InputError(f"target {name!r}", expected=f"one of {', '.join(CORES)}")
    return CORES[name]


def build(
    folder: Path,
    name: str,
    core: Core,
    toolchain: Toolchain,
    place: Path,
    *,
    level: str = "-O2",
    flags: Sequence[str] = (),
    extra: Sequence[Path] = (),
) -> Image:
    """Compile a bundle for a core and link it with a start, a driver and what else is asked for.

    Parameters
    ----------
    folder, name
        The bundle, and what its files begin with.
    core, toolchain
        For what, with what.
    place
        Folder for objects and the program; made where it is not there.
    level
        Of optimisation.
    flags
        Further flags of the compiler, after all others.
    extra
        Further sources; they find the bundle's headers, and what they define beside `drive` is kept only where
        something calls it.

    Raises
    ------
    InputError
        If the compiler or the linker refuses it.
    """
    place.mkdir(parents=True, exist_ok=True)
    folder, place = folder.resolve(), place.resolve()
    real = json.loads((folder / MANIFEST).read_text())["real"]
    command = (*toolchain.command, *core.flags[toolchain.name][toolchain.name != "zig" :])
    common = ("-fPIC",) if core is HOST else _BARE[toolchain.name]
    driver = (f'-DBUNDLE_HEADER="{name}.h"', f"-DBUNDLE={name}", f"-DBUNDLE_UPPER={name.upper()}", f"-DREAL={real}",
              *(() if core is HOST else ("-DBARE",)))  # fmt: skip

    def compiled(source: Path, *more: str) -> Path:
        output = place / f"{source.stem}.o"
        return _compile([source], output, command, "-c", level, *common, f"-I{folder}", *more, *flags)

    objects = tuple(compiled(folder / f"{name}{part}.c") for part in ("", "_model", "_selftest"))
    others = [compiled(source, *driver) for source in (BARE / "drive.c", *map(Path, extra))]
    link: tuple[str, ...] = ("-shared",)
    if core is not HOST:
        others += [compiled(BARE / "start.c"), compiled(BARE / "memory.c")]
        script = place / "link.ld"
        script.write_text(_script(core))
        link = ("-static", "-T", str(script), "-Wl,--gc-sections", *common, *library(core, toolchain, real))
    program = _compile([*objects, *others], place / f"{name}{'.so' if core is HOST else '.elf'}", command, *link)
    return Image(program, objects, core, toolchain, level)


def library(core: Core, toolchain: Toolchain, real: str) -> tuple[str, ...]:
    """Only arithmetic that the core lacks, and not where it lacks none: zig takes ten seconds to build it at first."""
    if core.hard_float and real == "float":
        return ("-nostdlib",)
    return ("-nostartfiles", "-nolibc") if toolchain.name == "gcc" else ("-nostartfiles",)


def _script(core: Core) -> str:
    places = {"flash": core.flash, "flash_B": FLASH_B, "ram": core.ram, "ram_B": RAM_B, "block": core.block,
              "record": core.block + RECORD, "block_B": BLOCK_B}  # fmt: skip
    return Template((BARE / "link.ld").read_text()).substitute({word: hex(value) for word, value in places.items()})


def _compile(sources: Sequence[Path], output: Path, command: Sequence[str], *flags: str) -> Path:
    hint = "the bundle itself is unchanged"
    return compile_bundle(output.parent, [str(each) for each in sources], output, *flags, compiler=command, hint=hint)
