"""What is done to the plant over time: current, coolant, cooling, and whether the device has power."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import AfterValidator, BaseModel, Field, Strict

from bmsthermal.cell import Cell
from bmsthermal.curves import Array
from bmsthermal.errors import InputError
from bmsthermal.files import ZERO_DEGC_K
from bmsthermal.profiles import profile_of, read_profile
from bmsthermal.protocol import parse_steps, total_s
from bmsthermal.run import Run
from bmsthermal.vehicle import schedules
from hil.config import CONFIG, Number, Positive
from hil.cycler import Cycler
from hil.signals import Truth

#: A temperature in which a cell is used or abused.
DegC = Annotated[float, Strict(), Field(ge=-60, le=150)]


def _known(name: str) -> str:
    if name not in schedules():
        raise InputError(f"no schedule {name!r}", expected=f"one of {', '.join(schedules())}")
    return name


def _rising(points: tuple[tuple[float, float], ...]) -> tuple[tuple[float, float], ...]:
    times = [time for time, _ in points]
    if not times or times[0] != 0 or any(b <= a for a, b in pairwise(times)):
        raise InputError(f"found times {times!r:.60}", expected="times that begin at 0 and rise")
    return points


class Drive(BaseModel):
    """A speed schedule, driven by the vehicle of `bmsthermal.vehicle`, its current scaled to the cell's capacity."""

    model_config = CONFIG
    kind: Literal["drive"]
    schedule: Annotated[str, AfterValidator(_known)]
    """Name: hwfet, udds, us06, wltc_3b."""
    repeat: Annotated[int, Strict(), Field(ge=1, le=1000)] = 1
    """How often it is driven."""
    scale: Number = 1.0
    """Factor on the current."""


class Table(BaseModel):
    """A CSV of ``time_s``, ``current_A`` and perhaps ``ambient_degC``; a measured run is one too."""

    model_config = CONFIG
    kind: Literal["csv"]
    path: str
    """The file, seen from the folder of the scenario's."""
    columns: dict[str, str] = {}
    """Our name to the file's."""
    current_sign: Literal["discharge", "charge"] = "discharge"
    """What a positive current does in the file."""
    scale: Number = 1.0
    """Factor on the current."""


class Steps(BaseModel):
    """Steps of a cycler that sees the plant's voltage, such as CC-CV; what is left of their time is rest."""

    model_config = CONFIG
    kind: Literal["steps"]
    steps: str
    """``charge 3C until 3.6V; hold 3.6V until 0.2A; rest 10min``, see `bmsthermal.protocol.parse_steps`."""
    duration_s: Positive | None = None
    """Time that they are given; by default what they take at the longest, if that has an end."""


class KeyOff(BaseModel):
    """The car is off: no current, and the device has no power. At key-on it goes on in one of three ways."""

    model_config = CONFIG
    kind: Literal["key_off"]
    duration_s: Positive
    """How long."""
    memory: Literal["lost", "kept", "told"] = "lost"
    """``lost``: the device is reset, from what it reads at key-on and the charge that was stored. ``kept``: it has
    its old state, and is not told that time went by. ``told``: it has its old state, and is stepped through the time
    that went by, without current and without sensors."""


Part = Annotated[Drive | Table | Steps | KeyOff, Field(discriminator="kind")]
Temperatures = DegC | Annotated[tuple[tuple[Number, DegC], ...], AfterValidator(_rising)]
Shares = (
    Annotated[float, Strict(), Field(ge=0, le=10)]
    | Annotated[tuple[tuple[Number, Annotated[float, Strict(), Field(ge=0, le=10)]], ...], AfterValidator(_rising)]
)


class SurroundingsSpec(BaseModel):
    """What is around the cell."""

    model_config = CONFIG
    ambient_degC: Temperatures = 25.0
    """Of the coolant; or a table of time in s and degC, ``[[0, 25], [600, 40]]``, straight between its points."""
    start_degC: DegC | None = None
    """Of the whole cell at the start; by default that of the coolant."""
    cooling: Shares = 1.0
    """What pump or fan are told, as a share of the cell file's heat transfer; or a table, each point held."""


@dataclass(frozen=True)
class Slot:
    """A part of a profile on the clock of the bench: from `start_s` to `end_s`."""

    part: Drive | Table | Steps | KeyOff
    start_s: float
    end_s: float
    current_A: Array | None = None
    ambient_K: Array | None = None
    cycler: Cycler | None = None


