r"""Spherical particles: spectral elements along the radius, with a node on the surface.

.. math:: \partial_t x = r^{-2}\,\partial_r\,(r^2 D\,\partial_r x), \qquad
          -D\,\partial_r x\,|_R = j / (F c_{max})

in weak form, with the quadrature points as nodes. The mass matrix is then
diagonal, lithium is conserved to rounding (the constant is a test function),
and the surface concentration is a state and not an extrapolation. The innermost
element is a Gauss-Radau rule in :math:`y = r^2`, in which every smooth profile
is a polynomial; those further out are Gauss-Lobatto rules in :math:`r`. One
element of degree p converges spectrally; many of degree 1 are vertex-centred
finite volumes of second order.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.polynomial import legendre
from numpy.typing import NDArray
from scipy.special import eval_jacobi, roots_jacobi

from bmsthermal.curves import Array
from bmsthermal.errors import InputError

#: Highest degree, and most nodes along a radius: beyond them rounding grows, and the answer does not change.
MOST_DEGREE, MOST_NODES = 60, 500


def check_whole(value: Any, name: str, low: int, high: int) -> None:
    """Hold a number of cells, nodes or times against its range.

    Raises
    ------
    InputError
        If it is not a whole number from `low` to `high`.
    """
    if not isinstance(value, int | np.integer) or isinstance(value, bool) or not low <= value <= high:
        raise InputError(f"{name}={value!r:.60}", expected=f"a whole number from {low} to {high}")


@dataclass(frozen=True)
class ParticleGrid:
    """Nodes, weights and derivatives along the radius of the unit sphere.

    Parameters
    ----------
    degree
        Polynomial degree of each element (of the innermost in ``r**2``).
    edges
        Inner boundaries between elements, increasing, in (0, 1).

    Raises
    ------
    InputError
        If the degree is not a whole number, the edges do not rise within (0, 1), or there are too many nodes.

    Examples
    --------
    >>> grid = ParticleGrid(degree=5)
    >>> grid.count, float(round(grid.radius[-1], 12)), float(round(grid.weight.sum(), 12))
    (6, 1.0, 0.333333333333)
    """

    degree: int = 9
    edges: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        check_whole(self.degree, "degree", 1, MOST_DEGREE)
        numbers = isinstance(self.edges, tuple | list) and all(
            isinstance(edge, int | float | np.integer | np.floating) for edge in self.edges
        )
        if not numbers or not all(a < b for a, b in pairwise((0.0, *self.edges, 1.0))):  # NaN is neither
            raise InputError(f"edges={self.edges!r:.60}", expected="numbers in a tuple that rise, between 0 and 1")
        object.__setattr__(self, "edges", tuple(map(float, self.edges)))
        if (nodes := self.degree * (len(self.edges) + 1) + 1) > MOST_NODES:
            raise InputError(
                f"degree={self.degree} with {len(self.edges)} edges has {nodes} nodes",
                expected=f"at most {MOST_NODES}", hint="take a lower degree or fewer edges",
            )  # fmt: skip

    @classmethod
    def uniform(cls, shells: int) -> ParticleGrid:
        """Vertex-centred finite volumes between `shells` equally thick shells.

        Raises
        ------
        InputError
            If `shells` is not a whole number, or too many.
        """
        check_whole(shells, "shells", 1, MOST_NODES - 1)
        return cls(1, tuple((np.arange(1, shells) / shells).tolist()))

    @cached_property
    def _elements(self) -> tuple[Array, Array, Array, Array, NDArray[np.int64]]:
        ends = (*self.edges, 1.0)
        y, mass, slope = _radau(self.degree + 1)
        radius, weight = [ends[0] * np.sqrt(y)], [mass * ends[0] ** 3]
        derivative = [(0, 2.0 * np.sqrt(y)[:, None] * slope / ends[0], mass * ends[0] ** 3)]  # dx/dr = 2 r dx/dy
        node, rule, differentiate = _lobatto(self.degree + 1)
        for inner, outer in pairwise(ends):
            first = sum(map(len, radius)) - 1
            r = inner + (outer - inner) * (node + 1) / 2
            w = _volumes(r, rule)
            weight[-1][-1] += w[0]
            radius.append(r[1:])
            weight.append(w[1:].copy())
            derivative.append((first, differentiate * 2 / (outer - inner), w))
        count = sum(map(len, radius))
        rows = sum(len(w) for _, _, w in derivative)
        D, W, owner, row = np.zeros((rows, count)), np.zeros(rows), np.zeros(rows, np.int64), 0
        for first, block, w in derivative:
            k = len(w)
            D[row : row + k, first : first + k] = block
            W[row : row + k] = w
            owner[row : row + k] = np.arange(first, first + k)
            row += k
        return np.concatenate(radius), np.concatenate(weight), D, W, owner

    @property
    def count(self) -> int:
        """Number of nodes ``n``."""
        return len(self.radius)

    @property
    def radius(self) -> Array:
        """Radius of each node ``(n,)``, 0 to 1; the last is the surface."""
        return self._elements[0]

    @property
    def weight(self) -> Array:
        """``int (.) r^2 dr`` as a sum over the nodes ``(n,)``; they add up to 1/3."""
        return self._elements[1]

    @property
    def share(self) -> Array:
        """Share of each node in the volume, ``(n,)``."""
        return np.asarray(3.0 * self.weight)

    @cached_property
    def inner_means(self) -> Array:
        """Mean over the sphere inside each node, as a matrix ``(n, n)``; the last row is the whole particle."""
        ends, means, done = (*self.edges, 1.0), np.zeros((self.count, self.count)), np.zeros(self.count)
        point, rule = legendre.leggauss(2 * self.degree + 4)
        first, inner = 0, 0.0
        for element, outer in enumerate(ends):
            last = first + self.degree
            power = 2 if element == 0 else 1  # the innermost element is a polynomial in r^2
            start, stop = inner**power, outer**power

            def modes(r: Array, power: int = power, start: float = start, stop: float = stop) -> Array:
                return np.asarray(legendre.legvander(2 * (r**power - start) / (stop - start) - 1, self.degree))

            basis = modes(self.radius[first : last + 1])
            for i in range(first, last + 1):
                s = inner + (self.radius[i] - inner) * (point + 1) / 2
                values = np.linalg.solve(basis.T, modes(s).T)
                part = done.copy()
                part[first : last + 1] += values @ (rule * s**2) * (self.radius[i] - inner) / 2
                means[i] = 3.0 * part / self.radius[i] ** 3
            done = means[last] * outer**3 / 3.0
            first, inner = last, outer
        means[-1] = self.share
        return means

    @property
    def slope(self) -> Array:
        """Derivative at the quadrature points ``(q, n)``."""
        return self._elements[2]

    @property
    def stiffness(self) -> Array:
        """Weight of each quadrature point in ``int D (dx/dr)^2 r^2 dr``, ``(q,)``."""
        return self._elements[3]

    @property
    def owner(self) -> NDArray[np.int64]:
        """Node at which each quadrature point sits, ``(q,)``."""
        return self._elements[4]


def _radau(count: int) -> tuple[Array, Array, Array]:
    """Gauss-Radau rule of weight ``sqrt(y) / 2`` on (0, 1] with a node at 1, and its derivative matrix."""
    inner = roots_jacobi(count - 1, 1.0, 0.5)[0] if count > 1 else np.empty(0)
    s = np.append(inner, 1.0)
    moments = np.zeros(count)
    moments[0] = 1.0 / 3.0  # the others are orthogonal to the constant
    weight = np.linalg.solve(np.array([eval_jacobi(k, 0.0, 0.5, s) for k in range(count)]), moments)
    return (s + 1) / 2, weight, 2.0 * _differentiate(s)


def _lobatto(count: int) -> tuple[Array, Array, Array]:
    """Gauss-Lobatto-Legendre nodes on [-1, 1], their weights and their derivative matrix."""
    p = legendre.Legendre.basis(count - 1)
    s = np.concatenate([[-1.0], np.sort(p.deriv().roots().real), [1.0]])
    return s, 2.0 / (count * (count - 1) * p(s) ** 2), _differentiate(s)


def _volumes(r: Array, rule: Array) -> Array:
    """``int phi_i r^2 dr``: positive, and their sum is the volume."""
    if len(r) == 2:  # two nodes of the rule are too few for r^2
        a, b = r
        return np.asarray((b - a) / 12 * np.array([3 * a**2 + 2 * a * b + b**2, a**2 + 2 * a * b + 3 * b**2]))
    return np.asarray((r[-1] - r[0]) / 2 * rule * r**2)


def _differentiate(s: Array) -> Array:
    """Derivative of the interpolating polynomial at its own nodes (Berrut & Trefethen 2004, eq. 9.4)."""
    gap = s[:, None] - s[None, :] + np.eye(len(s))
    weight = 1.0 / gap.prod(axis=1)
    D = weight[None, :] / weight[:, None] / gap
    np.fill_diagonal(D, 0.0)
    np.fill_diagonal(D, -D.sum(axis=1))
    return np.asarray(D)
