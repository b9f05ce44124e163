"""Model in the loop: the observer on its compiled kernel, all cells in one batch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from bmsthermal.curves import Array
from bmsthermal.errors import InputError
from bmsthermal.observer import Observer, compiled
from bmsthermal.reduced.observing import CoupledObserver
from firmware_export.folder import sha256
from firmware_export.form import Form, form_of, start_row
from firmware_export.form_coupled import KERNEL, CoupledForm
from firmware_export.texts import kernel_text
from hil.devices.read_out import ReadOut
from hil.devices.stepped import Stepped
from hil.devices.texts import kernel_digest
from hil.signals import Readings


def _texts(form: Form | CoupledForm) -> Mapping[str, str]:
    """Files of the kernel, and the package of each."""
    return KERNEL if isinstance(form, CoupledForm) else form.kernel


class InProcess(Stepped):
    """An observer in this process.

    It says what the exported C says, in the observer's own precision; with an observer of single precision and of the
    form that is exported it is the same to the last bit. So its sigma is the kernel's, without what
    `bmsthermal.FaultRules` adds afterwards for a sensor that is alone.

    Parameters
    ----------
    observer
        The observer; on its kernel, whatever engine it was made for.
    cells
        How many cells, each with a state of its own.

    Raises
    ------
    InputError
        If the kernel is not compiled here.
    """

    def __init__(self, observer: Observer, cells: int = 1) -> None:
        if not compiled():
            raise InputError(
                "the compiled kernel is missing", hint="install with a C compiler present, or take fmu:FILE"
            )
        if observer.engine != "kernel":
            observer = observer.changed(engine="kernel")
        self.name, self.observer, self.sensors, self.cells = "model", observer, observer.measured, cells
        coupled = isinstance(observer, CoupledObserver)
        self.form = CoupledForm(observer, observer.real) if isinstance(observer, CoupledObserver) else form_of(observer)
        dtype: Any = observer.dtype
        files = {file: sha256(kernel_text(package, file)) for file, package in _texts(self.form).items()}
        self.digests = {"model": sha256(self.form.packed.row(dtype).tobytes()), "kernel": kernel_digest(files)}
        self._read = ReadOut(self.form, observer, dtype)
        # a coupled kernel has one cell; the others have all of them side by side
        self._kernels: list[Any] = [observer.kernel() for _ in range(cells)] if coupled else [observer.kernel(cells)]
        first, walls = self._kernels[0], len(observer.reduced.walls)
        self._u = np.full((cells, first.input_size), np.nan, dtype)
        self._z = np.full((cells, len(observer.measured)), np.nan, dtype)
        self._states = np.zeros((cells, first.state_size), dtype)
        at = 2 if coupled else 3
        self._around = self._u[:, at : at + walls]
        if coupled:
            spare = np.empty((1, first.output_size), dtype)
            each = [slice(i, i + 1) for i in range(cells)]
            self._calls: list[tuple[Any, ...]] = [(self._u[i], self._z[i], spare, self._states[i]) for i in each]
        else:
            self._calls = [(self._u[None], self._z[None], None, self._states[None])]

    def begin(self, start_K: Array, soc: float) -> None:
        """Start every cell."""
        for row, kelvin in zip(self._states, start_K.tolist(), strict=True):
            row[:] = self._start(kelvin, soc)
        if isinstance(self.form, CoupledForm):
            for kernel, row in zip(self._kernels, self._states, strict=True):
                kernel.write(row)
        else:
            self._kernels[0].write(self._states)

    def _start(self, kelvin: float, soc: float) -> Any:
        form, real = self.form, self.observer.real
        if isinstance(form, CoupledForm):
            return form.start_row(form.observer.filter.reference_K if np.isnan(kelvin) else kelvin, soc)
        return start_row(self.observer, form, form.cell.reference_K if np.isnan(kelvin) else kelvin, soc, real)

    def advance(self, readings: Readings) -> Array:
        """Take a step with every cell."""
        self._u[:, 0] = readings.current_A
        self._u[:, 1] = readings.voltage_V
        self._around[:] = readings.ambient_K
        self._z[:] = readings.surfaces_K
        for kernel, call in zip(self._kernels, self._calls, strict=True):
            kernel.run(*call)
        return self._read(self._states)

    @property
    def states(self) -> Array:
        """States of the cells ``(cells, numbers)`` as they are now, a copy."""
        return self._states.copy()
