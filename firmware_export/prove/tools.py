"""Programs of others: found, asked for their version, and run."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from bmsthermal.errors import InputError
from firmware_export.bundle import Bundle


def find(*names: str) -> str | None:
    """Path of the first program that is there; None without any."""
    return next((path for name in names if (path := shutil.which(name))), None)


def version(program: str, option: str = "--version") -> str:
    """First number with dots in what a program says of itself."""
    done = run([program, option], Path.cwd())
    number = re.search(r"\d+(\.\d+)+[\w.-]*", done.stdout + done.stderr)
    return number[0] if number else "unknown"


def run(command: Sequence[str | Path], where: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a program in a folder to its end, whatever that is.

    Raises
    ------
    InputError
        If it does not start.
    """
    import os

    try:
        return subprocess.run(
            [str(word) for word in command], cwd=where, env={**os.environ, **environment}, capture_output=True, text=True,
            errors="replace", check=False,
        )  # fmt: skip
    except OSError as error:
        raise InputError(f"{str(command[0])!r} did not start ({error.strerror})") from error


def kernel_copy(bundle: Bundle, place: Path, file: str = "", pattern: str = "", replacement: str = "") -> Path:
    """Copy the sources of a bundle, and change one expression in one of them: a bug that a tool has to find.

    Raises
    ------
    InputError
        If the text does not hold that expression: then nothing was seeded, and nothing found says nothing.
    """
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    for path in bundle.files:
        shutil.copy(path, place / path.name)
    if pattern:
        text, count = re.subn(pattern, replacement, (place / file).read_text())
        if count == 0:
            raise InputError(
                f"no {pattern!r} in {file}", where=str(bundle.folder), expected="the text to seed a bug in"
            )
        (place / file).write_text(text)
    return place
