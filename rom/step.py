"""One step of a modal system, stable for every wall conductance: the readable twin of ``kernel/step.h``."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from rom.passive import PassiveSystem, held
from rom.statespace import Array


@dataclass(frozen=True)
class ModalStep:
    """The discrete form of a modal `PassiveSystem`: what a target needs to step it.

    The insulated modes are stepped exactly. The wall flow of a step is solved
    for at its end, ``q = g (E'x[k+1] - c)``, one rank and one division per
    wall, which is a contraction for every ``g >= 0`` and every step, keeps
    energy and DC gain exact, and is first order in the wall flow.

    Parameters
    ----------
    decay
        ``exp(-rate step)`` per mode, ``(n,)``.
    drive
        Change of the modes per unit of source held for a step, ``(n, u)``.
    wall
        Value of the modes at each wall, ``(n, w)``.
    sink
        Change of the modes per unit of flow out through each wall, ``(n, w)``.
    step_s
        Length of the step in seconds.
    """

    decay: Array
    drive: Array
    wall: Array
    sink: Array
    step_s: float

    @classmethod
    def of(cls, modal: PassiveSystem, step_s: float) -> ModalStep:
        """Build it from a system in modal form (see `PassiveSystem.modal`)."""
        decay, gain = held(np.diag(modal.K), step_s)
        return cls(decay, gain[:, None] * modal.B, modal.E.copy(), gain[:, None] * modal.E, step_s)

    def advance(self, x: Array, u: ArrayLike, g: Array, c: ArrayLike) -> Array:
        """State ``(n,)`` after one step with sources `u`, conductances `g` and surroundings `c`."""
        A, B = self.matrices(g)
        return A @ x + B @ np.concatenate([np.atleast_1d(u), np.atleast_1d(c)])

    def matrices(self, g: ArrayLike) -> tuple[Array, Array]:
        """``A (n, n)`` and ``B (n, u + w)`` of the step ``x -> A x + B [u, c]`` at conductances `g`."""
        g = np.broadcast_to(np.asarray(g, float), (self.wall.shape[1],))
        # x+ = x* - S q,  q = g (E' x+ - c)   =>   q = (1 + g E'S)^-1 g (E' x* - c)
        flow = np.linalg.solve(np.eye(len(g)) + g[:, None] * (self.wall.T @ self.sink), np.diag(g))
        closed = np.eye(len(self.decay)) - self.sink @ flow @ self.wall.T
        return closed * self.decay, np.hstack([closed @ self.drive, self.sink @ flow])

    def poles(self, g: ArrayLike) -> Array:
        """Real poles of the step map at conductances `g`, descending."""
        # similar to D^1/2 (1 + ...)^-1 D^1/2 with D = decay: symmetric in the weight 1/gain, hence real
        A = self.matrices(g)[0]
        return np.sort(np.linalg.eigvals(A).real)[::-1]
