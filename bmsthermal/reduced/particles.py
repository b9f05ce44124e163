r"""Diffusion in all particles of an electrode, in a few shapes.

The stoichiometry is expanded in Legendre polynomials through the electrode
times Jacobi polynomials along the radius: a tensor basis in which diffusion,

.. math:: \partial_t x = R^{-2} D\, r^{-2}\,\partial_r (r^2\,\partial_r x), \qquad
          -D\,\partial_r x\,|_R = j R / (F c_{max}),

is one symmetric system, the same for every polynomial in depth. A Galerkin
projection of it keeps real, negative poles, and D only rescales its time. Where D
changes with the filling, it is taken once a step for all particles of an electrode,
between their mean and their surface. The uniform constant, which is the lithium, is
no shape: it is an integrator of its own.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.polynomial import legendre
from scipy.special import eval_jacobi, roots_jacobi

from bmsthermal.curves import Array
from bmsthermal.dfn import mechanics
from bmsthermal.dfn.electrodes import Electrode
from bmsthermal.dfn.particle import ParticleGrid
from bmsthermal.heat import GAS_CONSTANT_J_molK
from rom import PassiveSystem
from rom.basis import orthonormal
from rom.pade import diffusion, multipoint

#: Polynomials through the electrode and along the radius that the full particles are expanded in.
DEPTH, RADIUS = 5, 16
#: Slowest shift of multipoint Padé, in D/R^2, and fastest, in the step.
SLOWEST, FASTEST = 12.0, 2.0
#: Where D is taken for all modes of an electrode: so far from the mean filling to that of the surfaces. Where D is
#: nearly straight and the profile is steady, 2/7 is exact; where it jumps, the surface counts more.
LEAN = 0.5
#: Least factor of the flux in a table.
LEAST = 0.05


@cache
def sphere() -> PassiveSystem:
    """Diffusion in the unit sphere, all polynomials."""
    return diffusion(RADIUS, 3)


def middle_diffusivity(electrode: Electrode) -> float:
    """D in m2/s in the middle of the window, which time and tables are relative to."""
    return float(electrode.diffusivity(_middle(electrode)))


def _middle(electrode: Electrode) -> float:
    return (electrode.minimum_stoichiometry + electrode.maximum_stoichiometry) / 2


def log_diffusivity(electrode: Electrode, x: Array, couplings: Collection[str], reference_K: float) -> Array:
    """Ln of D over that in the middle of the window, with what a stress gradient multiplies the flux by."""
    D = np.asarray(electrode.diffusivity(x)) * np.ones_like(x)
    if "stress-flux" in couplings:
        D = D * _driven(electrode, x, reference_K)
    return np.asarray(np.log(D / middle_diffusivity(electrode)))


def diffusion_K(electrode: Electrode, couplings: Collection[str], reference_K: float) -> float:
    """Slope of ln D with -1/T in K: its activation; stress drives less where it is warm, as in the middle."""
    slope = electrode.diffusivity_activation_J_mol / GAS_CONSTANT_J_molK
    if "stress-flux" in couplings:
        slope -= reference_K * (1.0 - 1.0 / float(_driven(electrode, np.array(_middle(electrode)), reference_K)))
    return slope


def _driven(electrode: Electrode, x: Array, T_K: float) -> Array:
    """What stress multiplies the flux by; far below the strain-free concentration, outside the window, never 0."""
    return np.asarray(np.maximum(mechanics.flux_factor(electrode, x, T_K), LEAST))


def along_radius(radius: Array) -> Array:
    """Value of each Jacobi polynomial ``(n, RADIUS)``."""
    k = np.arange(RADIUS)
    size = np.sqrt((2 * k + 1.5) / 1.5)
    return np.asarray(size * eval_jacobi(k, 0.0, 0.5, (2 * np.asarray(radius) ** 2 - 1)[:, None]))


def through(depth: Array) -> Array:
    """Value of each orthonormal Legendre polynomial at a depth from 0 to 1, ``(n, DEPTH)``."""
    size = np.sqrt(2 * np.arange(DEPTH) + 1.0)
    return np.asarray(size * legendre.legvander(2 * np.asarray(depth, float) - 1, DEPTH - 1))


def expand(grid: ParticleGrid, x: Array) -> Array:
    """Coefficients ``(k, DEPTH * RADIUS)`` of stoichiometries ``(k, cells, nodes)``, without the constant."""
    count = min(grid.count, RADIUS)
    radial = np.linalg.lstsq(along_radius(grid.radius)[:, :count], np.moveaxis(x, -1, 0).reshape(grid.count, -1))[0]
    cells = x.shape[1]
    depth = through((np.arange(cells) + 0.5) / cells)[:, : min(DEPTH, cells)]
    found = np.zeros((x.shape[0], DEPTH, RADIUS))
    values = radial.reshape(count, x.shape[0], cells)
    found[:, : depth.shape[1], :count] = np.einsum("dc,jkc->kdj", np.linalg.pinv(depth), values)
    found[:, 0, 0] = 0.0
    return found.reshape(x.shape[0], -1)


def basis(electrode: Electrode, step_s: float, points: int, uniform: int, further: int, snapshots: Array) -> Array:
    """Shapes ``(points * RADIUS, uniform + further)``.

    Parameters
    ----------
    electrode
        Its time constant and the step set the shifts.
    step_s
        Length of a step.
    points
        Through the electrode, and so many polynomials: Gauss's rule would take others for these.
    uniform
        Shapes that do not change with depth, by multipoint Padé: the first is the steady one.
    further
        Principal directions of what those leave of `snapshots`.
    snapshots
        Coefficients ``(k, DEPTH * RADIUS)``.
    """
    rounds = FASTEST * electrode.particle_radius_m**2 / middle_diffusivity(electrode) / step_s
    shifts = np.geomspace(SLOWEST, max(rounds, 2 * SLOWEST), max(uniform, 2))[1 : max(uniform, 1)]
    radial = multipoint(sphere(), uniform + 1, shifts.tolist())[:, 1:]
    deep = np.zeros((points, RADIUS, radial.shape[1]))
    deep[0] = radial
    V = deep.reshape(points * RADIUS, -1)
    snapshots = snapshots[:, : points * RADIUS]
    rest = snapshots - snapshots @ V @ V.T
    directions = np.linalg.svd(rest, full_matrices=False)[2][:further].T
    return orthonormal(directions, np.eye(len(V)), start=V) if further else V


@dataclass(frozen=True)
class Particles:
    """Modes of diffusion at the points of an electrode.

    Parameters
    ----------
    depth, weight
        Gauss points from 0 to 1 and their weights, ``(q,)``.
    rate
        Of each mode in D/R^2, ``(m,)``.
    surface
        Modes at the surface ``(q, m)``: what flows in there drives them by the same numbers.
    inside
        Modes at nodes along the radius ``(q, m, r)``.
    share
        Of the nodes in the volume ``(r,)``.
    """

    depth: Array
    weight: Array
    rate: Array
    surface: Array
    inside: Array
    share: Array

    @classmethod
    def of(cls, shapes: Array, points: int, nodes: int) -> Particles:
        """Galerkin projection on `shapes`, in its own modes, at Gauss points through and along the radius."""
        node, rule = legendre.leggauss(points)
        depth = (node + 1) / 2
        rates, modes = np.linalg.eigh(shapes.T @ np.kron(np.eye(points), sphere().K) @ shapes)
        coefficients = (shapes @ modes).reshape(points, RADIUS, -1)
        at_depth = np.einsum("qd,djm->qjm", through(depth)[:, :points], coefficients)
        surface = np.einsum("j,qjm->qm", sphere().E[:, 0], at_depth)
        sign = np.where(surface[0] < 0, -1.0, 1.0)  # an eigenvector's sign is arbitrary
        y, share = roots_jacobi(nodes, 0.0, 0.5)
        # the rule is exact for so many polynomials, and the others have no mean: lithium stays what it is
        radial = along_radius(np.sqrt((1 + y) / 2))[:, :nodes]
        inside = np.einsum("rj,qjm->qmr", radial, at_depth[:, :nodes])
        return cls(depth, rule / 2, np.maximum(rates, 0.0), surface * sign, inside * sign[:, None], share / share.sum())

    @property
    def integral(self) -> Array:
        """Integral from 0 to each point of the polynomial through the values at the points, ``(q, q)``."""
        powers = np.arange(len(self.depth))
        return np.asarray(
            np.linalg.solve(
                np.vander(self.depth, increasing=True).T,
                (self.depth[:, None] ** (powers + 1) / (powers + 1)).T,
            ).T
        )
