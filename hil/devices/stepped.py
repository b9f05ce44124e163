"""What our devices share: they begin at a temperature of each cell, and say a row of numbers after each step."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from types import MappingProxyType

from bmsthermal.curves import Array
from hil.devices import numbers
from hil.signals import Answer, Readings


class Stepped(ABC):
    """A device that is called and answers.

    Attributes
    ----------
    name
        As it is asked for.
    sensors
        Sensors of each cell that it takes, in their order.
    cells
        How many cells it watches.
    digests
        Of what it computes with, by name: ``model``, its constants, and ``kernel``, its text, or an ``fmu``'s own
        token; empty where unknown.
    """

    name: str
    sensors: tuple[str, ...]
    cells: int
    digests: Mapping[str, str] = MappingProxyType({})

    def reset(self, first: Readings, soc: float) -> None:
        """Begin anew, each cell of one temperature: see `hil.devices.numbers.start_K`."""
        self.begin(numbers.start_K(first), soc)

    def step(self, readings: Readings) -> Answer:
        """Take the readings at the end of a step, and say what is known of the core then."""
        return numbers.answer(readings.time_s, self.advance(readings))

    @abstractmethod
    def begin(self, start_K: Array, soc: float) -> None:
        """Forget everything; begin each cell at a temperature ``(cells,)``, NaN: its model's reference."""

    @abstractmethod
    def advance(self, readings: Readings) -> Array:
        """Take a step; rows as of `hil.devices.numbers` ``(cells, 3 + sensors)``."""

    def close(self) -> None:  # noqa: B027
        """Let go of what it holds: nothing, unless said."""
