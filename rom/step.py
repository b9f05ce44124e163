"""One step of a modal system, stable for every wall conductance: the readable twin of ``kernel/step.h``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

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
        ``exp(-rate step)`` per mode, ``(n,)``, from 0 to 1.
    drive
        Change of the modes per unit of source held for a step, ``(n, u)``.
    wall
        Value of the modes at each wall, ``(n, w)``.
    sink
        Change of the modes per unit of flow out through each wall, ``(n, w)``;
        each row is a positive multiple of the row of `wall`.
    step_s
        Length of the step in seconds.

    Raises
    ------
    ValueError
        If shapes do not fit, a number is not finite, a mode grows or the step has no length.
    """

    decay: Array
    drive: Array
    wall: Array
    sink: Array
    step_s: float

    def __post_init__(self) -> None:
        if not 0 < self.step_s < np.inf:
            raise ValueError(f"step_s must be positive and finite, got {self.step_s!r}")
        n, u, w = np.size(self.decay), np.shape(self.drive)[-1:], np.shape(self.wall)[-1:]
        for name, shape in {"decay": (n,), "drive": (n, *u), "wall": (n, *w), "sink": (n, *w)}.items():
            values = getattr(self, name)
            if values.shape != shape:
                raise ValueError(f"{name} has shape {values.shape}, expected {shape}")
            if not np.isfinite(values).all():
                raise ValueError(f"{name} must be finite: a NaN would stay in the state for ever")
        if not ((self.decay >= 0).all() and (self.decay <= 1).all()):
            raise ValueError(f"decay must be 0 to 1, got {self.decay.tolist()}")

    @classmethod
    def of(cls, modal: PassiveSystem, step_s: float) -> ModalStep:
        """Build it from a system in modal form (see `PassiveSystem.modal`)."""
        decay, gain = held(np.diag(modal.K), step_s)
        return cls(decay, gain[:, None] * modal.B, modal.E.copy(), gain[:, None] * modal.E, step_s)

    def advance(self, x: Array, u: ArrayLike, g: ArrayLike, c: ArrayLike) -> Array:
        """State ``(n,)`` after one step with sources `u`, conductances `g` and surroundings `c`."""
        A, B = self.matrices(g)
        return np.asarray(A @ x + B @ np.concatenate([np.atleast_1d(u), np.atleast_1d(c)]))

    def run(self, u: ArrayLike, g: ArrayLike, x0: ArrayLike | None = None) -> Array:
        """States ``(k, n)`` after each step at fixed conductances `g`.

        Parameters
        ----------
        u
            Sources and surroundings ``(k, u + w)``, held over their step.
        g
            Wall conductances ``(w,)``.
        x0
            State ``(n,)`` before the first step; zero by default.
        """
        x = np.zeros(len(self.decay)) if x0 is None else np.asarray(x0, float)
        half, root, inner = self._symmetric(g)
        poles, Q = np.linalg.eigh(half[:, None] * inner * half)
        drive = np.asarray(u, float) @ self.matrices(g)[1].T
        # x+ = root inner half (half x / root) + drive, through the eigenvectors; a decay of 0 divides nothing
        start = Q.T @ (half / root * x)
        z = filtered(poles, drive * (half / root) @ Q, start)
        before = np.vstack([start, z[:-1]])
        return np.asarray(before @ (root[:, None] * inner * half @ Q).T + drive)

    def matrices(self, g: ArrayLike) -> tuple[Array, Array]:
        """Return ``A (n, n)`` and ``B (n, u + w)`` of ``x -> A x + B [u, c]`` at conductances `g`."""
        flow = self._flow(g)
        closed = np.eye(len(self.decay)) - self.sink @ flow @ self.wall.T
        return closed * self.decay, np.hstack([closed @ self.drive, self.sink @ flow])

    def poles(self, g: ArrayLike) -> Array:
        """Real poles of the step map at conductances `g`, descending, ``(n,)``."""
        half, _, inner = self._symmetric(g)
        return np.asarray(np.linalg.eigvalsh(half[:, None] * inner * half)[::-1])

    def _flow(self, g: ArrayLike) -> Array:
        """``(w, w)``: wall flows of a step per value that the walls would have had without them."""
        g = np.broadcast_to(np.asarray(g, float), (self.wall.shape[1],))
        # x+ = x* - S q,  q = g (E' x+ - c)   =>   q = (1 + g E'S)^-1 g (E' x* - c)
        through = self.wall.T @ self.sink
        return np.asarray(np.linalg.solve(np.eye(len(g)) + g[:, None] * through, np.diag(g)))

    def _symmetric(self, g: ArrayLike) -> tuple[Array, Array, Array]:
        """``half, root, inner``: ``A = root inner half^2 / root`` is similar to ``half inner half``."""
        size = np.linalg.norm(self.wall, axis=1)
        # A mode that touches no wall may be weighed at will.
        weight = np.where(size > 0, np.linalg.norm(self.sink, axis=1) / np.where(size > 0, size, 1.0), 1.0)
        root = np.sqrt(weight)
        touch = root[:, None] * self.wall
        inner = np.eye(len(root)) - touch @ self._flow(g) @ touch.T
        return np.sqrt(self.decay), root, (inner + inner.T) / 2


