"""The one shape in which everything is reduced: a symmetric system with walls.

A conduction or diffusion problem, full or reduced, is

    M dx/dt = -K x + B u - E q        M > 0,  K >= 0, both symmetric
    q_w     = g_w (E_w' x - c_w)      flow out through wall w
    y       = C x

with sources `u`, wall flows `q`, wall conductances `g >= 0` and the
surroundings `c`. The wall is insulated unless `g` says otherwise, so `g` enters
exactly: it is never part of the operators. Because flow and value at a wall
share the same vector `E_w`, every congruence ``V' (.) V`` keeps real,
non-positive poles for every `g >= 0`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike
from scipy import linalg

from rom.statespace import Array, StateSpace


@dataclass(frozen=True)
class PassiveSystem:
    """``M x' = -K x + B u - E q, y = C x`` with wall flows ``q = g (E'x - c)``.

    Parameters
    ----------
    M, K
        Symmetric ``(n, n)``; `M` positive definite, `K` positive semi-definite.
    B
        Sources ``(n, u)``.
    E
        Walls ``(n, w)``: where each wall touches, and what its value is.
    C
        Outputs ``(y, n)``.
    inputs, walls, outputs
        Names, with units.

    Raises
    ------
    ValueError
        If shapes do not fit or `M` or `K` is not symmetric.
    """

    M: Array
    K: Array
    B: Array
    E: Array
    C: Array
    inputs: tuple[str, ...]
    walls: tuple[str, ...]
    outputs: tuple[str, ...]

    def __post_init__(self) -> None:
        n = self.M.shape[0]
        wanted = {
            "M": (n, n), "K": (n, n), "B": (n, len(self.inputs)),
            "E": (n, len(self.walls)), "C": (len(self.outputs), n),
        }  # fmt: skip
        for name, shape in wanted.items():
            if getattr(self, name).shape != shape:
                raise ValueError(f"{name} has shape {getattr(self, name).shape}, expected {shape}")
        for name in ("M", "K"):
            matrix = getattr(self, name)
            if not np.allclose(matrix, matrix.T, rtol=0, atol=1e-12 * np.abs(matrix).max()):
                raise ValueError(f"{name} is not symmetric")

    def __repr__(self) -> str:
        return f"PassiveSystem({self.order} states, walls {', '.join(self.walls)})"

    @property
    def order(self) -> int:
        """Number of states."""
        return int(self.M.shape[0])

    @cached_property
    def modes(self) -> tuple[Array, Array]:
        """Insulated rates ``(n,)`` in 1/s, ascending from 0, and M-orthonormal mode shapes ``(n, n)``."""
        rates, shapes = linalg.eigh(self.K, self.M)
        # A shape's sign is arbitrary: fix it, so that the same input gives the same bytes everywhere.
        largest = np.abs(shapes).argmax(axis=0)
        shapes = shapes * np.sign(shapes[largest, np.arange(len(rates))])
        # What is conserved must stay so to the last bit: rounding leaves 1e-17 where K has a null space.
        return np.where(rates < 1e-12 * rates[-1], 0.0, rates), shapes

    def project(self, V: ArrayLike) -> PassiveSystem:
        """Galerkin projection onto the columns of `V` ``(n, r)``: symmetric, so stability is inherited."""
        V = np.asarray(V, float)
        M, K = V.T @ self.M @ V, V.T @ self.K @ V
        return replace(self, M=(M + M.T) / 2, K=(K + K.T) / 2, B=V.T @ self.B, E=V.T @ self.E, C=self.C @ V)

    def modal(self) -> tuple[PassiveSystem, Array]:
        """Return the system in its own modes (``M = 1``, ``K`` diagonal) and the shapes that lift it back."""
        rates, shapes = self.modes
        modal = self.project(shapes)
        return replace(modal, M=np.eye(self.order), K=np.diag(rates)), shapes

    def closed(self, g: ArrayLike) -> StateSpace:
        """Continuous system with the walls closed by conductances `g` ``(w,)``; inputs are ``[u, c]``."""
        g = self.conductances(g)
        A = -linalg.solve(self.M, self.K + (self.E * g) @ self.E.T, assume_a="pos")
        B = linalg.solve(self.M, np.hstack([self.B, self.E * g]), assume_a="pos")
        D = np.zeros((len(self.outputs), B.shape[1]))
        return StateSpace(A, B, self.C, D, 0.0, self.inputs + self.walls, self.outputs)

    def hold(self, g: ArrayLike, step_s: float) -> StateSpace:
        """Exact zero-order hold of the closed system at fixed `g`, in its own (diagonal) modes."""
        g = self.conductances(g)
        closed = replace(self, K=self.K + (self.E * g) @ self.E.T)
        rates, shapes = closed.modes
        drive = shapes.T @ np.hstack([self.B, self.E * g])
        decay, gain = held(rates, step_s)
        D = np.zeros((len(self.outputs), drive.shape[1]))
        return StateSpace(
            np.diag(decay), gain[:, None] * drive, self.C @ shapes, D, step_s,
            self.inputs + self.walls, self.outputs,
        )  # fmt: skip

    def steady(self, g: ArrayLike, u: ArrayLike, c: ArrayLike) -> Array:
        """State ``(n,)`` at rest under constant sources `u` and surroundings `c`; at least one ``g > 0``."""
        g = self.conductances(g)
        if not g.any():
            raise ValueError("no steady state: every wall is insulated (g = 0)")
        load = self.B @ np.asarray(u, float) + self.E @ (g * np.asarray(c, float))
        return np.asarray(linalg.solve(self.K + (self.E * g) @ self.E.T, load, assume_a="pos"))

    def conductances(self, g: ArrayLike) -> Array:
        """Check wall conductances `g`: one per wall, finite and not negative."""
        values = np.broadcast_to(np.asarray(g, float), (len(self.walls),))
        if not (np.isfinite(values).all() and (values >= 0).all()):
            raise ValueError(f"wall conductances must be finite and >= 0, got {values.tolist()}")
        return values


def held(rates: Array, step_s: float) -> tuple[Array, Array]:
    """``exp(-rate t)`` and ``(1 - exp(-rate t)) / rate`` per mode: what a step of `step_s` does to it."""
    if not step_s > 0:
        raise ValueError(f"step_s must be positive, got {step_s!r}")
    scaled = np.asarray(rates, float) * step_s
    gain = np.where(scaled > 0, -np.expm1(-scaled) / np.where(scaled > 0, scaled, 1.0), 1.0)
    return np.exp(-scaled), step_s * gain
