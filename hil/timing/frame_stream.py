"""CAN frames to a BLF file in another process: a long run in real time need not keep them."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bmsthermal.curves import Array
from hil.timing.stream import DEEPEST, Stream

if TYPE_CHECKING:
    import can

#: A frame as a row: time in s, identifier, flags, length, and its 64 bytes at most, eight to a number.
_WIDTH = 4 + 8
#: Frames that are handed over together; the last ones are when the stream is closed.
_TOGETHER = 64
_FLAGS = ("is_extended_id", "is_remote_frame", "is_error_frame", "is_fd", "is_rx", "bitrate_switch")


class FrameStream:
    """Takes frames one by one and never waits; a logger in another process writes them.

    Parameters
    ----------
    path
        File to write, ``.blf``: see `hil.logs.FrameLog`.
    """

    def __init__(self, path: str | Path) -> None:
        self.stream = Stream(_WIDTH, partial(FrameSink, path), depth=DEEPEST)
        self._rows, self._held = np.zeros((_TOGETHER, _WIDTH)), 0
        self._bytes = self._rows[:, 4:].view(np.uint8)

    def __call__(self, frame: can.Message) -> None:
        """Take a frame: what `hil.bus` wants as its log."""
        row, data = self._held, frame.data
        flags = sum(1 << bit for bit, name in enumerate(_FLAGS) if getattr(frame, name))
        self._rows[row, :4] = frame.timestamp, frame.arbitration_id, flags, len(data)
        self._bytes[row, : len(data)] = data
        self._held += 1
        if self._held == _TOGETHER:
            self.flush()

    def flush(self) -> None:
        """Hand over what is held."""
        self.stream.put(self._rows[: self._held])
        self._held = 0

    def close(self) -> None:
        """Write everything, and end the logger; may be called twice."""
        self.flush()
        self.stream.close()

    def __enter__(self) -> FrameStream:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def report(self) -> dict[str, Any]:
        """Return frames ``put``, ``written`` and ``lost``, ready for JSON."""
        return self.stream.report()


class FrameSink:
    """The logger's end: rows become frames again, and go to a BLF file."""

    def __init__(self, path: str | Path) -> None:
        import can

        from hil.logs import FrameLog

        self._log, self._message = FrameLog(path), can.Message

    def write(self, row: Array) -> None:
        """Take one frame."""
        timestamp, identifier, flags, length = row[:4].tolist()
        kind = {name: bool(int(flags) >> bit & 1) for bit, name in enumerate(_FLAGS)}
        data = row[4:].tobytes()[: int(length)]
        self._log.write([self._message(timestamp=timestamp, arbitration_id=int(identifier), data=data, **kind)])

    def close(self) -> None:
        """Close the file."""
        self._log.close()
