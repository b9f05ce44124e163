"""The device is whoever answers on a bus: another process, a board, a car."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from bmsthermal.errors import InputError
from hil.bus.frame_faults import FrameFaults
from hil.bus.link import BenchEnd, Link
from hil.bus.spec import BusSpec
from hil.devices.device import DeviceError
from hil.extras import extra
from hil.signals import Answer, Readings, Status

if TYPE_CHECKING:
    import can

    from hil.bus.frame_faults import Injected

#: Waits are cut into such pieces of a second, to see whether the device's process still runs.
LOOK_S = 0.05


def open_bus(bus: BusSpec) -> can.BusABC:
    """Open the bus of a scenario, by any interface of python-can.

    Raises
    ------
    InputError
        If python-can is not installed, or the interface cannot be opened.
    """
    extra("can", "a bus")
    import can
    from can.interfaces import BACKENDS

    BACKENDS.setdefault("udp_loopback", ("hil.bus.loopback", "UdpLoopbackBus"))  # where it runs without being installed
    where = f"bus {bus.interface}" + (f", channel {bus.channel}" if bus.channel is not None else "")
    if bus.interface not in BACKENDS:
        raise InputError("no interface of python-can", where=where, expected=", ".join(sorted(BACKENDS)))
    given: dict[str, Any] = dict(bus.config) | ({} if bus.channel is None else {"channel": bus.channel})
    try:
        return can.Bus(interface=bus.interface, **given)
    except (can.CanError, OSError, TypeError, ValueError, ImportError, NotImplementedError) as error:
        raise InputError(f"cannot be opened ({error})", where=where) from error


class CanDevice:
    """A device on a bus of python-can.

    On the virtual clock the bench tells the time (`Clock`) and waits for each answer, up to ``answer_s`` of real time;
    after ``give_up`` steps in a row without one the device is gone, and is not waited for again. On the real clock
    an answer has ``grace_s``; then what has arrived is taken, and the last answer stands until it is too old. At most
    ``flood`` frames are taken in a step, so that no device can hold the bench up; there is no second thread.

    Parameters
    ----------
    bus
        Its interface, database and time-outs.
    cells, sensors
        Number of cells, and the sensors of each.
    step_s
        Of the bench.
    wait
        Whether the bench keeps the time and waits for answers: on the virtual clock.
    injector
        Faults of the frames to the device.
    opened
        A bus that is open already; by default the one that `bus` names.
    alive
        Tells whether the process of the device still runs, where that is known.
    log
        Gets every frame; by default they are kept in `frames`.

    Attributes
    ----------
    frames
        Sent and received, with the bench's time.
    log
        Gets them.
    unread
        Steps in which more than ``flood`` frames came.
    """

    name = "CAN device"

    def __init__(
        self,
        bus: BusSpec,
        cells: int,
        sensors: Sequence[str],
        *,
        step_s: float = 1.0,
        wait: bool = True,
        injector: Injected | None = None,
        opened: can.BusABC | None = None,
        alive: Callable[[], bool] | None = None,
        log: Callable[[can.Message], None] | None = None,
    ) -> None:
        self.bus, self.wait, self._alive = bus, wait, alive or (lambda: True)
        self.link = Link(bus, cells, sensors, step_s)
        self.bench = BenchEnd(self.link, injector)
        self.frames: list[can.Message] = []
        self.log = log or self.frames.append
        self._bus: can.BusABC | None = open_bus(bus) if opened is None else opened
        self._patience_s = bus.answer_s if wait else min(bus.grace_s, step_s / 4)
        self.missed, self.unread, self.dead = 0, 0, ""
        #: What a device has for the first answer after a start on the real clock; all later ones may come a step late.
        self._begins_s = 0.0

    @property
    def counts(self) -> dict[str, int]:
        """What was wrong with its answers, see `hil.bus.receiver.REASONS`."""
        return {f"answer {reason}": n for reason, n in sorted(self.bench.heard.counts.items())}

    def reset(self, first: Readings, soc: float) -> None:
        """Begin anew; a device that does not say that it has begun is asked all the same.

        Raises
        ------
        DeviceError
            If it says that it has other cells or sensors.
        """
        self.missed, self.dead, self._begins_s = 0, "", self.link.step_s / 2
        self._receive(first.time_s, 0.0)  # what is left of an earlier run
        frames = self.bench.begin(first, soc, self.link.step_s / 2, clocked=self.wait)
        if not self._send(frames, first.time_s):
            self._receive(first.time_s, max(self._patience_s, self._begins_s))
        self.bench.heard.fresh.clear()
        self._check_kin()

    def step(self, readings: Readings) -> Answer:
        """One step; LATE, GARBAGE or DEAD where no answer comes.

        Raises
        ------
        DeviceError
            If it was closed.
        """
        if self._bus is None:
            raise DeviceError("the bus is closed")
        now, heard = readings.time_s, self.bench.heard
        frames = self.bench.ask(readings, self.link.step_s / 2)
        if not self.dead and not self._alive():
            self.dead = "its process has ended"
        if self.dead:
            return self._none(now, Status.DEAD, self.dead)
        wrong, unread = heard.rejected + heard.counts["unknown"], self.unread
        said = self._send(frames, now) or self._receive(now, max(self._patience_s, self._begins_s))
        self._begins_s = 0.0
        FrameFaults.settle(self.bench.faults)
        self._check_kin()
        answer = self.bench.answer(now if self.wait else self.bench.answered(now), now, any_cycle=not self.wait)
        if answer is not None:
            self.missed = 0
            return answer
        self.missed += 1
        wrong = heard.rejected + heard.counts["unknown"] - wrong
        flooded = self.unread > unread
        if flooded:
            said = f"it floods the bus: more than {self.bus.flood} frames in a step"
        said = said or (f"{wrong} frames that are no answer" if wrong else "no answer in time")
        if self.wait and self.missed >= self.bus.give_up:
            self.dead = f"gone after {self.missed} steps: {said}"
        last = self.bench.last
        if not self.wait and last is not None and now - last.time_s <= self.link.step_s * (1 + self.bus.timeout_cycles):
            return last
        return self._none(now, Status.GARBAGE if wrong or flooded else Status.LATE, said)

    def _check_kin(self) -> None:
        if self.bench.foreign:
            raise DeviceError(
                f"the device on the bus has not {self.link.cells} cells with {', '.join(self.link.sensors)}"
            )

    def _none(self, time_s: float, status: Status, said: str) -> Answer:
        return Answer.none(time_s, self.link.cells, len(self.link.sensors), status, said)

    def _send(self, frames: Sequence[can.Message], begin_s: float) -> str:
        """Send the frames of a step; return why the bus did not take them. A queue that is full is waited for."""
        import can

        if self._bus is None:
            return "the bus is closed"
        until = time.monotonic() + min(self.bus.answer_s, self.link.step_s / 4)
        for message in frames:
            message.timestamp = max(message.timestamp, begin_s)  # what comes late is sent with the next step's
            while True:
                try:
                    self._bus.send(message, timeout=self.bus.answer_s)
                except (can.CanError, OSError) as error:
                    if time.monotonic() > until:
                        return f"cannot send ({error})"
                    time.sleep(5e-4)
                    continue
                self.log(message)
                break
        return ""

    def _receive(self, now_s: float, wait_s: float) -> str:
        """Take what arrives until the answer is whole, the time is over, or it is too much; return what went wrong."""
        import can

        if self._bus is None:
            return "the bus is closed"
        begun, half = time.monotonic(), self.link.step_s / 2
        for taken in range(self.bus.flood):
            passed = time.monotonic() - begun
            if wait_s and passed >= wait_s:
                return ""
            try:
                message = self._bus.recv(min(wait_s - passed, LOOK_S) if wait_s else 0.0)
            except (can.CanError, OSError, ValueError) as error:
                return f"cannot receive ({error})"
            if message is None:
                if wait_s and self._alive():
                    continue
                return ""
            # where the bench waits its time stands still: only the order is kept, and the log is the same every time
            message.timestamp = now_s + half + (1e-6 * taken if self.wait else min(passed, half))
            self.log(message)
            self.bench.heard.take(message, now_s)
            if wait_s and (self.bench.complete() or self.bench.foreign):
                return ""
        self.unread += 1
        return ""

    def hear(self, wait_s: float) -> bool:
        """Ask who is there; return whether a device has said so in time."""
        import can

        status, until = len(self.link.answers.frames) - 1, time.monotonic() + wait_s
        while self._bus is not None and time.monotonic() < until and self._alive():
            try:
                for message in self.bench.call():
                    self._bus.send(message, timeout=LOOK_S)
                for _ in range(self.bus.flood):
                    answer = self._bus.recv(LOOK_S)
                    if answer is None:
                        break
                    if self.bench.heard.take(answer, 0.0) == status:
                        return True
            except (can.CanError, OSError):
                time.sleep(LOOK_S)
        return False

    def close(self) -> None:
        """Leave the bus."""
        if self._bus is not None:
            self._bus.shutdown()
            self._bus = None