def filtered(poles: Array, drive: Array, x0: Array | None = None) -> Array:
    """``x[k] = poles x[k-1] + drive[k]`` for each column of `drive` ``(k, n)`` by itself."""
    from scipy.signal import lfilter  # half a second of import, for runs over arrays only

    start = np.zeros(len(poles)) if x0 is None else x0
    columns = [
        lfilter([1.0], [1.0, -pole], column, zi=[pole * x])[0]
        for pole, column, x in zip(poles, drive.T, start, strict=True)
    ]
    return np.column_stack(columns)


class PlainStepper:
    """`rom._step.Stepper` in NumPy, for an installation without a compiler; see there.

    Parameters
    ----------
    step
        What to step.
    g
        Wall conductances ``(w,)``; insulated by default.
    dtype
        ``float64`` or ``float32``.
    """

    def __init__(self, step: ModalStep, g: ArrayLike = 0.0, dtype: DTypeLike = np.float64) -> None:
        self._model, self._dtype = step, np.dtype(dtype)
        self._x = np.zeros(len(step.decay), self._dtype)
        self.open(g)

    @property
    def x(self) -> tuple[float, ...]:
        """State ``(n,)``; may be set."""
        return tuple(self._x.tolist())

    @x.setter
    def x(self, values: Sequence[float]) -> None:
        self._x = self._finite(values, (len(self._x),)).copy()

    def open(self, g: ArrayLike) -> None:
        """Set the wall conductances ``(w,)``; the state stays."""
        values = np.broadcast_to(np.asarray(g, float), (self._model.wall.shape[1],))
        if not (np.isfinite(values).all() and (values >= 0).all()):
            raise ValueError(f"wall conductances must be finite and >= 0, got {values.tolist()}")
        self._A, self._B = (matrix.T.astype(self._dtype) for matrix in self._model.matrices(values))

    def step(self, u: Sequence[float]) -> tuple[float, ...]:
        """State after one step with sources and surroundings `u` ``(u + w,)``."""
        self.run([tuple(u)])
        return self.x

    def run(self, u: ArrayLike) -> NDArray[np.floating[Any]]:
        """States ``(k, n)`` after each step of `u` ``(k, u + w)``, from the present state on."""
        states = self.batch(np.asarray(u, self._dtype)[:, None])[:, 0]
        self._x = states[-1].copy() if len(states) else self._x
        return states

    def batch(self, u: ArrayLike, x0: ArrayLike | None = None) -> NDArray[np.floating[Any]]:
        """States ``(k, cells, n)`` of many cells under `u` ``(k, cells, u + w)``, each from a row of `x0`."""
        drive = np.asarray(u, self._dtype)
        drive = self._finite(drive, (*drive.shape[:2], len(self._B)))
        cells = drive.shape[1]
        x = self._finite(np.tile(self._x, (cells, 1)) if x0 is None else x0, (cells, len(self._x)))
        states = np.empty((len(drive), *x.shape), self._dtype)
        for k, now in enumerate(drive):
            states[k] = x = x @ self._A + now @ self._B
        return states

    def _finite(self, values: ArrayLike, shape: tuple[int, ...]) -> NDArray[np.floating[Any]]:
        array = np.asarray(values, self._dtype)
        if array.shape != shape:
            raise ValueError(f"expected shape {shape}, got {array.shape}")
        if not np.isfinite(array).all():
            raise ValueError("every number must be finite: a NaN would stay in the state for ever")
        return array


try:
    from rom._step import Stepper
except ImportError:  # installed without a compiler
    Stepper = PlainStepper  # type: ignore[misc, assignment]


def compiled() -> bool:
    """Whether `Stepper` is the compiled kernel; if not, it is `PlainStepper`."""
    return Stepper.__module__ == "rom._step"
