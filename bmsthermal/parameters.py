"""What calibration may change: ten numbers with their priors, thirteen in r-z, and the reduced models they span."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Literal, NamedTuple

import numpy as np

from bmsthermal.cell import Cell
from bmsthermal.coupled import CoupledModel
from bmsthermal.curves import Array
from bmsthermal.errors import InputError
from bmsthermal.reduction import ReducedModel
from bmsthermal.schema import AXIAL
from bmsthermal.sensors import sensor_walls, sensor_weights
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
    """One setting of the numbers; the first six change the observer, the next four are noise of the fit.

    In r-z three more change the observer: the conductivity along the axis, and the coefficients of the ends over
    that of the side.
    """

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
    axial_W_mK: float = 0.0
    bottom: float = 1.0
    top: float = 1.0

    @property
    def physical(self) -> Values:
        """Same observer, whatever the fit thinks of its errors: the noise of the fit is 0."""
        return self._replace(slow_heat=0.0, white_heat_rts=0.0, discrepancy_K=0.0, lag_s=0.0)


#: Which of the `Values` are noise of the fit: the others the observer itself has.
NOISES = slice(6, 10)


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


def priors(cell: Cell, thermal: str | None = None) -> tuple[Prior, ...]:
    """Priors in the order of `Values`.

    Conductivity and heat capacity are the file's, with its ``Relative standard
    deviation``; the heat-transfer coefficient belongs to the rig, so that its
    value is the file's and its spread a factor of e. So is what the ends of
    a cylinder have in r-z, over that of the side: leads and clamps sit there.

    Raises
    ------
    InputError
        If the heat-transfer coefficient is 0, which has no logarithm.
    """
    h = cell.h_W_m2K[cell.walls[0]]
    if not all(value > 0 for value in cell.h_W_m2K.values()):
        where = f"{cell.name}, {COEFFICIENT!r}"
        raise InputError("found 0", where=where, expected="a rough guess of the cooling")
    key = CONDUCTIVITY[cell.form]
    k, k_spread = float(cell.thermal[key]), cell.spread.get(key, CONDUCTIVITY_SPREAD)
    specific_heat = float(np.hypot(cell.spread.get(SPECIFIC_HEAT, SPECIFIC_HEAT_SPREAD), HEAT_SCALE_ERROR))
    ends: list[Prior] = []
    if thermal == "r-z":
        axial, spread = float(cell.thermal[AXIAL]), cell.spread.get(AXIAL, CONDUCTIVITY_SPREAD)
        ends = [Prior(AXIAL.split(" [")[0], "W/mK", axial, spread, "log")]
        ends += [
            Prior(f"{COEFFICIENT.split(' [')[0]} of {end} over side", "1", cell.h_W_m2K.get(end, h) / h, 1.0, "log")
            for end in ("bottom", "top")
        ]  # fmt: skip
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
        *ends,
    )


class Family:
    """The reduced models of one cell over conductivity, heat capacity and cooling.

    Both conduction operators are affine in conductivity and heat capacity of
    the roll, can and contact included, so that the full model is assembled
    three times and never again. The basis is that of the cell as given. In
    r-z, where the film along a wall is in the operators too, each is reduced.

    Parameters
    ----------
    cell
        The cell as given.
    order, step_s
        Of the reduced model.
    reference_K
        Mean temperature of the data: a shift of the enthalpy voltage over it is one of the entropic curve.
    thermal
        ``r-z``, or None for one dimension.
    sensors
        Names of the surface sensors.
    """

    def __init__(
        self,
        cell: Cell,
        order: int,
        step_s: float,
        reference_K: float,
        thermal: str | None = None,
        sensors: Sequence[str] = ("surface",),
    ) -> None:
        full = CoupledModel(cell, heat="measured", thermal=thermal)
        self.cell, self.reference_K = cell, reference_K
        self.base = full.reduce_conduction(order, step_s=step_s)
        self.conductivity = CONDUCTIVITY[cell.form]
        k, c = float(cell.thermal[self.conductivity]), float(cell.lumped[SPECIFIC_HEAT])
        V = self.base.shapes

        def twice(key: str, value: float) -> PassiveSystem:
            return replace(full, cell=cell.with_values({key: 2 * value})).system

        self._dK = V.T @ (twice(self.conductivity, k).K - full.system.K) @ V
        self._dM = V.T @ (twice(SPECIFIC_HEAT, c).M - full.system.M) @ V
        self._k, self._c, self._h = k, c, cell.h_W_m2K[cell.walls[0]]
        self.walls, self.thermal = sensor_walls(self.base, sensors), thermal
        if thermal == "r-z":
            self._weights = sensor_weights(self.base, sensors)
            self._made = lru_cache(maxsize=64)(self._reduce)

    @property
    def keys(self) -> tuple[str, ...]:
        """Keys of the file that change."""
        keys = (self.conductivity, SPECIFIC_HEAT, COEFFICIENT, ENTROPY, SHARE)
        return (*keys, AXIAL) if self.thermal == "r-z" else keys

    def modal(self, values: Values) -> tuple[PassiveSystem, Array]:
        """Reduced system at `values` in its own modes, and the shapes ``(n, r)`` that lift it back."""
        if self.thermal == "r-z":
            still = dict.fromkeys(("enthalpy_V", "ambient_share", "ambient_K"), 0.0)
            made = self._made(values.physical._replace(**still))
            return made.modal, made.shapes
        base = self.base.modal
        K = base.K + (values.conductivity_W_mK / self._k - 1.0) * (self._dK + self._dK.T) / 2
        M = base.M + (values.specific_heat_J_kgK / self._c - 1.0) * (self._dM + self._dM.T) / 2
        modal, shapes = replace(base, M=M, K=K).modal()
        return modal, self.base.shapes @ shapes

    def _reduce(self, values: Values) -> ReducedModel:
        full = CoupledModel(self.changed(values), heat="measured", thermal=self.thermal)
        return full.reduce_conduction(self.base.order, step_s=self.base.step_s)

    def seen(self, modal: PassiveSystem, shapes: Array) -> Array:
        """Temperature at each sensor, of the modes and shapes that `modal` returned, ``(r, m)``."""
        return modal.E[:, self.walls] if self.thermal != "r-z" else np.asarray((self._weights @ shapes).T)

    def conductance_W_K(self, values: Values) -> Array:
        """Heat-transfer coefficient times area of each face, ``(w,)``: all faces of one dimension scale together."""
        if self.thermal == "r-z":
            return values.h_W_m2K * np.array([1.0, values.bottom, values.top]) * self.base.areas_m2
        return self.base.conductance_W_K * (values.h_W_m2K / self._h)

    def reduced(self, values: Values) -> ReducedModel:
        """Return the model that an observer of this setting runs on."""
        modal, shapes = self.modal(values)
        return replace(self.base, cell=self.changed(values), modal=modal, shapes=shapes)

    def changed(self, values: Values, digits: int | None = None) -> Cell:
        """Return the cell at `values`, rounded to `digits` if it is to be written."""

        def short(value: float) -> float:
            return value if digits is None else float(f"{value:.{digits}g}")

        scale = values.h_W_m2K / self._h
        h, more = {wall: short(h * scale) for wall, h in self.cell.h_W_m2K.items()}, {}
        if self.thermal == "r-z":
            h = {"side": values.h_W_m2K, "bottom": values.h_W_m2K * values.bottom, "top": values.h_W_m2K * values.top}
            h, more = {wall: short(value) for wall, value in h.items()}, {AXIAL: short(values.axial_W_mK)}
        return self.cell.with_values({
            self.conductivity: short(values.conductivity_W_mK),
            SPECIFIC_HEAT: short(values.specific_heat_J_kgK),
            COEFFICIENT: h,
            ENTROPY: self._entropy(values.enthalpy_V, digits),
            SHARE: short(values.ambient_share),
            **more,
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
