"""The self-test: a short run of the Python build, whose bits the target has to reproduce.

It passes every point of the tables and every way in which an input can be
absent, so that a constant that was changed shows in the state.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bmsthermal.observer import Observer
from bmsthermal.packing import Packed
from firmware_export.form import Form, Row, read_out, start_row
from firmware_export.render import DTYPES, Real

#: Steps between two looks at the state.
STRIDE = 6
START_SOC = 0.5


@dataclass(frozen=True)
class Vectors:
    """Inputs of a short run and what it leads to, in the precision of the target.

    Parameters
    ----------
    start_K, start_soc
        Where it starts.
    soc
        State of charge set before each step ``(k,)``, NaN: goes on.
    inputs
        Current, voltage, heat, coolants and conductances ``(k, 3 + 2 w)``, NaN: absent.
    surface_K
        Measurements ``(k, m)``, NaN: absent.
    checked
        After how many steps the state is looked at ``(c,)``.
    expected
        State and output there ``(c, s + o)``.
    """

    start_K: float
    start_soc: float
    soc: Row
    inputs: Row
    surface_K: Row
    checked: NDArray[np.int_]
    expected: Row

    def rows(self) -> Iterator[dict[str, Any]]:
        """Each step by the names of its numbers, with the number of the look after it, or 0."""
        walls = (self.inputs.shape[1] - 3) // 2
        for k, u in enumerate(self.inputs):
            at = np.flatnonzero(self.checked == k + 1)
            yield {
                "soc": self.soc[k], "current_A": u[0], "voltage_V": u[1], "heat_W": u[2],
                "coolant_K": u[3 : 3 + walls], "conductance_W_K": u[3 + walls :],
                "surface_K": self.surface_K[k], "look": int(at[0]) + 1 if len(at) else 0,
            }  # fmt: skip


def vectors(observer: Observer, form: Form, real: Real) -> Vectors:
    """Run the Python build over the self-test."""
    packed, dtype = form.cell, DTYPES[real]
    soc, u, z, start_K = _plan(packed, observer.reduced.cell.capacity_Ah)
    soc, u, z = soc.astype(dtype), u.astype(dtype), z.astype(dtype)
    layout = getattr(observer, "layout", None)
    kernel = form.engine(dtype, z.shape[1])
    walls = len(packed.wall)
    taken = form.taken(walls)
    u[:, ~taken] = np.nan
    state = start_row(observer, form, start_K, START_SOC, real)[None, :]
    out = np.zeros((1, 1, kernel.output_size), dtype)
    checked, expected = [], []
    for k in range(len(u)):
        state[0, form.soc_at] = state[0, form.soc_at] if np.isnan(soc[k]) else soc[k]
        kernel.write(state)
        kernel.run(u[None, None, k], z[None, None, k], out)
        kernel.read(state)
        if (k + 1) % STRIDE == 0 or k + 1 == len(u):
            checked.append(k + 1)
            expected.append(
                np.concatenate([form.kept(state[0]), read_out(form, layout, state[0], out[0, 0], z.shape[1])])
            )
    return Vectors(start_K, START_SOC, soc, u, z, np.array(checked), np.array(expected))


def _plan(packed: Packed, capacity_Ah: float) -> tuple[Row, Row, Row, float]:
    """State of charge to set, inputs, measurements, and the temperature to start from."""
    walls, sensors = len(packed.wall), len(packed.sense)
    last = int(packed.table_last)
    start_K = round(packed.reference_K + 2.0, 2)
    # half-way and a half between every other pair of points, then the last point: every point counts
    soc = np.append((np.arange(0, last, 2) + 0.5) / last, 1.0)
    sweep = len(soc)
    soc = np.concatenate([soc, np.full(8, np.nan), [0.0, 1.0]])
    k = np.arange(len(soc))
    u = np.full((len(k), 3 + 2 * walls), np.nan)
    amps = np.round(capacity_Ah * np.array([2.0, -1.0, 3.0, 0.5]), 2)
    u[:, 0] = amps[k % 4]
    grid = np.linspace(0.0, 1.0, last + 1)
    open_V = np.interp(np.where(np.isnan(soc), 0.5, soc), grid, packed.open_circuit_V)
    u[:, 1] = np.round(open_V - 0.05 * np.sign(u[:, 0]), 3)
    for w in range(walls):
        u[:, 3 + w] = start_K - 6.0 - w + 0.5 * (k % 5)
    z = np.round(start_K + 0.03 * k[:, None] + 0.2 * ((k[:, None] * 7 + np.arange(sensors) * 3) % 5 - 2), 2)
    z[k % 7 == 3, 0] = np.nan
    z[k % 11 == 6] = np.nan

    u[sweep, 1] = np.nan  # no voltage
    u[sweep + 1, 0] = np.nan  # no current
    u[sweep + 2, 2] = 3.5  # heat known otherwise
    u[sweep + 3, 3] = np.nan  # no coolant at the first wall
    u[sweep + 4, 3 + walls :] = 2.0 * packed.conductance_W_K + 0.25  # a fan came on
    u[sweep + 5, 3 + walls :] = 0.0  # insulated
    u[sweep + 6], z[sweep + 6] = np.nan, np.nan  # nothing at all
    u[sweep + 7, :2], z[sweep + 7] = 1e9, -1e9  # wires shorted
    u[sweep + 8, 0] = 500.0 * capacity_Ah  # beyond empty
    u[sweep + 9, 0] = -500.0 * capacity_Ah  # beyond full
    u[sweep + 8 :, 2] = 0.0
    return soc, u, z, start_K
