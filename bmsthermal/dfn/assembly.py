r"""Assembly of a differential-algebraic system from local laws.

.. math:: M \dot y = f(y, u), \qquad f = \sum_e S_e\, f_e(G_e\, y;\, p_e, u)

A law is written once for one electrode cell or one face, as expressions of the
few unknowns that it touches. It is differentiated there (automatically), mapped
over all cells, and its residual and its Jacobian are scattered into the whole.
So the Jacobian is exact and sparse, and an unknown that meets all others (one
temperature, one current) costs a row and a column, never a dense matrix.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import casadi as ca
import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from bmsthermal.curves import Array

Index = NDArray[np.int64]
#: ``law(unknowns, parameters, inputs) -> (contributions to rows, named local quantities)``
Law = Callable[[list[Any], list[Any], list[Any]], tuple[list[Any], dict[str, Any]]]


@dataclass(frozen=True)
class Term:
    """A law over ``n`` places: which unknowns it reads and which rows it adds to."""

    name: str
    law: Law
    reads: Index
    writes: Index
    parameters: Array

    @property
    def places(self) -> int:
        """Number of places ``n``."""
        return int(self.reads.shape[1])


@dataclass
class Assembly:
    """A system under construction: unknowns, then laws, then its functions.

    Parameters
    ----------
    inputs
        Names of what is given from outside at each instant.
    """

    inputs: tuple[str, ...]
    mass: list[float] = field(default_factory=list)
    scale: list[float] = field(default_factory=list)
    blocks: dict[str, Index] = field(default_factory=dict)
    terms: list[Term] = field(default_factory=list)

    def unknown(self, name: str, count: int = 1, *, mass: ArrayLike = 0.0, scale: float = 1.0) -> Index:
        """Add `count` unknowns; `mass` 0 is an algebraic one, `scale` its typical size. Returns their places."""
        first = len(self.mass)
        self.mass += np.broadcast_to(np.asarray(mass, float), (count,)).tolist()
        self.scale += [scale] * count
        self.blocks[name] = np.arange(first, first + count)
        return self.blocks[name]

    def law(
        self, name: str, law: Law, reads: Sequence[ArrayLike], writes: Sequence[ArrayLike],
        parameters: Sequence[ArrayLike] = (),
    ) -> None:  # fmt: skip
        """Add `law` over all places: each entry of `reads`, `writes` and `parameters` is ``(n,)`` or one for all."""
        if name in {term.name for term in self.terms}:
            raise ValueError(f"a second law {name!r}")
        n = max((np.size(entry) for entry in (*reads, *writes, *parameters)), default=1)
        places = [np.array([np.broadcast_to(e, (n,)) for e in entries]) for entries in (reads, writes)]
        given = np.array([np.broadcast_to(np.asarray(e, float), (n,)) for e in parameters]).reshape(-1, n)
        self.terms.append(Term(name, law, places[0].astype(np.int64), places[1].astype(np.int64), given))

    @property
    def count(self) -> int:
        """Number of unknowns."""
        return len(self.mass)

    @cached_property
    def algebraic(self) -> Index:
        """Places of the algebraic unknowns."""
        return np.flatnonzero(np.array(self.mass) == 0.0)

    def build(self) -> System:
        """Differentiate, map and scatter."""
        y, u = ca.MX.sym("y", self.count), ca.MX.sym("u", len(self.inputs))
        n, f = self.count, ca.MX(self.count, 1)
        rows, columns, slopes, quantities = [], [], [], {}
        for term in self.terms:
            residual, jacobian, named = _differentiated(term, len(self.inputs))
            arguments = (
                ca.reshape(y[term.reads.T.ravel().tolist()], len(term.reads), term.places),
                ca.DM(term.parameters), ca.repmat(u, 1, term.places),
            )  # fmt: skip
            contributions = ca.vec(residual.map(term.places)(*arguments))
            f += ca.mtimes(_scatter(term.writes.T.ravel(), n), contributions)
            pattern_row, pattern_column = jacobian.sparsity_out(0).get_triplet()
            rows.append(term.writes[pattern_row, :].T.ravel())
            columns.append(term.reads[pattern_column, :].T.ravel())
            slopes.append(_nonzeros(jacobian.map(term.places)(*arguments)))
            if named is not None:
                values = named.map(term.places)(*arguments)
                for name, value in zip(
                    named.name_out(), values if isinstance(values, tuple) else [values], strict=True
                ):
                    quantities[f"{term.name} {name}"] = value
        return System(self, y, u, f, np.concatenate(rows), np.concatenate(columns), ca.vertcat(*slopes), quantities)


@dataclass(frozen=True)
class System:
    """The functions of an assembled system, evaluated without copies.

    `Jacobian` values are in compressed columns, of ``pattern``.
    """

    assembly: Assembly
    y: Any
    u: Any
    f: Any
    rows: Index
    columns: Index
    slopes: Any
    quantities: dict[str, Any]
    _sums: dict[tuple[str, ...], ca.Function] = field(default_factory=dict)

    @property
    def mass(self) -> Array:
        """Diagonal of the mass matrix, ``(n,)``."""
        return np.array(self.assembly.mass)

    @cached_property
    def pattern(self) -> sparse.csc_matrix:
        """Pattern of the Jacobian, diagonal included."""
        n = self.assembly.count
        rows, columns = np.append(self.rows, np.arange(n)), np.append(self.columns, np.arange(n))
        ones = sparse.coo_matrix((np.ones(len(rows)), (rows, columns)), (n, n)).tocsc()
        ones.sort_indices()
        ones.data[:] = 1.0
        return ones

    @cached_property
    def _place(self) -> tuple[Index, Index]:
        """Where each local slope, and each diagonal entry, sits among the values of the pattern."""
        indptr, indices, n = self.pattern.indptr, self.pattern.indices, self.assembly.count
        key = np.repeat(np.arange(n), np.diff(indptr)) * n + indices
        place = np.searchsorted(key, self.columns * n + self.rows)
        return place, np.searchsorted(key, np.arange(n) * (n + 1))

    @cached_property
    def right(self) -> ca.Function:
        """``f(y, u)``, as one list of scalar operations: a third faster than calls of mapped functions."""
        return ca.Function("right", [self.y, self.u], [ca.densify(self.f)]).expand()

    @cached_property
    def slope(self) -> ca.Function:
        """``df/dy`` as values of the pattern."""
        values = ca.mtimes(_scatter(self._place[0], self.pattern.nnz), self.slopes)
        return ca.Function("slope", [self.y, self.u], [ca.densify(values)]).expand()

    @cached_property
    def observe(self) -> ca.Function:
        """Every named local quantity."""
        return ca.Function("observe", [self.y, self.u], list(self.quantities.values()), ["y", "u"], self.names)

    def sums(self, kinds: tuple[str, ...]) -> ca.Function:
        """Sum over all places and laws of each named kind of quantity, ``(len(kinds),)``."""
        if kinds not in self._sums:
            totals = [
                sum((ca.sum1(ca.vec(v)) for k, v in self.quantities.items() if k.endswith(f" {kind}")), ca.MX(0.0))
                for kind in kinds
            ]
            self._sums[kinds] = ca.Function("sums", [self.y, self.u], [ca.densify(ca.vertcat(*totals))])
        return self._sums[kinds]

    @property
    def names(self) -> list[str]:
        """Names of what `observe` returns, as identifiers."""
        return [name.replace(" ", "_") for name in self.quantities]

    @property
    def diagonal(self) -> Index:
        """Where the diagonal sits among the values of the pattern."""
        return self._place[1]

    def jacobian(self, y: Array, u: Array) -> sparse.csc_matrix:
        """``df/dy`` as a sparse matrix."""
        values = np.asarray(self.slope(y, u)).ravel()
        return sparse.csc_matrix((values, self.pattern.indices, self.pattern.indptr), self.pattern.shape)


def _differentiated(term: Term, inputs: int) -> tuple[ca.Function, ca.Function, ca.Function | None]:
    y, p = ca.SX.sym("y", len(term.reads)), ca.SX.sym("p", len(term.parameters))
    u = ca.SX.sym("u", inputs)
    rows, named = term.law(ca.vertsplit(y), ca.vertsplit(p) if p.numel() else [], ca.vertsplit(u) if inputs else [])
    residual = ca.densify(ca.vertcat(*rows))
    arguments = [y, p, u]
    observed = None
    if named:
        observed = ca.Function("named", arguments, [ca.vertcat(*_listed(v)) for v in named.values()],
                               ["y", "p", "u"], list(named))  # fmt: skip
    return (
        ca.Function("residual", arguments, [residual], {"cse": True}),
        ca.Function("jacobian", arguments, [ca.jacobian(residual, y)], {"cse": True}),
        observed,
    )


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _nonzeros(matrix: Any) -> Any:
    return ca.vec(matrix.nz[:]) if matrix.nnz() else ca.MX(0, 1)


def _scatter(places: Index, count: int) -> ca.DM:
    """Matrix that adds each entry of a vector to its place."""
    ones = sparse.csc_matrix((np.ones(len(places)), (places, np.arange(len(places)))), (count, len(places)))
    return ca.DM(ones)
