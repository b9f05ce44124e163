"""Padé by projection: moments matched, transcendental functions met, and where the textbook route ends."""

from __future__ import annotations

from fractions import Fraction
from math import factorial

import numpy as np
import pytest
from scipy import special
from scipy.linalg import cho_factor, cho_solve
from scipy.optimize import brentq

from bmsthermal.conduction import Layer, conduct
from rom.pade import default_shifts, diffusion, multipoint, pade

CYLINDER, _ = conduct([Layer("roll", 0.0, 0.0129, 0.67, 2.47e6)], "cylinder", 0.065, nodes=60)
SLAB, _ = conduct([Layer("roll", 0.0, 0.012, 0.8, 2.4e6)], "slab", 0.02, nodes=40)


def moments(system, g, count):
    """Taylor coefficients about s = 0 from the wall to itself, walls closed by g."""
    factor = cho_factor(system.K + g * system.E @ system.E.T)
    x, found = cho_solve(factor, system.E), []
    for _ in range(count):
        found.append((system.E.T @ x).item())
        x = -cho_solve(factor, system.M @ x)
    return np.array(found)


@pytest.mark.parametrize("g", [0.01, 0.3, 5.0])
@pytest.mark.parametrize("order", [2, 3, 4, 5])
def test_twice_as_many_moments_as_states(order, g):
    reduced = CYLINDER.project(pade(CYLINDER, order))
    full, ours = moments(CYLINDER, g, 2 * order + 1), moments(reduced, g, 2 * order + 1)
    # cond(K + g) up to 1e6 times rounding, once per moment
    np.testing.assert_allclose(ours[:-1], full[:-1], rtol=1e-9)
    if g == 5.0 and order < 4:  # else the next one is equal to many digits too
        assert abs(ours[-1] / full[-1] - 1) > 1e-5


def surface(s, dimension):
    """Surface per unit of flow in through it: coth, a ratio of Bessel functions, or coth again."""
    x = np.sqrt(complex(s))
    if dimension == 1:
        return 1 / (x * np.tanh(x))
    if dimension == 2:
        return special.iv(0, x) / (2 * x * special.iv(1, x))
    return 1 / (3 * (x / np.tanh(x) - 1))


def centre(s, dimension):
    x = np.sqrt(complex(s))
    at_edge = {1: np.cosh(x), 2: special.iv(0, x), 3: np.sinh(x) / x}[dimension]
    return surface(s, dimension) / at_edge


@pytest.mark.parametrize("dimension", [1, 2, 3])
@pytest.mark.parametrize("s", [0.1, 3.0, 2 + 5j, 20j])
def test_diffusion_of_order_12_is_the_transcendental_function(dimension, s):
    insulated = diffusion(12, dimension)
    K = insulated.K + s * np.eye(12)
    c = insulated.C @ np.linalg.solve(K, insulated.E)
    # far inside the matched disc: what remains is rounding
    assert c[2, 0] == pytest.approx(surface(s, dimension), rel=1e-10)
    assert c[0, 0] == pytest.approx(centre(s, dimension), rel=1e-10)
    assert c[1, 0] == pytest.approx(1 / s, rel=1e-12)


@pytest.mark.parametrize("dimension", [1, 2, 3])
def test_first_poles_are_the_squared_zeros(dimension):
    tangent = [brentq(lambda x: np.sin(x) - x * np.cos(x), a, a + 0.5 * np.pi) for a in np.pi * np.arange(1, 4)]
    zeros = {1: np.pi * np.arange(1, 4), 2: special.jn_zeros(1, 3), 3: np.array(tangent)}[dimension]
    np.testing.assert_allclose(diffusion(12, dimension).modes[0][1:4], zeros**2, rtol=1e-10)


@pytest.mark.parametrize("dimension", [1, 2, 3])
def test_a_uniform_source_fills_evenly_and_mass_is_kept(dimension):
    system = diffusion(6, dimension)
    assert system.modes[0][0] == 0.0 and system.modes[0][1] > 0
    np.testing.assert_allclose(system.C @ system.B, np.ones((3, 1)), rtol=1e-13)
    assert (system.C[1] @ system.E).item() == pytest.approx(1.0, rel=1e-14)


def taylor(count, g=1):
    """Coefficients of f / (2 x f' + g f), f = I0(x), in powers of s = x^2: exact, then rounded once."""
    f = [Fraction(1, 4**k * factorial(k) ** 2) for k in range(count)]
    bottom = [(4 * k + g) * a for k, a in enumerate(f)]  # x f' = 2 s df/ds
    ratio = []
    for k in range(count):
        ratio.append((f[k] - sum(bottom[k - j] * ratio[j] for j in range(k))) / bottom[0])
    return [float(a) for a in ratio]


