"""A device of this process behind a bus of frames, in the time of the bench."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import count
from typing import TYPE_CHECKING, Any

from hil.bus.frame_faults import FrameFaults, Injected
from hil.bus.link import BenchEnd, DeviceEnd, Link
from hil.bus.spec import BusSpec
from hil.devices.device import Device
from hil.extras import extra
from hil.signals import Answer, Readings, Status

if TYPE_CHECKING:
    import can

_channels = count()


class Framed:
    """A device that sees its readings, and is heard, through frames only.

    Readings become frames, faults meet them, python-can's ``virtual`` bus carries them, the receiver checks them, the
    device steps, and its answer comes back as frames. All of it happens in the time of the bench: frames to the device
    are on the wire in the first half of a step, its answer in the second, and nothing waits.

    Parameters
    ----------
    device
        Any device.
    bus
        Its database, cycles and time-outs; the interface is not used.
    injector
        Faults of frames.
    cells, sensors
        Number of cells, and the sensors of each.
    step_s
        Of the bench.
    log
        Gets every frame that was on the wire; by default they are kept in `frames`.

    Attributes
    ----------
    frames
        What was on the wire, in order, with the bench's time.
    log
        Gets them.
    """

    def __init__(
        self,
        device: Device,
        bus: BusSpec,
        injector: Injected | None,
        cells: int,
        sensors: Sequence[str],
        *,
        step_s: float = 1.0,
        log: Callable[[can.Message], None] | None = None,
    ) -> None:
        extra("can", "a bus")
        import can

        self.device, self.name = device, f"{device.name} behind CAN frames"
        self.link = Link(bus, cells, sensors, step_s)
        self.bench = BenchEnd(self.link, injector)
        self.node = DeviceEnd(self.link, device, injector=injector)
        self.frames: list[can.Message] = []
        self.log = log or self.frames.append
        channel = f"bmsthermal-{next(_channels)}"
        self._here, self._there = (
            can.Bus(interface="virtual", channel=channel, preserve_timestamps=True) for _ in range(2)
        )

    @property
    def seen(self) -> Readings | None:
        """Readings as the device saw them in the last step."""
        return self.node.seen

    @property
    def digests(self) -> dict[str, str]:
        """Of the device, and of the database."""
        return dict(getattr(self.device, "digests", {})) | {"bus": self.link.digest}

    def cost(self) -> dict[str, Any]:
        """What a step of the device cost, where it knows."""
        return dict(getattr(self.device, "cost", dict)())

    @property
    def counts(self) -> dict[str, int]:
        """What was wrong with frames to the device, and with its answers, see `hil.bus.receiver.REASONS`."""
        counts = self.node.heard.counts
        return dict(sorted(counts.items())) | {f"answer {k}": n for k, n in sorted(self.bench.heard.counts.items())}

    def reset(self, first: Readings, soc: float) -> None:
        """Begin anew."""
        half = self.link.step_s / 2
        self.node.soc = soc
        self.node.begin()
        for message in self.bench.begin(first, soc, half):
            self._carry(message, self._here, self._there, self.node.take)
        for message in self.node.step(first.time_s, first.time_s + half, half):
            self._carry(message, self._there, self._here, self.bench.heard.take)

    def step(self, readings: Readings) -> Answer:
        """One step; LATE with the last answer where none came back whole."""
        half, begin = self.link.step_s / 2, readings.time_s
        for message in self.bench.ask(readings, half):
            self._carry(message, self._here, self._there, self.node.take)
        answers = self.node.step(begin, begin + half, half)
        late = self.bench.sender.take(begin + 2 * half)  # for the device's next step
        both = [(message, True) for message in late] + [(message, False) for message in answers]
        for message, to_device in sorted(both, key=lambda each: each[0].timestamp):
            if to_device:
                self._carry(message, self._here, self._there, self.node.take)
            else:
                self._carry(message, self._there, self._here, self.bench.heard.take)
        FrameFaults.settle(self.bench.faults, self.node.faults)
        answer = self.bench.answer(self.bench.answered(begin), begin + 2 * half, any_cycle=True)
        said = self.node.answer
        if said is not None and said.status in (Status.GARBAGE, Status.DEAD):
            return said
        return answer or self.bench.stands(Status.LATE, "no whole answer on the bus", begin)

    def _carry(
        self, message: can.Message, sent: can.BusABC, got: can.BusABC, take: Callable[[can.Message, float], object]
    ) -> None:
        self.log(message)
        sent.send(message)
        arrived = got.recv(0)
        if arrived is not None:
            take(arrived, arrived.timestamp)

    def close(self) -> None:
        """Let go of the bus and the device."""
        self._here.shutdown()
        self._there.shutdown()
        self.device.close()
