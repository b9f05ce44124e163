"""A bundle as an algorithm of foxBMS 2: its types and units, its invalid flags, its table of algorithms.

Written for the database of v1.7 to v1.11; no text of foxBMS is in what this writes.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bmsthermal.errors import InputError
from firmware_export.folder import MANIFEST, sha256, write_folder
from firmware_export.render import environment

if TYPE_CHECKING:
    from firmware_export.bundle import Bundle

#: Templates and the files they become.
TEMPLATES = {
    "{p}.c": "foxbms.c", "{p}.h": "foxbms.h", "{p}_block.h": "foxbms_block.h", "{p}_cfg.c": "foxbms_cfg.c",
    "{p}_cfg.h": "foxbms_cfg.h", "README.md": "foxbms.md",
}  # fmt: skip
#: Prefixes of foxBMS 2 that its files here meet.
TAKEN = ("ALGO", "BS", "DATA", "FAS", "OS", "STD")


def write_foxbms(
    bundle: Bundle,
    folder: str | Path,
    *,
    prefix: str = "CTE",
    cell_blocks: int = 18,
    sensors: int = 8,
    coolant_degC: float = 25.0,
) -> tuple[Path, ...]:
    """Write an algorithm for foxBMS 2 around a bundle: core temperatures into a database block of their own.

    An earlier one in the folder is replaced, all of it or nothing; files that were edited since are not.

    Parameters
    ----------
    bundle
        What was exported; its step becomes the cycle time.
    folder
        Folder to write, outside the bundle's.
    prefix
        Of the module: 2 to 5 capitals; file names begin with it in small letters.
    cell_blocks, sensors
        Cell blocks and temperature sensors of a module. There are as many estimators as the sensors suffice for,
        spread evenly over the cell blocks.
    coolant_degC
        Constant that the configuration begins with, in degrees Celsius.

    Returns
    -------
    tuple of Path
        The files.

    Raises
    ------
    InputError
        If the prefix is no prefix of foxBMS, the step is not a whole number of milliseconds, a module has fewer
        sensors than an estimator takes, the coolant is beyond the database's numbers, or the folder is not free.
    """
    folder = Path(folder)
    if folder.resolve().is_relative_to(bundle.folder.resolve()):
        raise InputError("lies in the bundle's folder", where=str(folder), hint="choose one beside it")
    context = _context(bundle, prefix, cell_blocks, sensors, coolant_degC)
    templates = environment(bundle.real)
    files = {
        file.format(p=context["p"]): templates.get_template(f"{template}.jinja").render(context).encode()
        for file, template in TEMPLATES.items()
    }
    manifest = {
        "bundle": {"name": bundle.name, "model": bundle.manifest["model"]},
        "files": {file: sha256(data) for file, data in files.items()},
    }
    files[MANIFEST] = (json.dumps(manifest, indent=2, sort_keys=True) + "\n").encode()
    write_folder(folder, files)
    return tuple(sorted(folder / file for file in files))


def _context(bundle: Bundle, prefix: str, cell_blocks: int, sensors: int, coolant_degC: float) -> dict[str, Any]:
    if not re.fullmatch("[A-Z]{2,5}", prefix) or prefix in TAKEN:
        raise InputError(f"prefix {prefix!r}", expected="2 to 5 capitals that foxBMS 2 does not use itself")
    step_ms = round(1000 * bundle.manifest["step_s"], 6)
    if step_ms != int(step_ms):
        raise InputError(f"a step of {step_ms:g} ms", expected="whole milliseconds, as foxBMS counts its cycles")
    measured = bundle.manifest["sizes"]["sensors"]
    count = sensors // len(measured)
    if not 0 < count <= sensors <= 255 or not 0 < cell_blocks <= 255:
        raise InputError(
            f"{cell_blocks} cell blocks and {sensors} sensors a module",
            expected=f"1 to 255 cell blocks, and {len(measured)} to 255 sensors",
        )
    if not abs(coolant_degC) <= 3276.0:
        raise InputError(f"coolant_degC={coolant_degC!r}", expected="a temperature that int16 holds in 0.1 degC")
    name = bundle.name
    header = (bundle.folder / f"{name}.h").read_text(encoding="utf-8")
    takes, gives = (struct_members(header, f"{name}_{struct}_t") for struct in ("input", "output"))
    double, variance, watched = bundle.real == "double", "core_variance_K2" in gives, "fault" in gives
    return {
        "P": prefix, "p": prefix.lower(), "bundle": name, "BUNDLE": name.upper(),
        "real_t": "double" if double else "float_t",
        "sqrt": "sqrt" if double else "sqrtf", "ceil": "ceil" if double else "ceilf",
        "step_ms": int(step_ms), "longest_ms": max(int(step_ms) // 10, 1),
        "measured": measured, "walls": bundle.manifest["sizes"]["walls"],
        "places": [
            ((2 * e + 1) * cell_blocks // (2 * count), range(e * len(measured), (e + 1) * len(measured)))
            for e in range(count)
        ],
        "cell_blocks": cell_blocks, "sensors": sensors, "coolant_ddegC": round(10 * coolant_degC),
        "takes": takes, "variance": variance, "watched": watched,
        "members": _block(prefix, variance, watched),
    }  # fmt: skip


def _block(prefix: str, variance: bool, watched: bool) -> list[tuple[str, str, str]]:
    """Members of the database block: type, name and meaning."""
    limit = f", or sigma above {prefix}_MAXIMUM_SIGMA_ddegC" if variance else ""
    rows = [("int16_t", "coreTemperature_ddegC", "nearest, held inside int16")]
    if variance:
        rows.append(("int16_t", "coreSigma_ddegC", "standard deviation, rounded up"))
    rows += [
        ("bool", "invalidCoreTemperature", f"true: not started, beyond int16{limit}"),
        ("uint8_t", "absentInputs", f"bits {prefix}_ABSENT_..., what the last step had to do without"),
    ]
    if watched:
        codes = "0 none, 1 absent, 2 open, 3 short, 4 bias, 5 stuck, 6 drift, 7 swap"
        rows += [
            ("uint8_t", f"sensorFault[{prefix}_NR_OF_SENSORS]", codes),
            ("bool", "heatFault", "true: there is heat that nobody accounts for"),
        ]
    return rows


def struct_members(header: str, struct: str) -> frozenset[str]:
    """Names of a struct's members, from a bundle's own header: what its form has is what can be wired."""
    body = header.partition(f"}} {struct};")[0].rpartition("{")[2]
    return frozenset(re.findall(r"^\s*\w+ (\w+)(?:\[\w+\])?;", body, re.MULTILINE))
