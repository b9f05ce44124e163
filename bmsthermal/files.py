"""Files: degC at the boundary, and never half a file."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bmsthermal.errors import InputError

ZERO_DEGC_K = 273.15
#: Endings of the pictures that can be drawn.
PICTURES = (".png", ".svg", ".pdf")


def check_outputs(*outputs: tuple[Path | None, Sequence[str]], inputs: Sequence[str | Path] = ()) -> None:
    """Refuse, before any work, what could not be written or would destroy an input or another output.

    Parameters
    ----------
    outputs
        Files to write, each with the endings that it may have; None is not written.
    inputs
        Files that are read; names that are no files do not matter.

    Raises
    ------
    InputError
        If a file has another ending, is read or written already, or its place cannot be written.
    """
    taken = [Path(path) for path in inputs]
    for path, endings in outputs:
        if path is None:
            continue
        if path.suffix.lower() not in endings:
            found = f"ends in {path.suffix!r}" if path.suffix else "has no ending"
            raise InputError(found, where=str(path), expected=" or ".join(endings))
        for other in taken:
            if _same(path, other):
                found = f"is the file {str(other)!r}, which is read or written too"
                raise InputError(found, where=str(path), hint="write to another one")
        handle, draft = _draft(path)
        os.close(handle)
        os.unlink(draft)
        taken.append(path)


def _same(one: Path, other: Path) -> bool:
    """Whether two paths lead to one file, be it there or not."""
    try:
        return os.path.realpath(one) == os.path.realpath(other) or os.path.samefile(one, other)
    except OSError:
        return False


def write_whole(path: str | Path, content: str | bytes) -> None:
    """Write a file so that it is there whole or not at all, whatever interrupts.

    Raises
    ------
    InputError
        If the place cannot be written.
    """
    target = Path(path)
    data = content.encode() if isinstance(content, str) else content
    handle, draft = _draft(target)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
        os.chmod(draft, 0o666 & ~_umask())
        os.replace(draft, target)
    except BaseException as error:
        Path(draft).unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise InputError(f"cannot be written ({error.strerror})", where=str(target)) from error
        raise


def _draft(target: Path) -> tuple[int, str]:
    """Handle and name of a new file beside `target`, which can take its place."""
    try:
        if target.exists() and not target.is_file():
            raise InputError("is not an ordinary file", where=str(target), expected="the name of a file")
        return tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    except OSError as error:
        raise InputError(f"cannot be written ({error.strerror})", where=str(target)) from error


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current


def folder(path: str | Path) -> Path:
    """Make a folder, or take one that is there.

    Raises
    ------
    InputError
        If the place is a file or cannot be written.
    """
    place = Path(path)
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot make the folder ({error.strerror})", where=str(place)) from error
    return place


def digest(settings: Sequence[Any], arrays: Mapping[str, Any]) -> str:
    """SHA-256 of plain settings and named arrays of numbers, to the last bit, the same on every machine."""
    content = hashlib.sha256(json.dumps(settings).encode())
    for name, array in arrays.items():
        content.update(f"{name} {array.shape}".encode() + array.astype("<f8").tobytes())
    return content.hexdigest()


def figures(value: float) -> str:
    """Three figures as people write them, in tables: 1140, 0.743; powers of ten only from a million on."""
    return f"{float(f'{value:.3g}'):g}"
