"""Balanced truncation and singular-perturbation approximation, for one fixed wall conductance.

`balanced` is the best model of its size at the conductance it was built for,
and only there: what is not a congruence of the insulated system does not
survive a change of `g`. It is the yardstick that the any-`g` bases are held
against. `balanced_basis` takes its directions only, for the common projection.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy import linalg

from rom.basis import orthonormal, port_basis
from rom.passive import PassiveSystem
from rom.statespace import Array, StateSpace


def balanced(system: StateSpace, order: int, *, match_dc: bool = True) -> StateSpace:
    """Reduce a stable continuous system to `order` states.

    Square-root algorithm (Tombs & Postlethwaite 1987); with `match_dc` the
    fast part is set to its steady value instead of dropped (Liu & Anderson
    1989), which keeps the DC gain.

    Raises
    ------
    ValueError
        If the system is discrete or not asymptotically stable.
    """
    if system.step_s:
        raise ValueError("balanced() takes a continuous system")
    if np.max(system.poles().real) >= 0:
        raise ValueError("balanced() needs an asymptotically stable system: a wall must be open (g > 0)")
    T, inverse, _ = _balancing(system)
    A, B, C = inverse @ system.A @ T, inverse @ system.B, system.C @ T
    r = min(order, len(A))
    D = system.D
    slow, fast = slice(None, r), slice(r, None)
    if match_dc and r < len(A):
        # 0 = A21 x1 + A22 x2 + B2 u eliminates the fast part
        pull = linalg.solve(A[fast, fast], np.hstack([A[fast, slow], B[fast]]))
        D = D - C[:, fast] @ pull[:, r:]
        B = B[slow] - A[slow, fast] @ pull[:, r:]
        C = C[:, slow] - C[:, fast] @ pull[:, :r]
        A = A[slow, slow] - A[slow, fast] @ pull[:, :r]
    else:
        A, B, C = A[slow, slow], B[slow], C[:, slow]
    return StateSpace(A, B, C, D, 0.0, system.inputs, system.outputs)


def balanced_basis(system: PassiveSystem, order: int, g: ArrayLike) -> Array:
    """Basis ``(n, order)``: ports first, then the best balanced directions at the wall conductances `g`.

    Only the directions are those of `g`: the projection is a congruence like
    any other, stable and exact in energy and steady state at every conductance.
    """
    directions = _balancing(system.closed(g))[0]
    return orthonormal(directions, system.M, start=port_basis(system))[:, :order]


def hankel_singular_values(system: StateSpace) -> Array:
    """Hankel singular values, descending; those below rounding are left out."""
    return _balancing(system)[2]


def _balancing(system: StateSpace) -> tuple[Array, Array, Array]:
    """Balancing transformation, its inverse, and the Hankel singular values."""
    controllability = linalg.solve_continuous_lyapunov(system.A, -system.B @ system.B.T)
    observability = linalg.solve_continuous_lyapunov(system.A.T, -system.C.T @ system.C)
    R, L = _root(controllability), _root(observability)
    U, values, Vt = linalg.svd(L.T @ R)
    # Directions below rounding belong to nothing that is both reached and seen.
    kept = values > 1e-13 * values[0]
    U, values, Vt = U[:, : len(values)][:, kept], values[kept], Vt[: len(values)][kept]
    scale = 1.0 / np.sqrt(values)
    return R @ Vt.T * scale, scale[:, None] * (U.T @ L.T), values


def _root(gramian: Array) -> Array:
    """Factor of a positive semi-definite matrix that may have lost definiteness to rounding."""
    values, vectors = linalg.eigh((gramian + gramian.T) / 2)
    return np.asarray(vectors * np.sqrt(np.maximum(values, 0.0)))
