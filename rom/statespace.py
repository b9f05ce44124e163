"""Linear state-space systems, continuous or discrete, in one class."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import linalg

Array = NDArray[np.float64]


@dataclass(frozen=True)
class StateSpace:
    r"""``x' = A x + B u,  y = C x + D u`` (or ``x[k+1] = ...`` when ``step_s > 0``).

    Parameters
    ----------
    A, B, C, D
        Matrices of shape ``(n, n)``, ``(n, u)``, ``(y, n)``, ``(y, u)``.
    step_s
        Sampling time in seconds; 0 means continuous time.
    inputs, outputs
        Names with units, such as ``heat_W``.

    Raises
    ------
    ValueError
        If the shapes do not fit together.
    """

    A: Array
    B: Array
    C: Array
    D: Array
    step_s: float = 0.0
    inputs: tuple[str, ...] = field(default=())
    outputs: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        A, B, C, D = (np.atleast_2d(np.asarray(m, float)) for m in (self.A, self.B, self.C, self.D))
        n, u, y = A.shape[0], B.shape[1], C.shape[0]
        if (A.shape, B.shape, C.shape, D.shape) != ((n, n), (n, u), (y, n), (y, u)):
            raise ValueError(f"shapes do not fit: A {A.shape}, B {B.shape}, C {C.shape}, D {D.shape}")
        for name, matrix in zip("ABCD", (A, B, C, D), strict=True):
            object.__setattr__(self, name, matrix)
        object.__setattr__(self, "inputs", tuple(self.inputs) or tuple(f"u{i}" for i in range(u)))
        object.__setattr__(self, "outputs", tuple(self.outputs) or tuple(f"y{i}" for i in range(y)))

    @property
    def order(self) -> int:
        """Number of states."""
        return int(self.A.shape[0])

    def __repr__(self) -> str:
        kind = f"discrete, {self.step_s:g} s" if self.step_s else "continuous"
        ports = f"{', '.join(self.inputs)} -> {', '.join(self.outputs)}"
        return f"StateSpace({self.order} states, {ports}, {kind})"

    def poles(self) -> NDArray[np.complex128]:
        """Eigenvalues of ``A``, in 1/s, or of the step map when discrete."""
        return np.asarray(linalg.eigvals(self.A), complex)

    def at(self, s: complex) -> NDArray[np.complex128]:
        """Transfer matrix ``(y, u)`` at the complex frequency `s` in rad/s (or at `z`)."""
        resolvent = linalg.solve(s * np.eye(self.order) - self.A, self.B.astype(complex))
        return np.asarray(self.C @ resolvent + self.D)

    def dc_gain(self) -> Array:
        """Steady output per unit of constant input, shape ``(y, u)``."""
        return np.real(self.at(1.0 if self.step_s else 0.0))

    def discretise(self, step_s: float) -> StateSpace:
        """Exact zero-order hold: the input is constant over each step of `step_s` seconds."""
        if self.step_s:
            raise ValueError(f"already discrete with step_s = {self.step_s:g}")
        if not step_s > 0:
            raise ValueError(f"step_s must be positive, got {step_s!r}")
        n, u = self.B.shape
        # exp([[A, B], [0, 0]] t) = [[Ad, Bd], [0, 1]]   (Van Loan 1978)
        block = np.zeros((n + u, n + u))
        block[:n, :n], block[:n, n:] = self.A, self.B
        block = linalg.expm(block * step_s)
        return StateSpace(block[:n, :n], block[:n, n:], self.C, self.D, step_s, self.inputs, self.outputs)

    def simulate(self, u: ArrayLike, x0: ArrayLike | None = None) -> Array:
        """Return outputs ``(k, y)`` of a discrete system at the *end* of each step.

        Parameters
        ----------
        u
            Inputs ``(k, u)``, held constant over their step.
        x0
            State ``(n,)`` before the first step; zero by default.
        """
        if not self.step_s:
            raise ValueError("simulate needs a discrete system: call discretise(step_s) first")
        drive = np.asarray(u, float).reshape(-1, self.B.shape[1])
        x = np.zeros(self.order) if x0 is None else np.asarray(x0, float)
        y = np.empty((len(drive), self.C.shape[0]))
        for k, held in enumerate(drive):
            x = self.A @ x + self.B @ held
            y[k] = self.C @ x + self.D @ held
        return y

    def to_control(self) -> Any:
        """Return the same system as a `control.StateSpace`."""
        import control

        step = self.step_s or 0
        return control.StateSpace(
            self.A, self.B, self.C, self.D, step, inputs=list(self.inputs), outputs=list(self.outputs)
        )

    @classmethod
    def from_control(cls, system: Any) -> StateSpace:
        """Make one from a `control.StateSpace`, whose step must be stated if it is discrete."""
        if system.dt is True:
            raise ValueError("the system is discrete but does not say its step: set its dt in seconds")
        step = 0.0 if not system.dt else float(system.dt)
        return cls(
            system.A, system.B, system.C, system.D, step,
            tuple(system.input_labels), tuple(system.output_labels),
        )  # fmt: skip
