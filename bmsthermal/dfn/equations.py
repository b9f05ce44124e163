"""All equations of a cell: sandwiches, heat and control, as one differential-algebraic system."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from bmsthermal.cell import Cell
from bmsthermal.conduction import conduct
from bmsthermal.conduction_field import ConductionField
from bmsthermal.conduction_rz import field_of
from bmsthermal.curves import Array
from bmsthermal.dfn import inputs
from bmsthermal.dfn import thermal as resolution
from bmsthermal.dfn.assembly import Assembly, Index, System
from bmsthermal.dfn.decomposition import Decomposition
from bmsthermal.dfn.electrodes import Parameters
from bmsthermal.dfn.mesh import Mesh
from bmsthermal.dfn.sandwich import Sandwich
from bmsthermal.dfn.thermal import RESOLUTIONS, Nodes, Through
from bmsthermal.errors import InputError

#: Running totals, carried as unknowns so that balances hold to the solver's rounding.
INTEGRALS = ("heat_J", "cooling_J", "charge_C", "work_J")
COUPLINGS = ("soret", "dufour", "stress-flux", "stress-diffusivity", "stress-potential")


@dataclass(frozen=True)
class Equations:
    """The full model of a cell, in space discrete and in time not.

    Parameters
    ----------
    cell
        With electrodes.
    resolution
        One of `RESOLUTIONS`.
    layers
        Sandwiches at their own temperatures, in parallel on one voltage.
    couplings
        Some of `COUPLINGS`.
    mixing
        Whether heat of mixing is released.
    mesh
        Through the sandwich and the particles.
    nodes
        Conduction nodes from core to surface.
    reactions
        Decomposition reactions, if any.
    """

    cell: Cell
    resolution: str = "lumped"
    layers: int = 1
    couplings: Collection[str] = ()
    mixing: bool = True
    mesh: Mesh = field(default_factory=Mesh)
    nodes: int = 40
    reactions: Decomposition | None = None

    def __post_init__(self) -> None:
        if self.resolution not in RESOLUTIONS:
            raise InputError(f"thermal={self.resolution!r}", expected="one of " + ", ".join(RESOLUTIONS))
        if not isinstance(self.layers, int) or isinstance(self.layers, bool) or not 1 <= self.layers <= self.nodes:
            raise InputError(f"layers={self.layers!r}", expected=f"a whole number from 1 to {self.nodes}, the nodes")
        if self.reactions is not None and self.resolution == "isothermal":
            raise InputError(
                "reactions with thermal='isothermal'", where=self.cell.name, expected="another thermal",
                hint="a temperature that is held cannot run away",
            )  # fmt: skip
        if self.layers > 1 and self.resolution not in ("radial", "slab", "r-z"):
            raise InputError(
                f"layers={self.layers} with thermal={self.resolution!r}", expected="thermal radial, slab or r-z",
                hint="only there do sandwiches have temperatures of their own",
            )  # fmt: skip

    @property
    def parameters(self) -> Parameters:
        """Electrodes and electrolyte."""
        return self.cell.electrochemistry

    @cached_property
    def field(self) -> ConductionField:
        """Conduction through the cell; one node where there is none."""
        cell, kind = self.cell, self.resolution
        if kind in ("isothermal", "lumped", "x"):
            capacity = 1.0 if kind == "isothermal" else cell.heat_capacity_J_K
            return resolution.single(capacity, cell.external_area_m2)
        wanted = {"radial": "cylinder", "slab": "slab", "r-z": "cylinder"}[kind]
        if cell.form != wanted:
            raise InputError(
                f"thermal={kind!r} of a {cell.form}", where=cell.name,
                expected="radial or r-z for a cylinder, slab for a slab",
            )  # fmt: skip
        if kind == "r-z":
            return field_of(cell)
        system, position = conduct(cell.layers, cell.form, cell.extent, nodes=self.nodes)
        return ConductionField.from_passive(system, position, np.array([cell.areas_m2[w] for w in cell.walls]))

    @cached_property
    def _parts(self) -> tuple[Assembly, Sandwich, Nodes | Through, dict[str, Index]]:
        cell, p = self.cell, self.parameters
        roll_m3 = float(cell.lumped["Volume [m3]"]) if self.reactions else 0.0
        if self.resolution == "x":
            area = np.array([p.area_m2])
            sandwich = Sandwich(p, self.mesh, area)
            heat: Nodes | Through = Through(sandwich, self.conductance_W_K, cell.heat_capacity_J_K, roll_m3)
        else:
            heat = resolution.nodes(
                self.field, self.conductance_W_K, self.layers, frozen=self.resolution == "isothermal",
                dimension=1 if self.resolution == "slab" else 2,
            )  # fmt: skip
            heat.roll_m3 = roll_m3
            sandwich = Sandwich(p, self.mesh, p.area_m2 * heat.share)
        assembly = Assembly(inputs.names(heat.walls))
        sandwich.declare(assembly)
        temperature, row = heat.declare(assembly, sandwich)
        ends = {name: assembly.unknown(name) for name in ("I", "V")}
        sandwich.assemble(
            assembly, temperature, row, (ends["I"], ends["V"]), couplings=self.couplings, mixing=self.mixing,
            spread=self.resolution == "x",
        )  # fmt: skip
        totals = assembly.unknown("heat_J", mass=1.0, scale=1e3), assembly.unknown("cooling_J", mass=1.0, scale=1e3)
        heat.assemble(assembly, sandwich, ends["I"], self.reactions, totals)
        resolution.add_sum(assembly, "current sum", ends["I"], ends["I"], np.array([-1.0]))
        assembly.law("control", _control, [ends["I"], ends["V"]], [ends["V"]])
        charge, work = (assembly.unknown(name, mass=1.0, scale=1e3) for name in ("charge_C", "work_J"))
        assembly.law("work", _work, [ends["I"], ends["V"]], [charge, work])
        return assembly, sandwich, heat, ends

    @property
    def sandwich(self) -> Sandwich:
        """Where the electrochemical unknowns sit."""
        return self._parts[1]

    @property
    def heat(self) -> Nodes | Through:
        """Where the temperatures sit."""
        return self._parts[2]

    @property
    def places(self) -> dict[str, Index]:
        """Place of each block of unknowns."""
        return self._parts[0].blocks

    @cached_property
    def system(self) -> System:
        """The assembled system."""
        return self._parts[0].build()

    @property
    def conductance_W_K(self) -> Array:
        """Heat-transfer coefficient times area of each wall."""
        h = self.cell.h_W_m2K
        if self.resolution in ("isothermal", "lumped", "x"):
            if "Form factor" in self.cell.thermal:
                return np.array([self.cell.conductance_W_K.sum()])
            return np.array([next(iter(h.values())) * self.cell.external_area_m2])
        given = [h.get(wall, next(iter(h.values()))) for wall in self.field.walls]
        return np.asarray(np.array(given) * self.field.wall_area_m2)

    def rest(self, soc: float, T_K: float) -> Array:
        """Guess of the state at rest: everything uniform at a state of charge and a temperature."""
        y, p, at = np.zeros(self._parts[0].count), self.parameters, self.places
        x = dict(zip(("negative", "positive"), p.stoichiometries(soc), strict=True))
        for name, value in x.items():
            y[at[f"x_{name}"]] = value
        y[at["salt"]] = 1.0
        negative = float(
            p.negative.potential(x["negative"]) + (T_K - p.reference_K) * p.negative.entropic(x["negative"])
        )
        y[at["phi_e"]] = -negative
        y[at["phi_positive"]] = y[at["V"]] = p.open_circuit_V(soc, T_K)
        for name in ("T", "T_sandwich"):
            if name in at:
                y[at[name]] = T_K
        if self.reactions is not None:
            for name, value in zip(self.reactions.names, self.reactions.initial(), strict=True):
                y[at[f"extent_{name}"]] = value
        return y


def _control(y: list[Any], p: list[Any], u: list[Any]) -> tuple[list[Any], dict[str, Any]]:
    current, voltage = y
    return [u[0] * current + u[1] * voltage + u[2] * current * voltage - u[3]], {}


def _work(y: list[Any], p: list[Any], u: list[Any]) -> tuple[list[Any], dict[str, Any]]:
    return [y[0], y[0] * y[1]], {}
