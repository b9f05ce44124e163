"""What calibration may change: ten numbers with their priors, and the reduced models they span."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

import numpy as np

from bmsthermal.cell import Cell
from bmsthermal.coupled import CoupledModel
from bmsthermal.curves import Array
from bmsthermal.errors import InputError
from bmsthermal.reduction import ReducedModel
from rom import PassiveSystem

SPECIFIC_HEAT = "Specific heat capacity [J.K-1.kg-1]"
COEFFICIENT = "Heat transfer coefficient [W.m-2.K-1]"
ENTROPY = "Entropic change coefficient [V.K-1]"
SHARE = "Surface sensor ambient share"
CONDUCTIVITY = {
    "cylinder": "Radial thermal conductivity [W.m-1.K-1]",
    "slab": "Through-plane thermal conductivity [W.m-1.K-1]",
}
#: Spreads where the cell file gives none.
CONDUCTIVITY_SPREAD, SPECIFIC_HEAT_SPREAD = 0.35, 0.1
#: Relative error of current times overvoltage; the surface sees only its ratio to the heat capacity.
HEAT_SCALE_ERROR = 0.03
#: Digits of what is written: more than the fit's tolerance, fewer than two machines' rounding.
DIGITS = 5


class Values(NamedTuple):
    """One setting of the ten numbers; the first six change the observer, the others are noise of the fit."""

    conductivity_W_mK: float
    specific_heat_J_kgK: float
    h_W_m2K: float
    enthalpy_V: float
    ambient_share: float
    ambient_K: float
    slow_heat: float
    white_heat_rts: float
    discrepancy_K: float
    lag_s: float

    @property
    def physical(self) -> Values:
        """Same observer, whatever the fit thinks of its errors: the noise of the fit is 0."""
        return self._replace(slow_heat=0.0, white_heat_rts=0.0, discrepancy_K=0.0, lag_s=0.0)


#: How many of `Values` the observer itself has.
PHYSICAL = 6


@dataclass(frozen=True)
class Prior:
    r"""A number before the data: a function of one standard normal coordinate `z`.

    Parameters
    ----------
    name, unit
        What people call it.
    mean, sd
        ``linear``: of the number; ``log``: its median, and the standard
        deviation of its logarithm; ``share``: not used, the number is
        :math:`0.04\,(z + \sqrt{z^2 + 1/4})`, positive and about half normal
        with a standard deviation of 0.08.
    law
        The function.
    """

    name: str
    unit: str
    mean: float
    sd: float
    law: Literal["linear", "log", "share"]

    def value(self, z: float) -> float:
        """Return the number at coordinate `z`."""
        if self.law == "linear":
            return self.mean + self.sd * z
        if self.law == "log":
            return self.mean * float(np.exp(self.sd * z))
        return 0.04 * (z + float(np.hypot(z, 0.5)))

    def slope(self, z: float) -> float:
        """Change of the number per unit of `z`: turns a deviation of `z` into one of the number."""
        if self.law == "linear":
            return self.sd
        return self.sd * self.value(z) if self.law == "log" else 0.04 * (1.0 + z / float(np.hypot(z, 0.5)))


def priors(cell: Cell) -> tuple[Prior, ...]:
    """Priors in the order of `Values`.

    Conductivity and heat capacity are the file's, with its ``Relative standard
    deviation``; the heat-transfer coefficient belongs to the rig, so that its
    value is the file's and its spread a factor of e.

    Raises
    ------
    InputError
        If the heat-transfer coefficient is 0, which has no logarithm.
    """
    h = cell.h_W_m2K[cell.walls[0]]
    if not all(cell.h_W_m2K[wall] > 0 for wall in cell.walls):
        where = f"{cell.name}, {COEFFICIENT!r}"
        raise InputError("found 0", where=where, expected="a rough guess of the cooling")
    key = CONDUCTIVITY[cell.form]
    k, k_spread = float(cell.thermal[key]), cell.spread.get(key, CONDUCTIVITY_SPREAD)
    specific_heat = float(np.hypot(cell.spread.get(SPECIFIC_HEAT, SPECIFIC_HEAT_SPREAD), HEAT_SCALE_ERROR))
    return (
        Prior(key.split(" [")[0], "W/mK", k, k_spread, "log"),
        Prior(SPECIFIC_HEAT.split(" [")[0], "J/kgK", float(cell.lumped[SPECIFIC_HEAT]), specific_heat, "log"),
        Prior(COEFFICIENT.split(" [")[0], "W/m2K", h, 1.0, "log"),
        # E_oc offset and entropic coefficient are one number while T swings by a few per cent
        Prior("Enthalpy voltage shift", "V", 0.0, 0.05, "linear"),
        Prior(SHARE, "1", 0.0, 0.0, "share"),
        Prior("Ambient offset", "K", 0.0, 0.3, "linear"),
        Prior("Slow relative heat error", "1", 0.05, 1.5, "log"),
        Prior("White relative heat error", "s^0.5", 0.1, 1.5, "log"),
        Prior("Surface discrepancy", "K", 0.1, 1.5, "log"),
        Prior("Surface sensor lag", "s", 3.0, 0.5, "log"),
    )


class Family:
    """The reduced models of one cell over conductivity, heat capacity and cooling.

    Both conduction operators are affine in conductivity and heat capacity of
    the roll, can and contact included, so that the full model is assembled
    three times and never again. The basis is that of the cell as given.

    Parameters
    ----------
    cell
        The cell as given.
    order, step_s
        Of the reduced model.
    reference_K
        Mean temperature of the data: a shift of the enthalpy voltage over it is one of the entropic curve.
    """

    def __init__(self, cell: Cell, order: int, step_s: float, reference_K: float) -> None:
        full = CoupledModel(cell, heat="measured")
        self.cell, self.reference_K = cell, reference_K
        self.base = full.reduce_conduction(order, step_s=step_s)
        self.conductivity = CONDUCTIVITY[cell.form]
        k, c = float(cell.thermal[self.conductivity]), float(cell.lumped[SPECIFIC_HEAT])
        stiffer = CoupledModel(cell.with_values({self.conductivity: 2 * k}), heat="measured").system
        heavier = CoupledModel(cell.with_values({SPECIFIC_HEAT: 2 * c}), heat="measured").system
        V = self.base.shapes
        self._dK = V.T @ (stiffer.K - full.system.K) @ V
        self._dM = V.T @ (heavier.M - full.system.M) @ V
        self._k, self._c, self._h = k, c, cell.h_W_m2K[cell.walls[0]]

    @property
    def keys(self) -> tuple[str, ...]:
        """Keys of the file that change."""
        return (self.conductivity, SPECIFIC_HEAT, COEFFICIENT, ENTROPY, SHARE)

    def modal(self, values: Values) -> tuple[PassiveSystem, Array]:
        """Reduced system at `values` in its own modes, and the shapes ``(n, r)`` that lift it back."""
        base = self.base.modal
        K = base.K + (values.conductivity_W_mK / self._k - 1.0) * (self._dK + self._dK.T) / 2
        M = base.M + (values.specific_heat_J_kgK / self._c - 1.0) * (self._dM + self._dM.T) / 2
        modal, shapes = replace(base, M=M, K=K).modal()
        return modal, self.base.shapes @ shapes

    def conductance_W_K(self, values: Values) -> Array:
        """Heat-transfer coefficient times area of each face, ``(w,)``: all faces scale together."""
        return self.base.conductance_W_K * (values.h_W_m2K / self._h)

    def reduced(self, values: Values) -> ReducedModel:
        """Return the model that an observer of this setting runs on."""
        modal, shapes = self.modal(values)
        base = self.base
        return ReducedModel(self.changed(values), modal, shapes, base.position_m, base.step_s, base.method)

    def changed(self, values: Values, digits: int | None = None) -> Cell:
        """Return the cell at `values`, rounded to `digits` if it is to be written."""

        def short(value: float) -> float:
            return value if digits is None else float(f"{value:.{digits}g}")

        scale = values.h_W_m2K / self._h
        return self.cell.with_values({
            self.conductivity: short(values.conductivity_W_mK),
            SPECIFIC_HEAT: short(values.specific_heat_J_kgK),
            COEFFICIENT: {wall: short(h * scale) for wall, h in self.cell.h_W_m2K.items()},
            ENTROPY: self._entropy(values.enthalpy_V, digits),
            SHARE: short(values.ambient_share),
        })  # fmt: skip

    def _entropy(self, enthalpy_V: float, digits: int | None) -> Any:
        """Entropic curve of the file minus ``enthalpy_V / T``."""
        curve, shift = self.cell.thermal.get(ENTROPY, 0.0), -enthalpy_V / self.reference_K
        if digits is not None:
            shift = float(f"{shift:.{digits}g}")
        if isinstance(curve, str):
            return f"({curve}) + {shift!r}"
        table = curve if not isinstance(curve, int | float) else {"x": [0.0, 1.0], "y": [curve, curve]}
        # twelve decimals: 1e-4 V/K minus 3e-5 V/K is written as 7e-5
        return {"x": list(table["x"]), "y": [round(float(y) + shift, 12) for y in table["y"]]}
