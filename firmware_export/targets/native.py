"""An image on this machine: a shared object, loaded and called."""

from __future__ import annotations

import ctypes
import platform

from firmware_export.targets.cores import RECORD_B
from firmware_export.targets.toolchains import Image


def run(image: Image, block: bytes, part: int) -> bytes:
    """Drive a bundle over a block of inputs, `part` steps at a time, see drive.c: what it recorded."""
    drive = ctypes.CDLL(str(image.path.resolve())).drive
    drive.argtypes, drive.restype = [ctypes.c_char_p, ctypes.c_uint, ctypes.c_void_p], ctypes.c_uint
    record = ctypes.create_string_buffer(RECORD_B)
    parts: list[bytes] = []
    while size := drive(block, len(parts) * part, ctypes.addressof(record)):
        parts.append(record.raw[:size])
    return b"".join(parts)


def version() -> str:
    """What this machine calls itself."""
    return platform.machine()
