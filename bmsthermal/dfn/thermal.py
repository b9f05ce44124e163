"""Where the temperature lives: one switch from an isothermal cell to r-z conduction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field as made
from typing import Any

import casadi as ca
import numpy as np
from numpy.typing import ArrayLike

from bmsthermal.conduction_field import ConductionField
from bmsthermal.curves import Array
from bmsthermal.dfn.assembly import Assembly, Index
from bmsthermal.dfn.decomposition import Decomposition
from bmsthermal.dfn.inputs import COOLANT
from bmsthermal.dfn.sandwich import Sandwich
from bmsthermal.errors import InputError

#: Names of the thermal resolutions.
RESOLUTIONS = ("isothermal", "lumped", "x", "radial", "slab", "r-z")


@dataclass
class Nodes:
    """Temperature nodes: capacities, links, cooled walls, and which sandwich is where.

    Isothermal, lumped, radial, slab and r-z are all of this shape: sandwich `m`
    sees the mean temperature of its nodes and heats them evenly.

    Parameters
    ----------
    field
        Conduction, cooled node by node.
    members
        Share ``(m, k)`` of each node in the heat of each sandwich; rows sum to 1.
    share
        Share ``(m,)`` of each sandwich in the electrode area; sums to 1.
    conductance_W_K
        Of each wall.
    frozen
        Isothermal: the temperature is that of the first wall's coolant.
    roll_m3
        Volume of what decomposes, spread as the heat is.
    """

    field: ConductionField
    members: Array
    share: Array
    conductance_W_K: Array
    frozen: bool = False
    roll_m3: float = 0.0
    temperatures: Index = made(default_factory=lambda: np.empty(0, np.int64))
    _heat: Index = made(default_factory=lambda: np.empty(0, np.int64))
    _seen: Index = made(default_factory=lambda: np.empty(0, np.int64))

    @property
    def walls(self) -> tuple[str, ...]:
        """Names of the cooled walls."""
        return self.field.walls

    @property
    def outputs(self) -> Array:
        """Rows core, mean, walls over the temperatures ``(2 + w, k)``."""
        return self.field.C

    @property
    def capacity_J_K(self) -> Array:
        """Heat capacity of each node."""
        return self.field.capacity_J_K

    def declare(self, assembly: Assembly, sandwich: Sandwich) -> tuple[Index, Index]:
        """Add node temperatures, and per sandwich its heat and (if it covers several nodes) its mean temperature."""
        m, cells = sandwich.layers, len(sandwich.position_m)
        mass = 0.0 if self.frozen else self.field.capacity_J_K
        self.temperatures = assembly.unknown("T", self.field.order, mass=mass, scale=10.0)
        self._heat = assembly.unknown("Q", m, scale=100.0)
        self._seen = self.temperatures if self.field.order == 1 else assembly.unknown("T_sandwich", m, scale=10.0)
        return (np.repeat(np.broadcast_to(a, (m,))[:, None], cells, 1) for a in (self._seen, self._heat))  # type: ignore

    def assemble(
        self, assembly: Assembly, sandwich: Sandwich, current: Index, reactions: Decomposition | None,
        totals: tuple[Index, Index],
    ) -> None:  # fmt: skip
        """Add the balances of heat; `totals` sum up what is released and what leaves."""
        at, walls = self.temperatures, len(self.walls)
        add_sum(assembly, "heat sum", self._heat, self._heat, np.full(len(self._heat), -1.0))
        add_sum(assembly, "heat total", self._heat, totals[0], np.ones(len(self._heat)))
        contact = sandwich.parameters.contact_resistance_Ohm
        if contact > 0:
            share = sandwich.area_m2 / sandwich.area_m2.sum()

            def resist(y: list[Any], p: list[Any], u: list[Any]) -> tuple[list[Any], dict[str, Any]]:
                heat = p[0] * contact * y[0] ** 2
                return [heat], {"contact": heat}

            assembly.law("contact", resist, [current], [self._heat], [share])
        if self.frozen:

            def freeze(y: list[Any], p: list[Any], u: list[Any]) -> tuple[list[Any], dict[str, Any]]:
                return [u[COOLANT] - y[0], y[1]], {"cooling": y[1]}

            assembly.law("frozen", freeze, [at, self._heat], [at, totals[1]])
            return
        if self.field.order > 1:
            layer, node = np.nonzero(self.members)
            add_sum(assembly, "mean", at[node], self._seen[layer], self.members[layer, node])
            add_sum(assembly, "mean itself", self._seen, self._seen, np.full(len(self._seen), -1.0))
        layer, node = np.nonzero(self.members)
        add_sum(assembly, "release", self._heat[layer], at[node], self.members[layer, node])
        links = self.field.K.tocoo()
        upper = links.row < links.col
        add_links(assembly, at[links.row[upper]], at[links.col[upper]], -links.data[upper])
        area = self.field.surface_area_m2
        for wall in range(walls):
            touched = np.flatnonzero(area[:, wall])
            share = area[touched, wall] / area[:, wall].sum()
            add_wall(assembly, at[touched], wall, walls, share, totals[1])
        if reactions is not None:
            volume = self.roll_m3 * self.field.heat_share
            heated = np.flatnonzero(volume)
            add_reactions(assembly, reactions, at[heated], totals[0], volume[heated])


@dataclass
class Through:
    """A temperature in each cell of the sandwich, and in each collector that has a thickness.

    Parameters
    ----------
    sandwich
        With its thermal layers.
    conductance_W_K
        Of both faces together.
    whole_J_K
        Heat capacity of the cell; can and tabs are spread over the layers.
    roll_m3
        Volume of what decomposes.
    """

    sandwich: Sandwich
    conductance_W_K: Array
    whole_J_K: float
    roll_m3: float = 0.0
    walls: tuple[str, ...] = ("surface",)
    temperatures: Index = made(default_factory=lambda: np.empty(0, np.int64))
    _heat: Index = made(default_factory=lambda: np.empty(0, np.int64))

    @property
    def _stack(self) -> tuple[Array, Array, Array]:
        """Thickness in m, conductivity and heat capacity per volume of every cell, collectors included."""
        p = self.sandwich.parameters
        layers = (p.negative_layer, p.separator_layer, p.positive_layer)
        thickness, conductivity, capacity = [], [], []

        for widths_m, layer in (
            (np.array([p.negative_collector.thickness_m]), p.negative_collector),
            *zip(self.sandwich.widths_m, layers, strict=True),
            (np.array([p.positive_collector.thickness_m]), p.positive_collector),
        ):
            if widths_m[0] > 0 and layer is not None:
                thickness.append(widths_m)
                conductivity.append(np.full(len(widths_m), layer.conductivity_W_mK))
                capacity.append(np.full(len(widths_m), layer.density_kg_m3 * layer.specific_heat_J_kgK))
        joined = np.concatenate(thickness), np.concatenate(conductivity), np.concatenate(capacity)
        filled = self.whole_J_K / float((joined[0] * joined[2]).sum() * self.sandwich.area_m2.sum())
        return joined[0], joined[1], joined[2] * filled

    @property
    def _first(self) -> int:
        return int(self.sandwich.parameters.negative_collector.thickness_m > 0)

    @property
    def capacity_J_K(self) -> Array:
        """Heat capacity of each cell."""
        thickness, _, capacity = self._stack
        return np.asarray(thickness * capacity * self.sandwich.area_m2.sum())

    @property
    def outputs(self) -> Array:
        """Core is the middle of the separator, the surface the mean of both faces."""
        capacity = self.capacity_J_K
        n = len(capacity)
        core, surface = np.zeros(n), np.zeros(n)
        for cell in ((self.sandwich.mesh.separator - 1) // 2, self.sandwich.mesh.separator // 2):
            core[self._first + self.sandwich.mesh.negative + cell] += 0.5
        surface[[0, -1]] = 0.5
        return np.vstack([core, capacity / capacity.sum(), surface])

    def declare(self, assembly: Assembly, sandwich: Sandwich) -> tuple[Index, Index]:
        """Add a temperature per cell."""
        count = len(self.capacity_J_K)
        self.temperatures = assembly.unknown("T", count, mass=self.capacity_J_K, scale=10.0)
        self._heat = assembly.unknown("Q", count, scale=10.0)
        inner = slice(self._first, self._first + len(sandwich.position_m))
        return self.temperatures[None, inner], self._heat[None, inner]

    def assemble(
        self, assembly: Assembly, sandwich: Sandwich, current: Index, reactions: Decomposition | None,
        totals: tuple[Index, Index],
    ) -> None:  # fmt: skip
        """Add the balances of heat; `totals` sum up what is released and what leaves."""
        thickness, conductivity, _ = self._stack
        area, at = float(sandwich.area_m2.sum()), self.temperatures
        add_sum(assembly, "heat sum", self._heat, self._heat, np.full(len(at), -1.0))
        add_sum(assembly, "heat total", self._heat, totals[0], np.ones(len(at)))
        add_sum(assembly, "release", self._heat, at, np.ones(len(at)))
        resistance = (thickness / conductivity) / 2
        add_links(assembly, at[:-1], at[1:], area / (resistance[:-1] + resistance[1:]))
        faces = np.array([0, len(at) - 1])
        add_wall(assembly, at[faces], 0, 1, np.array([0.5, 0.5]), totals[1], behind_K_W=resistance[faces] / area)
        contact = sandwich.parameters.contact_resistance_Ohm
        if contact > 0:  # tabs and collectors: released at both faces

            def resist(y: list[Any], p: list[Any], u: list[Any]) -> tuple[list[Any], dict[str, Any]]:
                heat = 0.5 * contact * y[0] ** 2
                return [heat], {"contact": heat}

            assembly.law("contact", resist, [np.repeat(current, 2)], [self._heat[faces]])
        if reactions is not None:
            add_reactions(assembly, reactions, at, totals[0], self.roll_m3 * thickness / thickness.sum())


def nodes(
    field: ConductionField, conductance_W_K: Array, layers: int, *, dimension: int = 1, frozen: bool = False
) -> Nodes:
    """Nodes with `layers` sandwiches of equal thickness between the first and the last heated coordinate.

    A node that two sandwiches meet in belongs to both, by volume; `dimension`
    is 2 along a radius and 1 through a slab.

    Raises
    ------
    InputError
        If there are fewer nodes than sandwiches.
    """
    heated = field.heat_share > 0
    r, ring = np.unique(np.round(field.r_m, 12), return_inverse=True)
    warm = np.unique(ring[heated])
    if layers > max(len(warm) - 1, 1):
        raise InputError(f"layers={layers}", expected=f"at most {max(len(warm) - 1, 1)}", hint="take more nodes")
    if layers == 1:
        return Nodes(field, field.heat_share[None, :], np.ones(1), conductance_W_K, frozen)
    inner, outer = r[warm[0]], r[warm[-1]]
    edges = np.concatenate([[inner], (r[warm[:-1]] + r[warm[1:]]) / 2, [outer]]) ** dimension
    bounds = np.linspace(inner, outer, layers + 1) ** dimension
    overlap = np.minimum(edges[1:], bounds[1:, None]) - np.maximum(edges[:-1], bounds[:-1, None])
    part = np.zeros((layers, len(r)))
    part[:, warm] = np.maximum(overlap, 0.0) / np.diff(edges)
    members = part[:, ring] * field.heat_share
    share = members.sum(axis=1)
    return Nodes(field, members / share[:, None], share, conductance_W_K, frozen)


def single(capacity_J_K: float, area_m2: float) -> ConductionField:
    """One temperature for the whole cell."""
    from scipy import sparse

    one = np.ones((1, 1))
    return ConductionField(
        np.array([capacity_J_K]), sparse.csr_array((1, 1)), np.ones(1), area_m2 * one, np.zeros(1), np.zeros(1),
        np.ones((3, 1)), ("surface",), ("core", "mean", "surface surface"),
    )  # fmt: skip


def add_sum(assembly: Assembly, name: str, reads: Index, writes: Index, factor: Array) -> None:
    """Add ``factor * y[reads]`` to the rows `writes`."""

    def law(y: list[Any], p: list[Any], u: list[Any]) -> tuple[list[Any], dict[str, Any]]:
        return [p[0] * y[0]], {}

    assembly.law(name, law, [reads], [writes], [factor])


def add_links(assembly: Assembly, left: Index, right: Index, conductance_W_K: Array) -> None:
    """Conduction between pairs of nodes."""

    def law(y: list[Any], p: list[Any], u: list[Any]) -> tuple[list[Any], dict[str, Any]]:
        flow = p[0] * (y[0] - y[1])
        return [-flow, flow], {}

    if len(left):
        assembly.law("conduction", law, [left, right], [left, right], [conductance_W_K])


def add_wall(
    assembly: Assembly, at: Index, wall: int, walls: int, share: Array, total: Index, behind_K_W: ArrayLike = 0.0
) -> None:  # fmt: skip
    """Cooling of the nodes `at` by their share of a wall, behind a resistance of half a cell."""

    def law(y: list[Any], p: list[Any], u: list[Any]) -> tuple[list[Any], dict[str, Any]]:
        conductance = p[0] * u[COOLANT + walls + wall]
        flow = conductance / (1.0 + conductance * p[1]) * (y[0] - u[COOLANT + wall])
        return [-flow, flow], {"cooling": flow}

    assembly.law(f"wall{wall}", law, [at], [at, total], [share, behind_K_W])


def add_reactions(assembly: Assembly, reactions: Decomposition, T: Index, total: Index, volume_m3: Array) -> None:
    """Decomposition at each node: its extents, and its heat, which is also added to `total`."""
    start: Sequence[float] = reactions.initial().tolist()
    extents = [
        assembly.unknown(f"extent_{name}", len(T), mass=1.0) for name, _ in zip(reactions.names, start, strict=False)
    ]

    def law(y: list[Any], p: list[Any], u: list[Any]) -> tuple[list[Any], dict[str, Any]]:
        *state, temperature = y
        heats = {name: p[0] * q for name, q in reactions.heats(state, temperature, ca).items()}
        heat = sum(heats.values())
        return [*reactions.rates(state, temperature, ca), heat, heat], {"decomposition": heat}

    assembly.law("reactions", law, [*extents, T], [*extents, T, total], [volume_m3])
