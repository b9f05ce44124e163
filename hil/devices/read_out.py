"""What the exported C's ``<name>_get`` reads out of a state, for many cells at once and to the same bit."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bmsthermal.curves import Array
from bmsthermal.faults import CELL, CODE, HOT, SENSOR
from bmsthermal.fixed import PackedFixed
from bmsthermal.joint_packing import PackedJoint
from bmsthermal.observer import Observer
from firmware_export.form import Form
from firmware_export.form_coupled import CoupledForm

Row = NDArray[np.floating]


class ReadOut:
    """Core, its variance and what the watch found, of states of a kernel.

    Sums are taken one product after another, in the state's precision, as `firmware_export.form.read_out` takes them.

    Parameters
    ----------
    form
        How the state is kept.
    observer
        Whose it is.
    dtype
        Precision of the kernel.
    """

    def __init__(self, form: Form | CoupledForm, observer: Observer, dtype: type[np.floating]) -> None:
        self.form, self.sensors, self.dtype = form, len(observer.measured), dtype
        own: Any
        if isinstance(form, CoupledForm):
            filter_, thermal, packed = form.observer.filter, form.observer.coupled.thermal, form.packed
            self._x = slice(filter_.first, filter_.n)
            self._rows = np.array([thermal.outputs[0], thermal.step.wall[:, 0]], dtype)
            self._reference, own = dtype(filter_.reference_K), packed
            self._kind, self._factors, self._states = "ud", form.states + 2, form.states
        else:
            cell, n = form.cell, len(form.cell.decay)
            self._x, self._rows = slice(0, n), np.array([cell.core, cell.wall[0]], dtype)
            self._reference, own = dtype(cell.reference_K), cell
            self._kind = "fixed" if isinstance(form.packed, PackedFixed) else form.name
            states = observer.layout.states if form.name == "ud" else n  # type: ignore[attr-defined]
            self._factors, self._states = (2 * states if form.name == "ud" else n), states
        self._gradient, self._offset = dtype(own.gradient_variance), dtype(own.offset_variance)
        self._whole = np.zeros(self._states, dtype)
        self._whole[self._x] = self._rows[0]

    @cached_property
    def _watch(self) -> slice | None:
        """Where the watch's numbers are, from behind."""
        if isinstance(self.form, Form) and isinstance(self.form.packed, PackedJoint) and self.form.packed.rules:
            return slice(-3 - CELL - SENSOR * self.sensors, -3)
        return None

    @cached_property
    def _places(self) -> NDArray[np.int_]:
        """Place of each number of the covariance ``(n, n)`` in a state, on and above the diagonal; 0 elsewhere.

        In columns: factors are kept so, and of a packed covariance the lower triangle is turned over.
        """
        n = self._states
        places, found = np.zeros((n, n), int), self._factors + np.arange(n * (n + 1) // 2)
        if self._kind == "ud":
            places[np.triu_indices(n)] = found
        else:
            places.T[np.tril_indices(n)] = found
        return places

    @cached_property
    def _weights(self) -> Row:
        """What each of these numbers counts in a column's sum ``(n, n)``: nothing on and below the diagonal."""
        weights: Row = np.triu(np.broadcast_to(self._whole[:, None], (self._states, self._states)), 1)
        return weights

    def __call__(self, states: Row) -> Array:
        """Rows as of `hil.devices.numbers` ``(cells, 3 + sensors)`` of states ``(cells, numbers)``."""
        said = np.zeros((len(states), 3 + self.sensors))
        x = states[:, None, self._x]
        sums = np.add.accumulate(self._rows * x, axis=2)[:, :, -1]
        above, gradient = sums[:, 0], sums[:, 0] - sums[:, 1]
        said[:, 0] = self._reference + above
        unsure = self._gradient * (gradient * gradient)
        if self._kind == "fixed":
            packed = self.form.packed
            assert isinstance(packed, PackedFixed)
            said[:, 1] = self.dtype(packed.core_variance_K2) + unsure
            return said
        said[:, 1] = self._spread(states) + unsure + self._offset
        if self._watch is not None:
            watch = states[:, self._watch]
            said[:, 2:-1] = watch[:, CELL + CODE :: SENSOR]
            said[:, -1] = watch[:, HOT]
        return said

    def _spread(self, states: Row) -> Row:
        """``row P row'``, as ``spread`` of observer.h and of ud.h."""
        row, n = self._whole, self._states
        diagonal = states[:, self._places.diagonal()]
        parts = np.empty((len(states), n + 1, n), self.dtype)
        parts[:, 0] = row if self._kind == "ud" else (self.dtype(0.5) * row) * diagonal
        np.multiply(self._weights, states[:, self._places], out=parts[:, 1:])
        f = np.add.accumulate(parts, axis=1)[:, -1]
        terms = diagonal * f * f if self._kind == "ud" else row * f
        total: Row = np.add.accumulate(terms, axis=1)[:, -1]
        return total if self._kind == "ud" else total + total
