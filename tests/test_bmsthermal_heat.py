"""Heat from current and voltage: signs and closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bmsthermal.heat import TABLE_POINTS, GAS_CONSTANT_J_molK, MeasuredHeat

currents = st.floats(-50, 50)


@pytest.fixture(scope="module")
def heat_of(a123):
    """Heat of a cell whose open-circuit voltage is 3 + SOC, with a given entropic coefficient."""

    def make(entropy: float) -> MeasuredHeat:
        line = {"x": [0, 1], "y": [3.0, 4.0]}
        changes = {"Open-circuit voltage [V]": line, "Entropic change coefficient [V.K-1]": entropy}
        return MeasuredHeat(a123.with_values(changes))

    return make


@pytest.mark.parametrize("entropy", [3e-4, -3e-4])
@pytest.mark.parametrize("current", [10.0, -10.0])
def test_bernardi_with_every_sign(heat_of, entropy, current):
    volts, T = 3.5 - 0.02 * current, 300.0
    irreversible, reversible = 0.02 * current**2, -current * T * entropy
    assert heat_of(entropy).heat_W(current, volts, 0.5, T) == pytest.approx(irreversible + reversible, rel=1e-12)
    assert irreversible > 0
    # a falling open-circuit voltage with temperature (dE/dT < 0) heats a discharge
    assert (reversible > 0) == (current * entropy < 0)


@given(voltage=st.floats(2, 4), soc=st.floats(0, 1), T=st.floats(250, 330))
def test_no_current_no_heat(heat_of, voltage, soc, T):
    assert heat_of(2e-4).heat_W(0.0, voltage, soc, T) == 0.0


@given(current=currents, soc=st.floats(0, 1), T=st.floats(250, 330))
def test_the_reversible_part_is_odd_and_the_other_even(heat_of, current, soc, T):
    heat = heat_of(-2e-4)

    def of(amperes: float) -> float:
        return float(heat.heat_W(amperes, 3.0 + soc - 0.01 * amperes, soc, T))

    # 1e-13: rounding of I (E - V), a product of up to 50 A with 4 V minus 4 V
    assert (of(current) - of(-current)) / 2 == pytest.approx(current * T * 2e-4, rel=1e-12, abs=1e-12)
    assert (of(current) + of(-current)) / 2 == pytest.approx(0.01 * current**2, rel=1e-12, abs=1e-12)


def test_slope_is_the_derivative_by_temperature(heat_of):
    heat = heat_of(3e-4)
    difference = heat.heat_W(7.0, 3.3, 0.4, 301.0) - heat.heat_W(7.0, 3.3, 0.4, 300.0)
    assert heat.slope_W_K(7.0, 0.4) == pytest.approx(difference, rel=1e-9)  # cancellation of 300 against 301


def test_tables_sample_the_curves(a123):
    heat = MeasuredHeat(a123)
    assert len(heat.soc) == TABLE_POINTS
    np.testing.assert_array_equal(heat.open_circuit_V, a123.curve("Open-circuit voltage [V]")(heat.soc))
    np.testing.assert_array_equal(heat.entropy_V_K, a123.curve("Entropic change coefficient [V.K-1]")(heat.soc))
    assert heat.heat_W(1.0, 0.0, -3.0, 0.0) == heat.open_circuit_V[0]  # constant beyond the ends
    assert heat.heat_W(1.0, 0.0, 3.0, 0.0) == heat.open_circuit_V[-1]


def test_no_entropic_curve_is_no_reversible_heat(a123):
    document = dict(a123.document)
    thermal = {k: v for k, v in a123.thermal.items() if k != "Entropic change coefficient [V.K-1]"}
    document["Parameterisation"] = document["Parameterisation"] | {"User-defined": thermal}
    heat = MeasuredHeat(type(a123)("plain", document))
    assert heat.heat_W(5.0, 3.0, 0.5, 300.0) == pytest.approx(5.0 * (heat.open_circuit_V[32] - 3.0), rel=1e-14)


def test_resistance_follows_arrhenius_and_gives_the_voltage(heat_of, a123):
    heat = heat_of(0.0)
    ratio = heat.resistance_Ohm(0.5, 288.15) / heat.resistance_Ohm(0.5, 298.15)
    exponent = a123.resistance_activation_J_mol / GAS_CONSTANT_J_molK * (1 / 288.15 - 1 / 298.15)
    assert ratio == pytest.approx(np.exp(exponent), rel=1e-12) and ratio > 1
    volts = heat.voltage_V(10.0, 0.5, 298.15)
    assert heat.heat_W(10.0, volts, 0.5, 298.15) == pytest.approx(100 * heat.resistance_Ohm(0.5, 298.15), rel=1e-12)


@given(soc=st.floats(0, 1), current=currents, seconds=st.floats(0, 1e5))
def test_charge_is_counted_and_held_inside(heat_of, soc, current, seconds):
    after = heat_of(0.0).soc_after(soc, current, seconds)
    assert after == pytest.approx(np.clip(soc - current * seconds / 3600 / 2.3, 0, 1), abs=1e-12)


@pytest.mark.parametrize("soc", [0.1, 0.5, 0.9])
def test_a_rest_voltage_on_a_slope_finds_its_charge(heat_of, soc):
    found, blur = heat_of(0.0).soc_of_rest(3.0 + soc, 0.01)
    assert found == pytest.approx(soc, abs=1e-3) and blur == pytest.approx(0.01, abs=1e-3)  # a slope of 1 V; grid 5e-4


def test_a_rest_voltage_on_the_plateau_says_how_little_it_knows(a123):
    found, blur = MeasuredHeat(a123).soc_of_rest(3.31, 0.01)
    assert 0.3 < found < 0.7 and blur > 0.1
    for nowhere in (9.0, 0.0):
        assert MeasuredHeat(a123).soc_of_rest(nowhere) == (0.5, 0.5)
