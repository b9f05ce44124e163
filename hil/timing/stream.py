"""A logger in another process: rows of numbers through bounded shared memory, never waited for.

A second thread in the loop's process would cost it whole milliseconds; another process costs it a copy of the row. The
memory has no name and belongs to the two processes alone: when they end, in whatever way, it is gone.
"""

from __future__ import annotations

import multiprocessing
import signal
import struct
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike

from bmsthermal.curves import Array
from bmsthermal.errors import InputError

#: Rows that may wait at most: the smallest pipe of a system takes as many rings of the bell.
DEEPEST = 4096
#: How the bell says how many rows have come.
_COUNT = struct.Struct("<H")


class Sink(Protocol):
    """What the logger's process writes to."""

    def write(self, row: Array) -> None:
        """Take a row ``(width,)``, which is only lent."""
        ...

    def close(self) -> None:
        """Write what is left."""
        ...


class CsvSink:
    """A CSV that grows by a line a row: whoever follows it sees each at once.

    Parameters
    ----------
    path
        The file; what was there is lost.
    names
        Columns.
    """

    def __init__(self, path: str | Path, names: Sequence[str]) -> None:
        self._file = open(path, "w", encoding="utf-8", buffering=1, newline="\n")  # noqa: SIM115 - closed by `close`
        self._file.write(",".join(names) + "\n")

    def write(self, row: Array) -> None:
        """Append a line; NaN is blank."""
        self._file.write(",".join("" if x != x else repr(x) for x in row.tolist()) + "\n")

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class Stream:
    """Rows to a `Sink` in a process of its own.

    Parameters
    ----------
    width
        Numbers in a row.
    open_sink
        Called in the other process to make the sink: a function of a module, or a `functools.partial` of one.
    depth
        Rows that may wait; more are lost, and counted.

    Raises
    ------
    InputError
        If width or depth is less than one, or depth more than `DEEPEST`.

    Examples
    --------
    >>> from functools import partial
    >>> from hil.timing.stream import CsvSink, Stream
    >>> with Stream(2, partial(CsvSink, "live.csv", ("time_s", "core_degC"))) as stream:  # doctest: +SKIP
    ...     stream.put((0.1, 25.0))
    """

    def __init__(self, width: int, open_sink: Callable[[], Sink], *, depth: int = 1024) -> None:
        if width < 1 or not 1 <= depth <= DEEPEST:
            expected = f"at least one of each, and at most {DEEPEST} rows"
            raise InputError(f"a stream of {depth} rows of {width} numbers", expected=expected)
        # a forked child would share the loop's locks and files: a fresh interpreter does not
        context = multiprocessing.get_context("spawn")
        memory, written = context.RawArray("d", depth * width), context.RawValue("q", 0)
        reader, self._bell = context.Pipe(duplex=False)
        self.lost = 0
        self._ring, self._written, self._put = np.frombuffer(memory).reshape(depth, width), written, 0
        self._process = context.Process(target=_serve, args=(memory, depth, written, reader, open_sink), daemon=True)
        self._process.start()
        reader.close()  # so that the bell of a dead logger says so

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def pid(self) -> int | None:
        """Of the logger's process."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether there is a logger."""
        return self._process.is_alive()

    @property
    def written(self) -> int:
        """Rows that the sink has taken."""
        return int(self._written.value)

    def put(self, rows: ArrayLike) -> bool:
        """Hand over a row ``(width,)`` or some ``(k, width)``; False if some were lost. Never waits."""
        ring, given = self._ring, np.reshape(rows, (-1, self._ring.shape[1]))
        depth = len(ring)
        count = min(len(given), depth - (self._put - self._written.value))
        at = self._put % depth
        before = min(count, depth - at)
        ring[at : at + before] = given[:before]
        ring[: count - before] = given[before:count]
        if count:
            try:
                self._bell.send_bytes(_COUNT.pack(count))  # at most `depth` are ever under way: a pipe holds them
            except OSError:
                count = 0
        self._put += count
        self.lost += len(given) - count
        return bool(count == len(given))

    def close(self, timeout_s: float = 5.0) -> None:
        """Let the logger write what it has, and end it; may be called twice.

        Parameters
        ----------
        timeout_s
            How long it may take; then it is killed, and `written` says how far it came.
        """
        self._bell.close()
        self._process.join(timeout_s)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()

    def report(self) -> dict[str, Any]:
        """Return rows ``put``, ``written`` and ``lost``, ready for JSON."""
        return {"put": self._put, "written": self.written, "lost": self.lost}


def _serve(memory: Any, depth: int, written: Any, bell: Connection, open_sink: Callable[[], Sink]) -> None:
    """Take the rows that the bell rings for, until it is hung up: by `Stream.close`, or by the end of that process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C ends the loop, which then ends this
    ring = np.frombuffer(memory).reshape(depth, -1)
    sink = open_sink()
    try:
        while True:
            for _ in range(*_COUNT.unpack(bell.recv_bytes())):
                sink.write(ring[written.value % depth])
                written.value += 1
    except EOFError:
        pass
    finally:
        sink.close()
