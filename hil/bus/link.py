"""What both ends of a bus agree on, and the end at the bench and the end at the device."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from bmsthermal.errors import InputError
from hil.bus.dbc import bench_database, read_dbc, templates
from hil.bus.frame_faults import FrameFaults, Injected
from hil.bus.names import (
    ANYBODY,
    FOREIGN,
    OWN,
    RUNNING,
    START,
    WAITING,
    answer_names,
    answer_of_row,
    layout_of,
    reading_names,
    readings_of_row,
    row_of_answer,
    row_of_readings,
)
from hil.bus.receiver import Receiver, with_ambient
from hil.bus.sender import Sender
from hil.bus.spec import BusSpec
from hil.bus.wire import Wire
from hil.devices.device import Device
from hil.signals import Answer, Readings, Status

if TYPE_CHECKING:
    import can


class Link:
    """Messages of a bus for so many cells and such sensors, and their times.

    Parameters
    ----------
    bus
        What the scenario says of it.
    cells, sensors
        Number of cells, and the sensors of each.
    step_s
        Of the bench.

    Raises
    ------
    InputError
        If database, mapping or cycle times do not fit.
    """

    def __init__(self, bus: BusSpec, cells: int, sensors: Sequence[str], step_s: float = 1.0) -> None:
        self.bus, self.cells, self.sensors, self.step_s = bus, cells, tuple(sensors), float(step_s)
        own = bench_database(cells, sensors, bus, step_s)
        readings, answers = reading_names(cells, sensors), answer_names(cells, sensors)
        self.database = self._own = own
        mapped: dict[str, str] = {}
        if bus.dbc is not None:
            self.database, where = read_dbc(bus.dbc), str(bus.dbc)
            mapped = templates(bus.signals, cells)
            self.readings = Wire(self.database, readings, mapped, where)
        elif bus.profile == "foxbms":
            from hil.bus.foxbms import foxbms_database

            self.database, theirs = foxbms_database(cells, sensors)
            self.readings = Wire(self.database, readings, theirs, "foxBMS 2")
        else:
            self.readings = Wire(own, readings)
        if not self.readings.frames:
            raise InputError("no signal is mapped", where="bus.signals", expected="one of " + ", ".join(readings[:3]))
        if any(name in mapped for name in answers):
            self.answers = Wire(self.database, answers, mapped, str(bus.dbc))
        else:
            self.answers = Wire(own, answers)
            self._check_apart()
        ours = bool(self.readings.carried[-1])  # what others have made does not know of it
        self.start = Wire(own, START) if ours else None
        self.clock = Wire(own, ("step",)) if ours else None
        self.cycles = [self._steps(bus.cycle_s.get(frame.group)) for frame in self.readings.frames]

    def _check_apart(self) -> None:
        """Refuse identifiers that are in both databases."""
        if self.database is not self._own:
            ours = {frame.message.frame_id for frame in self.answers.frames}
            for message in self.database.messages:
                if message.frame_id in ours and not message.is_extended_frame:
                    raise InputError(
                        f"identifier {message.frame_id:#x} of {message.name} is one of the bench's answers",
                        where="bus.base_id", expected="another one",
                    )  # fmt: skip

    def _steps(self, cycle_s: float | None) -> int:
        steps = 1 if cycle_s is None else cycle_s / self.step_s
        if not math.isclose(steps, round(steps), rel_tol=1e-9) or steps < 1:
            raise InputError(f"{cycle_s:g} s", where="bus.cycle_s", expected=f"whole steps of {self.step_s:g} s")
        return round(steps)

    @property
    def digest(self) -> str:
        """SHA-256 of the database of the readings, and of that of the answers where it is another."""
        text = "".join(dict.fromkeys(each.as_dbc_string() for each in (self.database, self._own)))
        return hashlib.sha256(text.encode()).hexdigest()

    def receiver(self, wire: Wire) -> Receiver:
        """Make the receiving end of readings or of answers, with the time-out of each frame."""
        cycles = self.cycles if wire is self.readings else [1] * len(wire.frames)
        return Receiver(wire, [self.step_s * cycle for cycle in cycles], self.bus.timeout_cycles)


class BenchEnd:
    """The bench's end: sends readings, hears answers.

    Parameters
    ----------
    link
        What was agreed on.
    injector
        Faults of the frames to the device, and of its answers; the latter only where both ends are here.
    """

    def __init__(self, link: Link, injector: Injected | None = None) -> None:
        self.link = link
        self.faults = None if injector is None else FrameFaults(injector)
        self.sender = Sender(link.readings, link.cycles, self.faults)
        self.starter = None if link.start is None else Sender(link.start, [1])
        self.ticker = None if link.clock is None else Sender(link.clock, [1])
        self.clocked = False
        self.heard = link.receiver(link.answers)
        self.session, self.step, self.last = 0, 0, None  # type: int, int, Answer | None
        self._echo = len(link.answers.names) - len(OWN)
        # who was not told the cycle cannot name it
        self._has_echo = bool(link.answers.carried[self._echo]) and link.start is not None

    def begin(self, first: Readings, soc: float, window_s: float, *, clocked: bool = False) -> list[can.Message]:
        """Frames that start the device; no fault touches them. Where it is `clocked`, the bench keeps its time."""
        self.session, self.step, self.last, self.clocked = self.session % 255 + 1, 0, None, clocked
        self.sender.reset(counters=False)  # not everybody who listens knows of a start
        self.heard.reset()
        if self.faults is not None:
            self.faults.reset()
        begin = first.time_s
        if self.starter is not None:
            layout = layout_of(self.link.cells, self.link.sensors)
            self.starter.reset()
            self.starter.put(np.array([soc, self.session, layout, clocked]), 0, begin, 0.0)
        self.sender.put(row_of_readings(first, 0), 0, begin, window_s, faulty=False)
        started = [] if self.starter is None else self.starter.take(begin)
        return started + self.sender.take(begin + window_s) + self._tick(begin + window_s)

    def call(self) -> list[can.Message]:
        """Frame that asks whether a device is there."""
        if self.starter is None:
            return []
        return self.starter.only(0, np.array([0.0, ANYBODY, layout_of(self.link.cells, self.link.sensors), 0.0]))

    def ask(self, readings: Readings, window_s: float) -> list[can.Message]:
        """Frames of a step's readings that are on the wire in a window of time from their end on."""
        self.step += 1
        if self.faults is not None:
            self.faults.advance()
        self.sender.put(row_of_readings(readings, self.step), self.step, readings.time_s, window_s)
        return self.sender.take(readings.time_s + window_s) + self._tick(readings.time_s + window_s)

    def _tick(self, at_s: float) -> list[can.Message]:
        if self.ticker is None or not self.clocked:
            return []
        self.ticker.put(np.array([self.step]), 0, at_s, 0.0)
        return self.ticker.take(at_s)

    def complete(self, any_cycle: bool = False) -> bool:
        """Whether the answer to the last question, or to any, has been heard to its end."""
        if not self._has_echo:
            return len(self.heard.fresh) == len(self.link.answers.frames)
        return len(self.link.answers.frames) - 1 in self.heard.fresh and (any_cycle or self.echo == self.step % 256)

    def answered(self, now_s: float) -> float:
        """Time of the readings that were answered, by the cycle that the device names."""
        behind = (self.step - self.echo) % 256 if self._has_echo and self.echo >= 0 else 0
        return now_s - behind * self.link.step_s

    @property
    def foreign(self) -> bool:
        """Whether the device says that it is another's."""
        return bool(self.heard.values[self._echo + OWN.index("state")] == FOREIGN)

    @property
    def echo(self) -> int:
        """Cycle that the device last answered to; -1 where it has not, or does not say."""
        echo = self.heard.values[self._echo]
        return -1 if np.isnan(echo) else int(echo)

    def answer(self, time_s: float, now_s: float, *, any_cycle: bool = False) -> Answer | None:
        """Answer that has been heard, or None where it is not complete."""
        whole = self.complete(any_cycle)
        fresh = set(self.heard.fresh)
        row = self.heard.read(now_s)
        if not whole:
            return None
        for k, frame in enumerate(self.link.answers.frames):
            if k not in fresh:
                row[[slot.index for slot in frame.slots]] = np.nan
        cells, sensors = self.link.cells, len(self.link.sensors)
        said = "" if len(fresh) == len(self.link.answers.frames) else "some of the answer's frames did not come"
        self.last = answer_of_row(row, time_s, cells, sensors, Status.OK, said)
        return self.last

    def stands(self, status: Status, said: str, time_s: float) -> Answer:
        """The last answer, where this step brought none."""
        if self.last is None:
            return Answer.none(time_s, self.link.cells, len(self.link.sensors), status, said)
        return replace(self.last, status=status, said=said)


