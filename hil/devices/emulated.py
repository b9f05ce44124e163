"""Processor in the loop: the exported C for a bare core, whose functions are called on an emulator."""

from __future__ import annotations

from typing import Any

import numpy as np

from bmsthermal.curves import Array
from bmsthermal.errors import InputError
from bmsthermal.observer import Observer
from firmware_export.measure.listing import Program
from firmware_export.targets.machine import Machine, version
from firmware_export.targets.toolchains import core_named
from hil.devices.compiled import exported
from hil.devices.device import DeviceError
from hil.devices.images import image
from hil.devices.stepped import Stepped
from hil.devices.texts import BundleTexts, Rows
from hil.signals import Readings

#: More instructions than any call of ours takes, by a factor of ten and more: what goes on so long hangs.
MOST_INSTRUCTIONS = 10_000_000


class Emulated(Stepped):
    """A bundle on an emulated core, called through its own functions, one state per cell in the core's memory.

    Parameters
    ----------
    observer
        Exported in single precision.
    core
        One of `firmware_export.targets.cores.CORES` that Unicorn has.
    cells
        How many cells.

    Raises
    ------
    InputError
        If there is no such core, or its compiler or emulator are not installed.
    """

    def __init__(self, observer: Observer, core: str, cells: int = 1) -> None:
        self.name, self.cells, self.sensors = f"emulated:{core}", cells, tuple(observer.measured)
        if core_named(core).unicorn is not None and version() is None:
            raise InputError(f"nothing that emulates {core}", hint='pip install "bmsthermal[target]"')
        bundle = exported(observer)
        self.image = image(bundle, core_named(core))
        texts = BundleTexts.read(bundle.folder)
        self.digests = texts.digests
        self._machine, self._program = Machine(self.image), Program(self.image.path)
        self._rows = Rows(texts.inputs, len(self.sensors), cells, texts.output, texts.places, texts.dtype)
        width = texts.dtype().itemsize
        sizes = [width * count for count in (texts.state, len(texts.inputs), len(self.sensors), texts.output)]
        # one array of each kind behind the other, as the rows are here
        firsts = self._machine.block + np.cumsum([0, *(-(-cells * size // 16) * 16 for size in sizes)])
        self._firsts = [int(first) for first in firsts]
        each = [[first + i * size for first, size in zip(self._firsts, sizes, strict=False)] for i in range(cells)]
        model = self._machine.address(f"{texts.name}_model")
        self._init, self._step, self._get = (f"{texts.name}_{verb}" for verb in ("init", "step", "get"))
        self._begin = [(model, state) for state, *_ in each]
        self._calls = [((model, *places), (model, places[0], places[3])) for places in each]
        self._counts: dict[tuple[int, int], int] = {}
        self._seen, self._steps, self._cost = 0, 0, [0, 0, 0]
        self._machine.watch_blocks(self._block)

    def begin(self, start_K: Array, soc: float) -> None:
        """Call ``_init`` of each cell; NaN is the model's reference."""
        for places, kelvin in zip(self._begin, start_K.tolist(), strict=True):
            self._call(self._init, *places, np.float32(kelvin), np.float32(soc))

    def advance(self, readings: Readings) -> Array:
        """Call ``_step`` and ``_get`` of each cell."""
        rows, (_, u, z, out, _) = self._rows, self._firsts
        rows.put(readings)
        self._machine.write(u, rows.u)
        self._machine.write(z, rows.z)
        for stepped, got in self._calls:
            self._count(self._call(self._step, *stepped) + self._call(self._get, *got))
        rows.out[:] = self._machine.read(out, rows.out.size, rows.out.dtype).reshape(rows.out.shape)
        return rows.said()

    def cost(self) -> dict[str, Any]:
        """What a step of a cell took in instructions, ``_get`` included: least, mean and most; and on what."""
        least, most, total = self._cost
        return {
            "core": self.image.core.name, "toolchain": f"{self.image.toolchain} {self.image.level}",
            "emulator": f"Unicorn {version()}", "steps": self._steps,
            "least_instructions": least, "mean_instructions": total / max(self._steps, 1), "most_instructions": most,
        }  # fmt: skip

    def _count(self, instructions: int) -> None:
        least, most, total = self._cost
        self._cost = [min(least or instructions, instructions), max(most, instructions), total + instructions]
        self._steps += 1

    def _call(self, symbol: str, *arguments: Any) -> int:
        """Call a function: how many instructions it took."""
        self._seen = 0
        try:
            self._machine.run(symbol, *arguments)
        except InputError as error:
            raise DeviceError(f"{self.name}: {error}") from error
        if self._seen > MOST_INSTRUCTIONS:
            raise DeviceError(f"{self.name}: {symbol} did not return within {MOST_INSTRUCTIONS:,} instructions")
        return self._seen

    def _block(self, address: int, size: int) -> None:
        where = address, size
        if where not in self._counts:
            self._counts[where] = self._program.count(address, size)
        self._seen += self._counts[where]
        if self._seen > MOST_INSTRUCTIONS:
            self._machine.stop()
