"""Frames of a run that is under way: to a BLF file as they pass, to any other kind of log once it is over."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from hil.logs.frames import FrameLog, can_io, read_frames, write_frames


@contextmanager
def logged(path: Path | None, clock: str) -> Iterator[Callable[[Any], None] | None]:
    """Give what takes each frame, and leave the log when the run ends, however it does.

    Parameters
    ----------
    path
        Log of frames to write; None for none, and then nothing takes them.
    clock
        Of the run: unless it is ``virtual`` another process writes, so that the loop never waits for a disk.

    Raises
    ------
    InputError
        If the file cannot be written, or python-can is missing.
    """
    if path is None:
        yield None
        return
    can_io("blf")
    blf = path.suffix.lower() == ".blf"
    with tempfile.TemporaryDirectory() as folder:
        passing = path if blf else Path(folder) / "frames.blf"
        try:
            if clock == "virtual":
                with ExitStack() as opened:
                    yield _Opening(passing, opened)
            else:
                from hil.timing.frame_stream import FrameStream

                with FrameStream(passing) as stream:
                    yield stream
        finally:
            if not blf and passing.exists():
                write_frames(read_frames(passing), path)


class _Opening:
    """Opens the file with the first frame: a run that never begins leaves no file, and spoils none."""

    def __init__(self, path: Path, opened: ExitStack) -> None:
        self._path, self._opened = path, opened
        self._log: FrameLog | None = None

    def __call__(self, frame: Any) -> None:
        if self._log is None:
            self._log = self._opened.enter_context(FrameLog(self._path))
        self._log.write((frame,))
