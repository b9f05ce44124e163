"""The sending end: which frames are due, when each is on the wire, and what faults make of them."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from typing import TYPE_CHECKING

from bmsthermal.curves import Array
from hil.bus.frame_faults import FrameFaults
from hil.bus.wire import COUNTS, Frame, Wire

if TYPE_CHECKING:
    import can


class Sender:
    """Sends a row over and over, each frame in its cycle.

    Parameters
    ----------
    wire
        Numbers and frames.
    cycles
        Steps in the cycle of each frame; the frames of a cycle are spread over its steps.
    faults
        What may happen to them on the way.
    """

    def __init__(self, wire: Wire, cycles: Sequence[int], faults: FrameFaults | None = None) -> None:
        self.wire, self.cycles, self.faults = wire, tuple(cycles), faults
        behind: dict[int, int] = {}
        self._phases = []
        for cycle in self.cycles:
            self._phases.append(behind.get(cycle, 0) % cycle)
            behind[cycle] = behind.get(cycle, 0) + 1
        self.reset()

    def reset(self, *, counters: bool = True) -> None:
        """Begin anew: nothing is on its way, and the `counters` are at their start."""
        if counters:
            self._counts = [-1] * len(self.wire.frames)
        self._due: list[tuple[float, int, Frame, bytes]] = []
        self._sent = 0

    def put(self, row: Array, step: int, begin_s: float, window_s: float, *, faulty: bool = True) -> None:
        """Put the frames of a step on the wire, one after the other.

        Parameters
        ----------
        row
            Numbers in SI.
        step
            Of the bench; at 0 every frame is due.
        begin_s, window_s
            When the first one may be sent, and the time in which all are.
        faulty
            Whether faults touch them.
        """
        raw, holds = self.wire.raw(row)
        due = [
            k for k, cycle in enumerate(self.cycles) if cycle == 1 or step == 0 or (step - self._phases[k]) % cycle == 0
        ]
        for place, k in enumerate(due):
            frame, at_s = self.wire.frames[k], begin_s + window_s * (place + 1) / (len(due) + 1)
            before, count = self._counts[k], (self._counts[k] + 1) % COUNTS
            self._counts[k] = count
            if faulty and self.faults is not None and self.faults.active:
                count = self.faults.count(frame, before, count)
                payload = frame.encode(raw, holds, count)
                for when_s, what in self.faults.bend(frame, payload, at_s, begin_s):
                    self._push(when_s, frame, what)
            else:
                self._push(at_s, frame, frame.encode(raw, holds, count))

    def only(self, k: int, row: Array) -> list[can.Message]:
        """One frame of the wire, at once."""
        frame = self.wire.frames[k]
        self._counts[k] = (self._counts[k] + 1) % COUNTS
        return [message_of(frame, frame.encode(*self.wire.raw(row), self._counts[k]), 0.0)]

    def _push(self, at_s: float, frame: Frame, payload: bytes) -> None:
        heapq.heappush(self._due, (at_s, self._sent, frame, payload))
        self._sent += 1

    def take(self, until_s: float) -> list[can.Message]:
        """Take the frames off that are on the wire by then, in that order, with the time of each."""
        found = []
        while self._due and self._due[0][0] <= until_s:
            at_s, _, frame, payload = heapq.heappop(self._due)
            found.append(message_of(frame, payload, at_s))
        return found


def message_of(frame: Frame, payload: bytes, at_s: float) -> can.Message:
    """Frame as python-can has it."""
    import can

    return can.Message(
        timestamp=at_s, arbitration_id=frame.message.frame_id, is_extended_id=frame.message.is_extended_frame,
        is_fd=frame.message.is_fd, data=payload, is_rx=False,
    )  # fmt: skip
