"""Time stepping: SUNDIALS IDA with the exact sparse Jacobian."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.linalg import splu

from bmsthermal.curves import Array
from bmsthermal.dfn.assembly import System

#: What Newton may move a potential by at once, in V: beyond it an exponential knows nothing.
STRIDE_V = 0.3
#: Last step of Newton, in V, after which it is good enough; and what it may stall at.
CLOSE_V, ROUNDING_V = 1e-14, 1e-10


class UnsolvableError(ArithmeticError):
    """The equations have no answer that the solver can find."""


class Solver:
    """Integrates ``M y' = f(y, u)``.

    Parameters
    ----------
    system
        What to integrate.
    rtol, atol
        Relative tolerance, and absolute tolerance times the scale of each unknown.
    events
        ``events(t, y, out)`` fills what must stay positive, ``(e,)``.
    count
        Number of events.
    first_s
        First step after a start, 0 to let the solver guess.
    """

    def __init__(
        self,
        system: System,
        rtol: float,
        atol: float,
        events: Callable[[float, Array, Array], None],
        count: int,
        first_s: float = 0.0,
    ) -> None:
        IDA = _single_threaded_ida()
        self.system, self.mass = system, system.mass
        self.u = np.zeros(len(system.assembly.inputs))
        n = len(self.mass)
        self._y, self._f, self._values = np.zeros(n), np.zeros(n), np.zeros(system.pattern.nnz)
        self._right = _bound(system.right, self._y, self.u, self._f)
        self._slope = _bound(system.slope, self._y, self.u, self._values)
        self._diagonal_mass = self.mass.copy()
        self.algebraic = system.assembly.algebraic
        blocks = system.assembly.blocks
        potentials = np.concatenate([places for name, places in blocks.items() if name.startswith("phi")])
        self._potentials = np.searchsorted(self.algebraic, potentials)
        self._factors: Any = None
        watched = _with_direction(lambda t, y, yp, out: events(t, y, out), count)

        def make() -> Any:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # it says that its own approximate Jacobian is not used
                return IDA(
                    self._residual, jacfn=self._jacobian, sparsity=system.pattern, linsolver="sparse", rtol=rtol,
                    atol=atol * np.array(system.assembly.scale), algebraic_idx=self.algebraic, eventsfn=watched,
                    num_events=count, max_num_steps=10_000, max_conv_fails=30, max_nonlin_iters=6, first_step=first_s,
                )  # fmt: skip

        self._make = make
        self._ida = make()
        self.evaluations = 0
        self._begin: tuple[float, Array, Array] | None = None

    def right(self, y: Array) -> Array:
        """``f(y, u)``, ``(n,)``; the array is overwritten by the next call."""
        self._y[:] = y
        self._right()
        return self._f

    def _residual(self, t: float, y: Array, yp: Array, out: Array) -> None:
        np.multiply(self.mass, yp, out=out)
        out -= self.right(y)
        self.evaluations += 1

    def _jacobian(self, t: float, y: Array, yp: Array, res: Array, cj: float, out: Array) -> None:
        self._y[:] = y
        self._slope()
        np.negative(self._values, out=out)
        out[self.system.diagonal] += cj * self.mass

    @cached_property
    def _block(self) -> tuple[NDArray[np.int64], sparse.csc_matrix]:
        """Where the algebraic part of the Jacobian sits among its values, and its pattern."""
        numbered = self.system.pattern.copy()
        numbered.data = np.arange(1, numbered.nnz + 1, dtype=float)
        part = numbered[self.algebraic][:, self.algebraic].tocsc()
        return part.data.astype(np.int64) - 1, part

    def consistent(self, y: Array, *, limit: int = 60) -> Array:
        """Solve the algebraic equations with the differential unknowns of `y` held (damped Newton).

        The factors of the last solution are used again as long as they gain a
        digit per iteration: from row to row of a profile they mostly do.

        Raises
        ------
        UnsolvableError
            If they have no answer near by.
        """
        y, where = y.copy(), self.algebraic
        before = size = np.inf
        for _ in range(limit):
            residual = self.right(y)[where]
            old = self._factors is not None
            if not old:
                self._factors = self._factorise()
            step = self._factors.solve(-residual)
            size = float(np.abs(step[self._potentials]).max())
            slow = not size < 0.1 * before  # also where it is not a number
            if old and slow and not size < ROUNDING_V:
                self._factors, before = None, np.inf
                continue
            if not np.isfinite(size):
                raise UnsolvableError("the equations are not numbers")
            y[where] += step * min(1.0, STRIDE_V / max(size, STRIDE_V))
            if size < CLOSE_V or (slow and size < ROUNDING_V):
                return y
            before = size
        raise UnsolvableError(f"no consistent potentials (Newton still moves them by {size:.2g} V)")

    def _factorise(self) -> Any:
        """Factors of the algebraic part of the Jacobian where `right` was evaluated last."""
        place, part = self._block
        self._slope()
        part.data[:] = self._values[place]
        try:
            return splu(part)
        except RuntimeError as error:
            raise UnsolvableError("the Jacobian is singular") from error

    def start(self, t: float, y: Array) -> Array:
        """Begin at `t` from the differential unknowns of `y`; return the consistent state."""
        y = self.consistent(y)
        rate = np.where(self.mass > 0, self.right(y) / np.where(self.mass > 0, self.mass, 1.0), 0.0)
        self._begin = t, y.copy(), rate
        return y

    def step(self, t: float, stop: float | None = None) -> Any:
        """Advance to `t`, never beyond `stop`."""
        if self._begin is not None:  # not before: scikit-sundae 1.2 frees what it has not allocated if no step follows
            self._ida = self._make()  # it would keep the memory of every start before this one: 0.2 MB each
            self._ida.init_step(*self._begin)
            self._begin = None
        return self._ida.step(t, method="normal", tstop=stop)


def _single_threaded_ida() -> Any:
    """Import SUNDIALS with one thread: its OpenMP would wait for itself longer than it computes at these sizes."""
    before = os.environ.get("OMP_NUM_THREADS")
    os.environ["OMP_NUM_THREADS"] = "1"  # read once, when the library is loaded
    try:
        from sksundae.ida import IDA
    finally:
        if before is None:
            del os.environ["OMP_NUM_THREADS"]
        else:
            os.environ["OMP_NUM_THREADS"] = before
    return IDA


def _with_direction(events: Any, count: int) -> Any:
    events.terminal, events.direction = [True] * count, [-1] * count
    return events


def _bound(function: Any, y: Array, u: Array, out: Array) -> Callable[[], None]:
    """Function bound to its arguments and its result in place."""
    buffer, trigger = function.buffer()
    buffer.set_arg(0, y.data)
    buffer.set_arg(1, u.data)
    buffer.set_res(0, out.data)

    def call(keep: Any = buffer) -> None:  # the buffer must live as long as its trigger
        trigger()

    return call
