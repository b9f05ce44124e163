"""Charge transfer: its sign, its limits at small and large overpotential, its temperature."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bmsthermal.curves import Curve
from bmsthermal.dfn.electrodes import Electrode
from bmsthermal.dfn.expressions import FARADAY, GAS, arrhenius
from bmsthermal.dfn.kinetics import TINY, butler_volmer, enthalpic, equilibrium, exchange_current

REFERENCE_K, RATE = 298.15, 6.7e-7
EVEN = Electrode(
    8e-5, 0.3, 0.2, 100.0, 5e-6, 3e5, 30000.0, 0.01, 0.99, Curve(1e-14), 0.0, RATE, 35e3,
    Curve("0.2 + 0.6 * exp(-20 * x)"), Curve({"x": [0.0, 0.4, 1.0], "y": [3e-4, -1e-4, 1e-4]}),
)  # fmt: skip

shares = st.floats(0.02, 0.98)
temperatures = st.floats(250.0, 350.0)
overpotentials = st.floats(-0.5, 0.5)


def uneven(anodic, cathodic=None):
    return replace(EVEN, anodic_transfer=anodic, cathodic_transfer=1 - anodic if cathodic is None else cathodic)


electrodes = shares.map(uneven) | st.just(EVEN)


# --- Butler-Volmer ---


@given(electrodes, st.floats(1e-3, 100.0), overpotentials, temperatures)
def test_a_positive_overpotential_drives_lithium_out(electrode, exchange, eta, T):
    j = float(butler_volmer(electrode, exchange, eta, T))
    assert j * eta >= 0.0  # what a reaction dissipates
    # an overpotential below rounding of 1 drives none where two exponentials are subtracted
    if abs(eta) > 1e-12:
        assert np.sign(j) == np.sign(eta)


@given(electrodes, temperatures)
def test_small_overpotentials_see_a_resistance(electrode, T):
    eta = 1e-6
    both = electrode.anodic_transfer + electrode.cathodic_transfer
    slope = (butler_volmer(electrode, 2.0, eta, T) - butler_volmer(electrode, 2.0, -eta, T)) / (2 * eta)
    # cubic term (F eta / RT)^2 / 6; rounding of two exponentials, 1e-16 / 4e-5
    assert slope == pytest.approx(2.0 * FARADAY / (GAS * T) * both, rel=1e-9)


@pytest.mark.parametrize(("anodic", "cathodic"), [(0.5, 0.5), (0.3, 0.7), (0.7, 0.3), (0.6, 0.6)])
def test_large_overpotentials_have_tafel_slopes(anodic, cathodic):
    electrode, T = uneven(anodic, cathodic), 300.0
    eta = np.array([0.6, 0.7])  # the reverse reaction is exp(-0.6 F / RT) = 1e-10 of it
    for sign, transfer in ((1, anodic), (-1, cathodic)):
        j = [float(butler_volmer(electrode, 1.0, sign * e, T)) for e in eta]
        assert np.diff(np.log(np.abs(j)))[0] / 0.1 == pytest.approx(transfer * FARADAY / (GAS * T), rel=1e-9)


@given(st.floats(1e-3, 100.0), overpotentials, temperatures, shares, shares)
def test_both_ways_of_writing_it_agree_at_a_half(exchange, eta, T, x, salt):
    nearly = uneven(0.5, 0.5 + 1e-15)
    even, other = (float(butler_volmer(electrode, exchange, eta, T)) for electrode in (EVEN, nearly))
    # the sinh is exact where the difference of exponentials near 1 has rounding
    assert even == pytest.approx(other, rel=1e-12, abs=4e-16 * exchange)
    even, other = (float(exchange_current(electrode, x, salt, T, REFERENCE_K)) for electrode in (EVEN, nearly))
    assert even == pytest.approx(other, rel=1e-12)


# --- exchange current ---


@given(electrodes, shares, st.floats(0.01, 3.0))
def test_exchange_current_at_the_reference(electrode, x, salt):
    a, c = electrode.anodic_transfer, electrode.cathodic_transfer
    expected = FARADAY * RATE * salt**a * (1 - x) ** a * x**c
    assert float(exchange_current(electrode, x, salt, REFERENCE_K, REFERENCE_K)) == pytest.approx(expected, rel=1e-12)


def test_exchange_current_is_largest_where_lithium_and_room_balance():
    x = np.linspace(0.01, 0.99, 99)
    for electrode in (EVEN, uneven(0.3)):
        found = [float(exchange_current(electrode, value, 1.0, REFERENCE_K, REFERENCE_K)) for value in x]
        assert x[np.argmax(found)] == pytest.approx(electrode.cathodic_transfer, abs=0.01)  # d ln i0 / dx = 0


@given(electrodes, st.floats(-0.5, 1.5), st.floats(-0.5, 3.0))
def test_exchange_current_never_dies_and_never_turns(electrode, x, salt):
    # an iterate of Newton may be outside: what remains is what is left at a share of TINY
    found = float(exchange_current(electrode, x, salt, REFERENCE_K, REFERENCE_K))
    assert found >= FARADAY * RATE * TINY**2 > 0.0
    assert np.isfinite(found)


@pytest.mark.parametrize(("electrode", "power"), [(EVEN, 0.5), (uneven(0.3), 0.7)])
def test_exchange_current_at_the_ends(electrode, power):
    # empty: x^ac is all that is small; full: (1 - x)^aa
    empty, full = (float(exchange_current(electrode, x, 1.0, REFERENCE_K, REFERENCE_K)) for x in (0.0, 1.0))
    assert empty == pytest.approx(FARADAY * RATE * TINY**power, rel=1e-9)
    assert full == pytest.approx(FARADAY * RATE * TINY ** (1 - power), rel=1e-9)


@given(temperatures, temperatures, st.floats(200.0, 2e5))
def test_arrhenius_ratio(T1, T2, energy):
    ratio = arrhenius(energy, T1, REFERENCE_K) / arrhenius(energy, T2, REFERENCE_K)
    # exponents of up to 50, their rounding is relative in the ratio
    assert np.log(ratio) == pytest.approx(energy / GAS * (1 / T2 - 1 / T1), rel=1e-11, abs=1e-13)
    assert arrhenius(energy, REFERENCE_K, REFERENCE_K) == 1.0
    assert arrhenius(0.0, T1, REFERENCE_K) == 1.0


@given(shares, temperatures)
def test_exchange_current_grows_by_its_activation_energy(x, T):
    warm, reference = (float(exchange_current(EVEN, x, 1.0, value, REFERENCE_K)) for value in (T, REFERENCE_K))
    assert warm / reference == pytest.approx(np.exp(35e3 / GAS * (1 / REFERENCE_K - 1 / T)), rel=1e-12)


# --- equilibrium ---


@given(st.floats(-0.1, 1.1), temperatures, temperatures)
def test_potential_is_linear_in_temperature_and_its_enthalpy_has_none(x, T1, T2):
    (U1, slope1), (U2, slope2) = (equilibrium(EVEN, x, T, REFERENCE_K) for T in (T1, T2))
    assert float(slope1) == float(slope2) == pytest.approx(float(EVEN.entropic(x)), abs=1e-18)
    assert float(U2 - U1) == pytest.approx(float(slope1) * (T2 - T1), abs=1e-14)  # rounding of potentials below 5 V
    for U, T in ((U1, T1), (U2, T2)):
        assert float(U - T * slope1) == pytest.approx(float(enthalpic(EVEN, x, REFERENCE_K)), abs=1e-14)
    at_reference, _ = equilibrium(EVEN, x, REFERENCE_K, REFERENCE_K)
    assert float(at_reference) == pytest.approx(float(EVEN.potential(x)), rel=1e-15)
