"""What a bundle's files say: the kernel's text as it is, and every template filled in."""

from __future__ import annotations

from importlib import metadata, resources
from typing import TYPE_CHECKING, Any

import numpy as np

from bmsthermal.joint_packing import PackedJoint
from firmware_export.a2l import calibrated, chosen, described, measured
from firmware_export.constants import (
    check_precision,
    digest,
    joint_members,
    members,
    rule_members,
    voltage_members,
)  # fmt: skip
from firmware_export.folder import sha256
from firmware_export.form import form_of
from firmware_export.host import STRICT
from firmware_export.render import DTYPES, Real, filled, prefix

if TYPE_CHECKING:
    from bmsthermal.observer import Observer

#: Templates and the files they become.
TEMPLATES = {
    "{name}.h": "api.h", "{name}.c": "api.c", "{name}_port.h": "port.h", "{name}_model.h": "model.h",
    "{name}_model.c": "model.c", "{name}_selftest.c": "selftest.c", "vectors.h": "vectors.h", "main.c": "main.c",
    "Makefile": "Makefile", "CMakeLists.txt": "CMakeLists.txt", "{name}.a2l": "a2l",
    "README.md": "README.md",
}  # fmt: skip
#: And those of many cells that share one covariance, which a packed one can be.
CELLS = {"{name}_cells.h": "cells.h", "{name}_cells.c": "cells.c"}


def kernel_text(package: str, file: str) -> bytes:
    """Text of a file of the kernel, as Python was built from it."""
    return (resources.files(package) / file).read_bytes()


def _version() -> str:
    try:
        return metadata.version("bmsthermal")
    except metadata.PackageNotFoundError:
        return "not installed"


def texts(observer: Observer, real: Real, name: str, given: bool = False) -> tuple[dict[str, bytes], dict[str, Any]]:
    """Every file by its name, and the manifest without them."""
    from firmware_export.vectors import vectors

    reduced, cell, form = observer.reduced, observer.reduced.cell, form_of(observer, given)
    packed, sensors = form.cell, len(observer.measured)
    prefix(name, form.kernel)
    begun = observer.start(packed.reference_K, 0.5)
    if isinstance(form.packed, PackedJoint):
        start = begun.row[2 * begun.states :].astype(float)
        factors, volts = np.split(start, [begun.states * (begun.states + 1) // 2])
        start = np.concatenate([factors, volts[10:25] if form.packed.voltage else []])
    elif form.name == "fixed-gain":
        start = np.zeros(0)
    else:
        check_precision(packed, begun.P, real)
        start = begun.P[np.tril_indices(reduced.order)]
    constants = np.concatenate([form.row(DTYPES[real], sensors), start.astype(DTYPES[real])])
    width = np.dtype(DTYPES[real]).itemsize
    sizes = {
        "states": reduced.order,
        "walls": list(reduced.walls),
        "sensors": list(observer.measured),
        "table": len(packed.open_circuit_V),
        "state_bytes": width * form.numbers,
        "output_bytes": width * sum(each.size for each in form.output),
        "model_bytes": width * constants.size,
    }
    many = "shared.h" in form.kernel
    kernel_texts = {file: kernel_text(package, file) for file, package in form.kernel.items()}
    faces = {"coolant_K": "coolant_{}_K", "conductance_W_K": "conductance_{}_W_K"}
    inputs = [
        faces.get(each.name, each.name).format(wall)
        for each in form.inputs for wall in (reduced.walls if each.name in faces else [""])
    ]  # fmt: skip
    manifest = {
        "bmsthermal": _version(),
        "cell": {"name": cell.name, "digest": cell.digest},
        "estimate": list(observer.estimate),
        "form": form.name,
        "inputs": inputs,
        "kernel": {file: sha256(text) for file, text in kernel_texts.items()},
        "model": digest(constants),
        "name": name,
        "real": real,
        "sizes": sizes,
        "step_s": reduced.step_s,
        "unrolled": form.name != "ud",  # an array of factors is walked in loops
    }
    modal, kernel, heat = members(packed if isinstance(form.packed, PackedJoint) else form.packed)
    context = manifest | sizes | {
        "NAME": name.upper(),
        "cell": cell,
        "kernel": kernel,
        "heat": heat,
        "modal": modal,
        "joint": joint_members(form.packed) if isinstance(form.packed, PackedJoint) else [],
        "beside": {each.name: int(np.asarray(each.value)) for each in joint_members(form.packed)[:4]}
        if isinstance(form.packed, PackedJoint) else {},
        "volts": voltage_members(form.packed),
        "rules": rule_members(form.packed),
        "numbers": form.state,
        "outputs": form.output,
        "taken": form.inputs,
        "given": given,
        "many": many,
        "width": width,
        "all_states": form.state[0].size,
        "areas": reduced.areas_m2.tolist(),
        "start": start,
        "run": vectors(observer, form, real),
        "uniform": int(packed.uniform),
        "facing": int(packed.facing),
        "headers": [*form.kernel],
        "columns": [*inputs, *(f"{sensor}_K" for sensor in observer.measured)],
        "strict": STRICT,
        **described(measured(form.state, form.output), calibrated(name, chosen(form)), real),
    }  # fmt: skip
    return filled(TEMPLATES | (CELLS if many else {}), context, real, name) | kernel_texts, manifest
