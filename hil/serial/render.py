"""The protocol as C, beside a bundle: what a board needs to stand on the bench."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bmsthermal.errors import InputError
from firmware_export.folder import add_files
from firmware_export.foxbms import struct_members
from firmware_export.render import DTYPES, environment
from hil.serial.protocol import BOARD, ERRORS, HEAD, MESSAGES, START_BYTE, TAIL, VERSION, Protocol, message

if TYPE_CHECKING:
    from pathlib import Path

    from firmware_export.bundle import Bundle

#: Templates and the files they become.
TEMPLATES = {"{name}_serial.h": "serial.h", "{name}_serial.c": "serial.c", "{name}_board.c": "board.c"}
#: C99 tells external names apart by 31 characters.
LONGEST_NAME = 31 - len("_serial_init")
#: Cells whose frame a length of 2 bytes still holds, with sensors to spare.
MOST_CELLS = 1000


def protocol_of(bundle: Bundle, cells: int) -> Protocol:
    """Protocol that a board with a bundle speaks.

    Raises
    ------
    InputError
        If the bundle is given its heat instead of current and voltage, or the number of cells is none that fits.
    """
    if bundle.given:
        found = "the bundle is given its heat, and a bench has none to give"
        raise InputError(found, where=str(bundle.folder), hint="export it with --inputs measured")
    if not 1 <= cells <= MOST_CELLS:
        raise InputError(f"{cells} cells", expected=f"1 to {MOST_CELLS}")
    protocol = Protocol(cells, len(bundle.manifest["sizes"]["sensors"]), bundle.real)
    if (longest := max(protocol.sizes().values())) > 0xFFFF - HEAD - TAIL:
        raise InputError(f"{cells} cells in a frame of {longest} bytes", expected="at most 65526 bytes")
    return protocol


def serial_texts(bundle: Bundle, cells: int = 1) -> dict[str, bytes]:
    """Files that put a bundle behind a serial line, by name: C99, no heap, no libm; the last one is a main loop.

    Raises
    ------
    InputError
        As of `protocol_of`, and if the bundle's name is too long for C.
    """
    protocol, name = protocol_of(bundle, cells), bundle.name
    if len(name) > LONGEST_NAME:
        found = f"name {name!r} has {len(name)} characters"
        raise InputError(found, expected=f"at most {LONGEST_NAME}", hint="export it with a shorter --name")
    sizes, layouts = protocol.sizes(), {each.name: protocol.layout(each.name) for each in MESSAGES}
    header = (bundle.folder / f"{name}.h").read_text(encoding="utf-8")
    gives = struct_members(header, f"{name}_output_t")
    longest = [
        HEAD + TAIL + max(size for kind, size in sizes.items() if (kind >= BOARD) is back) for back in (False, True)
    ]

    def places(name: str) -> list[tuple[Any, int]]:
        fields: Any = layouts[name].fields
        return [(each, fields[each.name][1]) for each in message(name).fields]

    context = {
        "name": name, "NAME": name.upper(), "real": bundle.real, "width": np.dtype(DTYPES[bundle.real]).itemsize,
        "cells": cells, "version": VERSION, "start_byte": START_BYTE, "head": HEAD, "tail": TAIL,
        "messages": MESSAGES, "sizes": sizes, "places": {each.name: places(each.name) for each in MESSAGES},
        "ends": {"": "", "cells": f"[{cells}]", "sensors": f"[{cells}][{protocol.sensors}]"},
        "errors": ERRORS, "model": model_number(bundle), "most_in": longest[0], "most_out": longest[1],
        "variance": "core_variance_K2" in gives, "watched": "fault" in gives,
    }  # fmt: skip
    env = environment(bundle.real).overlay(loader=_loader())
    return {
        file.format(name=name): env.get_template(f"{template}.jinja").render(context).encode()
        for file, template in TEMPLATES.items()
    }


def model_number(bundle: Bundle) -> int:
    """What a board says it computes with: the first 32 bits of the digest of its constants."""
    return int(bundle.manifest["model"][:8], 16)


def add_serial(bundle: Bundle, cells: int = 1) -> tuple[Path, ...]:
    """Put a board's side of the serial line into a bundle's folder, known to it for its own.

    Parameters
    ----------
    bundle
        What `firmware_export.export` wrote.
    cells
        Cells of the module.

    Raises
    ------
    InputError
        As of `serial_texts`, and if a file cannot be written.
    """
    files = serial_texts(bundle, cells)
    add_files(bundle.folder, files)
    return tuple(bundle.folder / file for file in files)


def _loader() -> Any:
    from jinja2 import PackageLoader

    return PackageLoader("hil.serial", "")
