"""The shape of every device under test."""

from __future__ import annotations

from typing import Protocol

from hil.signals import Answer, Readings


class DeviceError(Exception):
    """A device is gone, and why; the bench goes on without it, and the verdict says so."""


class Device(Protocol):
    """A device under test.

    A device never raises but `DeviceError`, and never takes longer than its time-out. It may also have ``digests`` (of
    what it computes with, by name), ``cost()`` (of a step on an emulated core), ``pid`` (of its process, for its share
    of a processor); and behind frames ``seen`` (readings as it got them), ``frames`` and ``log``, which takes them.
    """

    name: str

    def reset(self, first: Readings, soc: float) -> None:
        """Begin anew, from the first readings and a state of charge, 0 to 1."""
        ...

    def step(self, readings: Readings) -> Answer:
        """Take the readings at the end of a step, and say what is known of the core then."""
        ...

    def close(self) -> None:
        """Let go of processes, buses and files; may be called twice."""
        ...
