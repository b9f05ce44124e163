"""The electrolyte in a few shapes: salt is in none of them, and what is projected is the full model's operator."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.polynomial import Polynomial, legendre

from bmsthermal import Mesh, load_cell
from bmsthermal.heat import FARADAY_C_mol
from bmsthermal.reduced.salt import salt, shapes

MESH = Mesh(8, 3, 5)
POINTS = [(1, 1), (2, 2), (3, 2), (4, 3)]


def gauss(count):
    return (legendre.leggauss(count)[0] + 1) / 2


@pytest.fixture(scope="module", params=["lgm50_21700", "lco_marquis"])
def full(request):
    """Finite volumes through the sandwich, written down once more."""
    p = load_cell(request.param).electrochemistry
    regions = (p.negative, p.separator, p.positive)
    counts = (MESH.negative, MESH.separator, MESH.positive)

    def each(name):
        return np.concatenate([np.full(n, getattr(r, name)) for r, n in zip(regions, counts, strict=True)])

    width = each("thickness_m") / np.repeat(counts, counts)
    half = width / 2 / each("transport_efficiency")
    cells = sum(counts)
    K = np.zeros((cells, cells))
    for i in range(cells - 1):
        pair, link = np.ix_([i, i + 1], [i, i + 1]), 1 / (half[i] + half[i + 1])
        K[pair] += link * np.array([[1, -1], [-1, 1]])
    initial = p.electrolyte.initial_concentration_mol_m3
    per = (1 - float(p.electrolyte.transference(initial))) / (FARADAY_C_mol * initial)
    snapshots = 1 + 0.1 * np.random.default_rng(3).standard_normal((12, cells)).cumsum(axis=1)
    return SimpleNamespace(p=p, width=width, volume=width * each("porosity"), K=K, per=per, snapshots=snapshots)


@pytest.mark.parametrize("count", [1, 2, 4])
def test_shapes_hold_no_salt_and_are_orthonormal_by_the_volume_of_the_pores(full, count):
    V = shapes(full.p, MESH, count, full.snapshots)
    assert V.shape == (16, count)
    np.testing.assert_allclose((full.volume @ V) / full.volume.sum(), 0.0, atol=1e-9 * np.abs(V).max())
    np.testing.assert_allclose(V.T @ (full.volume[:, None] * V), np.eye(count), atol=1e-10)


@pytest.mark.parametrize("points", POINTS)
@pytest.mark.parametrize("count", [1, 3])
def test_the_steady_profile_of_a_uniform_reaction_is_exact(full, count, points):
    negative, positive = map(gauss, points)
    V, I, D = shapes(full.p, MESH, count, full.snapshots), 37.0, 3e-10  # noqa: E741
    made = salt(full.p, MESH, V, negative, positive)
    n, p = full.p.negative, full.p.positive
    grown = made.negative_source.sum(axis=1) * I / (n.area_per_volume_m * n.thickness_m)
    grown = grown - made.positive_source.sum(axis=1) * I / (p.area_per_volume_m * p.thickness_m)
    found = V @ np.linalg.solve(D * made.spread.sum(axis=0), grown)
    source = np.zeros(16)
    source[:8] = full.per * I * full.width[:8] / n.thickness_m
    source[11:] = -full.per * I * full.width[11:] / p.thickness_m
    wanted = np.linalg.lstsq(D * full.K, source)[0]
    wanted -= full.volume @ wanted / full.volume.sum()
    np.testing.assert_allclose(found, wanted, rtol=1e-8, atol=1e-8 * np.abs(wanted).max())


@pytest.mark.parametrize("points", POINTS)
def test_one_diffusivity_everywhere_is_the_full_operator_projected(full, points):
    V = shapes(full.p, MESH, 4, full.snapshots)
    made = salt(full.p, MESH, V, *map(gauss, points))
    assert made.spread.shape == (sum(points) + 1, 4, 4)
    np.testing.assert_allclose(made.spread, made.spread.transpose(0, 2, 1), rtol=1e-12, atol=1e-6)
    wanted = V.T @ full.K @ V
    np.testing.assert_allclose(made.spread.sum(axis=0), wanted, rtol=1e-9, atol=1e-9 * np.abs(wanted).max())


@given(ends=st.lists(st.floats(0.05, 20.0), min_size=5, max_size=5), points=st.sampled_from(POINTS[1:]))
def test_shapes_decay_whatever_the_diffusivity(full, ends, points):
    # along each electrode a straight line between positive ends, in the separator one value
    negative, positive = map(gauss, points)
    made = salt(full.p, MESH, shapes(full.p, MESH, 3, full.snapshots), negative, positive)
    a, b, c, d, e = ends
    D = np.concatenate([a + (b - a) * negative, [c], d + (e - d) * positive])
    spread = np.einsum("q,qik->ik", D, made.spread)
    least = np.linalg.eigvalsh(made.spread.sum(axis=0)).min()
    assert np.linalg.eigvalsh(spread).min() > 0.999 * min(ends) * least > 0


@given(jumps=st.lists(st.floats(1.0, 4.0), min_size=8, max_size=8), points=st.sampled_from(POINTS))
def test_shapes_decay_where_the_diffusivity_jumps_fourfold_from_point_to_point(full, jumps, points):
    made = salt(full.p, MESH, shapes(full.p, MESH, 4, full.snapshots), *map(gauss, points))
    spread = np.einsum("q,qik->ik", jumps[: sum(points) + 1], made.spread)
    assert np.linalg.eigvalsh(spread).min() > 0


@pytest.mark.parametrize("points", POINTS)
def test_sources_are_those_of_the_full_model_for_every_polynomial_that_the_points_know(full, points):
    V = shapes(full.p, MESH, 3, full.snapshots)
    made = salt(full.p, MESH, V, *map(gauss, points))
    sides = (
        (full.p.negative, slice(0, 8), points[0], made.negative_source),
        (full.p.positive, slice(11, 16), points[1], made.positive_source),
    )
    for electrode, cells, count, source in sides:
        p = Polynomial(np.arange(1.0, count + 1))
        edges = np.linspace(0, 1, len(range(16)[cells]) + 1)
        mean = np.diff(p.integ()(edges)) / np.diff(edges)
        wanted = full.per * electrode.area_per_volume_m * V[cells].T @ (full.width[cells] * mean)
        np.testing.assert_allclose(source @ p(gauss(count)), wanted, rtol=1e-9, atol=1e-9 * np.abs(wanted).max())


def test_shapes_at_the_points_are_those_of_the_cells_there(full):
    V = shapes(full.p, MESH, 3, full.snapshots)
    made = salt(full.p, MESH, V, (np.arange(8) + 0.5) / 8, (np.arange(5) + 0.5) / 5)
    for found, wanted in ((made.negative, V[:8]), (made.separator, V[9]), (made.positive, V[11:])):
        np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-9)
