"""Records as CSV and NPZ, to the last bit."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np

from bmsthermal.errors import InputError
from bmsthermal.files import write_whole
from hil.logs.columns import record_of
from hil.record import Record


def write_csv(record: Record, path: Path) -> None:
    """Write columns named with unit; the shortest numbers that read back to the same bits, blank for NaN."""
    lines = [",".join(record.names)]
    lines += [",".join(["" if x != x else repr(x) for x in row]) for row in record.rows.tolist()]
    write_whole(path, "\n".join(lines) + "\n")


def read_csv(path: Path, lines: list[str]) -> Record:
    """Read what `write_csv` wrote, as its lines.

    Raises
    ------
    InputError
        If a line is cut short, holds what is no number, or there is none.
    """
    names, rows = lines[0].rstrip("\n").split(","), []
    for i, line in enumerate(lines[1:], 2):
        cells = line.rstrip("\n").split(",")
        if len(cells) != len(names) or not line.endswith("\n"):
            found = f"{len(cells)} cells" if line.endswith("\n") else "the file ends within the line"
            raise InputError(found, where=f"{path}, row {i}", expected=f"the {len(names)} of the header")
        try:
            rows.append([float(cell) if cell else np.nan for cell in cells])
        except ValueError as error:
            raise InputError(str(error), where=f"{path}, row {i}", expected="numbers or blank cells") from None
    return record_of(names, np.array(rows).reshape(-1, len(names)), where=str(path))


def write_npz(record: Record, path: Path) -> None:
    """Write names, rows and what the device said as plain arrays; ``numpy.load`` reads them, no pickle."""
    said = {
        "said_s": np.array([at for at, _ in record.said], float),
        "said": np.array([text for _, text in record.said], str),
    }
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, names=np.array(record.names), rows=record.rows, **said)
    write_whole(path, buffer.getvalue())


def read_npz(path: Path) -> Record:
    """Read what `write_npz` wrote.

    Raises
    ------
    InputError
        If it is no such archive, or damaged.
    """
    try:
        with np.load(path, allow_pickle=False) as kept:
            names, rows = [str(name) for name in kept["names"]], kept["rows"]
            said = [(float(at), str(text)) for at, text in zip(kept["said_s"], kept["said"], strict=True)]
    except FileNotFoundError:
        raise InputError("no such file", where=str(path)) from None
    except (OSError, ValueError, KeyError, EOFError, TypeError, zipfile.BadZipFile) as error:
        raise InputError(f"cannot be read ({error})", where=str(path), expected="the .npz of a record") from None
    if rows.ndim != 2 or rows.shape[1] != len(names) or rows.dtype != np.float64:
        raise InputError(f"rows of shape {rows.shape}", where=str(path), expected=f"(k, {len(names)}) float64")
    return record_of(names, rows, said, where=str(path))
