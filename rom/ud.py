"""A covariance kept as ``P = U D U'``, which rounding cannot make negative: the readable twin of ``kernel/ud.h``.

``U`` is unit upper triangular and ``D`` diagonal. Packed factors are one row of
numbers ``(n (n + 1) / 2,)``: the rows of the upper triangle, ``D`` on the diagonal.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from rom.statespace import Array

Row = NDArray[np.floating[Any]]
#: No entry of U or D exceeds it; a state whose variance would is unknown after a step: that variance, uncorrelated.
MOST = 1.0e18


def packed(U: ArrayLike, D: ArrayLike) -> Row:
    """Factors ``(n, n)`` and ``(n,)`` as one row ``(n (n + 1) / 2,)``."""
    both = np.triu(U, 1) + np.diag(np.asarray(D))
    return np.asarray(both[np.triu_indices(len(both))])


def unpacked(row: ArrayLike) -> tuple[Row, Row]:
    """``U`` ``(n, n)`` and ``D`` ``(n,)`` of packed factors.

    Raises
    ------
    ValueError
        If no number of states has that many factors.
    """
    row = np.asarray(row)
    n = int(np.sqrt(2 * row.size))
    if row.shape != (n * (n + 1) // 2,):
        raise ValueError(f"packed factors have n (n + 1) / 2 numbers in a row, got shape {row.shape}")
    U = np.eye(n, dtype=row.dtype)
    U[np.triu_indices(n)] = row
    D = U.diagonal().copy()
    np.fill_diagonal(U, 1.0)
    return U, D


def factored(P: ArrayLike) -> Array:
    """Packed factors of a covariance ``(n, n)``, which may be singular.

    Raises
    ------
    ValueError
        If it is not symmetric, or less than positive semidefinite by more than rounding.
    """
    P = np.array(P, np.float64)
    scale = np.sqrt(np.maximum(np.diag(P), 0.0))
    correlation = P / np.where(scale > 0, scale, 1.0) / np.where(scale > 0, scale, 1.0)[:, None]
    if not np.allclose(correlation, correlation.T, rtol=0, atol=1e-9):  # false for NaN, too
        raise ValueError("a covariance must be symmetric and finite")
    strengths, directions = np.linalg.eigh(correlation)
    if len(P) and strengths[0] < -1e-9 * len(P):
        raise ValueError(f"a covariance must be positive semidefinite, got a correlation of {strengths[0]:.3g}")
    start = PlainFactors(packed(np.eye(len(P)), np.maximum(strengths, 0.0)))
    start.predict(scale[:, None] * directions)
    return np.asarray(start.packed, np.float64)


def covariance(row: ArrayLike) -> Array:
    """``P`` ``(n, n)`` of packed factors."""
    U, D = (part.astype(np.float64) for part in unpacked(row))
    return np.asarray((U * D) @ U.T)


def plain_increment(x: ArrayLike, carry: ArrayLike, dx: ArrayLike) -> tuple[Row, Row]:
    """Add to a state without losing what is smaller than its last digit (Kahan's sum).

    Parameters
    ----------
    x
        State ``(n,)``; its dtype is that of the sums.
    carry
        What earlier increments left to be taken off, ``(n,)``, zeros at first: ``x - carry`` is the sum.
    dx
        Increments ``(k, n)``, or ``(n,)`` for one.

    Returns
    -------
    x, carry
        After the increments.
    """
    now = np.array(x)
    left = _shaped(carry, now.shape, now.dtype)
    for row in np.atleast_2d(np.asarray(dx, now.dtype)):
        add = row - left
        total = now + add
        left = (total - now) - add
        now = total
    return now, left


class PlainFactors:
    """The covariance of a filter as its factors, in NumPy.

    Parameters
    ----------
    packed
        Packed factors, such as those of `factored`.
    dtype
        ``float64``, or ``float32`` as on most targets.

    Raises
    ------
    ValueError
        If the row has no fitting length, or a variance in it is negative or too large.
    """

    def __init__(self, packed: ArrayLike, dtype: DTypeLike = np.float64) -> None:
        self.U, self.D = unpacked(np.array(packed, dtype))
        if not (np.isfinite(self.U).all() and ((self.D >= 0) & (self.D <= MOST)).all()):
            raise ValueError(f"factors must be finite and variances 0 to {MOST:g}, got {self.D.tolist()}")

    @property
    def packed(self) -> Row:
        """A copy of the factors, packed."""
        return packed(self.U, self.D)

    def predict(self, F: ArrayLike, G: ArrayLike | None = None, q: ArrayLike | None = None) -> None:
        """``P <- F P F' + G diag(q) G'`` by modified weighted Gram-Schmidt (Thornton 1976).

        Parameters
        ----------
        F
            Transition ``(n, n)``, of any rank.
        G, q
            Columns of process noise ``(n, g)`` and their variances ``(g,)``; one that is not above 0 counts as 0.
            The compiled kernel takes at most ``n + 1`` of them.
        """
        n, dtype = len(self.D), self.D.dtype
        F = _shaped(F, (n, n), dtype)
        q = np.zeros(0, dtype) if q is None else np.asarray(q, dtype)
        G = _shaped(np.zeros((n, len(q))) if G is None else G, (n, len(q)), dtype)
        weight = np.concatenate([self.D, np.where(q > 0, q, 0)])
        with np.errstate(over="ignore", invalid="ignore"):
            W = np.where(weight > 0, np.hstack([F @ self.U, G]), 0)
            known = (weight * W * W).sum(axis=1) < MOST  # NaN is not
            W[~known] = 0
        for j in reversed(range(n)):
            v = weight * W[j]
            self.D[j] = v @ W[j] if known[j] else MOST
            u = W[:j] @ v / (self.D[j] or 1)
            self.U[:j, j] = u = np.where(np.abs(u) < MOST, u, 0)  # where it is 0 the variance stays with i
            W[:j] -= np.outer(u, W[j])

    def measure(self, row: ArrayLike, variance: float, weight: float = 1.0) -> tuple[Row, float]:
        """Take a scalar reading of ``row @ x`` (Bierman 1977).

        Parameters
        ----------
        row
            What is read, of the states, ``(n,)``.
        variance
            Of the reading; 0 says that it is exact.
        weight
            How many times the reading counts. With 0, or where a number is
            not one, the reading is absent and nothing changes.

        Returns
        -------
        gain
            What one unit of innovation adds to the states, ``(n,)``; zeros where absent.
        innovation_variance
            0 where absent.
        """
        n, dtype = len(self.D), self.D.dtype
        row = _shaped(row, (n,), dtype)
        with np.errstate(all="ignore"):
            f = row @ self.U
            b = self.D * f
            noise = dtype.type(variance) / dtype.type(weight)
            alpha = noise + np.concatenate([[dtype.type(0)], np.cumsum(b * f)])
            S = alpha[-1]
            if not (weight > 0 and variance >= 0 and 0 < S < MOST**2):
                return np.zeros(n, dtype), 0.0
            gain = np.zeros(n, dtype)
            for j in range(n):
                before, after, old = alpha[j], alpha[j + 1], self.U[:j, j].copy()
                u = old - f[j] / (before if before > 0 else 1) * gain[:j]
                gain[:j] += b[j] * old
                gain[j] = b[j]
                self.U[:j, j] = np.where(np.abs(u) < MOST, u, old)
                self.D[j] *= before / after if after > 0 else 1
        return gain / S, float(S)

    def inflate(self, vector: ArrayLike, weight: float) -> None:
        """``P <- P + weight vector vector'``, `weight` positive, else nothing (Agee and Turner 1972).

        A unit vector makes one state that much less sure.
        """
        a = _shaped(vector, self.D.shape, self.D.dtype).copy()
        c = self.D.dtype.type(weight if weight > 0 else 0)
        with np.errstate(over="ignore", invalid="ignore"):
            for j in reversed(range(len(a))):
                total, old = self.D[j] + c * a[j] * a[j], self.U[:j, j].copy()
                over = total if total > 0 else 1
                pull, keep = c * a[j] / over, self.D[j] / over
                u = keep * old + pull * a[:j]
                self.U[:j, j] = np.where(np.abs(u) < MOST, u, old)
                self.D[j] = total if total < MOST else MOST
                c = c * keep if total > 0 else c
                a[:j] -= a[j] * old

    def variance(self, state: int) -> float:
        """Variance of a state, a diagonal element of ``P``."""
        return float((self.D * self.U[state] * self.U[state]).sum())

    def spread(self, row: ArrayLike) -> float:
        """Variance of ``row @ x``, ``row`` ``(n,)``: the quadratic form ``row P row'``."""
        f = _shaped(row, self.D.shape, self.D.dtype) @ self.U
        return float((self.D * f * f).sum())


def _shaped(values: ArrayLike, shape: tuple[int, ...], dtype: DTypeLike) -> Row:
    array = np.asarray(values, dtype)
    if array.shape != shape:
        raise ValueError(f"expected shape {shape}, got {array.shape}")
    return array


try:
    from rom._ud import Factors as Factors
    from rom._ud import increment as increment
except ImportError:  # installed without a compiler
    Factors, increment = PlainFactors, plain_increment  # type: ignore[misc, assignment]


def compiled() -> bool:
    """Whether `Factors` is the compiled kernel; if not, it is `PlainFactors`."""
    return Factors.__module__ == "rom._ud"
