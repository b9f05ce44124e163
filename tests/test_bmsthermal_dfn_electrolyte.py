"""What crosses a face of the electrolyte: resistances in series, the junction, Soret and Dufour, entropy."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import brentq

from bmsthermal.curves import Curve
from bmsthermal.dfn.electrodes import Electrolyte
from bmsthermal.dfn.electrolyte import electrolyte_law, heat_of_transport_J_mol, onsager_limit_W_mK
from bmsthermal.dfn.expressions import FARADAY, GAS

SOLVENT = Electrolyte(
    1000.0, Curve(0.26), Curve("3e-10 * exp(-0.0006 * x)"), 17e3, Curve("0.2 + 8e-4 * x"), 12e3,
    Curve("1 + 0.0004 * x"), soret_1_K=8e-3,
)  # fmt: skip
REFERENCE_K, AREA_m2, HALF_m = 298.15, 0.1, (4e-6, 9e-6)

salts = st.tuples(st.floats(0.05, 3.0), st.floats(0.05, 3.0))
temperatures = st.tuples(st.floats(250.0, 350.0), st.floats(250.0, 350.0))
potential = st.floats(-1.0, 1.0).map(lambda v: round(v, 12))  # squares are numbers of full precision
potentials = st.tuples(potential, potential)


def face(salt, phi=(0.0, 0.0), T=(REFERENCE_K, REFERENCE_K), *, half=HALF_m, solvent=SOLVENT, soret=True, dufour=True):
    law = electrolyte_law(solvent, REFERENCE_K, soret=soret, dufour=dufour)
    rows, named = law([*salt, *phi, *T], [*half, AREA_m2], [])
    flow, current, carried = float(rows[1]), float(rows[3]), float(rows[7])
    transference = float(solvent.transference(solvent.initial_concentration_mol_m3 * np.mean(salt)))
    return SimpleNamespace(
        rows=np.array(rows, float), flow_A_m2=flow, current_A_m2=current, carried_W_m2=carried / AREA_m2,
        diffusion_mol_m2s=(flow - transference * current) / FARADAY, heat_W=float(rows[4] + rows[5]), named=named,
    )  # fmt: skip


def conductivity(c, T, solvent=SOLVENT):
    slowing = np.exp(solvent.conductivity_activation_J_mol / GAS * (1 / REFERENCE_K - 1 / T))
    return float(solvent.conductivity(1000.0 * c)) * slowing


def diffusivity(c, T, solvent=SOLVENT):
    slowing = np.exp(solvent.diffusivity_activation_J_mol / GAS * (1 / REFERENCE_K - 1 / T))
    return float(solvent.diffusivity(1000.0 * c)) * slowing


def resistance(salt, T, half=HALF_m):
    """Of a face inside a region: with the conductivity of the middle."""
    return sum(half) / conductivity(np.mean(salt), np.mean(T))


def barrier(salt, T, half=HALF_m):
    return sum(half) / diffusivity(np.mean(salt), np.mean(T))


def junction(salt, T):
    """What the electrolyte adds to the potential difference, in V."""
    factor = float(SOLVENT.thermodynamic_factor(1000.0 * np.mean(salt)))
    return 2 * GAS * np.mean(T) / FARADAY * (1 - 0.26) * factor * np.log(salt[1] / salt[0])


# --- salt and charge ---


@given(st.floats(0.05, 3.0), st.floats(-1.0, 1.0), st.floats(250.0, 350.0))
def test_nothing_crosses_in_a_uniform_state(c, phi, T):
    assert not face((c, c), (phi, phi), (T, T)).rows.any()


@given(salts, potentials, temperatures)
def test_what_leaves_one_side_arrives_on_the_other(salt, phi, T):
    rows = face(salt, phi, T).rows
    np.testing.assert_array_equal(rows[[0, 2, 6]], -rows[[1, 3, 7]])


@given(salts, potentials, temperatures)
def test_a_face_has_no_preferred_side(salt, phi, T):
    one, other = face(salt, phi, T), face(salt[::-1], phi[::-1], T[::-1], half=HALF_m[::-1])
    # terms of at most these sizes cancel
    size = np.abs(phi).max() / resistance(salt, T) + np.abs(junction(salt, T)) / resistance(salt, T)
    assert one.current_A_m2 == pytest.approx(-other.current_A_m2, rel=1e-11, abs=1e-13 * size)
    assert one.heat_W == pytest.approx(other.heat_W, rel=1e-11, abs=1e-13 * size * AREA_m2)
    assert one.carried_W_m2 == pytest.approx(-other.carried_W_m2, rel=1e-11)
    assert one.flow_A_m2 == pytest.approx(
        -other.flow_A_m2, rel=1e-11, abs=1e-13 * (size + FARADAY * 3000.0 / barrier(salt, T))
    )


@given(st.floats(0.05, 3.0), potentials, temperatures)
def test_halves_resist_in_series(c, phi, T):
    found = face((c, c), phi, T).current_A_m2
    assert found == pytest.approx((phi[0] - phi[1]) / resistance((c, c), T), rel=1e-12)


def test_a_poor_half_bounds_the_current():
    # at an edge: a mean of the conductivities would let through half of what the good side can
    stopper = replace(SOLVENT, conductivity=Curve({"x": [0, 999, 1001, 2000], "y": [1e-9, 1e-9, 1.0, 1.0]}))
    law = electrolyte_law(stopper, REFERENCE_K, edge=True)
    half = [HALF_m[0], *HALF_m, HALF_m[1]]
    rows, _ = law([0.9, 0.9, 1.1, 1.1, 1.0, 1.0, 0.0, 0.0, *[REFERENCE_K] * 4], [*half, AREA_m2], [])
    # nothing flows through the next faces: the mean over a half cell is 3/4 of what crosses the edge
    assert 0 < float(rows[3]) < 1.1 * 1e-9 / HALF_m[0] / 0.75


@given(salts, potentials)
def test_salt_diffuses_and_migrates(salt, phi):
    T = (REFERENCE_K, REFERENCE_K)
    found = face(salt, phi, T)
    diffusion = 1000.0 * (salt[0] - salt[1]) / barrier(salt, T)
    migration = 0.26 * found.current_A_m2
    assert found.flow_A_m2 == pytest.approx(
        FARADAY * diffusion + migration, rel=1e-11, abs=1e-13 * (FARADAY * abs(diffusion) + abs(migration))
    )


@given(salts, temperatures)
def test_concentration_cell(salt, T):
    # without a current the richer side is at the higher potential, 2RT/F (1 - t) gamma ln(c2 / c1); and no heat
    found = face(salt, (0.0, junction(salt, T)), T)
    assert abs(found.current_A_m2) <= 1e-14 / resistance(salt, T)  # rounding of a potential below 1 V
    assert abs(found.heat_W) <= 1e-14 * AREA_m2 / resistance(salt, T)


@given(salts)
def test_an_empty_pore_gives_numbers(salt):
    # what Newton may visit on the way
    assert np.isfinite(face((0.0, salt[0])).rows).all()
    assert np.isfinite(face((-1e-3, salt[0])).rows).all()


# --- heat of the current ---


@given(salts, potentials, temperatures)
def test_heat_is_minus_current_times_gradient(salt, phi, T):
    # i (phi_left - phi_right) = R i^2 - junction i: the concentration term is inside, with a minus
    found, R = face(salt, phi, T), resistance(salt, T)
    i, J = found.current_A_m2, junction(salt, T)
    parts = (R * i**2, -J * i)
    assert found.heat_W / AREA_m2 == pytest.approx(sum(parts), rel=1e-10, abs=1e-12 * np.abs(parts).max())
    assert found.heat_W == pytest.approx(AREA_m2 * i * (phi[0] - phi[1]), rel=1e-13)
    assert float(found.named["ohmic"]) == pytest.approx(found.heat_W, rel=1e-13)


def test_a_small_current_down_the_junction_cools():
    # 0 < i < J / R: the electrolyte does the work. With the other sign of the cross term it would heat
    salt, T = (0.5, 1.5), (REFERENCE_K, REFERENCE_K)
    J, R = junction(salt, T), resistance(salt, T)
    assert J > 0
    half_way = face(salt, (0.0, J / 2), T)
    assert half_way.current_A_m2 == pytest.approx(J / R / 2, rel=1e-12)
    assert half_way.heat_W / AREA_m2 == pytest.approx(-(J**2) / R / 4, rel=1e-12)


@given(salts, potentials, temperatures)
def test_each_half_takes_the_heat_of_its_resistance(salt, phi, T):
    found = face(salt, phi, T)
    share = HALF_m[0] / sum(HALF_m)
    np.testing.assert_allclose(found.rows[4:6], found.heat_W * np.array([share, 1 - share]), rtol=1e-11)


# --- Soret and Dufour ---


@given(salts, potentials, st.floats(250.0, 350.0))
def test_soret_needs_a_temperature_difference(salt, phi, T):
    rows = [face(salt, phi, (T, T), soret=on, dufour=False).rows for on in (True, False)]
    np.testing.assert_array_equal(*rows)


@given(st.floats(0.05, 3.0), temperatures)
def test_salt_goes_to_the_cold(c, T):
    found = face((c, c), (0.0, 0.0), T)
    assert found.current_A_m2 == 0.0
    expected = 1000.0 * c * SOLVENT.soret_1_K * (T[0] - T[1]) / barrier((c, c), T)
    assert found.diffusion_mol_m2s == pytest.approx(expected, rel=1e-12)


def separation(faces, cold=280.0, hot=330.0, soret=0.02):
    """ln(c_hot / c_cold) of a closed cell at rest between two temperatures."""
    solvent, salt = replace(SOLVENT, soret_1_K=soret), 1.0
    for T in pairwise(np.linspace(cold, hot, faces + 1)):
        salt = brentq(lambda c, T=T, s=salt: face((s, c), T=T, solvent=solvent).diffusion_mol_m2s, 0.01, 10, xtol=1e-14)
    return np.log(salt)


def test_a_closed_cell_separates_by_the_soret_coefficient():
    # ln(c2 / c1) = -S_T (T2 - T1); in one face (c2 - c1) / mean(c) = -S_T dT, of which the logarithm is 2 artanh(. / 2)
    assert separation(1) == pytest.approx(-2 * np.arctanh(0.5), rel=1e-11)
    error = np.array([separation(n) + 1.0 for n in (4, 8, 16, 32)])
    np.testing.assert_allclose(np.log2(error[:-1] / error[1:]), 2.0, atol=0.1)
    # -(S_T dT)^3 / 12 per face: 50 K over 32 faces leave 8e-5
    assert error[-1] == pytest.approx(-1 / (12 * 32**2), rel=1e-3)


@given(st.floats(0.05, 3.0), st.floats(250.0, 350.0), st.floats(-0.1, 0.1).filter(lambda s: abs(s) > 1e-6))
def test_onsager_reciprocity(c, T, soret):
    # fluxes N and q of the face over the forces -d(mu_T)/T and d(1/T), from the law's own slopes at a uniform state
    solvent, h, half = replace(SOLVENT, soret_1_K=soret), 1e-4, (6e-6, 6e-6)
    factor = float(SOLVENT.thermodynamic_factor(1000.0 * c))
    warm, rich = (T * (1 + h), T * (1 - h)), (c * (1 + h), c * (1 - h))
    L_1q = face((c, c), T=warm, half=half, solvent=solvent).diffusion_mol_m2s / (1 / warm[1] - 1 / warm[0])
    force = -2 * GAS * factor * np.log(rich[1] / rich[0])
    still = face(rich, (0.0, junction(rich, (T, T))), T=(T, T), half=half, solvent=solvent)
    L_q1 = still.carried_W_m2 / force
    assert L_1q == pytest.approx(L_q1, rel=1e-6)  # even in h: (h E / RT)^2 / 2
    assert L_1q == pytest.approx(1000 * c * soret * T**2 / barrier((c, c), (T, T), half), rel=1e-6)
    # and charge is coupled to neither: its own force is zero in both
    assert abs(still.current_A_m2) < 1e-15 / resistance((c, c), (T, T), half)  # rounding of a potential of 1e-5 V
    assert face((c, c), T=warm, solvent=solvent).current_A_m2 == 0.0


def entropy(salt, phi, T, conductance_W_m2K, solvent=SOLVENT):
    """Entropy production of a face in W/m2K: of charge, salt and heat; and the sum of what may cancel."""
    found = face(salt, phi, T, solvent=solvent)
    factor = float(solvent.thermodynamic_factor(1000.0 * np.mean(salt)))
    charge = found.current_A_m2 * (phi[0] - phi[1] + junction(salt, T)) / np.mean(T)
    diffusion = found.diffusion_mol_m2s * -2 * GAS * factor * np.log(salt[1] / salt[0])
    heat = (found.carried_W_m2 + conductance_W_m2K * (T[0] - T[1])) * (1 / T[1] - 1 / T[0])
    return charge, diffusion + heat, abs(diffusion) + abs(heat)


def enough(salt, T, solvent=SOLVENT):
    """Conductance that makes up for a face of any size: its mean of c is arithmetic here and logarithmic there.

    N = g (ln + a S dT), and its force is 2 R gamma (ln + b S dT), with a the ratio of both means and b of those of T^2:
    their product is least, -(a - b)^2 (S dT)^2 / 4, half way between. In the continuum a = b = 1 and nothing is needed.
    """
    spread = np.log(salt[1] / salt[0])
    logarithmic = (salt[1] - salt[0]) / spread if abs(spread) > 1e-6 else np.mean(salt)
    factor, product = float(solvent.thermodynamic_factor(1000.0 * np.mean(salt))), T[0] * T[1]
    apart = np.mean(salt) / logarithmic - np.mean(T) ** 2 / product
    return 2000 * GAS * factor * logarithmic * product * (solvent.soret_1_K * apart) ** 2 / 4 / barrier(salt, T)


@given(salts, potentials, temperatures, st.floats(-0.2, 0.2))
def test_entropy_is_produced_whatever_the_gradients(salt, phi, T, soret):
    solvent = replace(SOLVENT, soret_1_K=soret)
    charge, rest, size = entropy(salt, phi, T, enough(salt, T, solvent), solvent)
    assert charge >= 0.0
    # rounding of d(ln c) where both sides are nearly alike
    assert rest >= -1e-9 * size


@given(st.floats(0.05, 3.0), st.floats(250.0, 350.0), st.integers(-10, 10), st.integers(-10, 10))
def test_small_gradients_produce_the_square_of_the_flux(c, T, salt_step, T_step):
    # N^2 / L_11 + conduction: no heat conductivity is too small, as what is carried goes with the whole flux
    h = 1e-5
    salt, temperature = (c * (1 - h * salt_step), c * (1 + h * salt_step)), (T * (1 - h * T_step), T * (1 + h * T_step))
    factor = float(SOLVENT.thermodynamic_factor(1000.0 * c))
    mobility = 1000 * c / (2 * GAS * factor) / barrier((c, c), (T, T))
    _, produced, size = entropy(salt, (0.0, 0.0), temperature, 0.0)
    flux = face(salt, T=temperature).diffusion_mol_m2s
    assert produced == pytest.approx(flux**2 / mobility, abs=1e-2 * size)  # of the order 80 h in D of the two sides


@given(st.floats(0.05, 3.0), st.floats(250.0, 350.0), st.floats(-0.1, 0.1).filter(lambda s: abs(s) > 1e-6))
def test_onsager_limit_is_what_salt_carries_where_it_is_uniform(c, T, soret):
    # conductivity at uniform concentration, less that at rest: L_1q^2 / L_11 T^2
    solvent, h, half = replace(SOLVENT, soret_1_K=soret), 1e-4, (6e-6, 6e-6)
    found = face((c, c), T=(T * (1 + h), T * (1 - h)), half=half, solvent=solvent)
    per_barrier = onsager_limit_W_mK(solvent, c, T, REFERENCE_K) / diffusivity(c, T)
    # even in h: (h E / RT)^2 / 2
    assert found.carried_W_m2 / (2 * h * T) == pytest.approx(per_barrier / barrier((c, c), (T, T), half), rel=1e-6)
    # and where salt rests there is none
    still = brentq(
        lambda s: face((c, s), T=(T + 5, T - 5), solvent=solvent).diffusion_mol_m2s, 0.1 * c, 10 * c, xtol=1e-15
    )
    assert abs(face((c, still), T=(T + 5, T - 5), solvent=solvent).carried_W_m2) <= 1e-9 * abs(found.carried_W_m2) / h


@given(st.floats(0.05, 3.0), st.floats(250.0, 350.0))
def test_onsager_limit_in_numbers(c, T):
    limit = onsager_limit_W_mK(SOLVENT, c, T, REFERENCE_K, transport_efficiency=0.2)
    factor = float(SOLVENT.thermodynamic_factor(1000.0 * c))
    expected = 2 * GAS * factor * 0.2 * diffusivity(c, T) * 1000 * c * (SOLVENT.soret_1_K * T) ** 2
    assert limit == pytest.approx(expected, rel=1e-12)
    assert limit < 1e-3  # W/mK, far below any sandwich
    assert onsager_limit_W_mK(replace(SOLVENT, soret_1_K=0.0), c, T, REFERENCE_K) == 0.0


def test_heat_of_transport():
    assert heat_of_transport_J_mol(SOLVENT, 1.0, 300.0) == pytest.approx(2 * GAS * 1.4 * 300.0**2 * 8e-3, rel=1e-14)
    found = face((1.5, 0.5), T=(300.0, 300.0))
    # positive S_T: salt goes to the cold, and takes heat along
    assert found.carried_W_m2 > 0
    quiet = face((1.5, 0.5), T=(300.0, 300.0), dufour=False)
    assert quiet.carried_W_m2 == 0.0 and quiet.flow_A_m2 == found.flow_A_m2


# --- where regions meet ---


@given(st.floats(-50.0, 50.0), *[st.floats(-1e7, 1e7)] * 2, *[st.floats(0.1, 1.0)] * 2)
def test_an_edge_is_exact_for_sources_that_differ(flux, left, right, coarse, fine):
    # current f0 + a x, another a on each side: potentials are parabolas that meet with a bend
    widths, kappa = (9e-6, 3e-6), conductivity(1.0, REFERENCE_K) * np.array([coarse, fine])
    x = np.array([-1.5, -0.5, 0.5, 1.5]) * np.repeat(widths, 2)
    source, k = np.repeat([left, right], 2), np.repeat(kappa, 2)
    phi = -(flux * x + source * x**2 / 2) / k
    half = np.repeat(widths, 2) / 2 / np.repeat([coarse, fine], 2)
    law = electrolyte_law(SOLVENT, REFERENCE_K, edge=True)
    rows, _ = law([*np.ones(4), *phi, *np.full(4, REFERENCE_K)], [*half, AREA_m2], [])
    # rounding of fluxes of up to flux + 1e7 A/m3 over a cell
    assert float(rows[3]) == pytest.approx(flux, abs=1e-11 * (abs(flux) + 100.0))
    assert float(rows[3]) == -float(rows[2])
    heat = AREA_m2 * float(rows[3]) * (phi[1] - phi[2])
    assert float(rows[4] + rows[5]) == pytest.approx(heat, rel=1e-12, abs=1e-300)


def test_an_edge_is_a_face_where_flux_is_even():
    # amid equal cells in uniform gradients; neither D nor kappa depends on the temperature here
    T = [310.0, 309.0, 308.0, 307.0]
    still = replace(SOLVENT, diffusivity_activation_J_mol=0.0, conductivity_activation_J_mol=0.0)
    steady = electrolyte_law(still, REFERENCE_K, soret=True, dufour=True, edge=True)
    rows, _ = steady([*np.ones(4), 0.3, 0.2, 0.1, 0.0, *T], [5e-6, 5e-6, 5e-6, 5e-6, AREA_m2], [])
    plain = face((1.0, 1.0), (0.2, 0.1), (309.0, 308.0), half=(5e-6, 5e-6), solvent=still).rows
    np.testing.assert_allclose(np.array(rows, float), plain, rtol=1e-12)
