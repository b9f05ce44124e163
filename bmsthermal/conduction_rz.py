r"""Full conduction model of a cylinder along radius and height: core, side and both ends.

.. math:: \rho c_p\,\partial_t T = r^{-1}\,\partial_r(r k_r\,\partial_r T) + \partial_z(k_z\,\partial_z T) + Q

The jelly-roll conducts tens of times better along its axis than across its
windings, so that a cell may be cooled through an end. Same volumes as in
`bmsthermal.conduction`, in two directions: nodes on the axis or mandrel, on
every interface, on the side and on both ends; fluxes at the middle between
nodes; second order, conservative on any grid. Height counts from the bottom.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse import csgraph

from bmsthermal.conduction import Layer, graded
from bmsthermal.conduction_field import ConductionField
from bmsthermal.curves import Array
from bmsthermal.errors import InputError
from bmsthermal.schema import AXIAL, FACES
from rom import PassiveSystem

if TYPE_CHECKING:
    from bmsthermal.cell import Cell

Numbers = NDArray[np.int64]
#: Faces of a cylinder.
WALLS = FACES["cylinder"]


@dataclass(frozen=True)
class _Block:
    """One material between two radii and two heights: nodes ``(z, r)`` and what they share in it."""

    layer: Layer
    axial_W_mK: float
    end: bool
    r: Array
    z: Array
    first: int

    @property
    def nodes(self) -> Numbers:
        """Numbers ``(z, r)`` of its nodes before those of neighbours are joined."""
        numbers = np.arange(len(self.z) * len(self.r), dtype=np.int64)
        return self.first + numbers.reshape(len(self.z), len(self.r))

    @property
    def ring_m2(self) -> Array:
        """Cross-section ``(r,)`` of each node."""
        return _shares(np.pi * self.r**2, np.pi * ((self.r[1:] + self.r[:-1]) / 2) ** 2)

    @property
    def height_m(self) -> Array:
        """Height ``(z,)`` of each node."""
        return _shares(self.z, (self.z[1:] + self.z[:-1]) / 2)

    def inner(self) -> list[tuple[Numbers, Numbers, Array]]:
        """Conductances between its nodes, along the radius and along the height."""
        ids, middle = self.nodes, (self.r[1:] + self.r[:-1]) / 2
        across = self.layer.conductivity_W_mK * np.outer(self.height_m, 2 * np.pi * middle / np.diff(self.r))
        along = self.axial_W_mK * np.outer(1 / np.diff(self.z), self.ring_m2)
        return [(ids[:, :-1], ids[:, 1:], across), (ids[:-1], ids[1:], along)]


def field_rz(
    layers: Sequence[Layer],
    length_m: float,
    *,
    axial_conductivity_W_mK: Sequence[float],
    end_layers: tuple[Layer | None, Layer | None] = (None, None),
    nodes_r: int = 24,
    nodes_z: int = 24,
    heat_shape: Callable[[Array, Array], Array] | None = None,
    symmetric: bool = False,
) -> ConductionField:
    """Assemble the insulated conduction problem of a cylinder in radius and height.

    Parameters
    ----------
    layers
        From the inside out, touching each other; conductivities are radial.
        A contact resistance lies between a layer and the next one outwards.
    length_m
        Height of the whole cylinder, base and lid included.
    axial_conductivity_W_mK
        Conductivity along the axis, one per layer; 0 parts the heights.
    end_layers
        Base from height 0 and lid up to `length_m`, isotropic discs over the
        radii of the layers (their coordinates are heights). A contact resistance lies between a
        disc and the heated layers; unheated ones (the can) are one piece with it.
    nodes_r
        Intervals of the thickest layer; a thin one gets at least four.
    nodes_z
        Intervals between base and lid, an even number; a disc gets at least two.
    heat_shape
        Relative heat per volume against radius and height in m, in the heated
        layers and discs; uniform by default.
    symmetric
        Model the lower half of a cell that is the same upside down. Heat,
        heat capacity and areas are those of the whole cell; bottom and top
        share their nodes, and if they are cooled differently, each gets the mean.

    Returns
    -------
    ConductionField
        Walls side, bottom and top. Outputs are the core (axis or mandrel, at
        middle height between base and lid), the mean (by heat content), the
        side at middle height, and the centres of bottom and top.

    Raises
    ------
    ValueError
        If numbers do not fit together: layers that do not touch, no axial
        conductivity for one of them, an end that is elsewhere.
    ArithmeticError
        If a heat capacity or the heat as a whole is not positive, or a
        conductance is negative or not finite.
    """
    _check(layers, length_m, axial_conductivity_W_mK, end_layers, nodes_r, nodes_z, symmetric)
    rows = _mesh(layers, length_m, axial_conductivity_W_mK, end_layers, nodes_r, nodes_z, symmetric)
    blocks = [block for row in rows for block in row]
    links = [link for block in blocks for link in block.inner()]
    joined: list[tuple[Numbers, Numbers]] = []

    def meet(left: Numbers, right: Numbers, area: Array, resistance: float) -> None:
        """Join the nodes of two blocks, or part their temperatures by a contact."""
        if resistance > 0:
            links.append((left, right, area / resistance))
        else:
            joined.append((left, right))

    for row in rows:
        for a, b in pairwise(row):
            area = 2 * np.pi * a.r[-1] * a.height_m
            meet(a.nodes[:, -1], b.nodes[:, 0], area, 0.0 if a.end else a.layer.contact_m2K_W)
    for lower, upper in pairwise(rows):
        disc = lower[0].layer if lower[0].end else upper[0].layer
        for layer, a, b in zip(layers, lower, upper, strict=True):
            meet(a.nodes[-1], b.nodes[0], a.ring_m2, disc.contact_m2K_W if layer.heated else 0.0)

    count = sum(block.nodes.size for block in blocks)
    pairs = np.hstack([np.vstack(pair) for pair in joined]) if joined else np.zeros((2, 0), int)
    graph = sparse.coo_array((np.ones(pairs.shape[1]), (pairs[0], pairs[1])), shape=(count, count))
    n, node = csgraph.connected_components(graph, directed=False)

    capacity, heat, r, z, areas = np.zeros(n), np.zeros(n), np.zeros(n), np.zeros(n), np.zeros((n, 3))
    for block in blocks:
        ids, volume = node[block.nodes], np.outer(block.height_m, block.ring_m2)
        z[ids], r[ids] = np.meshgrid(block.z, block.r, indexing="ij")
        np.add.at(capacity, ids, block.layer.heat_capacity_J_m3K * volume)
        if block.layer.heated:
            shape = 1.0 if heat_shape is None else np.asarray(heat_shape(r[ids], z[ids]), float)
            np.add.at(heat, ids, shape * volume)
    for row in rows:
        np.add.at(areas[:, 0], node[row[-1].nodes[:, -1]], 2 * np.pi * row[-1].r[-1] * row[-1].height_m)
    first, last = rows[0], rows[0] if symmetric else rows[-1]
    floor, ceiling = 0, 0 if symmetric else -1
    for a, b in zip(first, last, strict=True):
        np.add.at(areas[:, 1], node[a.nodes[floor]], a.ring_m2)
        np.add.at(areas[:, 2], node[b.nodes[ceiling]], b.ring_m2)

    body = next(row for row in rows if not row[0].end)
    middle = nodes_z // 2
    points = (
        body[0].nodes[middle, 0], body[-1].nodes[middle, -1], first[0].nodes[floor, 0], last[0].nodes[ceiling, 0]
    )  # fmt: skip
    i, j, g = (np.concatenate([np.ravel(link[k]) for link in links]) for k in range(3))
    if symmetric:  # the upper half is the same once more
        capacity, heat, g, areas = 2 * capacity, 2 * heat, 2 * g, areas * [2.0, 1.0, 1.0]
    return _assemble(capacity, heat, (node[i], node[j], g), areas, r, z, node[list(points)])


def field_of(cell: Cell) -> ConductionField:
    """Insulated conduction of a cylindrical cell as its file has it, 12 by 12 intervals.

    Raises
    ------
    InputError
        If the file gives no conductivity along the axis.
    """
    if AXIAL not in cell.thermal:
        raise InputError(f"no {AXIAL!r}", where=f"{cell.name}, User-defined", hint="r-z conduction needs it")
    axial = [float(cell.thermal[AXIAL]) if layer.heated else layer.conductivity_W_mK for layer in cell.layers]
    return field_rz(cell.layers, cell.extent, axial_conductivity_W_mK=axial, nodes_r=12, nodes_z=12)


def conduct_rz(
    layers: Sequence[Layer],
    length_m: float,
    *,
    axial_conductivity_W_mK: Sequence[float],
    end_layers: tuple[Layer | None, Layer | None] = (None, None),
    nodes_r: int = 24,
    nodes_z: int = 24,
    heat_shape: Callable[[Array, Array], Array] | None = None,
    symmetric: bool = False,
) -> tuple[PassiveSystem, Array, Array]:
    """Assemble what `field_rz` does, as the dense system that is reduced.

    Parameters
    ----------
    layers, length_m, axial_conductivity_W_mK, end_layers, nodes_r, nodes_z, heat_shape, symmetric
        See `field_rz`.

    Returns
    -------
    system : PassiveSystem
        States are node temperatures; the source is the heat in W, walls have
        flows in W and mean temperatures, see `ConductionField.system`.
    r_m, z_m : (n,) ndarray
        Radius of each node, and its height from the bottom.

    Raises
    ------
    ValueError, ArithmeticError
        See `field_rz`.
    """
    field = field_rz(
        layers, length_m, axial_conductivity_W_mK=axial_conductivity_W_mK, end_layers=end_layers,
        nodes_r=nodes_r, nodes_z=nodes_z, heat_shape=heat_shape, symmetric=symmetric,
    )  # fmt: skip
    return field.system(), field.r_m, field.z_m


def _shares(edges: Array, middle: Array) -> Array:
    """Share of each node in a measure that is `edges` at the nodes and `middle` halfway between."""
    bounds = np.concatenate([edges[:1], middle, edges[-1:]])
    return np.asarray(np.diff(bounds))


def _mesh(
    layers: Sequence[Layer],
    length_m: float,
    axial: Sequence[float],
    ends: tuple[Layer | None, Layer | None],
    nodes_r: int,
    nodes_z: int,
    symmetric: bool,
) -> list[list[_Block]]:
    """Blocks by rows from the bottom up, each row from the inside out."""
    thickest = max(layer.outer_m - layer.inner_m for layer in layers)
    radii = [
        graded(layer, max(4, 2 * round(nodes_r * (layer.outer_m - layer.inner_m) / thickest / 2))) for layer in layers
    ]
    base, lid = ends
    body = Layer("body", base.outer_m if base else 0.0, lid.inner_m if lid else length_m, 1.0, 1.0)
    heights: list[tuple[Layer | None, Array]] = [(None, graded(body, nodes_z, both=True))]
    if symmetric:
        heights = [(None, heights[0][1][: nodes_z // 2 + 1])]
    for end in ends[:1] if symmetric else ends:
        if end is not None:
            count = max(2, round(nodes_z * (end.outer_m - end.inner_m) / (body.outer_m - body.inner_m)))
            row = (end, np.linspace(end.inner_m, end.outer_m, count + 1))
            heights = [row, *heights] if end is base else [*heights, row]
    rows: list[list[_Block]] = []
    first = 0
    for disc, z in heights:
        rows.append([])
        for layer, k, r in zip(layers, axial, radii, strict=True):
            made = disc or layer
            rows[-1].append(_Block(made, disc.conductivity_W_mK if disc else k, disc is not None, r, z, first))
            first += len(r) * len(z)
    return rows


def _assemble(
    capacity: Array,
    heat: Array,
    links: tuple[Numbers, Numbers, Array],
    areas: Array,
    r: Array,
    z: Array,
    points: Numbers,
) -> ConductionField:
    i, j, g = links
    n, apart = len(capacity), i != j  # a contact that ends at a disc has both its sides in one node there
    i, j, g = i[apart], j[apart], g[apart]
    if not ((capacity > 0).all() and np.isfinite(g).all() and (g >= 0).all() and 0 < heat.sum() < np.inf):
        raise ArithmeticError("a heat capacity or the heat is not positive, or a conductance negative or not finite")
    entries = np.concatenate([g, g, -g, -g]), (np.concatenate([i, j, i, j]), np.concatenate([i, j, j, i]))
    K = sparse.csr_array(sparse.coo_array(entries, shape=(n, n)))
    C = np.zeros((5, n))
    C[[0, 2, 3, 4], points] = 1.0
    C[1] = capacity / capacity.sum()
    outputs = ("core", "mean", *(f"surface {wall}" for wall in WALLS))
    return ConductionField(capacity, K, heat / heat.sum(), areas, r, z, C, WALLS, outputs)


def _check(
    layers: Sequence[Layer],
    length_m: float,
    axial: Sequence[float],
    ends: tuple[Layer | None, Layer | None],
    nodes_r: int,
    nodes_z: int,
    symmetric: bool,
) -> None:
    """Say in words what does not fit together."""
    if len(axial) != len(layers) or not layers:
        raise ValueError(f"{len(axial)} axial conductivities, expected one for each of {len(layers)} layers")
    if nodes_r < 2 or nodes_z < 2 or nodes_z % 2:
        raise ValueError(f"nodes_r={nodes_r}, nodes_z={nodes_z}, expected at least 2, and an even nodes_z")
    edges = [layers[0].inner_m, *(edge for layer in layers for edge in (layer.inner_m, layer.outer_m))]
    if edges[0] < 0 or any(a != b for a, b in zip(edges[::2], edges[1::2], strict=False)):
        raise ValueError(f"layers from and to {edges[1:]} m, expected each to begin where the last one ends")
    if not all(layer.inner_m < layer.outer_m < np.inf for layer in (*layers, *filter(None, ends))):
        raise ValueError("a layer without thickness")
    if not all(layer.contact_m2K_W >= 0 for layer in (*layers, *filter(None, ends))):
        raise ValueError("a contact resistance that is not a number >= 0")
    base, lid = ends
    low, high = base.outer_m if base else 0.0, lid.inner_m if lid else length_m
    if (base and base.inner_m != 0) or (lid and lid.outer_m != length_m) or not low < high < np.inf:
        raise ValueError(f"base and lid do not end at 0 and {length_m} m, or leave nothing between them")
    if symmetric and not _mirrored(base, lid):
        raise ValueError("symmetric, but base and lid are not the same")


def _mirrored(base: Layer | None, lid: Layer | None) -> bool:
    if base is None or lid is None:
        return base is lid
    same = ("conductivity_W_mK", "heat_capacity_J_m3K", "heated", "contact_m2K_W")
    thickness = np.isclose(base.outer_m - base.inner_m, lid.outer_m - lid.inner_m, rtol=1e-9, atol=0)
    return bool(thickness) and all(getattr(base, name) == getattr(lid, name) for name in same)
