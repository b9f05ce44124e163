"""How the filter on a reduced cell is kept on a target: state and output number by number, and its run in Python."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from bmsthermal.curves import Array
from bmsthermal.packing import HOST_SENSORS
from bmsthermal.reduced.filter_packing import PackedFilter
from bmsthermal.reduced.packing import WALLS
from firmware_export.form import Number, Row
from firmware_export.render import DTYPES, Real

if TYPE_CHECKING:
    from bmsthermal._cell_filter import Kernel
    from bmsthermal.reduced.observing import CoupledObserver

#: Texts of the kernel, by package, in the order in which they are included.
KERNEL = {
    "real.h": "rom.kernel", "elementary.h": "rom.kernel", "step.h": "rom.kernel", "ud.h": "rom.kernel",
    "cell.h": "bmsthermal.kernel", "cell_model.h": "bmsthermal.kernel", "electrode.h": "bmsthermal.kernel",
    "cell_filter.h": "bmsthermal.kernel",
}  # fmt: skip


@dataclass(frozen=True)
class CoupledForm:
    """A filter on a reduced cell in the precision of a target.

    Parameters
    ----------
    observer
        The observer.
    real
        Number type.
    """

    observer: CoupledObserver
    real: Real

    @property
    def dtype(self) -> type[np.float32] | type[np.float64]:
        """Number type as NumPy has it."""
        return DTYPES[self.real]

    @cached_property
    def packed(self) -> PackedFilter:
        """The constants."""
        return self.observer.packed_filter

    @property
    def states(self) -> int:
        """States of the filter: the cell's, resistance and voltage error."""
        return self.observer.filter.n + 2

    @property
    def state(self) -> tuple[Number, ...]:
        """Members of the struct of the state, in their order."""
        n = self.states
        return (
            Number("x", n, f"{self.observer.coupled.sizes}, backwards; then resistance in Ohm, voltage error in V"),
            Number("carry", 2, "what rounding took from lithium and resistance"),
            Number("ud", n * (n + 1) // 2, "U and, on its diagonal, D of the covariance, by rows"),
        )

    @property
    def output(self) -> tuple[Number, ...]:
        """Members of the struct of the output, in their order."""
        walls, m = self.observer.coupled.thermal.walls, len(self.observer.measured)
        return (
            Number("core_K", None, "by _get, from here"), Number("core_variance_K2", None, "of the core"),
            Number("mean_K", None, "over the heat capacity"), Number("surface_K", None, f"at the wall {walls[0]}"),
            Number("surface_variance_K2", None, "of the surface"), Number("soc", None, "state of charge"),
            Number("soc_variance", None, "of it"), Number("resistance_Ohm", None, "in series beside the model's"),
            Number("resistance_variance_Ohm2", None, "of it"),
            Number("voltage_error_V", None, "what the model's voltage is off by for minutes"),
            Number("voltage_error_variance_V2", None, "of it"),
            Number("heat_W", None, "by _step, from here: released in the step"),
            Number("voltage_innovation_V", None, "reading minus expectation; 0 where absent"),
            Number("voltage_variance_V2", None, "0 where absent"),
            Number("innovation_K", m, "reading minus expectation; 0 where absent"),
            Number("innovation_variance_K2", m, "0 where absent"),
        )  # fmt: skip

    @cached_property
    def start(self) -> Array:
        """Packed factors of the covariance of a start: at the reference temperature, half charged."""
        observer = self.observer.on_target("double")
        return np.array(observer.start(observer.filter.reference_K, 0.5).row[self.states + 2 : -1], float)

    def kernel(self) -> Kernel:
        """Return the compiled filter, with a state of its own."""
        return self.observer.on_target(self.real).kernel()

    def start_row(self, surface_K: float, soc: float) -> Row:
        """State as ``<name>_init`` makes it, operation by operation in the target's precision."""
        number, first = self.dtype, self.observer.filter.first
        row: Row = np.concatenate([np.zeros(self.states + 2), self.start]).astype(number)
        row[0] = self.filling(soc)
        row[first] = number(surface_K) - number(self.observer.filter.reference_K)
        return row

    def filling(self, soc: float) -> np.floating:
        """Filling of the negative particles at a state of charge."""
        number = self.dtype
        return number(self.packed.empty) + number(soc) * number(self.packed.window)

    def inputs(self, u: Row) -> Row:
        """Rows of current, voltage and coolants ``(k, 2 + w)`` as the compiled kernel takes them."""
        room = np.full((len(u), 2 + WALLS), np.nan, self.dtype)
        room[:, : u.shape[1]] = u
        return room

    def run(self, u: Row, z: Row, surface_K: float, soc: float) -> tuple[Row, Row]:
        """States ``(k, s)`` and outputs ``(k, o)`` that a target has along inputs ``(k, 2 + w)`` and sensors."""
        kernel = self.kernel()
        kernel.write(self.start_row(surface_K, soc))
        past = np.empty((len(u), kernel.state_size), self.dtype)
        out = np.empty((len(u), kernel.output_size), self.dtype)
        kernel.run(self.inputs(u), np.ascontiguousarray(z, self.dtype), out, past)
        return past, self.read_out(past, out)

    def read_out(self, state: Row, out: Row) -> Row:
        """Outputs ``(k, o)`` of states and what the kernel said, as ``<name>_get`` has them, in their precision."""
        number, n, m, packed = state.dtype.type, self.states, len(self.observer.measured), self.packed
        first, last = self.observer.filter.first, self.observer.filter.n
        thermal, x = self.observer.coupled.thermal, state[:, first:last].T
        wall, core, mean = (
            row.astype(number) for row in (thermal.step.wall[:, 0], thermal.outputs[0], thermal.outputs[1])
        )
        zero_K, window = number(self.observer.filter.reference_K), number(packed.window)
        both = np.zeros((n, n, len(state)), number)
        both[np.triu_indices(n)] = state[:, n + 2 :].T

        def read(row: Row) -> tuple[Row, Row]:
            above = _sum(row, x)
            gradient = above - _sum(wall, x)
            whole = np.zeros(n, number)
            whole[first:last] = row
            spread = np.zeros(len(state), number)
            for j in range(n):
                f = np.full(len(state), whole[j])
                for i in range(j):
                    f = f + whole[i] * both[i, j]
                spread = spread + both[j, j] * f * f
            unsure = number(packed.gradient_variance) * (gradient * gradient)
            return zero_K + above, spread + unsure + number(packed.offset_variance)

        def variance(i: int) -> Row:
            total: Row = both[i, i]
            for j in range(i + 1, n):
                total = total + both[j, j] * both[i, j] * both[i, j]
            return total

        columns = [
            *read(core), _sum(mean[1:], x[1:], mean[0] * x[0]) + zero_K, *read(wall),
            (state[:, 0] - number(packed.empty)) / window, variance(0) / (window * window),
            state[:, last], variance(last), state[:, last + 1], variance(last + 1),
            *out[:, :3].T, *out[:, 3 : 3 + m].T, *out[:, 3 + HOST_SENSORS : 3 + HOST_SENSORS + m].T,
        ]  # fmt: skip
        return np.column_stack(columns)


def _sum(a: Row, b: Row, start: Row | None = None) -> Row:
    """Scalar products of a row with columns, one product after another, from 0 or a start on."""
    total: Row = np.zeros(b.shape[1], a.dtype) if start is None else start
    for k in range(len(a)):
        total = total + a[k] * b[k]
    return total
