"""Programs of others: found, asked for their version, and run."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from bmsthermal.errors import InputError

#: Longest that a tool may run: a million inputs of the fuzzer take two minutes.
PATIENCE_S = 1800


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
        If it does not start, or does not end.
    """
    try:
        return subprocess.run(
            [str(word) for word in command], cwd=where, env={**os.environ, "PWD": str(where.resolve()), **environment},
            capture_output=True, text=True, errors="replace", check=False, timeout=PATIENCE_S,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise InputError(f"{str(command[0])!r} came to no end in {PATIENCE_S} s") from error
    except OSError as error:
        raise InputError(f"{str(command[0])!r} did not start ({error.strerror})") from error