def exact_poles(count):
    def closing(x):
        return special.j0(x) - 2 * x * special.j1(x)

    x = np.linspace(1e-3, 30, 3000)
    ends = np.flatnonzero(np.diff(np.sign(closing(x))))[:count]
    return np.array([-(brentq(closing, x[i], x[i + 1]) ** 2) for i in ends])


def textbook(order):
    """Poles from Taylor coefficients through a Hankel system, in double precision: as `scipy.interpolate.pade`."""
    c = np.array(taylor(2 * order))
    hankel = np.array([[c[order + i - j] for j in range(1, order + 1)] for i in range(order)])
    q = np.linalg.solve(hankel, -c[order:])
    return np.roots(np.concatenate([q[::-1], [1.0]]))


def projected(order):
    return diffusion(order, 2).closed(1.0).poles()


def miss(poles, exact):
    return max(np.abs(poles - p).min() / abs(p) for p in exact)


def test_both_routes_are_the_same_approximant_while_the_textbook_one_lasts():
    ours, theirs = np.sort(projected(4).real), np.sort(textbook(4).real)
    np.testing.assert_allclose(ours, theirs, rtol=1e-5)  # the condition of the Hankel matrix is 1e9 already


@pytest.mark.parametrize("order", [8, 10, 12])
def test_the_textbook_route_fails_where_the_projection_does_not(order):
    poles, good = textbook(order), projected(order)
    unstable = poles.real.max() > 0
    complex_pair = np.abs(poles.imag).max() > 1e-6
    assert unstable or complex_pair or miss(poles, exact_poles(3)) > 1e-2
    assert good.real.max() < 0 and np.abs(good.imag).max() == 0
    assert miss(good, exact_poles(3)) < 1e-8  # measured 2e-9, 1e-13, 1e-13


@pytest.mark.parametrize("system", [CYLINDER, SLAB], ids=["cylinder", "slab"])
@pytest.mark.parametrize("g", [1e-3, 0.3, 20.0])
def test_multipoint_is_exact_at_its_shifts_through_every_port(system, g):
    shifts = [0.01, 0.15]
    order = 1 + len(system.walls) + len(shifts) * (len(system.walls) + 1)
    reduced = system.project(multipoint(system, order, shifts))
    for s in shifts:
        np.testing.assert_allclose(reduced.closed(g).at(s), system.closed(g).at(s), rtol=1e-9)  # rounding
    between = np.sqrt(shifts[0] * shifts[1])
    exact = system.closed(g).at(between)
    error = (np.abs(reduced.closed(g).at(between) - exact) / np.abs(exact).max(axis=0)).max()
    assert 1e-9 < error < 1e-2  # and only near elsewhere


@pytest.mark.parametrize("basis", [pade, multipoint])
@pytest.mark.parametrize("order", [2, 4, 7])
def test_steady_gain_is_exact(basis, order):
    reduced = CYLINDER.project(basis(CYLINDER, order))
    for g in (1e-2, 0.3, 10.0):
        for u, c in (([1.0], [0.0]), ([0.0], [1.0])):
            exact = CYLINDER.C @ CYLINDER.steady(g, u, c)
            np.testing.assert_allclose(reduced.C @ reduced.steady(g, u, c), exact, rtol=1e-10)


@pytest.mark.parametrize("order", [1, 2, 3, 4, 5, 8])
@pytest.mark.parametrize("basis", [pade, multipoint])
def test_the_basis_has_the_order_asked_for(basis, order):
    V = basis(CYLINDER, order)
    assert V.shape == (61, order)
    np.testing.assert_allclose(V.T @ CYLINDER.M @ V, np.eye(order), atol=1e-12)


def test_an_exhausted_space_ends_the_basis():
    small = diffusion(4, 3)
    assert pade(small, 9).shape == (4, 4)


def test_shifts_span_the_decades_that_a_wall_excites():
    slowest = CYLINDER.modes[0][1]
    np.testing.assert_allclose(default_shifts(CYLINDER, 2) / slowest, [0.34, 5.44])
    assert default_shifts(CYLINDER, 1).shape == (1,)


@pytest.mark.parametrize(("order", "dimension"), [(3, 4), (3, 0), (0, 3)])
def test_other_dimensions_are_refused(order, dimension):
    with pytest.raises(ValueError, match="dimension must be"):
        diffusion(order, dimension)
