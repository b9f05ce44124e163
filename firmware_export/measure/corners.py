"""Steps over corner inputs on an emulated core: the longest way that is really gone, and the stack that it takes."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bmsthermal.errors import InputError
from firmware_export.measure.listing import Program
from firmware_export.render import DTYPES

if TYPE_CHECKING:
    from firmware_export.targets.machine import Call, Machine
    from firmware_export.targets.toolchains import Image

#: What each kind of input is in an ordinary step: A, V, W, K, W/K, K.
USUAL = {"current": 5.0, "voltage": 3.2, "heat": 3.0, "coolant": 298.15, "conductance": 2.0, "surface": 299.0}
#: Of every kind beside: all combinations of these with what is usual,
COMBINED = (np.nan, 1e30)
#: and these one after another, at the costliest combination.
SINGLE = (*COMBINED, np.inf, -np.inf, -1e30, 1e6, -1e6, 0.0, -1.0)
#: States of charge to start from: the ends of the tables and their middle.
CHARGES = (0.0, 0.5, 1.0)


@dataclass(frozen=True)
class Corners:
    """What steps over corner inputs took.

    Parameters
    ----------
    steps
        How many were run.
    least, most
        Instructions of the shortest and of the longest. One that a condition passes over counts, as in a bound: the
        core fetches it, and it takes a cycle.
    stack_B
        Stack of the longest.
    inputs
        What it was given, kind by kind, in words: JSON has no infinity.
    """

    steps: int
    least: int
    most: int
    stack_B: int
    inputs: Mapping[str, str]


def run_corners(
    image: Image, name: str, manifest: Mapping[str, Any], combined: Sequence[float] = COMBINED
) -> Corners | None:
    """Step a bundle over corner inputs; None where nothing here emulates the core.

    Kinds of input are taken together: all walls, all sensors at once. Every combination of usual and of `combined` is
    run from both ends and the middle of the tables and from a state of nothing but zeros; then what is absent, beyond
    all bounds, at them, and of the wrong sign, one after another.

    Parameters
    ----------
    image
        The program.
    name
        What the bundle's functions begin with.
    manifest
        Of the bundle: it names the inputs.
    combined
        What every kind of input is beside usual, in all combinations.
    """
    from firmware_export.targets.machine import Machine

    try:
        bench = _Bench(Machine(image), name, manifest)
    except InputError:  # no emulator, or none that runs an ordinary step of this image
        return None
    kinds = list(dict.fromkeys(bench.kinds))
    counted = {
        (state, values): bench.step(state, dict(zip(kinds, values, strict=True)))
        for values in itertools.product(*((USUAL.get(kind, 1.0), *combined) for kind in kinds))
        for state in bench.states
    }
    best = max(counted, key=counted.__getitem__)
    for k, single in itertools.product(range(len(kinds)), SINGLE):
        state, values = best
        tried = state, (*values[:k], single, *values[k + 1 :])
        counted[tried] = bench.step(state, dict(zip(kinds, tried[1], strict=True)))
        best = max(best, tried, key=counted.__getitem__)
    given = dict(zip(kinds, best[1], strict=True))
    stack_B = bench.watched(best[0], given).stack_B
    words = {kind: f"{value:g}" for kind, value in given.items()}
    return Corners(len(counted), min(counted.values()), counted[best], stack_B, words)


class _Bench:
    """A bundle's step in an emulated core, with room for what it is called with."""

    def __init__(self, machine: Machine, name: str, manifest: Mapping[str, Any]) -> None:
        sizes = manifest["sizes"]
        walls = len(sizes["walls"])
        usual = ("current", "voltage", "heat", *["coolant"] * walls, *["conductance"] * walls)
        inputs = [each.split("_")[0] for each in manifest.get("inputs", usual)]
        #: What kind each number of an input is, and then the sensors.
        self.kinds = inputs + ["surface"] * len(sizes["sensors"])
        self._inputs, self._machine, self._dtype = len(inputs), machine, DTYPES[manifest["real"]]
        self._program, self._counts = Program(machine.image.path), dict[tuple[int, int], int]()
        room = [machine.block + at for at in range(0, 0x50000, 0x10000)]
        self._state, self._input, self._surface, output, driven = room
        self._step = (f"{name}_step", machine.address(f"{name}_model"), self._state, self._input, self._surface, output)
        self._seen = 0
        machine.watch_blocks(self._block)
        row = self._row({kind: USUAL.get(kind, 1.0) for kind in self.kinds})
        self.states = [bytes(sizes["state_bytes"])]
        for charge in CHARGES:  # a state as it is after an ordinary step
            machine.write(driven, np.array([1, 1], np.uint32))
            machine.write(driven + 8, np.concatenate([np.array([USUAL["surface"], charge], self._dtype), row]))
            machine.run("drive", driven, 0, machine.record)
            self.states.append(machine.read_bytes(machine.record, sizes["state_bytes"]))

    def _row(self, given: Mapping[str, float]) -> NDArray[np.floating]:
        return np.array([given[kind] for kind in self.kinds], self._dtype)

    def _put(self, state: bytes, given: Mapping[str, float]) -> None:
        row = self._row(given)
        self._machine.write_bytes(self._state, state)
        self._machine.write(self._input, row[: self._inputs])
        self._machine.write(self._surface, row[self._inputs :])

    def _block(self, address: int, size: int) -> None:
        where = address, size
        if where not in self._counts:
            self._counts[where] = self._program.count(address, size)
        self._seen += self._counts[where]

    def step(self, state: bytes, given: Mapping[str, float]) -> int:
        """Instructions of a step, counted block by block: an instruction at a time takes seconds."""
        self._put(state, given)
        self._seen = 0
        self._machine.run(*self._step)
        return self._seen

    def watched(self, state: bytes, given: Mapping[str, float]) -> Call:
        """The same, instruction by instruction, and its stack."""
        self._put(state, given)
        return self._machine.call(*self._step)