class Profile:
    """Command and power of each step; a step is asked for by the time at which it begins.

    Parameters
    ----------
    parts
        One after the other.
    surroundings
        Around them.
    cell
        Whose capacity scales, and whose resistance closes the loop of a held voltage.
    step_s
        Of the bench; currents of files and schedules are averaged over it.
    folder
        Where the paths of files are seen from.

    Raises
    ------
    InputError
        If a file cannot be read, steps make no sense or never end; ``part`` of the error is the number of the part.
    """

    def __init__(
        self, parts: Sequence[Part], surroundings: SurroundingsSpec, cell: Cell, step_s: float, folder: Path
    ) -> None:
        self.surroundings, self.step_s = surroundings, step_s
        self.slots: list[Slot] = []
        for number, part in enumerate(parts):
            try:
                self.slots.append(_slot(part, self.duration_s, cell, step_s, folder))
            except InputError as error:
                error.part = number  # type: ignore[attr-defined]
                raise

    @property
    def duration_s(self) -> float:
        """Of all parts."""
        return self.slots[-1].end_s if self.slots else 0.0

    def reset(self) -> None:
        """Begin anew; only parts with steps of a cycler remember anything."""
        for slot in self.slots:
            if slot.cycler is not None:
                slot.cycler.reset()

    def current_A(self, time_s: float, truth: Truth | None) -> float:
        """Current of the step that begins at `time_s`, positive discharging.

        Parameters
        ----------
        time_s
            Begin of the step; with a cycler, steps are asked for in their order.
        truth
            Of the step before; None before the first one, where a cycler rests.
        """
        slot = self._slot(time_s)
        if slot is None:
            return 0.0
        if slot.cycler is not None:
            return 0.0 if truth is None else slot.cycler.current_A(time_s, truth)
        return 0.0 if slot.current_A is None else float(slot.current_A[self._row(slot, slot.current_A, time_s)])

    def ambient_K(self, time_s: float) -> float:
        """Coolant at `time_s`: the file's where a part has one, else that of the surroundings."""
        slot = self._slot(time_s)
        if slot is not None and slot.ambient_K is not None:
            return float(slot.ambient_K[self._row(slot, slot.ambient_K, time_s)])
        points = self.surroundings.ambient_degC
        if not isinstance(points, tuple):
            return points + ZERO_DEGC_K
        return float(np.interp(time_s, *np.transpose(points))) + ZERO_DEGC_K

    def cooling(self, time_s: float) -> float:
        """What pump or fan are told at `time_s`, as a share."""
        points = self.surroundings.cooling
        if not isinstance(points, tuple):
            return points
        return [share for at, share in points if at <= time_s + self.step_s * 1e-6][-1]

    def powered(self, time_s: float) -> bool:
        """Whether the device has power in the step that begins at `time_s`."""
        slot = self._slot(time_s)
        return slot is None or not isinstance(slot.part, KeyOff)

    def key_on(self, time_s: float) -> KeyOff | None:
        """What the device was, if it gets its power back at `time_s`; None where nothing was switched."""
        before = self._slot(time_s - self.step_s) if time_s >= self.step_s else None
        return before.part if before is not None and isinstance(before.part, KeyOff) and self.powered(time_s) else None

    @property
    def start_K(self) -> float:
        """Of the whole cell at the start."""
        start = self.surroundings.start_degC
        return self.ambient_K(0.0) if start is None else start + ZERO_DEGC_K

    def _slot(self, time_s: float) -> Slot | None:
        """Part at a time, None after the last one."""
        time_s += self.step_s * 1e-6  # what was added up is a rounding error away from where it ought to be
        return next((slot for slot in self.slots if slot.start_s <= time_s < slot.end_s), None)

    def _row(self, slot: Slot, values: Array, time_s: float) -> int:
        return int((time_s - slot.start_s) / self.step_s + 1e-6) % len(values)  # a schedule may be driven again


def _slot(part: Part, start_s: float, cell: Cell, step_s: float, folder: Path) -> Slot:
    """Part on the clock of the bench, in whole steps."""
    if isinstance(part, Drive | Table):
        run, repeat = _run(part, cell, folder), part.repeat if isinstance(part, Drive) else 1
        known = np.isfinite(run.ambient_K).all()
        # each row holds until the next one, and the last one ends it
        held = run.resample(step_s, hold_s=np.inf)
        one = part.scale * held.current_A[:-1]
        ambient = held.ambient_K[:-1] if known else None
        return Slot(part, start_s, start_s + repeat * len(one) * step_s, one, ambient)
    if isinstance(part, KeyOff):
        return Slot(part, start_s, start_s + _whole(part.duration_s, step_s))
    steps = parse_steps(part.steps, cell.capacity_Ah)
    longest = part.duration_s or total_s(steps)
    if not math.isfinite(longest):
        raise InputError("steps that end only at a limit", expected="a 'duration_s' beside them")
    return Slot(part, start_s, start_s + _whole(longest, step_s), cycler=Cycler(steps, cell))


def _run(part: Drive | Table, cell: Cell, folder: Path) -> Run:
    if isinstance(part, Drive):
        return profile_of(part.schedule, cell.capacity_Ah)[0]
    path = folder / part.path
    return read_profile(
        path, columns=part.columns, current_sign=part.current_sign, capacity_Ah=cell.capacity_Ah
    )  # fmt: skip


def _whole(seconds: float, step_s: float) -> float:
    return math.ceil(seconds / step_s - 1e-6) * step_s
