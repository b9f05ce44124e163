"""Conduction on a mesh, cooled node by node: the one shape of a radius, a slab and r-z."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse
from scipy.sparse import linalg as sparse_linalg

from bmsthermal.curves import Array
from rom import PassiveSystem


@dataclass(frozen=True, eq=False)
class ConductionField:
    """Insulated conduction on a mesh, and how much of each wall belongs to each node.

    The one shape in which a full model handles a radius, a slab and r-z. With
    heat-transfer coefficients `h` it is cooled node by node (exact Robin)::

        capacity dT/dt = -cooled(h) T + drive(h) [heat_W, coolant_K...]

    Parameters
    ----------
    capacity_J_K
        Heat capacity ``(n,)`` of each node.
    K
        Conductances between nodes in W/K, symmetric sparse ``(n, n)`` with rows that sum to 0.
    heat_share
        Share ``(n,)`` of the cell's heat; sums to 1.
    surface_area_m2
        Area ``(n, w)`` of each wall that belongs to each node.
    r_m, z_m
        Coordinates ``(n,)``: radius (or through a slab), and height from the bottom (0 in one dimension).
    C
        Outputs ``(y, n)``: core, mean by heat content, a point on each wall.
    walls, outputs
        Names.

    Raises
    ------
    ValueError
        If shapes do not fit.
    """

    capacity_J_K: Array
    K: sparse.csr_array
    heat_share: Array
    surface_area_m2: Array
    r_m: Array
    z_m: Array
    C: Array
    walls: tuple[str, ...]
    outputs: tuple[str, ...]

    def __post_init__(self) -> None:
        n = self.order
        wanted = {
            "capacity_J_K": (n,), "K": (n, n), "heat_share": (n,), "surface_area_m2": (n, len(self.walls)),
            "r_m": (n,), "z_m": (n,), "C": (len(self.outputs), n),
        }  # fmt: skip
        for name, shape in wanted.items():
            if getattr(self, name).shape != shape:
                raise ValueError(f"{name} has shape {getattr(self, name).shape}, expected {shape}")

    def __repr__(self) -> str:
        walls = ", ".join(f"{w} {a * 1e4:.4g} cm2" for w, a in zip(self.walls, self.wall_area_m2, strict=True))
        return f"ConductionField({self.order} nodes, {self.capacity_J_K.sum():.1f} J/K, {walls})"

    @property
    def order(self) -> int:
        """Number of nodes."""
        return len(self.capacity_J_K)

    @property
    def wall_area_m2(self) -> Array:
        """Area ``(w,)`` of each wall."""
        return np.asarray(self.surface_area_m2.sum(axis=0))

    @property
    def levels(self) -> tuple[Array, Array]:
        """Radii of the nodes of each height, and the heights, of a cylinder: every pair of them is a node."""
        heights, ordered = np.unique(self.z_m), self.by_height()
        return ordered.r_m.reshape(len(heights), -1)[0], heights

    def by_height(self) -> ConductionField:
        """Return the same with its nodes in the order of height, then radius; a contact's inner side comes first."""
        at = np.lexsort((np.arange(self.order), self.r_m, self.z_m))
        return replace(
            self, capacity_J_K=self.capacity_J_K[at], K=self.K[at][:, at], heat_share=self.heat_share[at],
            surface_area_m2=self.surface_area_m2[at], r_m=self.r_m[at], z_m=self.z_m[at], C=self.C[:, at],
        )  # fmt: skip

    @classmethod
    def from_passive(cls, system: PassiveSystem, position_m: Array, areas_m2: ArrayLike) -> ConductionField:
        """Take over what `conduct` assembled.

        Parameters
        ----------
        system
            Insulated conduction with a diagonal `M` and the heat as its one source.
        position_m
            Coordinate ``(n,)`` of each node.
        areas_m2
            Area of each wall, ``(w,)``.

        Raises
        ------
        ValueError
            If `M` is not diagonal, there is another source than the heat, or areas do not fit the walls.
        """
        capacity, areas = np.diag(system.M).copy(), np.asarray(areas_m2, float)
        if np.count_nonzero(system.M - np.diag(capacity)):
            raise ValueError("M is not diagonal: its nodes have no heat capacity of their own")
        if system.B.shape[1] != 1:
            raise ValueError(f"sources {', '.join(system.inputs)}, expected the heat alone")
        if areas.shape != (len(system.walls),):
            raise ValueError(f"areas_m2 has shape {areas.shape}, expected one per wall: {', '.join(system.walls)}")
        r_m = np.asarray(position_m, float)
        return cls(
            capacity, sparse.csr_array(system.K), system.B[:, 0], system.E * areas, r_m, np.zeros_like(r_m),
            system.C, system.walls, system.outputs,
        )  # fmt: skip

    def cooled(self, h_W_m2K: ArrayLike) -> sparse.csr_array:
        """`K` with each node cooled through its own surface by `h` ``(w,)``, or ``(n, w)`` along the walls."""
        films = self.surface_area_m2 * self._coefficients(h_W_m2K)
        return sparse.csr_array(self.K + sparse.diags_array(films.sum(axis=1)))

    def drive(self, h_W_m2K: ArrayLike) -> Array:
        """What a watt of heat and a kelvin around each wall do, ``(n, 1 + w)`` in the order ``[heat, walls]``."""
        films = self.surface_area_m2 * self._coefficients(h_W_m2K)
        return np.hstack([self.heat_share[:, None], films])

    def steady(self, h_W_m2K: ArrayLike, heat_W: float, coolant_K: ArrayLike) -> Array:
        """Temperatures ``(n,)`` at rest under constant heat and surroundings; at least one ``h > 0``."""
        coolant = np.broadcast_to(np.asarray(coolant_K, float), (len(self.walls),))
        drive = self.drive(h_W_m2K)
        if not drive[:, 1:].any():
            raise ValueError("no steady state: every wall is insulated (h = 0)")
        load = drive @ np.concatenate([[heat_W], coolant])
        return np.asarray(sparse_linalg.spsolve(self.cooled(h_W_m2K).tocsc(), load))

    def system(self, h_W_m2K: ArrayLike = 0.0) -> PassiveSystem:
        """Dense system for a reduction, with one flow and one value a wall.

        Parameters
        ----------
        h_W_m2K
            Coefficients ``(w,)`` at which it is exact: what a film there does beyond its mean joins the conduction,
            see `beyond_mean`. The walls stay to be closed, by these or by others.

        Notes
        -----
        A wall's `E` is its area weights: its flow ``q = h A (T_mean - c)``
        leaves with the same density everywhere, and its value `T_mean` is the
        mean over its nodes. That is the Galerkin projection of the exact film
        onto a wall flow that is constant over the wall: energy closes, `h`
        stays out of the operators, and no mode decays faster than under
        `cooled`, to which it is equal where a wall has one temperature.

        Without `h_W_m2K`, measured as the error of the steady core in % of its rise, all walls
        cooled by `h`: the mean closure is too warm, the centres of the ends by
        up to three times that, and the slowest rate is too small by a similar share.

        ================================  =====  =====  =====  =====
        h in W/m2K                           10     30    100    500
        ================================  =====  =====  =====  =====
        ``a123_26650``, bare roll          0.10   0.65    3.6     16
        with steel base 0.4, lid 1 mm      0.03   0.22    1.3    6.1
        ``lgm50_21700``                    0.01   0.05   0.38    3.0
        ================================  =====  =====  =====  =====

        Cooled through the bottom (1000, others 10) it is 2.0 and 1.25 %. Modes
        that a wall's mean does not see (axial waves along the side) come out
        slower, by 1 to 50 %.
        """
        E = self.surface_area_m2 / self.wall_area_m2
        K = self.K.toarray()
        for beyond, h in zip(self.beyond_mean(), np.broadcast_to(h_W_m2K, (len(self.walls),)), strict=True):
            if h:
                K = K + h * beyond
        M = np.diag(self.capacity_J_K)
        return PassiveSystem(M, K, self.heat_share[:, None], E, self.C, ("heat",), self.walls, self.outputs)

    def beyond_mean(self) -> list[Array]:
        """What 1 W/m2K at every node of a wall does beyond a flow by its mean, ``(n, n)`` in m2 for each wall.

        Symmetric, not negative, and nothing where the wall has one temperature: it moves heat along the wall.
        """
        return [np.diag(a) - np.outer(a, a / a.sum()) for a in self.surface_area_m2.T]

    def _coefficients(self, h_W_m2K: ArrayLike) -> Array:
        h = np.broadcast_to(np.asarray(h_W_m2K, float), self.surface_area_m2.shape)
        if not (np.isfinite(h).all() and (h >= 0).all()):
            raise ValueError(f"heat-transfer coefficients must be finite and >= 0, got {np.asarray(h_W_m2K).tolist()}")
        return h
