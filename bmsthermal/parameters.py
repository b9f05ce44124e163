"""What calibration may change: ten numbers with their priors, some more if asked for, and the models they span."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Literal, NamedTuple

import numpy as np

from bmsthermal.cell import Cell
from bmsthermal.coupled import CoupledModel
from bmsthermal.curves import Array
from bmsthermal.errors import InputError
from bmsthermal.heat import MeasuredHeat
from bmsthermal.reduction import METHODS, ReducedModel
from bmsthermal.schema import AXIAL, CONTACT
from bmsthermal.sensors import sensor_walls, sensor_weights
from rom import PassiveSystem
from rom.basis import orthonormal

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
#: What may be fitted beside: the contact between roll and can, and the shape of the entropic curve.
EXTRAS = ("contact", "entropy shape")
#: Contact resistance in m2K/W where the file gives none, and the deviation of its logarithm: between a wetted roll that
#: is pressed against its can (1e-4) and a dry one (1.5e-3).
USUAL_CONTACT, CONTACT_SPREAD = 5e-4, 1.0
#: Contacts over that of the file whose shapes a fit may be made of.
CONTACTS = (0.05, 0.3, 4.0, 20.0)
#: Relative deviation of the entropic curve where the file gives none, and that of its tilt and hump in V/K: what
#: tables of one chemistry differ by.
ENTROPY_SPREAD, ENTROPY_SHAPE_V_K = 0.5, 5e-5
#: Points over which a curve that was tilted is written, beside its own.
TILTED_POINTS = 21
#: Digits of what is written: more than the fit's tolerance, fewer than two machines' rounding.
DIGITS = 5


class Values(NamedTuple):
    """One setting of the numbers; the first six change the observer, the next four are noise of the fit.

    In r-z three more change the observer: the conductivity along the axis, and the coefficients of the ends over
    that of the side. So do, where they are asked for, the contact between roll and can, and what the entropic curve of
    the file is multiplied by, tilted by (from -1 to 1 over the charge) and humped by (1 in the middle, -2 at the ends).
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
    contact_m2K_W: float = 0.0
    entropy_scale: float = 1.0
    tilt_V_K: float = 0.0
    hump_V_K: float = 0.0

    @property
    def entropy(self) -> Array:
        """What the reversible heat is linear in, ``(4,)``: 0 leaves the curve of the file."""
        return np.array([self.enthalpy_V, self.entropy_scale - 1.0, self.tilt_V_K, self.hump_V_K])

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
    field
        Its place in `Values`, where that is not the prior's own in the order of priors.
    """

    name: str
    unit: str
    mean: float
    sd: float
    law: Literal["linear", "log", "share"]
    field: str = ""

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


def priors(cell: Cell, thermal: str | None = None, extras: Collection[str] = ()) -> tuple[Prior, ...]:
    """Priors in the order of `Values`, then those of some of `EXTRAS`.

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
    more: list[Prior] = []
    if "contact" in extras:
        contact, log_sd = float(cell.thermal[CONTACT]), cell.spread.get(CONTACT, CONTACT_SPREAD)
        more.append(Prior(CONTACT.split(" [")[0], "m2K/W", contact, log_sd, "log", "contact_m2K_W"))
    if "entropy shape" in extras:
        if MeasuredHeat(cell).entropy_V_K.any():  # nothing times a number is nothing
            scale = cell.spread.get(ENTROPY, ENTROPY_SPREAD)
            more.append(Prior("Entropic curve over the file's", "1", 1.0, scale, "linear", "entropy_scale"))
        more += [
            Prior("Entropic curve, tilt over charge", "V/K", 0.0, ENTROPY_SHAPE_V_K, "linear", "tilt_V_K"),
            Prior("Entropic curve, hump at half charge", "V/K", 0.0, ENTROPY_SHAPE_V_K, "linear", "hump_V_K"),
        ]
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
        *more,
    )


def valued(given: Sequence[Prior], z: Array) -> Values:
    """Return the numbers of priors at coordinates `z` ``(p,)``."""
    fields = [prior.field or own for prior, own in zip(given, Values._fields, strict=False)]
    return Values(**{name: prior.value(float(at)) for name, prior, at in zip(fields, given, z, strict=True)})


def contacted(cell: Cell) -> Cell:
    """Return the cell with a contact resistance to begin from.

    Raises
    ------
    InputError
        If it has no can.
    """
    if not float(cell.thermal.get("Can thickness [m]", 0.0)) > 0:
        raise InputError(
            "a contact resistance without a can", where=cell.name,
            expected="'Can thickness [m]' and what belongs to it",
            hint="without it what lies between roll and surface is part of the conductivity",
        )  # fmt: skip
    return cell if float(cell.thermal.get(CONTACT, 0.0)) > 0 else cell.with_values({CONTACT: USUAL_CONTACT})


def shapes_of(soc: Array) -> Array:
    """Tilt and hump ``(k, 2)`` of an entropic curve over the state of charge: Legendre's, but for a factor."""
    s = 2.0 * soc - 1.0
    return np.column_stack([s, 1.0 - 3.0 * s**2])


