"""A bundle as a shared object of this machine: loaded, and called through its own functions."""

from __future__ import annotations

import ctypes
from pathlib import Path

import numpy as np

from bmsthermal.curves import Array
from bmsthermal.errors import InputError
from hil.devices.stepped import Stepped
from hil.devices.texts import BundleTexts, Rows
from hil.signals import Readings


class Library(Stepped):
    """A bundle that is loaded, with a state for each cell.

    Parameters
    ----------
    path
        Of `shared_object`.
    texts
        What the bundle is.
    cells
        How many cells.

    Raises
    ------
    InputError
        If it cannot be loaded.
    """

    def __init__(self, path: Path, texts: BundleTexts, cells: int) -> None:
        self.name, self.texts, self.sensors, self.cells = "sil", texts, texts.sensors, cells
        self.digests = texts.digests
        self.rows = Rows(texts.inputs, len(texts.sensors), cells, texts.output, texts.places, texts.dtype)
        self.states = np.zeros((cells, texts.state), texts.dtype)
        try:
            lib = ctypes.CDLL(str(path.resolve()))
            model = ctypes.byref(ctypes.c_char.in_dll(lib, f"{texts.name}_model"))
            self._init, self._step, self._get = (
                getattr(lib, f"{texts.name}_{verb}") for verb in ("init", "step", "get")
            )
        except (OSError, AttributeError, ValueError) as error:
            raise InputError(f"cannot be loaded ({error})", where=str(texts.folder)) from error
        for function in (self._init, self._step, self._get):
            function.restype = None
        self._number = ctypes.c_float if texts.real == "float" else ctypes.c_double
        # pointers are made once: a step is nothing but calls
        state, u, z, out = (
            [ctypes.c_void_p(row.ctypes.data) for row in each]
            for each in (self.states, self.rows.u, self.rows.z, self.rows.out)
        )
        self._begin = [(model, each) for each in state]
        self._calls = [
            ((model, a, b, c, d), (model, a, d)) for a, b, c, d in zip(state, u, z, out, strict=True)
        ]  # fmt: skip

    def begin(self, start_K: Array, soc: float) -> None:
        """Call ``_init`` of each cell; NaN is the model's reference."""
        for pointers, kelvin in zip(self._begin, start_K.tolist(), strict=True):
            self._init(*pointers, self._number(kelvin), self._number(soc))

    def advance(self, readings: Readings) -> Array:
        """Call ``_step`` and ``_get`` of each cell: rows as of `hil.devices.numbers`."""
        self.rows.put(readings)
        step, get = self._step, self._get
        for stepped, got in self._calls:
            step(*stepped)
            get(*got)
        return self.rows.said()
