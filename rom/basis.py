"""What every basis starts from: the directions that keep energy and steady states exact."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from rom.passive import PassiveSystem
from rom.statespace import Array


def orthonormal(columns: ArrayLike, M: Array, start: Array | None = None, tolerance: float = 1e-9) -> Array:
    """M-orthonormal basis ``(n, r)`` of `start` and `columns`, in their order; what is dependent is left out.

    Parameters
    ----------
    columns
        Directions ``(n, k)``.
    M
        Weight ``(n, n)``.
    start
        Columns that are M-orthonormal already and come first.
    tolerance
        A column of which less than this share is new is dropped.
    """
    columns = np.asarray(columns, float)
    V = np.empty((len(columns), 0)) if start is None else start
    for column in columns.T:
        size = np.sqrt(column @ M @ column)
        if size == 0.0:
            continue
        v = column / size
        for _ in range(2):  # once more: "twice is enough" (Giraud, Langou & Rozloznik 2005)
            v = v - V @ (V.T @ (M @ v))
        new = np.sqrt(v @ M @ v)
        if new > tolerance:
            V = np.column_stack([V, v / new])
    return V


def solve_insulated(system: PassiveSystem, load: Array) -> Array:
    """``K^+ load``: the steady shape under a load that adds up to zero, with zero mean."""
    rates, shapes = system.modes
    inverse = np.where(rates > 0, 1.0 / np.where(rates > 0, rates, 1.0), 0.0)
    return np.asarray(shapes @ (inverse[:, None] * (shapes.T @ load)))


def port_basis(system: PassiveSystem) -> Array:
    """Constant and steady image of every port, M-orthonormal, ``(n, ports)``.

    A basis that holds them conserves energy and has the exact DC gain from
    every source and every wall, at every wall conductance: any steady state
    is a combination of the constant (all that is conserved) and of shapes in
    which what comes in through one port goes out through another.

    Raises
    ------
    ValueError
        If the insulated system does not conserve exactly one quantity.
    """
    constants = system.modes[1][:, system.modes[0] == 0.0]
    if constants.shape[1] != 1:
        raise ValueError(f"{constants.shape[1]} quantities are conserved when insulated, expected one")
    ports = np.hstack([system.E, system.B])
    amounts = constants.T @ ports
    # Each port against the first wall: flows in and out cancel.
    balanced = ports[:, 1:] - ports[:, :1] * (amounts[:, 1:] / amounts[:, :1])
    return orthonormal(solve_insulated(system, balanced), system.M, start=constants)
