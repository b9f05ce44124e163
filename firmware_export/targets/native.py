"""An image on this machine: a shared object, loaded and called."""

from __future__ import annotations

import ctypes
import platform

from firmware_export.targets.toolchains import Image


def run(image: Image, block: bytes, size: int) -> bytes:
    """Drive a bundle over a block of inputs, see drive.c: what it recorded, `size` bytes of it."""
    record = ctypes.create_string_buffer(size)
    drive = ctypes.CDLL(str(image.path.resolve())).drive
    drive.argtypes, drive.restype = [ctypes.c_char_p, ctypes.c_void_p], ctypes.c_uint
    drive(block, ctypes.addressof(record))
    return record.raw


def version() -> str:
    """What this machine calls itself."""
    return platform.machine()
