"""Diffusion in the particles in a few shapes: exact gains, lithium in none of them, errors that fall with the order."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.polynomial import Polynomial
from scipy.optimize import brentq

from bmsthermal import ParticleGrid, load_cell
from bmsthermal.curves import Curve
from bmsthermal.reduced import particles as module
from bmsthermal.reduced.particles import DEPTH, RADIUS, Particles, along_radius, basis, expand, through

ELECTRODE = load_cell("lgm50_21700").electrochemistry.negative
MIDDLE = (ELECTRODE.minimum_stoichiometry + ELECTRODE.maximum_stoichiometry) / 2
#: Time in which lithium diffuses through a particle, and a step that is a fiftieth of it.
DIFFUSE_S = ELECTRODE.particle_radius_m**2 / float(ELECTRODE.diffusivity(MIDDLE))
STEP_S = DIFFUSE_S / 50
COUNTS = [(1, 0), (2, 0), (4, 0), (1, 2), (3, 2), (5, 3)]


@pytest.fixture(scope="module")
def snapshots():
    """Coefficients that fall off as those of smooth profiles do; the constant is none of them."""
    made = np.random.default_rng(1).standard_normal((40, DEPTH, RADIUS))
    made *= 0.3 ** np.arange(DEPTH)[:, None] * 0.5 ** np.arange(RADIUS)
    made[:, 0, 0] = 0.0
    return made.reshape(len(made), -1)


def made(uniform, further, snapshots, points=3, nodes=6, step_s=STEP_S):
    return Particles.of(basis(ELECTRODE, step_s, points, uniform, further, snapshots), points, nodes)


def response(particles, s):
    """What a uniform flow does to the mean of the surfaces, lithium too, in units of R/D."""
    uniform = particles.weight @ particles.surface
    return 3.0 * (1.0 / s + (uniform**2 / (s[:, None] + particles.rate)).sum(axis=1))


def exact(s):
    """The same of a sphere (Jacobsen & West 1995)."""
    root = np.sqrt(s)
    return np.tanh(root) / (root - np.tanh(root))


@pytest.mark.parametrize("points", [2, 3, 4])
@pytest.mark.parametrize("uniform, further", COUNTS)
def test_shapes_are_orthonormal_and_hold_no_lithium(uniform, further, points, snapshots):
    V = basis(ELECTRODE, STEP_S, points, uniform, further, snapshots)
    assert V.shape == (points * RADIUS, uniform + further)
    np.testing.assert_allclose(V.T @ V, np.eye(uniform + further), atol=1e-12)
    np.testing.assert_allclose(V[0], 0.0, atol=1e-12)  # the constant
    particles = Particles.of(V, points, 6)
    assert (particles.rate > 0).all()
    lithium = np.einsum("q,r,qmr->m", particles.weight, particles.share, particles.inside)
    np.testing.assert_allclose(lithium, 0.0, atol=1e-12)


def test_modes_are_orthonormal_at_the_nodes_of_the_rule(snapshots):
    # six nodes integrate products of the first six polynomials: enough for shapes of so many
    few = snapshots.reshape(-1, DEPTH, RADIUS).copy()
    few[:, :, 6:] = 0.0
    V = np.linalg.svd(few.reshape(len(few), -1)[:, : 3 * RADIUS], full_matrices=False)[2][:4].T
    particles = Particles.of(V, 3, 6)
    gram = np.einsum("q,r,qmr,qnr->mn", particles.weight, particles.share, particles.inside, particles.inside)
    np.testing.assert_allclose(gram, np.eye(4), atol=1e-12)


@pytest.mark.parametrize("uniform, further", COUNTS)
def test_the_steady_gap_of_a_uniform_flow_is_exact(uniform, further, snapshots):
    # surface less mean is j R / (5 D F c_max), and modes are driven by 3 j / (F c_max R): so this is 1/15
    particles = made(uniform, further, snapshots)
    gap = ((particles.weight @ particles.surface) ** 2 / particles.rate).sum()
    assert gap == pytest.approx(1 / 15, rel=1e-11)


@pytest.mark.parametrize("uniform", [2, 3, 4, 5])
def test_the_response_of_a_sphere_is_matched_in_value_and_slope_at_the_shifts(uniform, snapshots):
    shifts = np.geomspace(module.SLOWEST, module.FASTEST * DIFFUSE_S / STEP_S, uniform)[1:]
    particles = made(uniform, 0, snapshots)
    np.testing.assert_allclose(response(particles, shifts), exact(shifts), rtol=1e-8)
    rise = 1e-4
    slopes = [
        (f(shifts * (1 + rise)) - f(shifts * (1 - rise))) / rise for f in (lambda s: response(particles, s), exact)
    ]
    np.testing.assert_allclose(slopes[0], slopes[1], rtol=1e-6)


def test_the_error_of_a_step_of_current_falls_with_every_shape(snapshots):
    # surface less mean after a step, over that at last (Carslaw & Jaeger 1959, 9.7): roots of tan z = z
    roots = np.array([brentq(lambda z: np.sin(z) - z * np.cos(z), n * np.pi, (n + 0.5) * np.pi) for n in range(1, 400)])
    t = np.geomspace(0.02, 2, 60)
    fine = 1.0 - 10.0 * (np.exp(-np.outer(t, roots**2)) / roots**2).sum(axis=1)
    errors = []
    for uniform in range(1, 7):
        particles = made(uniform, 0, snapshots)
        share = 15.0 * (particles.weight @ particles.surface) ** 2 / particles.rate
        errors.append(np.abs(share @ (1.0 - np.exp(-np.outer(particles.rate, t))) - fine).max())
    assert all(after < 0.7 * before for before, after in pairwise(errors))
    assert errors[-1] < 1e-4


def test_diffusivity_only_rescales_time(snapshots):
    quick = replace(ELECTRODE, diffusivity=Curve(7.0 * float(ELECTRODE.diffusivity(MIDDLE))))
    # one shape knows neither step nor diffusivity; several see their ratio only
    np.testing.assert_allclose(
        basis(quick, STEP_S, 3, 1, 0, snapshots), basis(ELECTRODE, STEP_S, 3, 1, 0, snapshots), atol=1e-13
    )
    slow = made(4, 2, snapshots)
    other = Particles.of(basis(quick, STEP_S / 7.0, 3, 4, 2, snapshots), 3, 6)
    np.testing.assert_allclose(other.rate, slow.rate, rtol=1e-9)
    np.testing.assert_allclose(np.abs(other.surface), np.abs(slow.surface), atol=1e-8)


def test_shapes_are_the_same_through_the_electrode_without_further_ones(snapshots):
    particles = made(4, 0, snapshots, points=4)
    np.testing.assert_allclose(particles.surface - particles.surface[0], 0.0, atol=1e-11)
    assert np.ptp(made(3, 2, snapshots).surface, axis=0).max() > 0.1


@given(coefficients=arrays(float, (2, DEPTH, 6), elements=st.floats(-1.0, 1.0)), cells=st.integers(DEPTH, 9))
def test_polynomials_are_expanded_exactly_and_the_constant_is_left_out(coefficients, cells):
    grid, depth = ParticleGrid(7), (np.arange(cells) + 0.5) / cells
    x = np.einsum("kdj,cd,nj->kcn", coefficients, through(depth), along_radius(grid.radius)[:, :6])
    wanted = np.zeros((2, DEPTH, RADIUS))
    wanted[:, :, :6] = coefficients
    wanted[:, 0, 0] = 0.0
    np.testing.assert_allclose(expand(grid, x), wanted.reshape(2, -1), atol=1e-10)


def test_few_cells_and_few_nodes_are_expanded_as_far_as_they_go():
    x = np.random.default_rng(2).random((3, 2, 3))
    found = expand(ParticleGrid(2), x).reshape(3, DEPTH, RADIUS)
    assert (found[:, 2:] == 0).all() and (found[:, :, 3:] == 0).all()
    found[:, 0, 0] = np.einsum("kcn,n->k", x, ParticleGrid(2).share) / 2
    again = np.einsum("kdj,cd,nj->kcn", found, through(np.array([0.25, 0.75])), along_radius(ParticleGrid(2).radius))
    np.testing.assert_allclose(again, x, atol=1e-12)


@given(points=st.integers(1, 4), coefficients=st.lists(st.floats(-10, 10), min_size=4, max_size=4))
def test_the_integral_is_exact_for_polynomials(points, coefficients):
    particles = Particles.of(basis(ELECTRODE, STEP_S, points, 1, 0, np.zeros((1, DEPTH * RADIUS))), points, 4)
    p = Polynomial(coefficients[:points])
    np.testing.assert_allclose(particles.integral @ p(particles.depth), p.integ()(particles.depth), atol=1e-11)
    assert particles.weight @ p(particles.depth) == pytest.approx(p.integ()(1.0), abs=1e-11)
