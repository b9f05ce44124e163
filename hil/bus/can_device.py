"""The device is whoever answers on a bus: another process, a board, a car."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from bmsthermal.errors import InputError
from hil.bus.dbc import HINT
from hil.bus.link import BenchEnd, Link
from hil.bus.spec import BusSpec
from hil.devices.device import DeviceError
from hil.signals import Answer, Readings, Status

if TYPE_CHECKING:
    import can

    from hil.bus.frame_faults import Injected


def open_bus(bus: BusSpec) -> can.BusABC:
    """Open the bus of a scenario, by any interface of python-can.

    Raises
    ------
    InputError
        If python-can is not installed, or the interface cannot be opened.
    """
    try:
        import can
        from can.interfaces import BACKENDS
    except ImportError as error:
        raise InputError("python-can is not installed", hint=HINT) from error

    BACKENDS.setdefault("udp_loopback", ("hil.bus.loopback", "UdpLoopbackBus"))  # where it runs without being installed
    where = f"bus {bus.interface}" + (f", channel {bus.channel}" if bus.channel is not None else "")
    if bus.interface not in BACKENDS:
        raise InputError("no interface of python-can", where=where, expected=", ".join(sorted(BACKENDS)))
    channel = {} if bus.channel is None else {"channel": bus.channel}
    try:
        return can.Bus(interface=bus.interface, **channel, **dict(bus.config))
    except (can.CanError, OSError, TypeError, ValueError, ImportError, NotImplementedError) as error:
        raise InputError(f"cannot be opened ({error})", where=where) from error


class CanDevice:
    """A device on a bus of python-can.

    On the virtual clock the bench waits for each answer, up to ``answer_s`` of real time; after ``give_up`` steps in a
    row without one the device is gone, and is not waited for again. On the real clock nothing waits: what has arrived
    is taken, and the last answer stands until it is older than its time-out. At most ``flood`` frames are taken in a
    step, so that no device can hold the bench up; there is no second thread.

    Parameters
    ----------
    bus
        Its interface, database and time-outs.
    cells, sensors
        Number of cells, and the sensors of each.
    step_s
        Of the bench.
    wait
        Whether to wait for answers: on the virtual clock.
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
    unread
        Frames that were left on the bus in steps with more than ``flood`` of them: how often that was.
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
        self._log = log or self.frames.append
        self._bus: can.BusABC | None = open_bus(bus) if opened is None else opened
        self.missed, self.unread, self.dead = 0, 0, ""

    @property
    def counts(self) -> dict[str, int]:
        """What was wrong with its answers, see `hil.bus.receiver.REASONS`."""
        return {f"answer {reason}": n for reason, n in sorted(self.bench.heard.counts.items())}

    def reset(self, first: Readings, soc: float) -> None:
        """Begin anew; a device that does not say that it has begun is asked all the same."""
        self.missed, self.dead = 0, ""
        self._receive(first.time_s, 0.0)  # what is left of an earlier run
        self.bench.heard.reset()
        frames = self.bench.begin(first, soc, self.link.step_s / 2)
        if self._send(frames):
            self._receive(first.time_s, self.bus.answer_s if self.wait else 0.0)
        self.bench.heard.fresh.clear()

    def step(self, readings: Readings) -> Answer:
        """One step; LATE, GARBAGE or DEAD where no answer comes.

        Raises
        ------
        DeviceError
            If it was closed.
        """
        if self._bus is None:
            raise DeviceError("the bus is closed")
        now, cells, sensors = readings.time_s, self.link.cells, len(self.link.sensors)
        frames = self.bench.ask(readings, self.link.step_s / 2)
        if not self.dead and not self._alive():
            self.dead = "its process has ended"
        if self.dead:
            return Answer.none(now, cells, sensors, Status.DEAD, self.dead)
        refused, unread = self.bench.heard.rejected + self.bench.heard.counts["unknown"], self.unread
        said = "" if self._send(frames) else self.dead
        if not said:
            self._receive(now, self.bus.answer_s if self.wait else 0.0)
        answered = now if self.wait else self._answered(now)
        answer = self.bench.answer(answered, now)
        if answer is not None:
            self.missed = 0
            return answer
        self.missed += 1
        wrong = self.bench.heard.rejected + self.bench.heard.counts["unknown"] - refused
        status = Status.GARBAGE if wrong or self.unread > unread else Status.LATE
        if self.unread > unread:
            said = said or f"it floods the bus: more than {self.bus.flood} frames in a step"
        said = said or (f"{wrong} frames that are no answer" if wrong else "no answer in time")
        if self.wait and self.missed >= self.bus.give_up:
            self.dead = f"gone after {self.missed} steps: {said}"
        last = self.bench.last
        if not self.wait and last is not None and now - last.time_s <= self.link.step_s * (1 + self.bus.timeout_cycles):
            return self.bench.stands(Status.OK, said)
        return Answer.none(now, cells, sensors, status, said)

    def _answered(self, now_s: float) -> float:
        """Time of the readings that a device on its own clock answers to, by the cycle that it names."""
        behind = (self.bench.step - self.bench.echo) % 256 if self.bench.echo >= 0 else 0
        return now_s - behind * self.link.step_s

    def _send(self, frames: Sequence[can.Message]) -> bool:
        """Send the frames of a step; False if the bus does not take them."""
        import can

        if self._bus is None:
            return False
        try:
            for message in frames:
                self._bus.send(message, timeout=self.bus.answer_s)
                self._log(message)
        except (can.CanError, OSError) as error:
            self.dead = f"cannot send ({error})"
            return False
        return True

    def _receive(self, now_s: float, wait_s: float) -> None:
        """Take what arrives until the answer is whole, the time is over, or it is too much."""
        import can

        if self._bus is None:
            return
        begun = time.monotonic()
        for taken in range(self.bus.flood):
            left = wait_s - (time.monotonic() - begun)
            if wait_s and left <= 0:
                return
            try:
                message = self._bus.recv(max(left, 0.0) if wait_s else 0.0)
            except (can.CanError, OSError, ValueError) as error:
                self.dead = f"cannot receive ({error})"
                return
            if message is None:
                return
            # within a step the bench's time stands still where it waits: the order is kept, the log the same each time
            message.timestamp = now_s + self.link.step_s / 2 + (
                1e-6 * taken if wait_s else min(time.monotonic() - begun, self.link.step_s / 2)
            )
            message.is_rx = True
            self._log(message)
            self.bench.heard.take(message, now_s)
            if wait_s and self.bench.complete():
                return
        self.unread += 1

    def close(self) -> None:
        """Leave the bus."""
        if self._bus is not None:
            self._bus.shutdown()
            self._bus = None
