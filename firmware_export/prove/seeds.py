"""Copies of a bundle: with the index into its tables passed through a check, and with a bug that has to be found.

The tables lie inside one struct of constants: an index beyond one of them reads the next one, and no tool that watches
memory sees that. So in the copy the macro that makes an index calls ``prove_index``, which a driver supplies.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from bmsthermal.errors import InputError
from firmware_export.bundle import Bundle

#: The macro of real.h that makes an index of a number, and what it becomes.
INDEX = (r"(#define ROM_INDEX\(x\)) \(\(rom_index_t\)\(x\)\)", r"int prove_index(num_t x);\n\1 prove_index(x)")
#: Bugs, the first of which the text holds: places in the tables are no longer held inside them; absent is not seen.
BUGS = (
    (r"ROM_SELECT\(place < last, place, last\)|\(place < last\) \? place : last", "(place)"),
    (r"(#define ROM_PRESENT\(x\)) .*", r"\1 ((x) == (x))"),
)


def checked_copy(bundle: Bundle, place: Path, seeded: bool = False) -> Path:
    """Copy the C of a bundle with a checked index, and with a bug if one is asked for.

    Raises
    ------
    InputError
        If the text does not hold what is to be changed: then nothing found would say nothing.
    """
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    for path in bundle.files:
        if path.suffix in (".c", ".h"):
            shutil.copy(path, place / path.name)
    _change(bundle, place, [INDEX])
    if seeded:
        _change(bundle, place, BUGS if "current_A" in _inputs(bundle) else BUGS[1:])
    return place


def _inputs(bundle: Bundle) -> list[str]:
    return list(bundle.manifest.get("inputs", ["current_A"]))


def _change(bundle: Bundle, place: Path, changes: tuple[tuple[str, str], ...] | list[tuple[str, str]]) -> None:
    """Make the first of the changes that the text has room for."""
    for pattern, replacement in changes:
        count = 0
        for path in sorted(place.glob("*.h")):
            text, made = re.subn(pattern, replacement, path.read_text())
            if made:
                path.write_text(text)
            count += made
        if count:
            return
    raise InputError(f"no {changes[0][0]!r}", where=str(bundle.folder), expected="the text of the kernel as it was")
