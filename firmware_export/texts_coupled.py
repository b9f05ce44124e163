"""What the files of an exported filter on a reduced cell say."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np

from bmsthermal.reduced.packing import PACES, TABLE, WARM
from firmware_export.a2l import calibrated, chosen_coupled, described, measured
from firmware_export.constants_coupled import Sizes, cell_members, filter_members, numbers
from firmware_export.folder import sha256
from firmware_export.form import Row
from firmware_export.form_coupled import KERNEL, CoupledForm
from firmware_export.host import STRICT
from firmware_export.render import Real, filled, prefix
from firmware_export.texts import _version, kernel_text
from firmware_export.vectors_coupled import coupled_vectors

if TYPE_CHECKING:
    from bmsthermal.reduced.observing import CoupledObserver

#: Templates and the files they become.
TEMPLATES = {
    "{name}.h": "coupled_api.h", "{name}.c": "coupled_api.c", "{name}_port.h": "port.h",
    "{name}_model.h": "coupled_model.h",
    "{name}_model.c": "coupled_model.c", "{name}_selftest.c": "coupled_selftest.c", "vectors.h": "coupled_vectors.h",
    "main.c": "coupled_main.c", "Makefile": "Makefile", "{name}.a2l": "a2l",
    "CMakeLists.txt": "CMakeLists.txt", "README.md": "coupled_README.md",
}  # fmt: skip


def coupled_texts(observer: CoupledObserver, real: Real, name: str) -> tuple[dict[str, bytes], dict[str, Any]]:
    """Every file by its name, and the manifest without them."""
    prefix(name, KERNEL)
    form, reduced = CoupledForm(observer, real), observer.coupled
    filter, cell, target = filter_members(reduced, form.packed), cell_members(reduced, form.packed), Sizes.of(reduced)
    constants: Row = numbers(cell, filter, form.start).astype(form.dtype)
    width, thermal = constants.itemsize, reduced.thermal
    sizes = {
        "states": form.states,
        "walls": list(thermal.walls),
        "sensors": list(observer.measured),
        "table": TABLE,
        "state_bytes": width * sum(each.size for each in form.state),
        "output_bytes": width * sum(each.size for each in form.output),
        "model_bytes": constants.nbytes,
    }
    kernel = {file: kernel_text(package, file) for file, package in KERNEL.items()}
    inputs = ["current_A", "voltage_V", *(f"coolant_{wall}_K" for wall in thermal.walls)]
    manifest = {
        "bmsthermal": _version(),
        "cell": {"name": reduced.cell.name, "digest": reduced.cell.digest},
        "estimate": ["soc", "resistance", "voltage error"],
        "form": "ud",
        "inputs": inputs,
        "kernel": {file: sha256(text) for file, text in kernel.items()},
        "model": hashlib.sha256(constants.astype(constants.dtype.newbyteorder("<")).tobytes()).hexdigest(),
        "name": name,
        "real": real,
        "reduced": {"digest": reduced.digest, "states": reduced.sizes},
        "sizes": sizes,
        "step_s": reduced.step_s,
        "unrolled": False,  # a step of the cell is taken many times, in loops
    }
    context = manifest | sizes | {
        "NAME": name.upper(),
        "cell": reduced.cell,
        "filter": filter,
        "parts": cell,
        "target": target,
        "counts": {
            "SALT": target.salt, "NEGATIVE": len(reduced.negative.rate), "POSITIVE": len(reduced.positive.rate),
            "THERMAL": target.thermal,
        },
        "tables": {"TABLE": TABLE, "PACES": PACES, "WARM": WARM},
        "radius": len(reduced.negative.share),
        "start": form.start,
        "sum": word_sum(constants),
        "constants": constants.size,
        "numbers": form.state,
        "outputs": form.output,
        "run": coupled_vectors(form),
        "headers": list(KERNEL),
        "columns": [*inputs, *(f"{sensor}_K" for sensor in observer.measured)],
        "strict": STRICT,
        **described(measured(form.state, form.output), calibrated(name, chosen_coupled(filter, cell["use"])), real),
    }  # fmt: skip
    return filled(TEMPLATES, context, real, name) | kernel, manifest


def word_sum(constants: Row) -> int:
    """Sum of the constants' bits that the self-test compares (FNV-1a over numbers, a double folded to 32 bits)."""
    words = constants.view(np.uint32 if constants.itemsize == 4 else np.uint64)
    total = 2166136261
    for word in words.tolist():
        total = ((total ^ ((word ^ (word >> 32)) & 0xFFFFFFFF)) * 16777619) & 0xFFFFFFFF
    return total
