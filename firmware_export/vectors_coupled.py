"""The self-test of an exported filter on a reduced cell: a short run of the Python build and its bits."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from firmware_export.form import Row
from firmware_export.form_coupled import CoupledForm

#: Steps between two looks at the state, and steps that go through the range of charge.
STRIDE, SWEEP = 4, 48
START_SOC = 0.5


@dataclass(frozen=True)
class CoupledVectors:
    """Inputs of a short run and what it leads to, in the precision of the target.

    Parameters
    ----------
    start_K, start_soc
        Where it starts.
    filling
        Of the negative particles, set before each step ``(k,)``; NaN: goes on.
    inputs
        Current, voltage and coolants ``(k, 2 + w)``, NaN: absent.
    surface_K
        Measurements ``(k, m)``, NaN: absent.
    checked
        After how many steps the state is looked at ``(c,)``.
    expected
        State and output there ``(c, s + o)``.
    """

    start_K: float
    start_soc: float
    filling: Row
    inputs: Row
    surface_K: Row
    checked: NDArray[np.int_]
    expected: Row

    def rows(self) -> Iterator[dict[str, Any]]:
        """Each step by the names of its numbers, with the number of the look after it, or 0."""
        for k, u in enumerate(self.inputs):
            at = np.flatnonzero(self.checked == k + 1)
            yield {
                "filling": self.filling[k], "current_A": u[0], "voltage_V": u[1], "coolant_K": u[2:],
                "surface_K": self.surface_K[k], "look": int(at[0]) + 1 if len(at) else 0,
            }  # fmt: skip


def coupled_vectors(form: CoupledForm) -> CoupledVectors:
    """Run the Python build over the self-test."""
    filling, u, z, start_K = _plan(form)
    kernel, row = form.kernel(), form.start_row(start_K, START_SOC)
    out = np.empty((1, kernel.output_size), form.dtype)
    checked, expected = [], []
    for k in range(len(u)):
        row[0] = row[0] if np.isnan(filling[k]) else filling[k]
        kernel.write(row)
        kernel.run(form.inputs(u[k : k + 1]), np.ascontiguousarray(z[k : k + 1]), out)
        kernel.read(row)
        if (k + 1) % STRIDE == 0 or k + 1 == len(u):
            checked.append(k + 1)
            expected.append(np.concatenate([row, form.read_out(row[None], out)[0]]))
    return CoupledVectors(start_K, START_SOC, filling, u, z, np.array(checked), np.array(expected))


def _plan(form: CoupledForm) -> tuple[Row, Row, Row, float]:
    """Filling to set, inputs, measurements, and the temperature to start from."""
    observer, dtype = form.observer, form.dtype
    walls, sensors = len(observer.coupled.thermal.walls), len(observer.measured)
    start_K = round(observer.filter.reference_K + 2.0, 2)
    soc = np.concatenate([np.linspace(0.99, 0.01, SWEEP), np.full(9, np.nan)])
    filling: Row = np.array([np.nan if np.isnan(each) else form.filling(each) for each in soc], dtype)
    k = np.arange(len(soc))
    u: Row = np.full((len(k), 2 + walls), np.nan)
    u[:, 0] = np.round(observer.filter.capacity_Ah * np.array([1.0, -0.5, 2.0, 0.2]), 3)[k % 4]
    open_V = observer.coupled.cell.electrochemistry.open_circuit_V
    u[:, 1] = np.round(open_V(np.where(np.isnan(soc), 0.5, soc)) - 0.05 * np.sign(u[:, 0]), 3)
    for w in range(walls):
        u[:, 2 + w] = start_K - 6.0 - w + 0.5 * (k % 5)
    z: Row = np.round(start_K + 0.03 * k[:, None] + 0.2 * ((k[:, None] * 7 + np.arange(sensors) * 3) % 5 - 2), 2)
    z[k % 7 == 3, 0] = np.nan
    z[k % 11 == 6] = np.nan
    u[SWEEP, 1] = np.nan  # no voltage
    u[SWEEP + 1, 0] = np.nan  # no current
    u[SWEEP + 2, 2] = np.nan  # no coolant at the first wall
    u[SWEEP + 3], z[SWEEP + 3] = np.nan, np.nan  # nothing at all
    u[SWEEP + 4, :2], z[SWEEP + 4] = 1e9, -1e9  # wires shorted
    filling[SWEEP + 5 :: 2] = form.filling(0.5)
    u[SWEEP + 6, 0] = 20.0 * observer.filter.capacity_Ah  # more than it was made for
    return filling, u.astype(dtype), z.astype(dtype), start_K
