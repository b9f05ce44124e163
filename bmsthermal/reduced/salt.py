r"""The electrolyte's concentration in a few shapes, none of which holds salt: what there is stays.

.. math:: \epsilon\,\partial_t c = \partial_x (D B\,\partial_x c) + (1 - t_+)\,a j / F

on the finite volumes of the full model. The first shape is the steady one of
uniform reaction, so that a small constant current is answered exactly; the
others are principal directions of snapshots in the inner product of the pores'
volume (Sirovich 1987). D changes with the concentration: it is looked up at the
points of the electrodes and one of the separator, and between them it is the
polynomial through those (a cubature of the projected operator).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.interpolate import CubicSpline

from bmsthermal.curves import Array
from bmsthermal.dfn.electrodes import Parameters
from bmsthermal.dfn.mesh import Mesh
from bmsthermal.heat import FARADAY_C_mol


@dataclass(frozen=True)
class Salt:
    """Shapes and what moves them; concentrations are relative to the initial one.

    Parameters
    ----------
    negative, separator, positive
        Shapes at the points ``(q, s)``, at the middle of the separator ``(s,)``, at the points.
    spread
        ``(q_n + 1 + q_p, s, s)``: decay of the shapes in 1/s per diffusivity in m2/s at each point.
    negative_source, positive_source
        ``(s, q)``: growth in 1/s per A/m2 of particle at each point.
    """

    negative: Array
    separator: Array
    positive: Array
    spread: Array
    negative_source: Array
    positive_source: Array


@dataclass(frozen=True)
class _Pores:
    """Finite volumes through the sandwich."""

    parameters: Parameters
    mesh: Mesh

    @property
    def counts(self) -> tuple[int, int, int]:
        return self.mesh.negative, self.mesh.separator, self.mesh.positive

    @property
    def lengths_m(self) -> tuple[float, float, float]:
        p = self.parameters
        return p.negative.thickness_m, p.separator.thickness_m, p.positive.thickness_m

    def each(self, *values: float) -> Array:
        return np.repeat(values, self.counts)

    @property
    def width_m(self) -> Array:
        return self.each(*(length / n for length, n in zip(self.lengths_m, self.counts, strict=True)))

    @property
    def volume_m(self) -> Array:
        p = self.parameters
        return self.width_m * self.each(p.negative.porosity, p.separator.porosity, p.positive.porosity)

    @property
    def half_m(self) -> Array:
        p = self.parameters
        return (
            self.width_m
            / 2
            / self.each(
                p.negative.transport_efficiency, p.separator.transport_efficiency, p.positive.transport_efficiency
            )
        )

    @property
    def regions(self) -> tuple[slice, slice, slice]:
        n, s, _ = self.counts
        return slice(0, n), slice(n, n + s), slice(n + s, None)

    def at(self, shapes: Array, region: int, depth: Array) -> Array:
        """Cell averages at a depth from 0 to 1 of a region, by splines."""
        cells = shapes[self.regions[region]]
        middle = (np.arange(len(cells)) + 0.5) / len(cells)
        return np.asarray(CubicSpline(middle, cells)(depth))

    def means(self, region: int, depth: Array) -> Array:
        """Mean over each cell of a region of the polynomials that are 1 at one of the points, ``(cells, q)``."""
        edge = np.linspace(0, 1, self.counts[region] + 1)[:, None]
        powers = np.arange(len(depth)) + 1
        integral = edge**powers / powers
        return (
            np.asarray(np.diff(integral, axis=0) @ np.linalg.inv(np.vander(depth, increasing=True)))
            * (self.counts[region])
        )


def shapes(parameters: Parameters, mesh: Mesh, count: int, snapshots: Array) -> Array:
    """Shapes ``(cells, count)``, orthonormal by the volume of the pores.

    Parameters
    ----------
    parameters, mesh
        What the snapshots are of.
    count
        Wanted.
    snapshots
        Relative concentrations ``(k, cells)``.
    """
    pores = _Pores(parameters, mesh)
    volume = pores.volume_m
    root = np.sqrt(volume)
    links = 1.0 / (pores.half_m[:-1] + pores.half_m[1:])
    difference = np.diff(np.eye(len(volume)), axis=0)
    source = pores.width_m * pores.each(1 / parameters.negative.thickness_m, 0.0, -1 / parameters.positive.thickness_m)
    steady = np.linalg.lstsq(difference.T @ (links[:, None] * difference), source)[0]
    steady = (steady - steady @ volume / volume.sum()) * root
    steady /= np.linalg.norm(steady) * np.sign(steady[0])
    rest = (snapshots - (snapshots @ volume / volume.sum())[:, None]) * root
    rest = rest - np.outer(rest @ steady, steady)
    directions = np.linalg.svd(rest, full_matrices=False)[2][: count - 1].T
    directions = directions * np.where(directions[0] < 0, -1.0, 1.0)
    return np.asarray(np.column_stack([steady, directions])[:, :count] / root[:, None])


def salt(parameters: Parameters, mesh: Mesh, shape: Array, negative: Array, positive: Array) -> Salt:
    """Project on `shape` ``(cells, s)``, with points at the depths `negative` and `positive`."""
    pores = _Pores(parameters, mesh)
    el = parameters.electrolyte
    initial = el.initial_concentration_mol_m3
    per = (1.0 - float(el.transference(initial))) / (FARADAY_C_mol * initial)
    widths, sources = pores.width_m, []
    depths = (negative, np.array([0.5]), positive)
    cover = np.zeros((len(widths), len(negative) + 1 + len(positive)))
    first = 0
    for region, depth in enumerate(depths):
        cells = pores.regions[region]
        means = pores.means(region, depth)
        cover[cells, first : first + len(depth)] = means
        first += len(depth)
        if region != 1:
            electrode = parameters.negative if region == 0 else parameters.positive
            weighted = shape[cells] * widths[cells, None]
            sources.append(per * electrode.area_per_volume_m * weighted.T @ means)
    # a face conducts as its two halves in series; each half by the D of its own side, to first order
    half = pores.half_m
    links = 1.0 / (half[:-1] + half[1:])
    share = half[:-1] * links
    at_face = share[:, None] * cover[:-1] + (1 - share)[:, None] * cover[1:]
    step = np.diff(shape, axis=0)
    spread = np.einsum("fq,f,fi,fk->qik", at_face, links, step, step)
    return Salt(
        pores.at(shape, 0, negative), pores.at(shape, 1, np.array([0.5]))[0], pores.at(shape, 2, positive),
        spread, sources[0], sources[1],
    )  # fmt: skip
