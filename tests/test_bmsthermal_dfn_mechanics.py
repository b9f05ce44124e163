"""Stress in an elastic sphere: equilibrium, closed forms, and one chemical potential behind all couplings."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.polynomial import Polynomial

from bmsthermal.curves import Curve
from bmsthermal.dfn import mechanics
from bmsthermal.dfn.electrodes import Electrode
from bmsthermal.dfn.expressions import FARADAY, GAS
from bmsthermal.dfn.particle import ParticleGrid

CMAX, OMEGA, YOUNG, POISSON = 28746.0, 3.1e-6, 15e9, 0.3
Y = OMEGA * YOUNG / (1 - POISSON)
GRAPHITE = Electrode(
    8e-5, 0.3, 0.2, 100.0, 5e-6, 3e5, CMAX, 0.01, 0.99, Curve(1e-14), 0.0, 1e-6, 0.0, Curve(0.1), Curve(0.0),
    partial_molar_volume_m3_mol=OMEGA, youngs_modulus_Pa=YOUNG, poisson_ratio=POISSON,
    stress_activation_volume_m3_mol=OMEGA,
)  # fmt: skip
GRID = ParticleGrid(8)
TOLERANCE_Pa = 1e-12 * Y * CMAX  # rounding of sums over nine nodes

profiles = st.lists(st.floats(0.0, 1.0), min_size=GRID.count, max_size=GRID.count).map(np.array)


def stress(x, grid=GRID, electrode=GRAPHITE):
    s = mechanics.stresses(electrode, grid, x)
    return s["radial_Pa"], s["tangential_Pa"], s["hydrostatic_Pa"]


# --- the sphere ---


@given(profiles)
def test_surface_is_free_and_hydrostatic_is_the_mean_of_three(x):
    radial, tangential, hydrostatic = stress(x)
    assert abs(radial[-1]) <= TOLERANCE_Pa
    np.testing.assert_allclose(hydrostatic, (radial + 2 * tangential) / 3, atol=TOLERANCE_Pa)
    assert abs(GRID.share @ hydrostatic) <= TOLERANCE_Pa  # no load from outside: its mean over the volume is zero
    mean = GRID.share @ x
    np.testing.assert_allclose(hydrostatic, mechanics.hydrostatic(GRAPHITE, x, mean), atol=TOLERANCE_Pa)


@given(st.floats(0.0, 1.0), profiles, st.floats(-2.0, 2.0))
def test_stress_is_linear_and_uniform_lithium_gives_none(level, x, factor):
    for alone, both in zip(stress(factor * x), stress(level + factor * x), strict=True):
        np.testing.assert_allclose(both, alone, atol=10 * TOLERANCE_Pa)  # five times the concentrations


@given(st.lists(st.floats(-1.0, 1.0), min_size=5, max_size=5))
def test_forces_are_in_equilibrium_at_every_radius(coefficients):
    # d(sigma_r)/dr + 2 (sigma_r - sigma_t) / r = 0
    even = np.zeros(9)
    even[::2] = coefficients
    r = GRID.radius
    radial, tangential, _ = stress(Polynomial(even)(r))
    # the inside mean of r^(2k) is 3 / (2k + 3) r^(2k): radial stress is a polynomial of the same kind, slope is exact
    residual = GRID.slope @ radial + 2 * (radial - tangential) / r
    size = np.abs(GRID.slope).sum(axis=1).max()  # of the differentiation matrix: what it makes of rounding
    assert np.abs(residual).max() <= 5 * size * TOLERANCE_Pa


@pytest.mark.parametrize("grid", [ParticleGrid(1), GRID, ParticleGrid(3, (0.4, 0.8))])
def test_parabola_of_steady_insertion(grid):
    # Cheng & Verbrugge 2008, the long time of a constant current: c = mean + a (r^2 - 3/5), a = R i / 2 F D
    a, r = 0.1, grid.radius
    radial, tangential, hydrostatic = stress(0.5 + a * (r**2 - 0.6), grid)
    unit = Y * CMAX * a
    np.testing.assert_allclose(radial, 2 / 15 * unit * (1 - r**2), atol=TOLERANCE_Pa)
    np.testing.assert_allclose(tangential, 2 / 15 * unit * (1 - 2 * r**2), atol=TOLERANCE_Pa)
    np.testing.assert_allclose(hydrostatic, 2 / 9 * unit * (0.6 - r**2), atol=TOLERANCE_Pa)
    # inserted lithium presses on the surface and pulls at the centre, where all three are equal
    assert tangential[-1] == pytest.approx(-2 / 15 * unit, rel=1e-9)


def test_centre_is_hydrostatic():
    # as r -> 0 the inside mean is the concentration: radial and tangential meet, with r^2
    grid = ParticleGrid(2, (1e-4,))
    radial, tangential, _ = stress(0.5 + 0.1 * grid.radius**2, grid)
    assert radial[0] == pytest.approx(tangential[0], rel=1e-7)  # (1e-4)^2


@given(profiles)
def test_a_surface_poorer_than_the_mean_is_in_tension(x):
    _, tangential, hydrostatic = stress(x)
    surplus = GRID.share @ x - x[-1]
    if abs(surplus) > 1e-9:  # else rounding decides
        assert np.sign(tangential[-1]) == np.sign(hydrostatic[-1]) == np.sign(surplus)
    contracting = replace(GRAPHITE, partial_molar_volume_m3_mol=-OMEGA)  # as some cathodes: the other way round
    np.testing.assert_array_equal(stress(x, electrode=contracting)[1], -tangential)


def test_profiles_in_time_are_columns():
    x = np.linspace(0.2, 0.8, GRID.count * 6).reshape(GRID.count, 2, 3)
    together = mechanics.stresses(GRAPHITE, GRID, x)
    for name, values in together.items():
        assert values.shape == x.shape
        # BLAS may add in another order for a matrix than for a vector
        alone = mechanics.stresses(GRAPHITE, GRID, x[:, 1, 2])[name]
        np.testing.assert_allclose(values[:, 1, 2], alone, atol=TOLERANCE_Pa)


def test_elastic_energy_is_that_of_its_chemical_potential():
    # strain energy of the sphere, int (sigma_r^2 + 2 sigma_t^2 - 2 nu (2 sigma_r sigma_t + sigma_t^2)) / 2E,
    # is what lithium brought in against -Omega sigma_h stores: Omega * 2/9 Y * int (c - mean)^2 / 2
    grid = ParticleGrid(12)  # the square of a profile of r^6 is a polynomial of degree 6 in r^2: exact
    x = Polynomial([0.3, 0, 0.5, 0, -0.2, 0, 0.3])(grid.radius)
    radial, tangential, _ = stress(x, grid)
    energy = (radial**2 + 2 * tangential**2 - 2 * POISSON * (2 * radial * tangential + tangential**2)) / (2 * YOUNG)
    stored = OMEGA * mechanics.modulus_J_mol(GRAPHITE) * (CMAX * (x - grid.share @ x)) ** 2 / 2
    assert grid.weight @ energy == pytest.approx(grid.weight @ stored, rel=1e-11)


# --- what stress does ---


@given(st.floats(0.01, 0.99), st.floats(0.01, 0.99), st.floats(250.0, 350.0))
def test_flux_factor_is_the_slope_of_the_chemical_potential(x, mean, T):
    # N = -D c grad(mu) / RT with mu = RT ln c - Omega sigma_h
    def mu(x):
        return GAS * T * np.log(x) - OMEGA * mechanics.hydrostatic(GRAPHITE, x, mean)

    h = 1e-4 * x
    slope = x * (mu(x + h) - mu(x - h)) / (2 * h) / (GAS * T)
    assert float(mechanics.flux_factor(GRAPHITE, x, T)) == pytest.approx(slope, rel=1e-8)  # (h / x)^2 / 3


def test_flux_factor_of_zhang():
    theta = OMEGA / (GAS * 300.0) * 2 * OMEGA * YOUNG / (9 * (1 - POISSON))
    assert mechanics.flux_factor(GRAPHITE, 0.4, 300.0) == pytest.approx(1 + theta * 0.4 * CMAX, rel=1e-14)
    free = replace(GRAPHITE, strain_free_concentration_mol_m3=0.4 * CMAX)
    assert mechanics.flux_factor(free, 0.4, 300.0) == pytest.approx(1.0, abs=1e-15)
    # theta holds the square of the molar volume: a particle that contracts diffuses faster too
    contracting = replace(GRAPHITE, partial_molar_volume_m3_mol=-OMEGA)
    assert mechanics.flux_factor(contracting, 0.4, 300.0) == mechanics.flux_factor(GRAPHITE, 0.4, 300.0)


@given(st.floats(0.0, 1.0), st.floats(0.0, 1.0))
def test_potential_shift_is_the_same_chemical_potential(surface, mean):
    # U = -mu / F + ..., mu = ... - Omega sigma_h
    sigma = mechanics.hydrostatic(GRAPHITE, surface, mean)
    assert mechanics.potential_shift(GRAPHITE, surface, mean) == pytest.approx(OMEGA * sigma / FARADAY, rel=1e-14)
    # tension welcomes lithium: the potential against lithium rises
    if abs(mean - surface) > 1e-300:  # else the product is too small for a number
        assert np.sign(mechanics.potential_shift(GRAPHITE, surface, mean)) == np.sign(mean - surface)


@given(st.floats(0.0, 1.0), st.floats(0.0, 1.0), st.floats(250.0, 350.0))
def test_tension_eases_the_hop(x, mean, T):
    factor = float(mechanics.diffusivity_factor(GRAPHITE, x, mean, T))
    expected = OMEGA * mechanics.hydrostatic(GRAPHITE, x, mean) / (GAS * T)
    assert np.log(factor) == pytest.approx(expected, rel=1e-12, abs=1e-15)
    assert mechanics.diffusivity_factor(replace(GRAPHITE, stress_activation_volume_m3_mol=0.0), x, mean, T) == 1.0
