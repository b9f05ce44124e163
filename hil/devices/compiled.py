"""Software in the loop: the exported C, compiled for this machine and called through its own functions."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from bmsthermal.errors import InputError
from bmsthermal.observer import Observer
from firmware_export.bundle import Bundle, export
from firmware_export.folder import MANIFEST
from firmware_export.host import NO_COMPILER, STRICT, compile_bundle, find_compiler
from hil.devices.cache import built, digest
from hil.devices.guarded import ANSWER_S, Guarded
from hil.devices.library import Library
from hil.devices.texts import BundleTexts

FLAGS = ("-shared", "-fPIC")
OBJECT = "bundle.so"


def compiler() -> tuple[list[str], str]:
    """Command of this machine's compiler, and what it calls itself.

    Raises
    ------
    InputError
        If there is none.
    """
    command = find_compiler()
    if command is None:
        raise InputError(NO_COMPILER, hint="take the device 'model', which needs none")
    said = subprocess.run([*command, "--version"], capture_output=True, text=True, errors="replace", check=False)
    return command, next(iter(said.stdout.splitlines()), command[0])


def shared_object(texts: BundleTexts) -> Path:
    """Compile a bundle; what was compiled before is taken as it is.

    Raises
    ------
    InputError
        If there is no compiler, or it refuses the text.
    """
    command, version = compiler()
    files = sorted(path for path in texts.folder.iterdir() if path.suffix in (".c", ".h"))
    parts = (part for path in files for part in (path.name, path.read_bytes()))
    key = digest([version, *command, *STRICT, *FLAGS, *parts])
    sources = [f"{texts.name}.c", f"{texts.name}_model.c"]
    return built(key, lambda at: compile_bundle(texts.folder, sources, at / OBJECT, *FLAGS), OBJECT) / OBJECT


def exported(observer: Observer, real: Literal["float", "double"] = "float") -> Bundle:
    """The observer's bundle in a folder of the cache, by the digest of its manifest.

    Raises
    ------
    InputError
        For what `firmware_export.export` refuses.
    """
    with tempfile.TemporaryDirectory() as made:
        bundle = export(observer, Path(made) / "c", real=real)
        key = digest([(bundle.folder / MANIFEST).read_bytes()])
        folder = built(key, lambda at: shutil.copytree(bundle.folder, at / "c"), f"c/{MANIFEST}") / "c"
    return Bundle(folder, bundle.name, bundle.real, bundle.manifest)


class Compiled(Library):
    """A bundle, compiled and loaded into this process.

    Parameters
    ----------
    source
        The observer to export, in single precision unless said; or a bundle's folder. Code of somebody else's can end
        or hang this process: `hil.devices.guarded.Guarded` runs it in one of its own.
    cells
        How many cells, each with a state of its own.
    real
        Number type of an observer's export.

    Raises
    ------
    InputError
        If it cannot be exported or compiled here.
    """

    def __init__(
        self, source: Observer | str | Path, cells: int = 1, real: Literal["float", "double"] = "float"
    ) -> None:
        texts = BundleTexts.read(exported(source, real).folder if isinstance(source, Observer) else source)
        super().__init__(shared_object(texts), texts, cells)


def guarded_bundle(folder: str | Path, sensors: Sequence[str], cells: int = 1, answer_s: float = ANSWER_S) -> Guarded:
    """A bundle of somebody else's, compiled here and run in a process of its own.

    Parameters
    ----------
    folder
        The bundle.
    sensors
        Sensors of the bench, which have to be its own.
    cells
        How many cells.
    answer_s
        Longest that a step may take.

    Raises
    ------
    InputError
        If it is no bundle, was exported for other sensors, or cannot be compiled here.
    """
    texts = BundleTexts.read(folder)
    if texts.sensors != tuple(sensors):
        raise InputError(
            f"was exported for {', '.join(texts.sensors)}", where=str(folder), expected=f"for {', '.join(sensors)}",
            hint="name its sensors in the scenario",
        )  # fmt: skip
    what = {"library": str(shared_object(texts)), "bundle": str(texts.folder.resolve())}
    made = Guarded(f"sil:{folder}", what, cells, texts.sensors, answer_s)
    made.digests = texts.digests
    return made
