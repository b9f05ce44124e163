"""The export: an observer in, a folder of C that computes the same to the last bit out."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from bmsthermal.errors import InputError
from bmsthermal.fixed import FixedObserver
from bmsthermal.reduced.observing import CoupledObserver
from firmware_export.folder import MANIFEST, sha256, write_folder
from firmware_export.host import HostReport, check_host
from firmware_export.render import DTYPES, Real, as_identifier, identifier, prefix
from firmware_export.texts import texts
from firmware_export.texts_coupled import coupled_texts

if TYPE_CHECKING:
    from bmsthermal.observer import Observer


@dataclass(frozen=True)
class Bundle:
    """A folder of C that was exported.

    Parameters
    ----------
    folder
        Where it is.
    name
        What its files and functions begin with.
    real
        Number type, ``float`` or ``double``.
    manifest
        Digests of cell, constants, kernel and files; sizes; version of the tool.
    """

    folder: Path
    name: str
    real: Real
    manifest: Mapping[str, Any] = field(repr=False)

    @property
    def files(self) -> tuple[Path, ...]:
        """All files, manifest included."""
        return tuple(sorted(self.folder / name for name in (*self.manifest["files"], MANIFEST)))

    @property
    def given(self) -> bool:
        """Whether the caller gives the heat, in place of current and voltage."""
        return "current_A" not in self.manifest["inputs"]

    def check(self) -> HostReport | None:
        """Compile with strict flags and run the self-test and a drive; None where there is no host compiler.

        Raises
        ------
        InputError
            If the compiler is not there, refuses the text, or makes what does not run here; the folder is whole.
        """
        return check_host(self.folder, self.name)


def export(
    observer: Observer,
    folder: str | Path,
    *,
    real: Real = "float",
    form: Literal["ekf", "ud", "fixed-gain"] | None = None,
    inputs: Literal["measured", "heat"] = "measured",
    name: str | None = None,
) -> Bundle:
    """Write an observer as C99: kernel, constants, self-test, a program for the host, and how to wire it.

    The same observer gives the same bytes. An earlier export in the folder is
    replaced, all of it or nothing.

    Parameters
    ----------
    observer
        The observer; the precision that it runs at here does not matter.
    folder
        Folder to write.
    real
        Number type on the target.
    form
        How the covariance is kept, see `bmsthermal.Observer`: by default ``ud`` for ``float`` and for an observer
        that estimates more than temperatures, which has no other, and ``ekf`` for ``double``.
    inputs
        ``measured``: current, voltage, coolant, and at will heat and cooling; ``heat``: the caller knows the heat, and
        there is no charge, no table and no other cooling than the model's. Not with ``ud``; by default ``ekf``.
    name
        What files and functions begin with; by default the cell's name.

    Raises
    ------
    InputError
        If the number type is unknown, the name is not an identifier, single
        precision cannot carry the prior, the kernel is not built for the
        size or not compiled here, or the folder holds other files.
    """
    if real not in DTYPES or inputs not in ("measured", "heat"):
        raise InputError(f"real={real!r}, inputs={inputs!r}", expected="'float' or 'double', and 'measured' or 'heat'")
    name = prefix(as_identifier(observer.reduced.cell.name) if name is None else name)
    for sensor in observer.measured:
        identifier(sensor, "sensor", "--sensors")
    if isinstance(observer, CoupledObserver):
        if inputs != "measured":
            raise InputError("heat that is given, to a model whose heat is its own", expected="inputs='measured'")
        files, manifest = coupled_texts(observer.on_target(real, form), real, name)
    else:
        _check_size(observer)
        if inputs == "heat" and not isinstance(observer, FixedObserver):
            form = form or "ekf"
        observer = observer.on_target(real, form)
        files, manifest = texts(observer, real, name, inputs == "heat")
    manifest["files"] = {file: sha256(data) for file, data in files.items()}
    files[MANIFEST] = (json.dumps(manifest, indent=2, sort_keys=True) + "\n").encode()
    write_folder(Path(folder), files)
    return Bundle(Path(folder), name, real, manifest)


def _check_size(observer: Observer) -> None:
    try:
        from bmsthermal import _observer as limits
    except ImportError as error:
        raise InputError(
            "the compiled kernel is missing, and the self-test is its run", hint="install with a C compiler present"
        ) from error
    asked = observer.reduced.order, len(observer.reduced.walls), len(observer.measured)
    largest = limits.MAX_STATES, limits.MAX_WALLS, limits.MAX_SENSORS
    if any(a > b for a, b in zip(asked, largest, strict=True)):
        raise InputError(
            "{} states, {} walls and {} sensors".format(*asked),
            expected="at most {}, {} and {}, which the kernel is built for".format(*largest),
        )