class Family:
    """The reduced models of one cell over conductivity, heat capacity and cooling.

    Both conduction operators are affine in conductivity and heat capacity of
    the roll, can and contact included, so that the full model is assembled
    three times and never again. The basis is that of the cell as given. A
    contact moves the steady shapes: there each is reduced anew, from a wide basis of several contacts. In
    r-z, where the film along a wall is in the operators too, each is reduced from the full model.

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
    extras
        Some of `EXTRAS`.
    """

    def __init__(
        self,
        cell: Cell,
        order: int,
        step_s: float,
        reference_K: float,
        thermal: str | None = None,
        sensors: Sequence[str] = ("surface",),
        extras: Collection[str] = (),
    ) -> None:
        full = CoupledModel(cell, heat="measured", thermal=thermal)
        self.cell, self.reference_K = cell, reference_K
        self.base = full.reduce_conduction(order, step_s=step_s)
        self.conductivity = CONDUCTIVITY[cell.form]
        k, c = float(cell.thermal[self.conductivity]), float(cell.lumped[SPECIFIC_HEAT])
        self.contact = "contact" in extras
        self._resistance = float(cell.thermal[CONTACT]) if self.contact else 0.0
        V = self._basis = self.base.shapes

        def twice(key: str, value: float) -> PassiveSystem:
            return replace(full, cell=cell.with_values({key: 2 * value})).system

        self._system = self.base.modal
        if self.contact and thermal != "r-z":
            for factor in CONTACTS:
                other = replace(full, cell=cell.with_values({CONTACT: factor * self._resistance}))
                V = orthonormal(other.reduce_conduction(order, step_s=step_s).shapes, full.system.M, start=V)
            self._basis = V
            # a link of half the conductance less, under twice the resistance
            less = full.system.K - twice(CONTACT, self._resistance).K
            self._dG = 2 * V.T @ less @ V
            self._system = full.system.project(V)
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
        keys = (self.conductivity, SPECIFIC_HEAT, COEFFICIENT, ENTROPY, SHARE, *([CONTACT] if self.contact else []))
        return (*keys, AXIAL) if self.thermal == "r-z" else keys

    def modal(self, values: Values) -> tuple[PassiveSystem, Array]:
        """Reduced system at `values` in its own modes, and the shapes ``(n, r)`` that lift it back."""
        if self.thermal == "r-z":
            still = dict.fromkeys(("enthalpy_V", "ambient_share", "ambient_K", "tilt_V_K", "hump_V_K"), 0.0)
            still["entropy_scale"] = 1.0
            made = self._made(values.physical._replace(**still))
            return made.modal, made.shapes
        K = self._system.K + (values.conductivity_W_mK / self._k - 1.0) * (self._dK + self._dK.T) / 2
        M = self._system.M + (values.specific_heat_J_kgK / self._c - 1.0) * (self._dM + self._dM.T) / 2
        if not self.contact:
            modal, shapes = replace(self._system, M=M, K=K).modal()
            return modal, self._basis @ shapes
        K = K + (self._resistance / values.contact_m2K_W - 1.0) * (self._dG + self._dG.T) / 2
        wide = replace(self._system, M=M, K=K)
        basis = METHODS["multipoint"](wide, self.base.order)
        modal, shapes = wide.project(basis).modal()
        return modal, self._basis @ basis @ shapes

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
        if self.contact:
            more[CONTACT] = short(values.contact_m2K_W)
        return self.cell.with_values({
            self.conductivity: short(values.conductivity_W_mK),
            SPECIFIC_HEAT: short(values.specific_heat_J_kgK),
            COEFFICIENT: h,
            ENTROPY: self._entropy(values, short),
            SHARE: short(values.ambient_share),
            **more,
        })  # fmt: skip

    def _entropy(self, values: Values, short: Callable[[float], float]) -> Any:
        """Entropic curve of the file, scaled, tilted and humped, minus ``enthalpy_V / T``."""
        curve, shift = self.cell.thermal.get(ENTROPY, 0.0), short(-values.enthalpy_V / self.reference_K)
        scale, tilt, hump = short(values.entropy_scale), short(values.tilt_V_K), short(values.hump_V_K)
        shaped = (scale, tilt, hump) != (1.0, 0.0, 0.0)
        if isinstance(curve, str):
            bent = f" + {tilt!r} * (2 * x - 1) + {hump!r} * (1 - 3 * (2 * x - 1) ** 2)" if shaped else ""
            return f"{scale!r} * ({curve}) + {shift!r}{bent}" if shaped else f"({curve}) + {shift!r}"
        table = curve if not isinstance(curve, int | float) else {"x": [0.0, 1.0], "y": [curve, curve]}
        x, y = (np.asarray(table[axis], float) for axis in "xy")
        if shaped:
            fine = np.unique(np.concatenate([x, np.linspace(0.0, 1.0, TILTED_POINTS).round(12)]))
            x, y = fine, scale * np.interp(fine, x, y) + shapes_of(fine) @ [tilt, hump]
        # twelve decimals: 1e-4 V/K minus 3e-5 V/K is written as 7e-5
        return {"x": x.tolist(), "y": [round(float(each) + shift, 12) for each in y]}
