"""Particles against the sphere: volume, eigenvalues, constant flux, impedance; and the order of every error."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.polynomial import Polynomial
from scipy.linalg import eigh, expm
from scipy.optimize import brentq

from bmsthermal.dfn.particle import ParticleGrid
from bmsthermal.errors import InputError

EPS = np.finfo(float).eps
#: tan(l) = l, one root before each (n + 1/2) pi
ROOTS = np.array(
    [brentq(lambda z: np.sin(z) - z * np.cos(z), n * np.pi, (n + 0.5) * np.pi, xtol=1e-15) for n in range(1, 201)]
)


@st.composite
def grids(draw, most=8):
    marks = draw(st.lists(st.integers(1, 99), max_size=4, unique=True).map(sorted))
    return ParticleGrid(draw(st.integers(1, most)), tuple(mark / 100 for mark in marks))


def uniform(degree, count):
    return ParticleGrid(degree, tuple(np.arange(1, count) / count))


def stiffness(grid, D=1.0):
    """int D v' x' r^2 dr as a matrix, D at the nodes."""
    D = np.broadcast_to(D, grid.count)
    return grid.slope.T @ ((grid.stiffness * D[grid.owner])[:, None] * grid.slope)


def rates(grid):
    """Decay rates of the closed particle, rising; the first is that of the mean."""
    return eigh(stiffness(grid), np.diag(grid.weight), eigvals_only=True)


# --- the rule ---


@settings(max_examples=40)
@given(grids())
def test_weights_are_positive_shares_of_the_volume(grid):
    # some 40 terms of at most 1/3
    assert abs(grid.weight.sum() - 1 / 3) < 40 * EPS
    assert (grid.weight > 0).all() and (grid.stiffness > 0).all()
    np.testing.assert_allclose(grid.share, 3 * grid.weight)
    assert grid.radius[0] > 0 and (np.diff(grid.radius) > 0).all()
    assert grid.count == grid.degree * (1 + len(grid.edges)) + 1 == len(grid.weight)
    np.testing.assert_allclose(grid.radius[grid.degree :: grid.degree], (*grid.edges, 1.0), rtol=4 * EPS)  # on each


def test_no_weight_is_negative_however_far_the_edges_are_apart():
    # exact integration of two quadratic ends against r^2 would be, below an edge at 0.24 of the next
    for degree in (1, 2, 3, 9):
        assert (ParticleGrid(degree, (1e-3, 0.5, 1 - 1e-3)).weight > 0).all()


@pytest.mark.parametrize("degree", range(1, 13))
def test_one_element_integrates_to_twice_its_degree(degree):
    grid = ParticleGrid(degree)
    power = np.arange(2 * degree + 1)
    # Radau: n points are exact to degree 2n - 2 in r^2; rounding of some ten terms
    np.testing.assert_allclose(grid.weight @ grid.radius[:, None] ** (2 * power), 1 / (2 * power + 3), rtol=1e-12)
    beyond = grid.weight @ grid.radius ** (2 * (2 * degree + 1)) * (4 * degree + 5) - 1
    assert degree > 7 or abs(beyond) > 1e-8  # and no further; what is missed shrinks fifteenfold by degree


@settings(max_examples=40)
@given(grids(most=8), st.lists(st.floats(-1, 1), min_size=9, max_size=9))
def test_slope_is_exact_for_even_polynomials_up_to_the_degree(grid, coefficients):
    # in r^2 in the innermost element, in r in those further out
    top = grid.degree if not grid.edges else grid.degree // 2
    even = np.zeros(2 * top + 1)
    even[::2] = coefficients[: top + 1]
    x, at = Polynomial(even), grid.radius[grid.owner]
    error = np.abs(grid.slope @ x(grid.radius) - x.deriv()(at)).max()
    # rounding of values of at most `size`, amplified by the differentiation matrix
    assert error <= 50 * EPS * np.abs(grid.slope).sum(axis=1).max() * max(np.abs(even).sum(), 1e-300)


@settings(max_examples=40)
@given(grids(), st.lists(st.floats(0.01, 100.0), min_size=41, max_size=41), st.integers(0, 2**32 - 1))
def test_lithium_is_conserved_and_unevenness_decays_for_any_diffusivity(grid, diffusivity, seed):
    D, x = np.array(diffusivity)[: grid.count], np.random.default_rng(seed).uniform(size=grid.count)
    A = stiffness(grid, D)
    size = np.abs(A) @ np.ones(grid.count)
    assert abs((A @ x).sum()) <= 1e-13 * size.sum()  # rounding of what cancels
    assert np.abs(A @ np.ones(grid.count)).max() <= 1e-13 * size.max()  # and a uniform particle rests
    assert x @ A @ x >= -1e-13 * size.sum()


@settings(max_examples=40)
@given(grids())
def test_inner_means(grid):
    means, r = grid.inner_means, grid.radius
    np.testing.assert_allclose(means.sum(axis=1), 1.0, rtol=1e-12)  # of a constant: that
    np.testing.assert_array_equal(means[-1], grid.share)
    if grid.degree > 1:  # of r^2, in the basis of every element: 3/5 r^2; Simpson's rule knows it only in the volume
        rows = slice(None, -1) if grid.degree == 2 else slice(None)
        np.testing.assert_allclose((means @ r**2)[rows], 0.6 * r[rows] ** 2, rtol=1e-11)


@pytest.mark.parametrize("grid", [ParticleGrid(9, (0.5, 0.9)), uniform(9, 20), ParticleGrid(6, (0.98,))])
def test_inner_means_of_thin_elements(grid):
    # the mean by its integral is the mean by the weights: the polynomials are those of the element
    last = grid.inner_means[-1 - grid.degree]  # inner end of the outermost element
    inside = np.where(np.arange(grid.count) < grid.count - 1 - grid.degree, grid.weight, 0.0)
    inside[-1 - grid.degree] = grid.radius[-1 - grid.degree] ** 3 / 3 - inside.sum()
    np.testing.assert_allclose(last, 3 * inside / grid.radius[-1 - grid.degree] ** 3, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize(
    "edges",
    [(0.0,), (1.0,), (0.6, 0.5), (0.5, 0.5), (-0.1,), 0.5, (float("nan"),), (0.5, float("nan")), ("0.5",), "", None],
)
def test_edges_rise_between_the_ends(edges):
    with pytest.raises(InputError, match=r"^edges=.*, expected numbers in a tuple that rise, between 0 and 1$"):
        ParticleGrid(3, edges)


@pytest.mark.parametrize("degree", [0, -1, 2.5, 3.0, "a", None, True, float("nan"), 61])
def test_a_degree_is_a_whole_number(degree):
    with pytest.raises(InputError, match=r"^degree=.*, expected a whole number from 1 to 60$"):
        ParticleGrid(degree)


@pytest.mark.parametrize("shells", [0, -1, 2.5, "3", None, float("nan"), 500])
def test_shells_are_a_whole_number(shells):
    with pytest.raises(InputError, match=r"^shells=.*, expected a whole number from 1 to 499$"):
        ParticleGrid.uniform(shells)


def test_a_grid_may_be_large_but_not_endless():
    assert ParticleGrid.uniform(499).count == 500
    assert abs(ParticleGrid(60).weight.sum() - 1 / 3) < 1e-12 and (ParticleGrid(60).weight > 0).all()
    assert ParticleGrid(np.int64(3), [0.5]) == ParticleGrid(3, (0.5,))
    with pytest.raises(InputError, match="degree=50 with 9 edges has 501 nodes, expected at most 500"):
        ParticleGrid(50, tuple(np.arange(1, 10) / 10))


@pytest.mark.parametrize("shells", [1, 2, 7])
def test_uniform_shells(shells):
    grid = ParticleGrid.uniform(shells)
    assert grid.count == shells + 1
    np.testing.assert_allclose(grid.radius[1:], np.arange(1, shells + 1) / shells)  # vertices


# --- eigenvalues ---


@pytest.mark.parametrize(
    ("degree", "bound"),  # measured: 1.9e-2, 9.7e-7, 1.5e-12 and rounding
    [(2, 2e-2), (4, 1e-6), (6, 2e-12), (9, 2e-13), (15, 5e-13)],
)
def test_one_element_converges_spectrally(degree, bound):
    found = rates(ParticleGrid(degree))
    assert abs(found[0]) < 1e-10 * found[-1]  # the mean stays
    assert abs(found[1] / ROOTS[0] ** 2 - 1) < bound


@pytest.mark.parametrize(("degree", "shells", "order"), [(1, 32, 2.0), (3, 16, 6.0), (4, 8, 8.0)])
def test_elements_converge_with_twice_their_degree(degree, shells, order):
    error = [rates(uniform(degree, n))[2] / ROOTS[1] ** 2 - 1 for n in (shells, 2 * shells)]
    # second mode; what is left of the next order; (4, 8) reaches 1e-10 and would meet rounding at 32
    assert np.log2(error[0] / error[1]) == pytest.approx(order, abs=0.4 if degree == 4 else 0.1)


@pytest.mark.parametrize("mode", [0, 1, 2])
def test_uniform_is_of_second_order(mode):
    error = [rates(ParticleGrid.uniform(n))[mode + 1] / ROOTS[mode] ** 2 - 1 for n in (40, 80, 160)]
    np.testing.assert_allclose(np.log2(np.abs(error[:-1]) / np.abs(error[1:])), 2.0, atol=0.1)


# --- constant flux ---


def driven(grid, time, flux=1.0):
    """Profile after `time` of a flux into a particle at 0, exact in time."""
    A = np.zeros((grid.count + 1, grid.count + 1))
    A[:-1, :-1] = -stiffness(grid) / grid.weight[:, None]
    A[-2, -1] = flux / grid.weight[-1]
    return expm(A * time)[:-1, -1]


def series(r, time):
    """Crank 1975, eq. 6.45: unit flux into the unit sphere of unit diffusivity."""
    z = ROOTS[:, None]
    decay = np.sin(z * r) / (r * z**2 * np.sin(z)) * np.exp(-(z**2) * time)
    return 3 * time + r**2 / 2 - 0.3 - 2 * decay.sum(axis=0)


@pytest.mark.parametrize(
    "grid", [ParticleGrid(1), ParticleGrid(5), ParticleGrid(2, (0.5,)), ParticleGrid(3, (0.3, 0.8))]
)
def test_surface_over_mean_in_the_long_run(grid):
    # a parabola that rises evenly is in the space of each: exact, not converged
    x = driven(grid, 3.0)
    assert grid.share @ x == pytest.approx(9.0, rel=1e-12)
    if grid.degree == 2:  # Simpson's rule on r^4 in the mass of the outer element: 0.5 %
        assert x[-1] - grid.share @ x == pytest.approx(0.2, rel=0.01)
    else:
        assert x[-1] - grid.share @ x == pytest.approx(0.2, rel=1e-11)  # R j / 5 F D cmax; 9 + 0.2 - 9
        np.testing.assert_allclose(x - x[-1], (grid.radius**2 - 1) / 2, atol=1e-11)


@pytest.mark.parametrize(
    ("time", "degree", "bound"),  # the layer is sqrt(time) thick; measured: rounding, 4e-13, 4e-9, rounding, 1.2e-10
    [(0.3, 9, 3e-13), (0.1, 9, 1e-12), (0.03, 9, 1e-8), (0.03, 14, 3e-13), (0.003, 20, 3e-10)],
)
def test_transient_is_the_series(time, degree, bound):
    grid = ParticleGrid(degree)
    error = driven(grid, time) - series(grid.radius, time)
    assert np.abs(error).max() < bound  # against a rise of the surface of sqrt(4 time / pi) and more


def test_graded_elements_see_a_short_pulse():
    time, grids = 1e-4, (ParticleGrid(6, (0.8, 0.95)), ParticleGrid(18), ParticleGrid.uniform(18))
    assert {grid.count for grid in grids} == {19}
    exact = series(np.ones(1), time)[0]
    graded, single, shells = (abs(driven(grid, time)[-1] / exact - 1) for grid in grids)
    # the layer is 0.01 deep, a shell 0.06; measured 4e-6, 5e-5 and 0.7
    assert graded < 1e-5 < single < 1e-4 < 0.5 < shells


# --- impedance ---


def impedance(grid, s):
    """Surface over flux at the Laplace variable `s`."""
    A = s * np.diag(grid.weight) + stiffness(grid)
    return np.linalg.solve(A, np.eye(grid.count)[-1])[-1]


def sphere(s):
    q = np.sqrt(s + 0j)
    return np.tanh(q) / (q - np.tanh(q))


@pytest.mark.parametrize(
    ("omega", "bound"),  # 1 / sqrt(omega) is the depth of the wave: rounding, and at last 1.6e-7 for a depth of 1/30
    [(0.1, 1e-11), (1.0, 1e-12), (10.0, 1e-12), (100.0, 1e-12), (1000.0, 3e-7)],
)
def test_impedance_is_that_of_the_sphere(omega, bound):
    # at 0.1 the closed form has lost two digits in q - tanh(q)
    assert abs(impedance(ParticleGrid(12), 1j * omega) / sphere(1j * omega) - 1) < bound


@settings(max_examples=40)
@given(st.floats(-2, 4), grids())
def test_impedance_of_any_grid_is_that_of_a_passive_system(exponent, grid):
    # real part positive, imaginary negative: it stores and dissipates, whatever its resolution
    value = impedance(grid, 1j * 10.0**exponent)
    assert value.real > 0 > value.imag


@pytest.mark.parametrize(("degree", "count"), [(1, 40), (2, 16), (3, 8)])
def test_impedance_converges_with_twice_the_degree(degree, count):
    exact = sphere(30j)
    error = [abs(impedance(uniform(degree, n), 30j) - exact) for n in (count, 2 * count)]
    assert np.log2(error[0] / error[1]) == pytest.approx(2 * degree, abs=0.1)
