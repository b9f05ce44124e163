"""A bundle as a program for a core, or for this machine: built once."""

from __future__ import annotations

from bmsthermal.errors import InputError
from firmware_export.bundle import Bundle
from firmware_export.folder import MANIFEST
from firmware_export.targets.cores import HOST, Core
from firmware_export.targets.toolchains import BARE, Image, build, toolchains
from hil.devices.cache import built, digest

LEVEL = "-O2"


def image(bundle: Bundle, core: Core) -> Image:
    """Build a bundle for a core; what was built before is taken as it is.

    With gcc where it is there, which is quicker and whose code is what most projects flash, else with zig.

    Raises
    ------
    InputError
        If there is nothing that compiles for it, or it refuses the text.
    """
    found = toolchains(core)
    if not found:
        hint = "install gcc or clang" if core is HOST else 'pip install "bmsthermal[target]"'
        raise InputError(f"nothing that compiles for {core.name}", hint=hint)
    toolchain = next((each for each in found if each.name == "gcc"), found[0])
    parts = [(bundle.folder / MANIFEST).read_bytes(), *(file.read_bytes() for file in sorted(BARE.iterdir()))]
    key = digest([repr(core), str(core.flags), str(toolchain), *toolchain.command, LEVEL, *parts])
    program = f"{bundle.name}{'.so' if core is HOST else '.elf'}"
    folder = built(key, lambda at: build(bundle.folder, bundle.name, core, toolchain, at, level=LEVEL), program)
    return Image(folder / program, (), core, toolchain, LEVEL)
