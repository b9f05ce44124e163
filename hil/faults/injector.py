"""Faults in a run: which are there, and what they do at each stage."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from bmsthermal.curves import Array
from bmsthermal.errors import InputError
from hil.faults import plant
from hil.faults.effects import EFFECTS, WATCHING
from hil.faults.fault import Fault
from hil.faults.live import Live, Scene
from hil.faults.places import Places
from hil.signals import Actuators, Truth


class Injector:
    """Faults of a run.

    Any number of them may be there at once, also on one element: they compose in the order of the stages (thermal,
    resistance, divider, adc, value, map), and within a stage in the order in which they are listed, each acting on
    what the one before has made of it. So a short after an open wins, and a bias after a stuck moves what is stuck.

    Parameters
    ----------
    faults
        As stated.
    cells
        Number of cells.
    sensors
        Of each cell.
    step_s
        Length of a step.
    seed
        Of the run; each fault has chance of its own, from this, its own seed and its name.

    Raises
    ------
    InputError
        If two have one name, or one acts on what does not exist.
    """

    def __init__(self, faults: Sequence[Fault], cells: int, sensors: Sequence[str], step_s: float, seed: int) -> None:
        self.faults, self.seed = tuple(faults), seed
        self.places = Places(cells, tuple(sensors))
        names = [fault.name for fault in self.faults]
        for name in names:
            if names.count(name) > 1:
                raise InputError(f"{names.count(name)} of one name", where=f"fault {name!r}", hint="give each a name")
        self._live = [Live.of(fault, self.places, step_s, seed) for fault in self.faults]
        self._at = {
            stage: [(live, EFFECTS[live.fault.kind][stage]) for live in self._live if stage in self._stages(live)]
            for stage in ("thermal", "resistance", "divider", "adc", "value", "map")
        }
        self._plant = [live for live in self._live if live.fault.spec.stage == "plant"]
        self._healthy = Actuators.healthy(cells)

    @staticmethod
    def _stages(live: Live) -> Sequence[str]:
        return tuple(EFFECTS.get(live.fault.kind, ()))

    def reset(self) -> None:
        """Begin anew, with the same chance."""
        for live in self._live:
            live.reset()

    def advance(self, truth: Truth) -> None:
        """Say which faults are there in the step that begins with `truth`; once a step, before anything else."""
        for live in self._live:
            live.advance(truth)

    def actuators(self) -> Actuators:
        """What the faults make of the plant in the step that comes."""
        made = self._healthy
        for live in self._plant:
            if live.active:
                before, made = made, plant.apply(live, made)
                live.injected = plant.differ(before, made)
        return made

    def apply(self, stage: str, x: Array, scene: Scene) -> Array:
        """Return what the faults of a stage of the sensor chain make of its numbers, ``(channels,)``."""
        here = [pair for pair in self._at[stage] if pair[0].active or pair[0].fault.kind in WATCHING]
        if not here:
            return x
        x = x.copy()
        for live, effect in here:
            before = x[live.index]
            effect(live, x, scene)
            live.injected |= not np.array_equal(before, x[live.index], equal_nan=True)
        return x

    def on(self, stage: str) -> list[tuple[Fault, float]]:
        """Faults of a stage that are there now, with their levels above 0 up to 1.

        Those of ``bus`` and ``time`` count as injected once they are asked for here, unless `mark` says otherwise.
        """
        found = [live for live in self._live if live.active and live.fault.spec.stage == stage]
        if stage in ("bus", "time"):
            for live in found:
                live.injected = True
        return [(live.fault, live.level) for live in found]

    def mark(self, name: str, injected: bool) -> None:
        """Note whether a fault of bus or time has changed something of this step."""
        for live in self._live:
            if live.fault.name == name:
                live.injected = injected

    def states(self) -> NDArray[np.float64]:
        """Enabled, active and injected of each fault in their order, ``(3 * faults,)``, 0 or 1.

        Enabled: it can begin. Active: its trigger is met and its time not over. Injected: it has changed a number of
        its stage in this step; a bias does, an open wire that was open already does not.
        """
        flags = [(live.fault.enabled, live.active, live.injected) for live in self._live]
        return np.array(flags, float).reshape(-1)
