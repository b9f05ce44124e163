"""The receiving end: what can be trusted of the frames that arrive, and why the rest cannot."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from bmsthermal.curves import Array
from bmsthermal.files import ZERO_DEGC_K
from hil.bus.wire import COUNTS, Wire, checksum

if TYPE_CHECKING:
    import can

#: What is wrong with a frame, or with a reading.
REASONS = {
    "absent": "never arrived",
    "stale": "nothing new for longer than its time-out",
    "flagged": "its sender says that it does not hold",
    "checksum": "the checksum is wrong",
    "repeated": "the counter stands still",
    "order": "the counter went back",
    "length": "a frame of another length",
    "garbage": "bytes that are no message of the database",
    "unknown": "an identifier that is not in the database",
    "error": "an error or remote frame",
    "lost": "frames that the counter has passed over",
}
#: More frames than this in between are taken for a counter that went back.
MOST_LOST = COUNTS // 2


class Receiver:
    """Takes frames of a wire as they come; gives the row of what holds now.

    A frame that is refused changes nothing but the counts: the value before it stands until its time-out, and is
    absent then, with what was wrong with the last frame as the reason.

    Parameters
    ----------
    wire
        Numbers and frames.
    cycles_s
        Cycle of each frame of the wire.
    timeout_cycles
        Age from which a frame is stale, in its cycles.

    Attributes
    ----------
    counts
        How often each of `REASONS` was met; of ``stale`` and ``absent``, by frame and reading of the row.
    """

    def __init__(self, wire: Wire, cycles_s: Sequence[float], timeout_cycles: float = 1.5) -> None:
        self.wire = wire
        self.timeouts_s = timeout_cycles * np.array(cycles_s, float)
        #: Silence after which a counter of 16 says nothing of what was lost.
        self._forgets_s = (MOST_LOST + 0.5) * np.array(cycles_s, float)
        self.counts: Counter[str] = Counter()
        self._frame_of = np.zeros(len(wire.names), int)
        for k, frame in enumerate(wire.frames):
            self._frame_of[[slot.index for slot in frame.slots]] = k
        self._of_id: dict[int, list[int]] = {}
        for k, frame in enumerate(wire.frames):
            self._of_id.setdefault(frame.message.frame_id, []).append(k)
        self.reset()

    def reset(self) -> None:
        """Forget what arrived, but not the counts."""
        self.values = np.full(len(self.wire.names), np.nan)
        self.when = np.full(len(self.wire.frames), -np.inf)
        self.fresh: set[int] = set()
        self._alive = [-1] * len(self.wire.frames)
        self._wrong = ["absent"] * len(self.wire.frames)
        self._late = np.zeros(len(self.wire.frames), bool)

    @property
    def rejected(self) -> int:
        """Frames that were refused."""
        return sum(self.counts[reason] for reason in ("checksum", "repeated", "order", "length", "garbage"))

    def fresh_at(self, index: int) -> bool:
        """Whether a number of the row has come since the last `read`."""
        return int(self._frame_of[index]) in self.fresh

    def take(self, message: can.Message, now_s: float) -> int | None:
        """Take a frame; return its number in the wire if it is good. Whatever comes, it never raises.

        Parameters
        ----------
        message
            As python-can gives it.
        now_s
            When it arrived.
        """
        if message.is_error_frame or message.is_remote_frame:
            return self._refuse("error")
        ours = self._of_id.get(message.arbitration_id)
        if ours is None or message.is_extended_id != self.wire.frames[ours[0]].message.is_extended_frame:
            return self._refuse("unknown")
        frame, data = self.wire.frames[ours[0]], bytes(message.data)
        if len(data) != frame.message.length or message.dlc != len(data):
            return self._refuse("length", ours)
        if frame.crc and data[0] != checksum(data, frame.data_ids[data[1] & 15]):
            return self._refuse("checksum", ours)
        try:
            raw: Any = frame.message.decode(data, decode_choices=False, scaling=False)
        except Exception:  # a page that is not there, and whatever else cantools finds
            return self._refuse("garbage", ours)
        which = ours[0]
        if frame.page is not None:
            which = self.wire.by_key.get((message.arbitration_id, int(raw[frame.page[0]])), -1)
            if which < 0:
                return self._refuse("garbage")
            frame = self.wire.frames[which]
        if frame.alive is not None and not self._counts_on(which, int(raw[frame.alive]), now_s):
            return None
        wire, values = self.wire, self.values
        for slot in frame.slots:
            i = slot.index
            if slot.flag is None or raw[slot.flag] == slot.holds:
                values[i] = raw[slot.signal] * wire.scale[i] + wire.offset[i]
            else:
                values[i] = np.nan
                self.counts["flagged"] += 1
        self.when[which] = now_s
        self._wrong[which] = "stale"
        self.fresh.add(which)
        return which

    def read(self, now_s: float) -> Array:
        """Row of what holds now, in SI; NaN where it is absent, stale or flagged. Clears `fresh`."""
        late = now_s - self.when > self.timeouts_s
        if late.any():
            self.counts["stale"] += int((late & ~self._late & np.isfinite(self.when)).sum())
        self._late = late
        self.fresh.clear()
        return np.where(late[self._frame_of] | ~self.wire.carried, np.nan, self.values)

    def missing(self) -> dict[str, str]:
        """Why readings are not there, by name, as of the last `read`."""
        found = {}
        for index, name in enumerate(self.wire.names):
            if self.wire.carried[index]:
                frame = int(self._frame_of[index])
                if self._late[frame]:
                    found[name] = self._wrong[frame]
                elif np.isnan(self.values[index]):
                    found[name] = "flagged"
        return found

    def _refuse(self, reason: str, frames: list[int] | None = None) -> int | None:
        self.counts[reason] += 1
        for which in frames or ():
            self._wrong[which] = reason
        return None

    def _counts_on(self, which: int, count: int, now_s: float) -> bool:
        """Whether the alive counter of a frame has moved on; after a long silence it may begin anywhere."""
        last = self._alive[which]
        step = (count - last) % COUNTS
        if last >= 0 and step == 0:
            self._refuse("repeated", [which])
            return False
        if last >= 0 and now_s - self.when[which] <= self._forgets_s[which]:
            if step > MOST_LOST:
                self._refuse("order", [which])
                return False
            self.counts["lost"] += step - 1
        self._alive[which] = count
        return True


def with_ambient(row: Array, coolant_degC: float | None) -> Array:
    """Row of readings with what stands for an ambient that the bus does not carry."""
    if coolant_degC is not None and np.isnan(row[1]):
        row[1] = coolant_degC + ZERO_DEGC_K
    return row
