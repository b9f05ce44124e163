"""A reduced cell as a file: plain arrays, the cell's own JSON, and the certificate."""

from __future__ import annotations

import io
import json
import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from bmsthermal.cell import Cell
from bmsthermal.curves import Array
from bmsthermal.errors import InputError
from bmsthermal.files import write_whole
from bmsthermal.reduced.certificate import Certificate
from bmsthermal.reduced.model import FREE, ReducedCell
from bmsthermal.reduced.particles import Particles
from bmsthermal.reduced.salt import Salt
from bmsthermal.reduction import ReducedModel

#: What says that an archive is one of these.
KIND = "reduced coupled model"
#: Counts what the kernel asks of the arrays: nodes along a radius, places of D.
FORMAT = 2


def is_reduced_cell(path: str | Path) -> bool:
    """Whether a file is an archive of this kind, as far as a look tells."""
    try:
        with np.load(path, allow_pickle=False) as data:
            return "settings" in data.files and json.loads(str(data["settings"])).get("kind") == KIND
    except Exception:  # whatever it is, it is something else; who opens it says what
        return False


def save(model: ReducedCell, path: str | Path) -> None:
    """Write it whole or not at all."""
    buffer = io.BytesIO()
    settings: dict[str, Any] = {
        "kind": KIND, "format": FORMAT, "step_s": model.step_s, "method": model.thermal.method, "name": model.cell.name,
        "couplings": list(model.couplings), "digest": model.digest,
        "free": {name: getattr(model, name) for name in FREE},
    }  # fmt: skip
    certificate = None if model.certificate is None else model.certificate.to_dict()
    np.savez(
        buffer, allow_pickle=False, **model.arrays, cell=json.dumps(model.cell.document),
        settings=json.dumps(settings), certificate=json.dumps(certificate),
    )  # fmt: skip
    write_whole(path, buffer.getvalue())


def load(path: str | Path) -> ReducedCell:
    """Read and check it."""
    if not os.path.isfile(path):
        raise InputError("no such file", where=str(path))
    try:
        if not zipfile.is_zipfile(path):
            raise ValueError("no archive, or a truncated one")
        model, digest = _read(path)
        if model.digest != digest:
            raise ValueError("changed after it was saved")
        model.verify()
    except Exception as error:  # a damaged archive raises a dozen kinds, from BadZipFile to MemoryError
        raise InputError(
            f"not a reduced coupled model ({str(error).splitlines()[0] if str(error) else type(error).__name__})",
            where=str(path), hint="make one with bmsthermal reduce",
        ) from error  # fmt: skip
    return model


def _read(path: str | Path) -> tuple[ReducedCell, str]:
    with np.load(path, allow_pickle=False) as data:
        arrays = {key: data[key] for key in data.files}
    if missing := {"settings", "cell", "certificate"} - {*arrays}:
        raise ValueError(f"no {sorted(missing)[0]}")
    settings, document, certificate = (json.loads(str(arrays.pop(key))) for key in ("settings", "cell", "certificate"))
    if settings.get("kind") != KIND:
        raise ValueError("another kind of model")
    if settings.get("format") != FORMAT:
        raise ValueError("made by another version of this package")
    for name, array in arrays.items():
        if array.dtype != np.float64 or not np.isfinite(array).all():
            raise ValueError(f"{name} is not finite numbers")
    cell = Cell(str(settings["name"]), document)

    def part(name: str) -> dict[str, Array]:
        return {key.removeprefix(f"{name}_"): value for key, value in arrays.items() if key.startswith(f"{name}_")}

    conduction = ReducedModel.of_arrays(cell, part("thermal"), settings["step_s"], settings["method"])
    model = ReducedCell(
        cell, conduction, Particles(**part("negative")), Particles(**part("positive")), Salt(**part("salt")),
        tuple(settings["couplings"]), certificate=None if certificate is None else Certificate.from_dict(certificate),
        **settings["free"],
    )  # fmt: skip
    _ = model.kernel()  # shapes that do not fit are found here
    return model, settings["digest"]
