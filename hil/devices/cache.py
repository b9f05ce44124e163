"""What takes seconds to build, built once per machine: folders in a place of the user's own, by digest."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path


def digest(parts: Iterable[str | bytes]) -> str:
    """One name for all that goes into a build."""
    whole = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        whole.update(len(data).to_bytes(8, "little") + data)
    return whole.hexdigest()


def place() -> Path:
    """Folder in the temporary one that only this user can write; another one each time where somebody else has it."""
    user = os.getuid() if hasattr(os, "getuid") else "user"
    folder = Path(tempfile.gettempdir()) / f"bmsthermal-{user}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        seen = folder.lstat()
        if os.name == "nt" or (seen.st_uid == user and not seen.st_mode & 0o022 and not folder.is_symlink()):
            return folder
    except OSError:
        pass
    return Path(tempfile.mkdtemp(prefix="bmsthermal-"))


def built(key: str, build: Callable[[Path], object], needs: str) -> Path:
    """Folder of a key, with the file `needs` in it; built there where it is not.

    Several processes may ask at once: each builds in a folder of its own, the first that is ready gives it the name,
    and nobody sees half of one.
    """
    whole = place() / key
    if (whole / needs).exists():
        return whole
    draft = Path(tempfile.mkdtemp(prefix=".", dir=whole.parent))
    try:
        build(draft)
        if whole.exists() and not (whole / needs).exists():  # something swept it
            shutil.rmtree(whole, ignore_errors=True)
        try:
            draft.rename(whole)
        except OSError:
            if not (whole / needs).exists():
                raise
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return whole
