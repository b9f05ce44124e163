"""The structs of a bundle, as its header declares them: whatever the form, they are numbers and rows of numbers."""

from __future__ import annotations

import re

from bmsthermal.errors import InputError
from firmware_export.bundle import Bundle


def members(bundle: Bundle, struct: str) -> list[tuple[str, int, bool]]:
    """Name of each member of a struct of a bundle, how many numbers it is, and whether it is a row.

    Parameters
    ----------
    bundle
        The bundle.
    struct
        ``state``, ``input`` or ``output``.

    Raises
    ------
    InputError
        If the header does not declare it.
    """
    text = (bundle.folder / f"{bundle.name}.h").read_text()
    sizes = {name: int(number) for name, number in re.findall(r"#define (\w+) (\d+)\b", text)}
    body = re.search(rf"typedef struct \{{([^}}]*)\}} {bundle.name}_{struct}_t;", text)
    if body is None:
        raise InputError(f"no {bundle.name}_{struct}_t", where=f"{bundle.name}.h", expected="a struct of numbers")
    rows = re.findall(rf"^\s*{bundle.real} (\w+)(?:\[(\w+)\])?;", body[1], re.MULTILINE)
    return [(name, int(sizes.get(size, size or 1)), bool(size)) for name, size in rows]


def numbers(bundle: Bundle, struct: str) -> list[str]:
    """Each number of a struct, as C calls it: ``x[0]``, ``soc``."""
    found = members(bundle, struct)
    return [f"{name}[{i}]" if row else name for name, count, row in found for i in range(count)]


def charges(bundle: Bundle) -> list[str]:
    """States of charge in the state: where the voltage is a measurement, two."""
    return [each for each in numbers(bundle, "state") if each in ("soc", "volts[0]")]


def groups(bundle: Bundle) -> list[tuple[str, list[str]]]:
    """Each kind of input of a step, and the numbers of it, as a driver calls them."""
    found = [
        (name, [f"input.{name}[{i}]" for i in range(count)] if row else [f"input.{name}"])
        for name, count, row in members(bundle, "input")
    ]
    return [*found, ("surface_K", [f"surface_K[{k}]" for k in range(sensors(bundle))])]


def sensors(bundle: Bundle) -> int:
    """How many sensors a step takes."""
    return len(bundle.manifest["sizes"]["sensors"])
