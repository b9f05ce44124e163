"""A folder that is there whole or not at all, and that never swallows somebody else's files."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from bmsthermal.errors import InputError

MANIFEST = "manifest.json"
#: Where ``make`` builds; it holds nothing that cannot be built again.
BUILD = "host"


def sha256(data: bytes) -> str:
    """Digest of a file's content."""
    return hashlib.sha256(data).hexdigest()


def check_own(folder: Path) -> None:
    """Refuse a folder with anything in it that an export did not write.

    Raises
    ------
    InputError
        If the path is not a folder, or holds a file that is not in its manifest or was changed since.
    """
    if not folder.exists():
        return
    if not folder.is_dir():
        raise InputError("is not a folder", where=str(folder), expected="the name of a folder")
    try:
        known = dict(json.loads((folder / MANIFEST).read_text(encoding="utf-8"))["files"])
    except (OSError, ValueError, KeyError, TypeError):
        known = {}
    for path in sorted(folder.iterdir()):
        if known and path.name in (MANIFEST, BUILD):
            continue
        hint = "choose another folder, or move it away"
        if path.name not in known:
            raise InputError(f"holds {path.name!r}, which no export wrote", where=str(folder), hint=hint)
        if not path.is_file() or sha256(path.read_bytes()) != known[path.name]:
            raise InputError(f"{path.name!r} was changed after it was exported", where=str(folder), hint=hint)


def write_folder(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write all files beside `folder`, then take its place.

    Raises
    ------
    InputError
        If the place cannot be written, or holds what no export wrote.
    """
    folder = Path(os.path.realpath(folder))
    draft = folder.with_name(f".{folder.name}.{os.getpid()}.new")
    past = folder.with_name(f".{folder.name}.{os.getpid()}.old")
    try:
        check_own(folder)
        draft.mkdir(parents=True)
        for name, data in files.items():
            (draft / name).write_bytes(data)
        try:
            if folder.exists():
                folder.rename(past)
            draft.rename(folder)
        except BaseException:
            if past.exists() and not folder.exists():
                past.rename(folder)
            raise
    except OSError as error:
        raise InputError(f"cannot be written ({error.strerror})", where=str(folder)) from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
        if os.path.exists(folder):  # unlike Path.exists, no error for a name that is too long
            shutil.rmtree(past, ignore_errors=True)
