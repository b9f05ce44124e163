"""A device as it is asked: whatever it does there is an answer, and what it said is kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from hil.devices.device import Device, DeviceError
from hil.signals import Answer, Readings, Status


class UnderTest:
    """A device under test, of which nothing gets through but answers.

    One that raises, or answers about other cells or sensors, is gone, and is asked no more. Where it is late or says
    garbage its last answer stands.

    Parameters
    ----------
    device
        Any.
    cells, sensors
        Number of cells, and of sensors of each.

    Attributes
    ----------
    said
        What it was heard to say for itself, or is said of it: time in s and sentence, each once in a row.
    seen
        Readings of the last step as it got them: behind frames, what was left of them.
    """

    def __init__(self, device: Device, cells: int, sensors: int) -> None:
        self.device, self._sizes = device, (cells, sensors)
        self.said: list[tuple[float, str]] = []
        self.seen: Readings | None = None
        self._alive = True
        self._last = self.nothing(0.0, Status.OFF)

    def off(self, time_s: float) -> Answer:
        """Answer of a device without power; what it said before stands no more."""
        self._last = self.nothing(time_s, Status.OFF)
        return self._last

    def ask(self, readings: Readings, wake: Callable[[], None] | None = None) -> Answer:
        """Ask for a step, after what wakes the device where that is needed."""
        self.seen, time_s = readings, readings.time_s
        if not self._alive:
            return self.nothing(time_s, Status.DEAD)
        try:
            if wake is not None:
                wake()
            answer = self._fitting(self.device.step(readings))
            self.seen = getattr(self.device, "seen", None) or readings
        except DeviceError as error:
            return self._lost(time_s, str(error))
        except Exception as error:  # of a device of somebody's own, which may raise anything
            return self._lost(time_s, f"it raised {type(error).__name__}: {error}")
        if answer.status in (Status.OK, Status.OFF):
            self._last = answer
            return answer
        self._say(time_s, answer.said)
        if answer.status == Status.DEAD:
            return self._lost(time_s)
        self._last = replace(self._last, status=answer.status)
        return self._last

    def nothing(self, time_s: float, status: Status) -> Answer:
        """No answer."""
        return Answer.none(time_s, *self._sizes, status)

    def _fitting(self, answer: Answer) -> Answer:
        """Refuse an answer about other cells or sensors, which no row has room for."""
        cells, sensors = self._sizes
        each = answer.core_K, answer.core_std_K, answer.heat_fault
        if any(np.shape(value) != (cells,) for value in each) or np.shape(answer.fault) != self._sizes:
            raise DeviceError(f"its answer is not about {cells} cells of {sensors} sensors")
        return answer

    def _lost(self, time_s: float, why: str = "") -> Answer:
        self._alive = False
        self._say(time_s, why)
        return self.nothing(time_s, Status.DEAD)

    def _say(self, time_s: float, sentence: str) -> None:
        """Keep what is new."""
        if sentence and (not self.said or self.said[-1][1] != sentence):
            self.said.append((time_s, sentence))
