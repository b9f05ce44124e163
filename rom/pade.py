r"""Padé approximation, computed as Galerkin projection instead of from Taylor coefficients.

A projection onto the Krylov space of a symmetric system matches twice as many
moments as it has vectors, so it *is* the Padé approximant [n-1/n], but with
orthogonal vectors in place of a Hankel system whose condition grows like
:math:`10^{2n}`: the textbook route is unstable from order 8 on, this one is
exact to rounding at order 12. With several shifts it becomes multipoint Padé
(rational Krylov; Grimme 1997, theorem 3.1).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import linalg

from rom.basis import orthonormal, port_basis, solve_insulated
from rom.passive import PassiveSystem
from rom.statespace import Array


def pade(system: PassiveSystem, order: int) -> Array:
    """Basis ``(n, order)`` of the Padé approximant about ``s = 0``.

    For uniform heat in a homogeneous cylinder it spans the even polynomials
    ``1, r^2, r^4, ...``.
    """
    V = port_basis(system)
    images = V[:, 1:]
    while V.shape[1] < order:
        images = solve_insulated(system, system.M @ images)
        before = V.shape[1]
        V = orthonormal(images, system.M, start=V)
        if V.shape[1] == before:
            break
        images = V[:, before:]
    return V[:, :order]


def multipoint(system: PassiveSystem, order: int, shifts: Sequence[float] | None = None) -> Array:
    """Basis ``(n, order)`` that is exact at ``s = 0`` and at each real shift, for every wall conductance.

    Parameters
    ----------
    system
        The full system.
    order
        Columns wanted.
    shifts
        Real frequencies in 1/s; by default spread over the system's own rates
        so that `order` is filled.
    """
    V = port_basis(system)
    wanted = max(order - V.shape[1], 0)
    chosen = default_shifts(system, -(-wanted // len(system.walls))) if shifts is None else shifts
    for ports in (system.E, system.B):  # walls first: swings of the surroundings are the harder input
        for shift in chosen:
            response = linalg.solve(system.K + shift * system.M, ports, assume_a="pos")
            V = orthonormal(response, system.M, start=V)
    return V[:, :order]


def default_shifts(system: PassiveSystem, count: int) -> Array:
    """`count` real shifts in 1/s, log-spaced over the decades that a wall excites.

    Measured on cylinders from an 18650 to a 46-mm cell and from 5 to 1000
    W/m2K: 1/3 to 5.5 times the slowest rate for two shifts, and an octave more
    at the top for each further one.
    """
    rates = system.modes[0]
    slowest = rates[rates > 0][0]
    if count == 1:
        return np.array([1.36 * slowest])
    return np.asarray(np.geomspace(0.34, 1.36 * 2.0**count, count) * slowest)


def diffusion(order: int, dimension: int) -> PassiveSystem:
    r"""Padé approximant of diffusion in the unit slab (1), cylinder (2) or sphere (3).

    Solves :math:`\partial_t c = r^{1-d}\,\partial_r(r^{d-1}\,\partial_r c)` with the
    flow out through ``r = 1`` as the wall and one unit of source spread evenly,
    in orthonormal even Jacobi polynomials
    :math:`P_k^{(0,\,d/2-1)}(2r^2-1)`. Time is in units of :math:`R^2/D`.

    Parameters
    ----------
    order
        Number of polynomials, the mean included.
    dimension
        1, 2 or 3.

    Returns
    -------
    PassiveSystem
        ``M`` is the identity; outputs are centre, mean and surface.

    Examples
    --------
    >>> sphere = diffusion(3, dimension=3)   # exact: 0, 20.190729, 59.679516
    >>> [round(float(v), 6) for v in sphere.modes[0]]
    [0.0, 20.572671, 168.427329]
    """
    from scipy.special import eval_jacobi, roots_jacobi

    if dimension not in (1, 2, 3) or order < 1:
        raise ValueError(f"dimension must be 1, 2 or 3 and order >= 1, got {dimension} and {order}")
    beta = dimension / 2 - 1
    k = np.arange(order)
    # r^(d-1) dr is (1+x)^beta dx up to a constant, x = 2 r^2 - 1; norms are those of Jacobi polynomials.
    x, weight = roots_jacobi(order + 1, 0.0, beta)
    weight = weight / weight.sum()
    size = np.sqrt((2 * k + beta + 1) / (beta + 1))
    p = size * eval_jacobi(k, 0.0, beta, x[:, None])
    # dP_k^(a,b)/dx = (k + a + b + 1)/2 P_{k-1}^(a+1,b+1);  dx/dr = 4 r,  r^2 = (1 + x)/2
    slope = size * (k + beta + 1) / 2 * eval_jacobi(np.maximum(k - 1, 0), 1.0, beta + 1, x[:, None]) * (k > 0)
    K = (slope * (weight * 8 * (1 + x))[:, None]).T @ slope
    mean = weight @ p
    edge = size * eval_jacobi(k, 0.0, beta, 1.0)
    centre = size * eval_jacobi(k, 0.0, beta, -1.0)
    mean[1:] = 0.0  # orthogonal to the constant; say so exactly, for it is what conserves
    return PassiveSystem(
        M=np.eye(order), K=(K + K.T) / 2, B=mean[:, None], E=edge[:, None],
        C=np.vstack([centre, mean, edge]),
        inputs=("source",), walls=("surface",), outputs=("centre", "mean", "surface"),
    )  # fmt: skip
