"""Code that is somebody else's, in a process of its own: it may crash or hang, and the bench goes on.

Bench and process speak over a pair of sockets, in numbers of double precision and of sizes that both know: a request
is a letter (``b`` begin, ``s`` step), the time, the current, the coolant and the state of charge, then voltages and
sensors of every cell; what comes back is a letter (``a``), and the rows of `hil.devices.numbers`.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bmsthermal.curves import Array
from bmsthermal.errors import InputError
from hil.children import command_of
from hil.devices.device import DeviceError
from hil.devices.stepped import Stepped
from hil.signals import Readings

#: Seconds for a process to come up, and of an answer.
START_S, ANSWER_S = 60.0, 2.0
_LONGEST_WORD = 400


class Guarded(Stepped):
    """A device in a process of its own, which is ended where it does not answer in time.

    Parameters
    ----------
    name
        As it was asked for.
    what
        What the process is to make: see `make`.
    cells, sensors
        Sizes.
    answer_s
        Longest that a step may take.

    Raises
    ------
    InputError
        If it cannot be made there, or the system has no pairs of sockets that a process inherits.
    """

    def __init__(
        self, name: str, what: Mapping[str, Any], cells: int, sensors: Sequence[str], answer_s: float = ANSWER_S
    ) -> None:
        if os.name == "nt":
            raise InputError(f"{name}: processes that are guarded need POSIX", hint="take sil, fmu or model")
        self.name, self.cells, self.sensors = name, cells, tuple(sensors)
        self._what, self._answer_s = json.dumps(dict(what) | {"cells": cells, "answer_s": answer_s}), answer_s
        self._room = np.empty(4 + cells * (1 + len(self.sensors)))
        self._process: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None
        self._place = ""
        try:
            self._start()
        except DeviceError as error:
            raise InputError(str(error)) from error

    def begin(self, start_K: Array, soc: float) -> None:
        """Start the process where there is none, and begin each cell."""
        if self._process is None:
            self._start()
        self._room[:] = np.nan
        self._room[3], self._room[4 : 4 + self.cells] = soc, start_K
        self._ask(b"b", 0, self._answer_s)

    def advance(self, readings: Readings) -> Array:
        """Ask the process for a step."""
        cells = self.cells
        self._room[:3] = readings.time_s, readings.current_A, readings.ambient_K
        self._room[4 : 4 + cells] = readings.voltage_V
        self._room[4 + cells :] = readings.surfaces_K.ravel()
        rows = cells * (3 + len(self.sensors))
        return np.frombuffer(self._ask(b"s", 8 * rows, self._answer_s)).reshape(cells, -1)

    def close(self) -> None:
        """End the process, and remove what it left in its folder."""
        if self._socket is not None:
            self._socket.close()
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        if self._place:
            shutil.rmtree(self._place, ignore_errors=True)
        self._socket, self._process, self._place = None, None, ""

    def _start(self) -> None:
        ours, theirs = socket.socketpair()
        self._place = tempfile.mkdtemp(prefix="bmsthermal-")
        command, environment = command_of(__name__, self._what)
        with theirs:
            self._process = subprocess.Popen(
                command, stdin=theirs.fileno(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=self._place,
                env=environment | {"TMPDIR": self._place},
            )  # fmt: skip
        self._socket = ours
        self._answer(0, START_S)

    def _ask(self, letter: bytes, size: int, within_s: float) -> bytes:
        if self._socket is None:
            raise DeviceError(f"{self.name}: its process is gone")
        try:
            self._socket.settimeout(within_s)
            self._socket.sendall(letter + self._room.tobytes())
        except OSError:
            self._gone()
        return self._answer(size, within_s)

    def _answer(self, size: int, within_s: float) -> bytes:
        """What comes back after its letter; where nothing does the process is ended."""
        assert self._socket is not None
        until, found = time.monotonic() + within_s, bytearray()
        try:
            while len(found) < 1 + size or found[:1] == b"e":  # a sentence goes on to the end
                self._socket.settimeout(max(until - time.monotonic(), 1e-3))
                more = self._socket.recv(max(1 + size - len(found), _LONGEST_WORD))
                if not more and found[:1] == b"e":
                    break
                if not more:
                    self._gone()
                found += more
        except TimeoutError:
            self.close()
            raise DeviceError(f"{self.name}: no answer within {within_s:g} s, its process was ended") from None
        except OSError:
            self._gone()
        if found[:1] == b"e":
            self.close()
            raise DeviceError(f"{self.name}: {found[1:].decode(errors='replace')}")
        return bytes(found[1:])

    def _gone(self) -> None:
        """Say how the process ended."""
        code = None
        if self._process is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                code = self._process.wait(1.0)
        self.close()
        if code is None:
            how = "closed its end"
        else:
            how = f"ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        raise DeviceError(f"{self.name}: its process {how}")


def make(what: Mapping[str, Any]) -> Stepped:
    """Make what runs there: a bundle by ``library`` and ``bundle``, or an FMU by ``fmu``, ``sensors`` and ``names``."""
    if "library" in what:
        from hil.devices.library import Library
        from hil.devices.texts import BundleTexts

        return Library(Path(what["library"]), BundleTexts.read(what["bundle"]), what["cells"])
    from hil.devices.fmu import Fmu

    return Fmu(what["fmu"], what["cells"], what["sensors"], what["names"], step_s=what["step_s"])


def serve(door: socket.socket, what: Mapping[str, Any]) -> None:
    """Answer requests until the other end is closed."""
    cells = int(what["cells"])
    try:
        device = make(what)
    except InputError as error:
        door.sendall(b"e" + str(error).encode()[:_LONGEST_WORD])
        return
    size = 1 + 8 * (4 + cells * (1 + len(device.sensors)))
    door.sendall(b"a")
    try:
        while len(asked := door.recv(size, socket.MSG_WAITALL)) == size:
            room = np.frombuffer(asked[1:])
            voltage, surfaces = room[4 : 4 + cells], room[4 + cells :].reshape(cells, -1)
            # where the bench is gone nobody else ends code that does not return
            signal.setitimer(signal.ITIMER_REAL, 2 * what["answer_s"])
            if asked[:1] == b"b":
                device.begin(voltage, float(room[3]))
                said = b""
            else:
                said = device.advance(Readings(room[0], room[1], voltage, room[2], surfaces)).tobytes()
            signal.setitimer(signal.ITIMER_REAL, 0.0)
            door.sendall(b"a" + said)
    except DeviceError as error:
        door.sendall(b"e" + str(error).encode()[:_LONGEST_WORD])
    finally:
        device.close()


if __name__ == "__main__":
    with contextlib.suppress(OSError), socket.socket(fileno=os.dup(0)) as channel:
        # what the code reads and prints is not the bench's
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        serve(channel, json.loads(sys.argv[1]))
