"""What goes over the line between bench and board: one table, from which Python packs and C is rendered.

A frame is ``start byte | kind | counter | length, 2 bytes | payload | CRC-32, 4 bytes``, all little-endian; the CRC
(that of Ethernet and zlib) is over all between start byte and CRC. The length of a payload follows from its kind: what
only looks like a start is seldom taken for one. An answer carries the counter of what it answers.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from firmware_export.render import DTYPES, Real

#: Of the table below: a board and a bench of different ones refuse each other.
VERSION = 1
START_BYTE = 0xA5
#: Kinds from here on are said by the board.
BOARD = 0x80
#: Bytes before and after a payload.
HEAD, TAIL = 5, 4


@dataclass(frozen=True)
class Field:
    """Numbers in a payload.

    Parameters
    ----------
    name
        With unit.
    type
        ``u8``, ``u16``, ``u32`` or ``real``, the number type of the board.
    of
        ``""`` for one number, ``cells`` for one of each cell, ``sensors`` for one of each sensor of each cell.
    meaning
        In a few words.
    """

    name: str
    type: str
    of: str
    meaning: str


@dataclass(frozen=True)
class Message:
    """A kind of frame.

    Parameters
    ----------
    name
        In small letters.
    kind
        Its number in a frame; the board's are from `BOARD` on.
    fields
        Of the payload, in their order.
    meaning
        In a sentence.
    """

    name: str
    kind: int
    fields: tuple[Field, ...]
    meaning: str


_SIZES = (
    Field("version", "u16", "", "of this protocol"), Field("cells", "u16", "", "cells of the module"),
    Field("sensors", "u16", "", "of each cell"), Field("step_us", "u32", "", "length of a step in microseconds"),
)  # fmt: skip
#: Everything that is said.
MESSAGES = (
    Message("start", 0x01, (
        *_SIZES, Field("soc", "real", "", "state of charge, 0 to 1"),
        Field("surface_K", "real", "cells", "temperature of each cell; NaN: the model's reference"),
    ), "bench: begin anew"),
    Message("step", 0x02, (
        Field("current_A", "real", "", "positive discharges; NaN is absent, here and below"),
        Field("ambient_K", "real", "", "of the coolant"), Field("voltage_V", "real", "cells", "of the terminals"),
        Field("surface_K", "real", "sensors", "readings at the end of the step"),
    ), "bench: take the readings of a step"),
    Message("started", 0x81, (
        *_SIZES, Field("real_bytes", "u16", "", "4 or 8"), Field("model", "u32", "", "of the digest of the constants"),
    ), "board: it has begun anew"),
    Message("answer", 0x82, (
        Field("core_K", "real", "cells", "estimate"),
        Field("core_variance_K2", "real", "cells", "of it; NaN where the board has none"),
        Field("fault", "u8", "sensors", "code of each sensor, 0 none"), Field("heat_fault", "u8", "cells", "0 or 1"),
    ), "board: what is known after the step"),
    Message("error", 0x83, (Field("code", "u16", "", "why it was refused"),), "board: that was refused"),
)  # fmt: skip
#: Why a board refuses something, by the code it gives.
ERRORS = {
    1: "it speaks another version of the protocol", 2: "it is built for another number of cells",
    3: "it is built for another number of sensors", 4: "it is built for another step",
    5: "it was not started: it was switched on or reset since", 6: "the frame was damaged",
}  # fmt: skip
_TYPES = {"u8": "u1", "u16": "<u2", "u32": "<u4"}


@dataclass(frozen=True)
class Protocol:
    """The table for a module: how large each payload is, and how it is packed.

    Parameters
    ----------
    cells, sensors
        Of the module, and of each cell.
    real
        Number type of the board.
    """

    cells: int
    sensors: int
    real: Real = "float"

    def count(self, of: str) -> int:
        """How many numbers a field is of."""
        return {"": 1, "cells": self.cells, "sensors": self.cells * self.sensors}[of]

    def layout(self, name: str) -> np.dtype[np.void]:
        """Payload of a message, packed."""
        types = _TYPES | {"real": "<f4" if DTYPES[self.real] is np.float32 else "<f8"}
        shapes: dict[str, Any] = {"": (), "cells": (self.cells,), "sensors": (self.cells, self.sensors)}
        return np.dtype([(each.name, types[each.type], shapes[each.of]) for each in message(name).fields])

    def sizes(self) -> dict[int, int]:
        """Bytes of each payload, by kind."""
        return {each.kind: self.layout(each.name).itemsize for each in MESSAGES}

    def frame(self, name: str, counter: int, **fields: Any) -> bytes:
        """A frame of a message; numbers that are rounded to the board's type may overflow to infinity: absent."""
        payload: NDArray[np.void] = np.zeros((), self.layout(name))
        with np.errstate(over="ignore"):
            for key, value in fields.items():
                payload[key] = value
        return enclose(message(name).kind, counter, payload.tobytes())

    def fields(self, name: str, payload: bytes) -> np.void:
        """Fields of a payload, by name."""
        found: np.void = np.frombuffer(payload, self.layout(name))[0]
        return found


def message(name: str) -> Message:
    """Message of a name."""
    return next(each for each in MESSAGES if each.name == name)


def enclose(kind: int, counter: int, payload: bytes) -> bytes:
    """Frame around a payload."""
    body = struct.pack("<BBH", kind, counter % 256, len(payload)) + payload
    return bytes([START_BYTE]) + body + struct.pack("<I", zlib.crc32(body))


@dataclass
class Receiver:
    """Frames out of a stream of bytes that may hold anything; it never raises, and finds its way after garbage.

    Parameters
    ----------
    sizes
        Bytes of the payload of each kind that is expected.
    skipped
        Bytes so far that were no part of a frame.
    damaged
        What looked like a frame so far, and had a wrong CRC.
    """

    sizes: dict[int, int]
    skipped: int = 0
    damaged: int = 0
    _kept: bytearray = field(default_factory=bytearray, repr=False)

    def feed(self, data: bytes) -> list[tuple[int, int, bytes]]:
        """Kind, counter and payload of each frame that is complete now. It keeps less than one frame."""
        kept, found = self._kept, []
        kept += data
        at = 0
        while len(kept) - at > 0:
            start = kept.find(START_BYTE, at)
            start = len(kept) if start < 0 else start
            self.skipped += start - at
            at = start
            if len(kept) - at < HEAD:
                if len(kept) - at > 1 and kept[at + 1] not in self.sizes:
                    at, self.skipped = at + 1, self.skipped + 1
                    continue
                break
            kind, counter, length = struct.unpack_from("<BBH", kept, at + 1)
            if self.sizes.get(kind) != length:
                at, self.skipped = at + 1, self.skipped + 1
                continue
            end = at + HEAD + length
            if len(kept) < end + TAIL:
                break
            if struct.unpack_from("<I", kept, end)[0] == zlib.crc32(kept[at + 1 : end]):
                found.append((kind, counter, bytes(kept[at + HEAD : end])))
                at = end + TAIL
            else:
                at, self.skipped, self.damaged = at + 1, self.skipped + 1, self.damaged + 1
        del kept[:at]
        return found

    def clear(self) -> None:
        """Forget what has come of a frame."""
        self.skipped += len(self._kept)
        self._kept.clear()
