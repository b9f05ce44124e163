"""A board on a serial line, whatever it does: every wait and every buffer has its end."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from bmsthermal.errors import InputError
from hil.devices import numbers
from hil.devices.device import DeviceError
from hil.extras import extra
from hil.serial.protocol import BOARD, ERRORS, VERSION, Protocol, Receiver, message
from hil.signals import Answer, Readings, Status

if TYPE_CHECKING:
    from bmsthermal.observer import Observer
    from firmware_export.render import Real
    from hil.serial.desk import Desk

#: Usual rate of a line.
BAUD = 115200
#: Longest single wait for bytes, in s; the time-out is made of them.
SLICE_S = 0.02
#: How often a start is said before the board counts as absent, and steps without answer before it counts as gone.
STARTS, PATIENCE = 3, 10
#: Bytes beside sixteen frames that a board may send in a step before it counts as flooding.
SPARE = 4096
#: Codes of errors after which the board is of no use.
_FATAL = (1, 2, 3, 4, 5)


def serial_device(
    port: str, observer: Observer, cells: int = 1, *, timeout_s: float = 1.0, real: Real = "float"
) -> SerialDevice:
    """Open a board for an observer.

    Parameters
    ----------
    port
        As of `SerialDevice`, with the baud rate behind an ``@`` if it is not the usual one: ``/dev/ttyACM0@921600``.
        ``desk``: a board that is a program on this machine, from the observer's own exported C.
    observer
        Says step and sensors.
    cells
        Of the module.
    timeout_s
        Longest wait for an answer.
    real
        Number type of the board.

    Raises
    ------
    InputError
        As of `SerialDevice`; for ``desk`` as of `firmware_export.export` and `hil.serial.desk`.
    """
    settings: dict[str, Any] = {"step_s": observer.reduced.step_s, "timeout_s": timeout_s, "real": real}
    if port == "desk":
        from hil.serial.desk import desk_of

        desk = desk_of(observer, cells, real)
        try:
            device = SerialDevice(desk.port, cells, observer.measured, **settings)
        except BaseException:
            desk.close()
            raise
        device.name, device.port, device.desk = "serial:desk", "desk", desk
        return device
    port, at, baud = port.rpartition("@") if "@" in port else (port, "", "")
    if at and not (baud.isascii() and baud.isdigit() and int(baud) > 0):
        raise InputError(f"baud rate {baud!r}", where=port, expected="a whole number, as in /dev/ttyACM0@921600")
    return SerialDevice(port, cells, observer.measured, **settings, baud=int(baud or BAUD))


class SerialDevice:
    """A board with the C of `hil.serial`, asked step by step.

    Parameters
    ----------
    port
        Name or URL as of pyserial: ``/dev/ttyACM0``, ``COM3``, ``socket://127.0.0.1:7000``.
    cells, sensors
        Of the module, and of each cell: the board refuses others.
    step_s
        Step of its observer; another one is refused.
    timeout_s
        Longest wait for an answer.
    baud
        Of the line.
    real
        Number type of the board.

    Attributes
    ----------
    counts
        What came so far: ``sent, answered, late, garbage, refused`` frames and ``strays``: answers to something else.
    model
        What the board said it computes with: `hil.serial.render.model_number` of its bundle.
    desk
        The program that plays the board, if one does; it is ended with the line.

    Raises
    ------
    InputError
        If pyserial is not installed, or the port cannot be opened.
    """

    def __init__(
        self,
        port: str,
        cells: int = 1,
        sensors: Sequence[str] = ("surface",),
        *,
        step_s: float = 1.0,
        timeout_s: float = 1.0,
        baud: int = BAUD,
        real: Real = "float",
    ) -> None:
        serial = extra("serial", "a board")
        self.name, self.port, self.step_s, self.timeout_s = f"serial:{port}", port, step_s, timeout_s
        self._errors: tuple[type[Exception], ...] = (serial.SerialException, OSError, TypeError, ValueError)
        self._full: type[Exception] = serial.SerialTimeoutException
        try:
            self._line: Any = serial.serial_for_url(port, baudrate=baud, timeout=SLICE_S, write_timeout=timeout_s)
        except self._errors as error:
            raise InputError(f"cannot be opened ({error})", where=port, expected="a serial port") from error
        self.protocol = Protocol(cells, len(sensors), real)
        sizes = {kind: size for kind, size in self.protocol.sizes().items() if kind >= BOARD}
        self._receiver = Receiver(sizes)
        self._room = SPARE + 16 * max(sizes.values())
        self._counter = self._silent = 0
        self.counts = dict.fromkeys(("sent", "answered", "late", "garbage", "refused", "strays"), 0)
        self.model = 0
        self.desk: Desk | None = None

    def reset(self, first: Readings, soc: float) -> None:
        """Begin anew.

        Raises
        ------
        DeviceError
            If no board answers, or one that is built for something else.
        """
        size = {"cells": self.protocol.cells, "sensors": self.protocol.sensors, "step_us": round(self.step_s * 1e6)}
        status, said = Status.LATE, ""
        self._silent = 0
        for _ in range(STARTS):
            kelvin = numbers.start_K(first)
            payload, status, said = self._ask("start", "started", version=VERSION, soc=soc, surface_K=kelvin, **size)
            if payload is not None:
                found = self.protocol.fields("started", payload)
                self.model = int(found["model"])
                return
        raise DeviceError(f"{self.port}: no board starts ({Status(status).name.lower()}: {said})")

    def step(self, readings: Readings) -> Answer:
        """Take the readings at the end of a step.

        Raises
        ------
        DeviceError
            If the port is gone, the board was reset, or has been silent for too many steps.
        """
        p = self.protocol
        payload, status, said = self._ask(
            "step", "answer", current_A=readings.current_A, ambient_K=readings.ambient_K,
            voltage_V=readings.voltage_V, surface_K=readings.surfaces_K,
        )  # fmt: skip
        if payload is None:
            self._silent += 1
            if self._silent >= PATIENCE:
                raise DeviceError(f"{self.port}: no answer in {PATIENCE} steps, at last: {said}")
            return Answer.none(readings.time_s, p.cells, p.sensors, status, said)
        self._silent = 0
        found = p.fields("answer", payload)
        columns = (found["core_K"], found["core_variance_K2"], found["fault"], found["heat_fault"])
        answer = numbers.answer(readings.time_s, np.column_stack([column.astype(float) for column in columns]))
        self.counts["garbage"] += answer.status == Status.GARBAGE
        return answer

    @property
    def digests(self) -> dict[str, str]:
        """What the board said it computes with, for the verdict."""
        return {"board": f"{self.model:08x}"} if self.model else {}

    def close(self) -> None:
        """Let go of the port."""
        self._line.close()
        if self.desk is not None:
            self.desk.close()

    def _ask(self, name: str, wanted: str, **fields: Any) -> tuple[bytes | None, Status, str]:
        """Send a message and wait for what answers it: payload, or None, how the board did, and why."""
        self._counter = (self._counter + 1) % 256
        frame = self.protocol.frame(name, self._counter, **fields)
        try:
            try:
                self._take(self._line.in_waiting)  # what came too late for the step before
                self._line.reset_input_buffer()
                self._line.write(frame)
            except self._full:
                self._line.reset_output_buffer()
                return self._none(Status.LATE, "it takes no bytes")
            self.counts["sent"] += 1
            return self._wait(message(wanted).kind)
        except self._errors as error:
            raise DeviceError(f"{self.port} is gone ({error})") from error

    def _wait(self, wanted: int) -> tuple[bytes | None, Status, str]:
        until, room = time.monotonic() + self.timeout_s, self._room
        skipped = self._receiver.skipped
        while room > 0 and time.monotonic() < until:
            count = min(max(self._line.in_waiting, 1), room)
            room -= count
            for kind, payload in self._take(count):
                if kind == wanted:
                    self.counts["answered"] += 1
                    return payload, Status.OK, ""
                if kind == message("error").kind:
                    return self._refused(int(self.protocol.fields("error", payload)["code"]))
        if room <= 0:
            return self._none(Status.GARBAGE, f"it floods the line: {self._room} bytes and no answer")
        if self._receiver.skipped > skipped:
            found = f"{self._receiver.skipped - skipped} bytes of garbage and no answer in {self.timeout_s:g} s"
            return self._none(Status.GARBAGE, found)
        return self._none(Status.LATE, f"no answer in {self.timeout_s:g} s")

    def _take(self, count: int) -> list[tuple[int, bytes]]:
        """Kind and payload of what came in so many bytes and carries the counter of the last message."""
        found = self._receiver.feed(self._line.read(min(count, self._room)) if count else b"")
        ours = [(kind, payload) for kind, counter, payload in found if counter == self._counter]
        self.counts["strays"] += len(found) - len(ours)
        return ours

    def _refused(self, code: int) -> tuple[None, Status, str]:
        self.counts["refused"] += 1
        why = f"the board refuses: {ERRORS.get(code, f'error {code}')}"
        if code in _FATAL:
            raise DeviceError(f"{self.port}: {why}")
        return self._none(Status.GARBAGE, why)

    def _none(self, status: Status, said: str) -> tuple[None, Status, str]:
        self.counts["late" if status == Status.LATE else "garbage"] += 1
        return None, status, said