class DeviceEnd:
    """The device's end: hears readings, steps a device, sends its answers.

    Parameters
    ----------
    link
        What was agreed on.
    device
        Of this process.
    soc
        State of charge to begin with where nobody says one.
    injector
        Faults of the answers on their way.

    Attributes
    ----------
    asked
        Whether a bench waits for a `sign`.
    seen, answer
        Readings of the last step, as the device got them, and what it made of them.
    """

    def __init__(self, link: Link, device: Device, soc: float = 0.5, injector: Injected | None = None) -> None:
        self.link, self.device, self.soc = link, device, soc
        self.faults = None if injector is None else FrameFaults(injector, answers=True)
        self.heard = link.receiver(link.readings)
        self.started = None if link.start is None else link.receiver(link.start)
        self.sender = Sender(link.answers, [1] * len(link.answers.frames), self.faults)
        self.ticks = None if link.clock is None else link.receiver(link.clock)
        self.cycle, self.count, self.running, self.clocked = 0, 0, False, False
        self.asked, self.foreign = False, False
        self.seen: Readings | None = None
        self.answer: Answer | None = None

    def take(self, message: can.Message, now_s: float) -> bool:
        """Take a frame; return whether it closes a cycle."""
        if self.started is not None and self._meant(self.started, message):
            self.started.reset()  # a bench that begins anew counts anew
            if self.started.take(message, now_s) is not None:
                self._start(*self.started.values)
            return False
        if self.foreign:
            return False
        if self.ticks is not None and self._meant(self.ticks, message):
            if not self.clocked or self.ticks.take(message, now_s) is None:
                return False
            self.count = int(self.ticks.values[0])
            return True
        which = self.heard.take(message, now_s)
        if which is None or self.clocked:
            return False
        frames = self.link.readings.frames
        return (which == len(frames) - 1 and self.started is not None) or len(self.heard.fresh) == len(frames)

    @staticmethod
    def _meant(receiver: Receiver, message: can.Message) -> bool:
        return message.arbitration_id == receiver.wire.frames[0].message.frame_id

    def _start(self, soc: float, session: float, layout: float, clocked: float) -> None:
        foreign = int(layout) != layout_of(self.link.cells, self.link.sensors)
        if int(session) == ANYBODY:
            self.asked = True
        elif foreign:
            self.asked = self.foreign = True
        else:
            self.soc, self.foreign, self.clocked = float(min(max(soc, 0.0), 1.0)), False, bool(clocked)
            self.begin()

    def begin(self) -> None:
        """Begin anew with the next readings."""
        self.running = False
        self.heard.reset()
        self.sender.reset()
        if self.ticks is not None:
            self.ticks.reset()
        if self.faults is not None:
            self.faults.reset()

    def sign(self) -> list[can.Message]:
        """Frame that says that a device is here, and which cycle it answered last; it need not be `asked` again."""
        self.asked = False
        status = self.link.answers.frames[-1]
        own = np.full(len(self.link.answers.names), np.nan)
        state = FOREIGN if self.foreign else RUNNING if self.running else WAITING
        own[-len(OWN) :] = self.cycle % 256, state, self.heard.rejected % 65536, 0
        return self.sender.only(len(self.link.answers.frames) - 1, own) if status.message.name == "Status" else []

    def step(self, time_s: float, now_s: float, window_s: float) -> list[can.Message]:
        """Step the device with what has been heard; return its answer's frames in a window of time from now on."""
        if self.clocked:  # what has come since the last tick came before this one, however late it is
            self.heard.when[list(self.heard.fresh)] = now_s
        counted = self.heard.fresh_at(-1)
        row = with_ambient(self.heard.read(now_s), self.link.bus.coolant_degC)
        self.seen = seen = readings_of_row(row, time_s, self.link.cells, len(self.link.sensors))
        # a lost counter is counted on: the one before it may still hold for the readings, but not for the cycle
        following = (self.cycle + 1) % 256 if self.running else 0
        self.cycle = int(row[-1]) if counted and not np.isnan(row[-1]) else following
        cells, sensors = self.link.cells, len(self.link.sensors)
        if self.running:
            answer = self.device.step(seen)
        else:
            self.device.reset(seen, self.soc)
            answer, self.running = Answer.none(time_s, cells, sensors, Status.OK), True
        self.answer = answer
        absent = np.isnan(row[:-1][self.link.readings.carried[:-1]]).sum()
        own = [self.cycle % 256, RUNNING, self.heard.rejected % 65536, int(absent)]
        if self.faults is not None:
            self.faults.advance()
        if answer.status in (Status.OK, Status.LATE):
            self.sender.put(row_of_answer(answer, own), 0, now_s, window_s)
        return self.sender.take(now_s + window_s)
