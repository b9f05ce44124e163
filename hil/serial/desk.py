"""A board that is a program on this machine, behind a pair of pseudo-terminals: to try the line without one."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from bmsthermal.errors import InputError
from firmware_export.bundle import export
from firmware_export.host import compile_bundle
from hil.serial.render import serial_texts

if TYPE_CHECKING:
    from bmsthermal.observer import Observer
    from firmware_export.bundle import Bundle
    from firmware_export.render import Real


def compile_board(bundle: Bundle, program: Path, cells: int = 1, *flags: str) -> Path:
    """Compile a bundle with its side of the line and its main loop, with the strict and further flags, into a program.

    Raises
    ------
    InputError
        If there is no compiler, or it refuses the text.
    """
    name = bundle.name
    with tempfile.TemporaryDirectory() as place:
        for file, text in serial_texts(bundle, cells).items():
            (Path(place) / file).write_bytes(text)
        added = [f"{place}/{name}_{part}.c" for part in ("serial", "board")]
        sources, seen = [f"{name}.c", f"{name}_model.c", *added], ("-I", str(bundle.folder), "-I", place)
        return compile_bundle(bundle.folder, sources, program, *seen, *flags)


def desk_of(observer: Observer, cells: int = 1, real: Real = "float") -> Desk:
    """Start a board with an observer's exported C.

    Raises
    ------
    InputError
        As of `firmware_export.export` and `compile_board`.
    """
    with tempfile.TemporaryDirectory() as place:
        bundle = export(observer, Path(place) / "c", real=real, name="board_cell")
        # a program that runs stays when its file goes
        return Desk(compile_board(bundle, Path(place) / "board", cells))


class Desk:
    """A program on the other end of a serial port; normally one of `compile_board`.

    Parameters
    ----------
    command
        Program and arguments; its standard input and output are the line.

    Attributes
    ----------
    port, end
        Name of the serial port, and its descriptor, held open so that the line stays when the bench closes it.

    Raises
    ------
    InputError
        If this system has no pseudo-terminals, or the program does not start.
    """

    def __init__(self, *command: str | Path) -> None:
        try:
            import tty
        except ImportError as error:
            raise InputError("no pseudo-terminals on this system", expected="Linux or macOS") from error
        board, self.end = os.openpty()
        tty.setraw(self.end)
        self.port = os.ttyname(self.end)
        try:
            self.process = subprocess.Popen(command, stdin=board, stdout=board, stderr=subprocess.DEVNULL)
        except OSError as error:
            os.close(self.end)
            raise InputError(f"does not start ({error.strerror})", where=str(command[0])) from error
        finally:
            os.close(board)

    def close(self) -> None:
        """End the program; may be called twice."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        if self.end >= 0:
            os.close(self.end)
            self.end = -1

    def __enter__(self) -> Desk:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.close()
