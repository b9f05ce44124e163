"""Proper orthogonal decomposition in the inner product of the energy (Sirovich 1987; Volkwein 2013)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike
from scipy import linalg

from rom.basis import orthonormal, port_basis
from rom.passive import PassiveSystem, held
from rom.statespace import Array


def pod(system: PassiveSystem, snapshots: ArrayLike, order: int) -> Array:
    """Basis ``(n, order)``: ports first, then the principal directions of what is left of the snapshots.

    Parameters
    ----------
    system
        The full system; its `M` is the weight.
    snapshots
        States ``(n, k)``, excited through every port: a basis that has never
        seen the wall fails on it.
    order
        Columns wanted.
    """
    V = port_basis(system)
    X = np.asarray(snapshots, float)
    X = X - V @ (V.T @ (system.M @ X))
    root = linalg.cholesky(system.M, lower=True)
    directions = linalg.svd(root.T @ X, full_matrices=False)[0]
    directions = linalg.solve_triangular(root.T, directions)
    return orthonormal(directions[:, : max(order - V.shape[1], 0)], system.M, start=V)[:, :order]


def port_snapshots(system: PassiveSystem, conductances: Sequence[ArrayLike], count: int = 40) -> Array:
    """Step responses of every source and every wall, at each set of `conductances`, ``(n, k)``.

    Columns are weighted so that their sum of squares is an integral over
    time (continuous POD; Kunisch & Volkwein 2001): times are log-spaced, to
    see the fast modes too, and each counts as much as the time it stands for.
    They end at the slowest time of the insulated system; what follows is
    nearly steady, and `pod` holds the steady shapes already. Each response is
    scaled to the same heat content, so that no port is drowned by another.
    """
    slowest = system.modes[0][system.modes[0] > 0][0]
    times = np.geomspace(1e-3, 1.0, count) / slowest
    columns = []
    for g in conductances:
        g = system.conductances(g)
        closed = replace(system, K=system.K + (system.E * g) @ system.E.T)
        rates, shapes = closed.modes
        for port in np.hstack([system.B, system.E]).T:
            gains = np.column_stack([held(rates, t)[1] for t in times])
            response = shapes @ (gains * (shapes.T @ port)[:, None]) * np.sqrt(times)
            columns.append(response / np.sqrt(np.sum(response * (system.M @ response))))
    return np.hstack(columns)
