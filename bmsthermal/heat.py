r"""Heat from what a battery management system measures: current, voltage and temperature.

.. math:: Q = I\,(E_\mathrm{oc} - V) - I\,T\,\frac{dE_\mathrm{oc}}{dT}

(Bernardi, Pawlikowski & Newman 1985, eq. 27, without mixing and phase change),
with positive current discharging the cell and both coefficients taken at the
state of charge that coulomb counting gives.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from bmsthermal.cell import Cell
from bmsthermal.curves import Array
from bmsthermal.errors import InputError

GAS_CONSTANT_J_molK = 8.31446261815324
FARADAY_C_mol = 96485.33212331
#: Points of the tables on the target, evenly spaced over SOC 0 to 1.
TABLE_POINTS = 65
#: How far a rest voltage may be off the open-circuit curve: hysteresis and relaxation, in V.
REST_BLUR_V = 0.025


def check_soc(initial_soc: float) -> float:
    """Return a state of charge that a run may start from.

    Raises
    ------
    InputError
        If it is not from 0 to 1.
    """
    if not 0.0 <= initial_soc <= 1.0:
        raise InputError(f"initial SOC {initial_soc!r}", expected="0 to 1")
    return float(initial_soc)


@dataclass(frozen=True)
class MeasuredHeat:
    """Heat as a function of current, voltage, state of charge and temperature.

    Parameters
    ----------
    cell
        The cell; it needs ``Open-circuit voltage [V]`` against SOC. A missing
        entropic coefficient counts as zero.
    """

    cell: Cell

    @cached_property
    def soc(self) -> Array:
        """Support of the tables, ``(TABLE_POINTS,)``."""
        return np.linspace(0.0, 1.0, TABLE_POINTS)

    @cached_property
    def open_circuit_V(self) -> Array:
        """Open-circuit voltage at `soc`."""
        return self.cell.curve("Open-circuit voltage [V]")(self.soc)

    @cached_property
    def entropy_V_K(self) -> Array:
        """Entropic coefficient of the full cell at `soc`."""
        return self.cell.curve("Entropic change coefficient [V.K-1]", 0.0)(self.soc)

    def heat_W(self, current_A: ArrayLike, voltage_V: ArrayLike, soc: ArrayLike, T_K: ArrayLike) -> Array:
        """Heat released in W, irreversible and reversible."""
        I, V, T = (np.asarray(v, float) for v in (current_A, voltage_V, T_K))  # noqa: E741
        E, dE = self._table(self.open_circuit_V, soc), self._table(self.entropy_V_K, soc)
        return np.asarray(I * (E - V) - I * T * dE)

    def slope_W_K(self, current_A: ArrayLike, soc: ArrayLike) -> Array:
        """Derivative of the heat with respect to temperature."""
        return -np.asarray(current_A, float) * self._table(self.entropy_V_K, soc)

    def voltage_V(self, current_A: ArrayLike, soc: ArrayLike, T_K: ArrayLike) -> Array:
        """Terminal voltage of the open circuit behind the DC resistance, for runs that have none."""
        I = np.asarray(current_A, float)  # noqa: E741
        return self._table(self.open_circuit_V, soc) - I * self.resistance_Ohm(soc, T_K)

    def resistance_Ohm(self, soc: ArrayLike, T_K: ArrayLike) -> Array:
        """DC resistance at state of charge and temperature (Arrhenius from the reference temperature)."""
        Ea, T_ref = self.cell.resistance_activation_J_mol, self.cell.reference_K
        at_reference = self.cell.curve("DC resistance [Ohm]")(soc)
        return at_reference * np.exp(Ea / GAS_CONSTANT_J_molK * (1 / np.asarray(T_K, float) - 1 / T_ref))

    def soc_after(self, soc: float, current_A: float, seconds: float) -> float:
        """State of charge after a current has flowed: coulomb counting, held inside 0 to 1."""
        return float(min(max(soc - current_A * seconds / (3600.0 * self.cell.capacity_Ah), 0.0), 1.0))

    def start_soc(self, current_A: float, voltage_V: float) -> tuple[float, float]:
        """State of charge at the first row of a run, and how far it may be off.

        Returns
        -------
        soc, uncertainty
            From the voltage behind the DC resistance, which is trusted to half
            of its drop; 0.5, 0.5 where current, voltage or resistance is unknown.
        """
        if not np.isfinite([current_A, voltage_V]).all():
            return 0.5, 0.5
        if abs(current_A) < 0.02 * self.cell.capacity_Ah:
            return self.soc_of_rest(voltage_V, REST_BLUR_V)
        if "DC resistance [Ohm]" not in self.cell.thermal:
            return 0.5, 0.5
        drop_V = current_A * float(self.resistance_Ohm(0.5, self.cell.reference_K))
        return self.soc_of_rest(voltage_V + drop_V, REST_BLUR_V + abs(drop_V) / 2)

    def soc_of_rest(self, voltage_V: float, blur_V: float = 0.01) -> tuple[float, float]:
        """State of charge whose open-circuit voltage is `voltage_V`, and how far `blur_V` smears it.

        Returns
        -------
        soc, uncertainty
            The middle of the range of SOC whose open-circuit voltage is within
            `blur_V`, and half its width: 0.2 on the plateau of an LFP cell, 0.5
            for a voltage that is not on the curve.
        """
        grid = np.linspace(0.0, 1.0, 2001)
        within = np.abs(self.cell.curve("Open-circuit voltage [V]")(grid) - voltage_V) <= blur_V
        if not within.any():
            return 0.5, 0.5
        low, high = grid[within][[0, -1]]
        return float((low + high) / 2), float((high - low) / 2)

    def _table(self, values: Array, soc: ArrayLike) -> Array:
        return np.asarray(np.interp(np.asarray(soc, float), self.soc, values))
