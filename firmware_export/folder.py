"""A folder that is there whole or not at all, and that never swallows somebody else's files."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from bmsthermal.errors import InputError
from bmsthermal.files import write_whole

MANIFEST = "manifest.json"
#: Names what was made of an export afterwards, on this machine with its tools: reports, FMUs.
EVIDENCE = "evidence.json"
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
    known = _digests(folder / MANIFEST)
    if known:
        known |= _digests(folder / EVIDENCE)
    for path in sorted(folder.iterdir()):
        if known and path.name in (MANIFEST, EVIDENCE, BUILD):
            continue
        hint = "choose another folder, or move it away"
        if path.name not in known:
            raise InputError(f"holds {path.name!r}, which no export wrote", where=str(folder), hint=hint)
        if not path.is_file() or sha256(path.read_bytes()) != known[path.name]:
            raise InputError(f"{path.name!r} was changed after it was exported", where=str(folder), hint=hint)


def _digests(manifest: Path) -> dict[str, str]:
    """Digests of the files that a manifest names; none if it cannot be read."""
    try:
        return dict(json.loads(manifest.read_text(encoding="utf-8"))["files"])
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def add_files(folder: Path, files: Mapping[str, bytes]) -> None:
    """Add to an export what was made of it; a further export knows these files for its own.

    Raises
    ------
    InputError
        If a file cannot be written.
    """
    digests = _digests(folder / EVIDENCE) | {name: sha256(data) for name, data in files.items()}
    try:
        for name in files:  # before they are named anew: whatever interrupts, no file differs from what is known of it
            (folder / name).unlink(missing_ok=True)
    except OSError as error:
        raise InputError(f"cannot be written ({error.strerror})", where=str(folder)) from error
    write_whole(folder / EVIDENCE, json.dumps({"files": digests}, indent=2, sort_keys=True) + "\n")
    for name, data in files.items():
        write_whole(folder / name, data)


def _evidence(folder: Path, files: Mapping[str, bytes]) -> dict[str, bytes]:
    """What was made of an export before, if the one to come has the same bytes: it still holds."""
    try:
        if (folder / MANIFEST).read_bytes() != files[MANIFEST]:
            return {}
        names = [EVIDENCE, *_digests(folder / EVIDENCE)]
        return {name: (folder / name).read_bytes() for name in names if (folder / name).is_file()}
    except (OSError, KeyError):
        return {}


def write_folder(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write all files beside `folder`, then take its place; evidence about the very same files stays.

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
        if folder.exists() and folder.samefile(os.curdir):  # it is replaced, and a shell would stand in what is gone
            raise InputError("is the current folder", where=str(folder), hint="name it from outside, or a new one")
        draft.mkdir(parents=True)
        for name, data in (_evidence(folder, files) | dict(files)).items():
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
