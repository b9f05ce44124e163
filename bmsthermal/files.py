"""Files: degC at the boundary, and never half a file."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from bmsthermal.errors import InputError

ZERO_DEGC_K = 273.15


def write_whole(path: str | Path, content: str | bytes) -> None:
    """Write a file so that it is there whole or not at all, whatever interrupts.

    Raises
    ------
    InputError
        If the place cannot be written.
    """
    target = Path(path)
    data = content.encode() if isinstance(content, str) else content
    if target.exists() and not target.is_file():
        raise InputError("is not an ordinary file", where=str(path), expected="the name of a file")
    try:
        handle, draft = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    except OSError as error:
        raise InputError(f"cannot be written ({error.strerror})", where=str(target)) from error
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
