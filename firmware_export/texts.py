"""What a bundle's files say: the kernel's text as it is, and every template filled in."""

from __future__ import annotations

from importlib import metadata, resources
from typing import TYPE_CHECKING, Any

import numpy as np

from firmware_export.constants import check_precision, digest, members
from firmware_export.folder import sha256
from firmware_export.host import STRICT
from firmware_export.render import DTYPES, Real, environment

if TYPE_CHECKING:
    from bmsthermal.observer import Observer

#: The kernel's text, by package.
KERNEL = {"real.h": "rom.kernel", "step.h": "rom.kernel", "observer.h": "bmsthermal.kernel"}
#: Templates and the files they become.
TEMPLATES = {
    "{name}.h": "api.h", "{name}.c": "api.c", "{name}_model.h": "model.h", "{name}_model.c": "model.c",
    "{name}_selftest.c": "selftest.c", "vectors.h": "vectors.h", "main.c": "main.c", "Makefile": "Makefile",
    "README.md": "README.md",
}  # fmt: skip


def kernel_text(file: str) -> bytes:
    """Text of a file of the kernel, as Python was built from it."""
    return (resources.files(KERNEL[file]) / file).read_bytes()


def _version() -> str:
    try:
        return metadata.version("bmsthermal")
    except metadata.PackageNotFoundError:
        return "not installed"


def texts(observer: Observer, real: Real, name: str) -> tuple[dict[str, bytes], dict[str, Any]]:
    """Every file by its name, and the manifest without them."""
    from firmware_export.vectors import vectors

    reduced, packed, cell = observer.reduced, observer.packed, observer.reduced.cell
    prior = observer.start(packed.reference_K, 0.5).P
    check_precision(packed, prior, real)
    start_P = prior[np.tril_indices(reduced.order)]
    width = np.dtype(DTYPES[real]).itemsize
    constants = packed.row(DTYPES[real], len(observer.measured)).size + start_P.size
    sizes = {
        "states": reduced.order,
        "walls": list(reduced.walls),
        "sensors": list(observer.measured),
        "table": len(packed.open_circuit_V),
        "state_bytes": width * (reduced.order + start_P.size + 1),
        "model_bytes": width * constants,
    }
    manifest = {
        "bmsthermal": _version(),
        "cell": {"name": cell.name, "digest": cell.digest},
        "kernel": {file: sha256(kernel_text(file)) for file in KERNEL},
        "model": digest(packed, start_P, real),
        "name": name,
        "real": real,
        "sizes": sizes,
        "step_s": reduced.step_s,
    }
    modal, kernel = members(packed)
    context = manifest | sizes | {
        "NAME": name.upper(),
        "cell": cell,
        "kernel": kernel,
        "modal": modal,
        "areas": reduced.areas_m2.tolist(),
        "packed_size": start_P.size,
        "run": vectors(observer, real),
        "start_P": start_P,
        "uniform": int(packed.uniform),
        "columns": [
            "current_A", "voltage_V", "heat_W", *(f"coolant_{w}_K" for w in reduced.walls),
            *(f"conductance_{w}_W_K" for w in reduced.walls), *(f"{sensor}_K" for sensor in observer.measured),
        ],
        "strict": STRICT,
    }  # fmt: skip
    templates = environment(real)
    filled = {
        file.format(name=name): templates.get_template(f"{template}.jinja").render(context).encode()
        for file, template in TEMPLATES.items()
    }
    return filled | {file: kernel_text(file) for file in KERNEL}, manifest
