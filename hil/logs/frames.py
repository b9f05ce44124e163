"""Frames as logs: BLF while they come, BLF, ASC, candump and MF4 of them all; the same frames are the same bytes.

All times are the bench's, in s from the start of the run; no log holds a date.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from bmsthermal.errors import InputError
from bmsthermal.files import write_whole
from hil.extras import extra

if TYPE_CHECKING:
    import can

#: Bytes of frames before compression that wait for being written: what a killed process loses, some 300 frames.
WAITING_BYTES = 16 * 1024
#: A time that looks like a date: one that python-can writes into the head of a BLF file.
_DATE_S = 631152000.0
#: Bytes of the head of a BLF file; the length that it says until it is closed.
_BLF_HEAD = 144
#: Head of an ASC file, with the time that the clock of a bench starts from in place of the day's.
_ASC_HEAD = """\
date Thu Jan 01 00:00:00.000 1970
base hex  timestamps absolute
internal events logged
Begin Triggerblock Thu Jan 01 00:00:00.000 1970
 0.000000 Start of measurement
"""


class FrameLog:
    """Frames of a run, written as they come to a BLF file that can be read whatever ends the run.

    Parameters
    ----------
    path
        File to write, ``.blf``; it is there from the first frame on, and complete once closed.

    Raises
    ------
    InputError
        If the place cannot be written, or python-can is not installed.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        can_io("blf")  # before there is a file
        try:
            # unbuffered: a container that is full is on its way to the disk, whatever becomes of this process
            self._file = open(self.path, "wb", buffering=0)  # noqa: SIM115
        except OSError as error:
            raise InputError(f"cannot be written ({error.strerror})", where=str(path)) from error
        self._writer = _blf_writer(self._file)

    def __call__(self, frame: can.Message) -> None:
        """Take a frame, not earlier than the one before: what `hil.bus.Framed` wants as its log."""
        self._writer.on_message_received(frame)

    def write(self, frames: Iterable[can.Message]) -> None:
        """Take frames, in the order of their times."""
        for frame in frames:
            self._writer.on_message_received(frame)

    def close(self) -> None:
        """Write what waits, and the head with its sizes; may be called twice."""
        if not self._file.closed:
            self._writer.stop()

    def __enter__(self) -> FrameLog:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.close()


def _blf_writer(file: Any) -> Any:
    """python-can's writer, with times from the bench's zero: by itself it counts from the first frame, and cuts off."""
    BLFWriter = can_io("blf").BLFWriter
    writer = BLFWriter(file, max_container_size=WAITING_BYTES)
    writer.start_timestamp = -0.5e-9  # half of its resolution: times are rounded, and read back as they were
    return writer


def can_io(name: str) -> Any:
    """Module of python-can that reads and writes a kind of log.

    Raises
    ------
    InputError
        If python-can is not installed.
    """
    return extra(f"can.io.{name}", "a log of frames")


def read_frames(path: Path) -> list[can.Message]:
    """Frames of a ``.blf``, ``.asc``, candump's ``.log`` or a bus log in ``.mf4``, in their order.

    A BLF file whose writer was killed has no sizes in its head: what there is of it is read.

    Raises
    ------
    InputError
        If the file is of another kind, cut short, or otherwise damaged, or a package is missing.
    """
    open_ = {
        ".blf": ("blf", "BLFReader"), ".asc": ("asc", "ASCReader"), ".log": ("canutils", "CanutilsLogReader"),
        ".mf4": ("mf4", "MF4Reader"),
    }  # fmt: skip
    name, reader = open_[path.suffix.lower()]
    if not path.is_file():
        raise InputError("no such file", where=str(path))
    whole = path.suffix.lower() != ".blf" or _blf_is_closed(path)
    frames: list[can.Message] = []
    try:
        with getattr(can_io(name), reader)(path) as found:
            for frame in found:
                frames.append(frame)  # what came before a mistake stays
    except InputError:
        raise
    except Exception as error:  # python-can's readers raise whatever comes
        if whole or not frames:
            raise InputError(f"cannot be read ({error or type(error).__name__})", where=str(path)) from error
    return frames


def _blf_is_closed(path: Path) -> bool:
    """Whether the head of a BLF file says how long it is.

    Raises
    ------
    InputError
        If it is no BLF file, or shorter than it says.
    """
    head = path.read_bytes()[:24]
    if len(head) < 24 or head[:4] != b"LOGG":
        raise InputError("is no BLF file", where=str(path), expected="one that begins with LOGG")
    length, size = int.from_bytes(head[16:24], "little"), path.stat().st_size
    if size < length:
        raise InputError(f"is cut short: {size} of {length} bytes", where=str(path))
    return length > _BLF_HEAD


def write_frames(frames: Iterable[can.Message], path: str | Path, dbc: str | Path | None = None) -> None:
    """Write frames as ``.blf``, ``.asc``, candump's ``.log`` or ``.mf4`` (a bus log of ASAM MDF 4).

    Error and remote frames are not in an ``.mf4``, and candump's log has one kind of error frame only.

    Parameters
    ----------
    frames
        In the order of their times, which are the bench's.
    path
        File to write; its ending says what.
    dbc
        Database whose signals go into an ``.mf4`` in place of the frames, in their units.

    Raises
    ------
    InputError
        If the ending is another, the database is none or of other frames, a time looks like a date, a package is
        missing, or the place cannot be written.
    """
    path, frames = Path(path), list(frames)
    writers: dict[str, Callable[[list[can.Message]], bytes | str]] = {
        ".blf": _blf, ".asc": _asc, ".log": _log, ".mf4": _mf4,
    }  # fmt: skip
    if path.suffix.lower() not in writers:
        raise InputError(f"ends in {path.suffix!r}", where=str(path), expected=" or ".join(writers))
    late = next((frame.timestamp for frame in frames if not 0 <= frame.timestamp < _DATE_S), None)
    if late is not None:
        raise InputError(f"a frame at {late!r} s", where=str(path), expected="seconds of the bench, not a date")
    if dbc is not None:
        if path.suffix.lower() != ".mf4":
            raise InputError("signals of a database", where=str(path), expected="a file .mf4")
        from hil.bus.dbc import read_dbc
        from hil.logs.mf4 import decoded

        read_dbc(dbc)  # and tells what is wrong with it
        write_whole(path, decoded(frames, Path(dbc)))
        return
    write_whole(path, writers[path.suffix.lower()](frames))


class _Kept(io.BytesIO):
    """What is written stays, though python-can closes it."""

    def close(self) -> None:
        """Stay open."""


def _blf(frames: list[can.Message]) -> bytes:
    file = _Kept()
    writer = _blf_writer(file)
    for frame in frames:
        writer.on_message_received(frame)
    writer.stop()
    return file.getvalue()


def _asc(frames: list[can.Message]) -> str:
    file = io.StringIO()
    writer = can_io("asc").ASCWriter(file)
    file.seek(0)
    file.truncate()
    file.write(_ASC_HEAD)  # in place of python-can's, which has the day and the time zone in it
    writer.header_written = True
    for frame in frames:
        writer.on_message_received(frame)
    file.write("End TriggerBlock\n")
    return file.getvalue()


def _log(frames: list[can.Message]) -> str:
    file = io.StringIO()
    writer = can_io("canutils").CanutilsLogWriter(file, channel="can0")
    for frame in frames:
        writer.on_message_received(frame)
    return file.getvalue()


def _mf4(frames: list[can.Message]) -> bytes:
    from hil.logs.mf4 import bus_log

    return bus_log(frames)
