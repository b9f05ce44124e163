"""The open-circuit voltage and the capacity of a cell, from one slow discharge and perhaps the charge after it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from bmsthermal.cell import Cell
from bmsthermal.curves import Array, thin
from bmsthermal.errors import InputError
from bmsthermal.files import ZERO_DEGC_K
from bmsthermal.heat import MeasuredHeat
from bmsthermal.run import Run
from bmsthermal.schema import OPEN_CIRCUIT, RESISTANCE

#: Fastest rate in 1/h that counts as slow, and smallest share of the nominal capacity that counts as whole.
SLOW_RATE, WHOLE = 0.12, 0.7
#: How far the charge may be from the discharge, as a share, for the two to be at the same states of charge.
ALIKE = 0.03
#: Rows of the table, and how far it may be from the measured curve, in V.
ROWS, TABLE_V = 201, 5e-4
MOST_POINTS = 100
CAPACITY = "Nominal cell capacity [A.h]"


@dataclass(frozen=True, repr=False)
class OpenCircuit:
    """What a slow run says.

    Parameters
    ----------
    soc, voltage_V
        The table ``(k,)``, state of charge from 0 to 1.
    sd_V
        One standard deviation of it ``(k,)``: half of what discharge and charge
        differ by, or the whole drop of the resistance where there is no charge.
    capacity_Ah
        What the discharge took from full to its cut-off: the table's 1.
    temperature_K
        Mean of the surface, else of the ambient.
    notes
        What a person should know before trusting it.
    name
        Of the run.
    """

    soc: Array
    voltage_V: Array
    sd_V: Array
    capacity_Ah: float
    temperature_K: float
    notes: tuple[str, ...]
    name: str

    def __repr__(self) -> str:
        celsius, sd = self.temperature_K - ZERO_DEGC_K, 1e3 * float(np.median(self.sd_V))
        return f"OpenCircuit({self.name}: {self.capacity_Ah:.3f} A.h, +- {sd:.1f} mV at {celsius:.0f} degC)"

    def table(self) -> dict[str, Any]:
        """Return the fewest rows that are the curve to within half a millivolt, as a cell file has them."""
        kept = thin(self.soc, self.voltage_V, TABLE_V, MOST_POINTS)
        rows = np.arange(len(self.soc)) if kept is None else kept
        return {
            "x": [round(float(x), 4) for x in self.soc[rows]],
            "y": [round(float(y), 4) for y in self.voltage_V[rows]],
        }

    def written(self, cell: Cell) -> Cell:
        """Return the cell with this curve, and the capacity that its state of charge counts."""
        how = f"Measured: {self.name}, {self.capacity_Ah:.4f} A.h at {self.temperature_K - ZERO_DEGC_K:.1f} degC, "
        how += f"standard deviation {1e3 * float(np.median(self.sd_V)):.1f} mV"
        sources = dict(cell.thermal.get("Sources", {})) | {
            key: {"description": how} for key in (OPEN_CIRCUIT, CAPACITY)
        }
        capacity = float(f"{self.capacity_Ah:.5g}")
        return cell.with_values({OPEN_CIRCUIT: self.table(), CAPACITY: capacity, "Sources": sources})


def open_circuit(cell: Cell, run: Run) -> OpenCircuit:
    """Read the open-circuit curve off a slow run that begins full, such as C/20 down and up again.

    The discharge gives state of charge and capacity. Where a charge follows
    that takes back what the discharge gave, the curve is the mean of the two at
    equal state of charge; else it is the discharge and the drop of the DC
    resistance of the cell file, or of 0 where it has none.

    Raises
    ------
    InputError
        If no stretch of the run is slow and long enough.
    """
    known = np.isfinite(run.current_A) & np.isfinite(run.voltage_V)
    time_h, amperes, volts = run.time_s[known] / 3600, run.current_A[known], run.voltage_V[known]
    if len(time_h) < 2:
        raise InputError("no row has both current and voltage", where=run.name)
    # a gap in the log carries no charge: nobody knows what flowed
    hours = np.diff(time_h, append=time_h[-1])
    hours[hours > 10 * np.median(hours)] = 0.0
    down = _branch(amperes, hours, 1, cell)
    if down is None:
        raise InputError(
            "no slow whole discharge", where=run.name,
            expected=f"at most {SLOW_RATE:g} of the capacity an hour, over {100 * WHOLE:.0f} % of it",
        )  # fmt: skip
    given = np.cumsum(np.r_[0.0, amperes[down] * hours[down]])
    capacity, soc = float(given[-1]), np.linspace(0.0, 1.0, ROWS)
    falling = np.interp(soc, 1 - given[-2::-1] / capacity, volts[down][::-1])
    notes: list[str] = []
    after = np.arange(len(amperes)) > down[-1]
    up = _branch(np.where(after, amperes, 0.0), hours, -1, cell, least=0.3)
    taken = 0.0 if up is None else float(-(amperes[up] * hours[up]).sum())
    T = _temperature(run, known)
    if up is not None and abs(taken / capacity - 1) <= ALIKE:
        back = np.cumsum(np.r_[0.0, -amperes[up] * hours[up]])[:-1]
        rising = np.interp(soc, back / taken, volts[up])
        voltage, spread = (falling + rising) / 2, np.abs(rising - falling) / 2
    else:
        if up is not None:
            notes.append(
                f"the charge took {taken:.3f} A.h of the {capacity:.3f} that the discharge gave: "
                "the two are not at the same states of charge, so that only the discharge counts"
            )
        drop = _drop(cell, soc, T, float(amperes[down].mean()), notes)
        voltage, spread = falling + drop, drop
    return OpenCircuit(soc, voltage, spread, capacity, T, tuple(notes), run.name)


def _branch(amperes: Array, hours: Array, sign: int, cell: Cell, least: float = WHOLE) -> Any:
    """Rows of the longest stretch of slow current of one sign; None where it is too short."""
    rate = sign * amperes / cell.capacity_Ah
    slow = np.r_[False, (rate > 0.2 * SLOW_RATE) & (rate <= SLOW_RATE), False]
    edges = np.flatnonzero(np.diff(slow.astype(int)))
    stretches = [np.arange(a, b) for a, b in zip(edges[::2], edges[1::2], strict=True)]
    charge = [float((sign * amperes[rows] * hours[rows]).sum()) for rows in stretches]
    if not charge or max(charge) < least * cell.capacity_Ah:
        return None
    return stretches[int(np.argmax(charge))]


def _drop(cell: Cell, soc: Array, T_K: float, current_A: float, notes: list[str]) -> Array:

    if RESISTANCE not in cell.thermal:
        notes.append(f"no {RESISTANCE!r}: the drop of {current_A:.3g} A is left in the open-circuit voltage")
        return np.zeros(soc.shape)
    return current_A * MeasuredHeat(cell).resistance_Ohm(soc, T_K)


def _temperature(run: Run, known: Any) -> float:
    for column in (*run.surfaces_K.values(), run.ambient_K):
        if np.isfinite(column[known]).any():
            return float(np.nanmean(column[known]))
    return 25.0 + ZERO_DEGC_K
