"""Decomposition reactions: conservation, kinetics, ignition theory, and the published oven test."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad, solve_ivp

from bmsthermal.conduction import Layer
from bmsthermal.dfn.decomposition import REACTIONS, Decomposition, Reaction
from bmsthermal.dfn.oven import LICOO2_18650, Oven, draw_oven, oven
from bmsthermal.errors import InputError
from bmsthermal.files import ZERO_DEGC_K
from bmsthermal.heat import GAS_CONSTANT_J_molK

ALL = Decomposition.of("all")
R = GAS_CONSTANT_J_molK
VOLUME_m3 = np.pi * 0.009**2 * 0.065
AREA_m2 = 2 * np.pi * 0.009 * (0.065 + 0.009)
HEAT_CAPACITY_J_m3K = 2580.0 * 830.0


@pytest.fixture(scope="module")
def tests() -> dict[int, Oven]:
    """The published oven test at five temperatures, in degC, one temperature in the cell."""
    return {T: oven(LICOO2_18650, T + ZERO_DEGC_K, ALL, lumped=True) for T in (140, 145, 150, 155, 160)}


# --- choice ---


def test_any_subset_in_one_order():
    assert ALL.names == ("sei", "negative", "positive", "electrolyte")
    assert Decomposition.of(" electrolyte, sei,sei").names == ("sei", "electrolyte")
    none = Decomposition.of("none")
    assert none.rates([], 400.0) == [] and none.heat_W_m3([], 400.0) == 0.0 and none.initial().shape == (0,)


@pytest.mark.parametrize("names", ["", "cathode", "sei,anode", "all,sei", "none,sei", "SEI"])
def test_unknown_names_list_the_known(names):
    with pytest.raises(InputError, match="sei, negative, positive, electrolyte"):
        Decomposition.of(names)


def test_states_must_be_one_per_reaction():
    with pytest.raises(ValueError, match="zip"):
        ALL.rates([0.1, 0.2], 400.0)


# --- kinetics ---


@pytest.mark.parametrize("name", REACTIONS)
def test_arrhenius_slope_is_the_activation_energy(name):
    reaction = REACTIONS[name]
    hot, cold = 480.0, 380.0
    ratio = reaction.rate(reaction.initial, hot) / reaction.rate(reaction.initial, cold)
    assert -np.log(ratio) / (1 / hot - 1 / cold) * R == pytest.approx(reaction.activation_J_mol, rel=1e-12)


def test_rates_as_the_paper_writes_them():
    sei, negative, alpha, electrolyte, T = 0.1, 0.6, 0.3, 0.7, 450.0
    film = 0.033 + (0.75 - negative)
    expected = {
        "sei": -1.667e15 * np.exp(-1.3508e5 / (R * T)) * sei,
        "negative": -2.5e13 * np.exp(-1.3508e5 / (R * T)) * negative * np.exp(-film / 0.033),
        "positive": 6.667e13 * np.exp(-1.396e5 / (R * T)) * alpha * (1 - alpha),
        "electrolyte": -5.14e25 * np.exp(-2.74e5 / (R * T)) * electrolyte,
    }
    rates = ALL.rates([sei, negative, alpha, electrolyte], T)
    assert dict(zip(ALL.names, rates, strict=True)) == pytest.approx(expected, rel=1e-12)


def test_the_film_is_what_the_negative_electrode_lost():
    # the model with the film as a state of its own, dt/dt = R, gives the same
    reaction, T = REACTIONS["negative"], 430.0
    k = reaction.frequency_1_s * np.exp(-reaction.activation_J_mol / (R * T))

    def apart(_, y):
        rate = k * y[0] * np.exp(-y[1] / 0.033)
        return [-rate, rate]

    kept = {"method": "LSODA", "rtol": 1e-11, "atol": 1e-13}
    two = solve_ivp(apart, (0, 3000.0), [0.75, 0.033], **kept).y[0, -1]
    one = solve_ivp(lambda _, y: -reaction.rate(y, T), (0, 3000.0), [0.75], **kept).y[0, -1]
    assert one == pytest.approx(two, rel=1e-9)  # solver tolerance over some 100 steps
    assert one < 0.7  # something did happen


@given(x=st.floats(-0.5, 1.5), T=st.floats(250, 1500), name=st.sampled_from(sorted(REACTIONS)))
def test_no_rate_of_the_wrong_sign(x, T, name):
    reaction = REACTIONS[name]
    rate = reaction.rate(x, T)
    assert rate >= 0
    gone = x >= 1 or x <= 0 if reaction.autocatalytic else x <= 0
    assert (rate == 0) == gone or T < 300 or abs(x) < 1e-200  # a rate may underflow


def test_a_nan_is_handed_on():
    assert np.isnan(ALL.heat_W_m3([np.nan] * 4, 400.0))


def test_inside_the_range_the_clamp_does_nothing():
    # a derivative right down to the ends, as the solver's Jacobian wants it
    sei, T, small = REACTIONS["sei"], 420.0, 1e-9
    k = sei.frequency_1_s * np.exp(-sei.activation_J_mol / (R * T))
    assert sei.rate(small, T) == pytest.approx(k * small, rel=1e-14)


@pytest.mark.parametrize("kind", ["SX", "MX"])
def test_numpy_and_casadi_agree(kind):
    casadi = pytest.importorskip("casadi", reason="casadi carries the coupled model")
    rng = np.random.default_rng(0)
    state, T = rng.uniform(-0.1, 1.1, (4, 5)), rng.uniform(350, 900, 5)
    symbol = getattr(casadi, kind).sym
    x, theta = [symbol(name, 5) for name in ALL.names], symbol("T", 5)
    outputs = [*ALL.rates(x, theta, casadi), ALL.heat_W_m3(x, theta, casadi), ALL.released_J_m3(x)]
    found = casadi.Function("f", [*x, theta], outputs)(*state, T)
    wanted = [*ALL.rates(list(state), T), ALL.heat_W_m3(list(state), T), ALL.released_J_m3(list(state))]
    for one, other in zip(found, wanted, strict=True):
        assert np.asarray(one).ravel() == pytest.approx(other, rel=1e-12)
    # and it can be differentiated at its ends, where the state is exactly used up
    slope = casadi.jacobian(casadi.vertcat(*outputs[:4]), casadi.vertcat(*x, theta))
    at_end = casadi.Function("J", [*x, theta], [slope])(0, 0, 1, 0, 700.0)
    assert np.isfinite(np.asarray(at_end)).all()


# --- heat ---


def test_heat_of_the_whole_is_the_sum():
    state, T = list(np.full((4, 3), 0.4)), np.array([400.0, 500.0, 600.0])
    assert ALL.heat_W_m3(state, T) == pytest.approx(sum(ALL.heats(state, T).values()), rel=1e-14)


def test_everything_consumed_releases_heat_times_content_times_extent():
    end = [0.0, 0.0, 1.0, 0.0]
    expected = 2.57e5 * 610.4 * 0.15 + 1.714e6 * 610.4 * 0.75 + 3.14e5 * 1221 * 0.96 + 1.55e5 * 406.9
    assert ALL.released_J_m3(end) == pytest.approx(expected, rel=1e-14)
    assert sum(reaction.available_J_m3 for reaction in ALL.reactions) == pytest.approx(expected, rel=1e-14)
    assert ALL.released_J_m3(ALL.initial()) == 0.0


@pytest.mark.parametrize("name", ["sei", "positive", "electrolyte", "all"])
def test_heat_over_time_is_heat_times_content_times_extent(name):
    """Kept at one temperature, the integral of the heat equals what the extents say, reaction by reaction."""
    chosen, T = Decomposition.of(name), 470.0

    def slope(_, y):
        state = y[: len(chosen.names)]
        return [*chosen.rates(state, T), chosen.heat_W_m3(state, T)]

    start = [*chosen.initial(), 0.0]
    end = solve_ivp(slope, (0, 2000.0), start, method="LSODA", rtol=1e-10, atol=[*[1e-14] * len(chosen.names), 1.0])
    assert end.y[-1, -1] == pytest.approx(chosen.released_J_m3(end.y[:-1, -1]), rel=1e-9)


def test_an_insulated_cell_keeps_all_its_heat():
    hot = oven(LICOO2_18650, 430.0, ALL, initial_K=430.0, h_W_m2K=0.0, emissivity=0.0, lumped=True)
    end = [state[-1] for state in hot.states.values()]
    rise = ALL.released_J_m3(end) / HEAT_CAPACITY_J_m3K
    assert hot.mean_K[-1] - 430.0 == pytest.approx(rise, rel=1e-9)  # a linear invariant: BDF keeps it to rounding
    assert rise > 400


# --- ignition theory: one reaction that is never used up ---

ACTIVATION = 5e5  # R T / E = 0.007, near the limit in which the classical numbers hold
ETERNAL = Reaction("eternal", 1.0, ACTIVATION, 1e9, 1e9, order=0.0)  # 1e18 J/m3: a run takes none of it
T_OVEN = 420.0


def eternal(power_W_m3: float) -> Decomposition:
    """One zero-order reaction that gives `power_W_m3` at the oven's temperature."""
    factor = power_W_m3 / (ETERNAL.energy_J_m3 * np.exp(-ACTIVATION / (R * T_OVEN)))
    return Decomposition((replace(ETERNAL, frequency_1_s=factor),))


def ends_above(limit_K: float, *args, **kwargs) -> bool:
    """Whether an oven test ends above a temperature; what is never used up blows up, and the solver says so."""
    try:
        return bool(oven(*args, initial_K=T_OVEN, emissivity=0.0, **kwargs).core_K[-1] > limit_K)
    except ArithmeticError:
        return True


def test_adiabatic_ignition_takes_the_time_of_semenov():
    """From T0: t = int rho c dT / Q(T); for R T << E that is rho c / Q(T0) R T0^2 / E (1 + 2 R T0 / E)."""
    power = 1e5
    ideal = HEAT_CAPACITY_J_m3K / power * R * T_OVEN**2 / ACTIVATION
    insulated = {"initial_K": T_OVEN, "h_W_m2K": 0.0, "emissivity": 0.0, "lumped": True}
    run = oven(LICOO2_18650, T_OVEN, eternal(power), duration_s=0.99 * ideal, **insulated)

    def slowness(T: float) -> float:
        return float(HEAT_CAPACITY_J_m3K / eternal(power).heat_W_m3([1.0], T))

    exact, _ = quad(slowness, T_OVEN, run.mean_K[-1])
    assert exact == pytest.approx(0.99 * ideal, rel=2e-3)  # 4e-4 K a step against R T^2 / E of 3 K
    whole, _ = quad(slowness, T_OVEN, 2 * T_OVEN, points=[T_OVEN + 5])
    epsilon = R * T_OVEN / ACTIVATION
    assert whole == pytest.approx(ideal * (1 + 2 * epsilon), rel=10 * epsilon**2)
    first = (run.mean_K[1] - T_OVEN) / run.time_s[1]
    assert first == pytest.approx(power / HEAT_CAPACITY_J_m3K, rel=1e-3)


def test_a_lumped_cell_ignites_at_semenovs_condition():
    """Semenov: psi = V Q(Ta) E / (h A R Ta^2) = 1/e, as R Ta / E goes to 0; exactly where gain and loss touch."""
    touch = ACTIVATION / (2 * R) * (1 - np.sqrt(1 - 4 * R * T_OVEN / ACTIVATION))  # T - Ta = R T^2 / E
    growth = np.exp(ACTIVATION / R * (1 / T_OVEN - 1 / touch))
    psi = (touch - T_OVEN) * ACTIVATION / (R * T_OVEN**2) / growth
    assert psi == pytest.approx(1 / np.e, rel=2 * R * T_OVEN / ACTIVATION)
    h = 10.0
    for factor, ignites in ((0.99, False), (1.01, True)):
        power = factor * psi * h * AREA_m2 / VOLUME_m3 * R * T_OVEN**2 / ACTIVATION
        run = LICOO2_18650, T_OVEN, eternal(power)
        assert ends_above(touch + 20, *run, h_W_m2K=h, lumped=True, duration_s=4e4) == ignites


def test_a_cylinder_with_a_cold_wall_ignites_at_frank_kamenetskiis_condition():
    """Frank-Kamenetskii: delta = Q(Ta) E a^2 / (k R Ta^2) = 2 in a cylinder, here within 4 % for R Ta / E of 0.007."""
    a, k = 0.05, 1.0
    cell = (10.0, (Layer("roll", 0.0, a, k, HEAT_CAPACITY_J_m3K),))  # so long that its ends do not matter
    for delta, ignites in ((1.96, False), (2.08, True)):
        power = delta * k * R * T_OVEN**2 / (ACTIVATION * a**2)
        run = cell, T_OVEN, eternal(power)
        assert ends_above(T_OVEN + 30, *run, h_W_m2K=1e5, nodes=20, duration_s=1e5) == ignites


# --- the published oven test ---


def test_onset_is_where_the_papers_have_it(tests):
    """No runaway up to 145 degC, runaway at 150 and above.

    Hatchard 2001 and Kim 2007, as they are remembered (not read again): none at 145, some at 155 degC, measured and
    computed. Zhao et al. 2024 (J. Energy Storage 84, 110901, abstract, read): onset at 148 degC for an LCO 18650.
    """
    assert [T for T, test in tests.items() if test.onset_s > 0] == [150, 155, 160]
    assert np.isnan(oven(LICOO2_18650, 145.0 + ZERO_DEGC_K, ALL, lumped=True, duration_s=2e4).onset_s)
    assert oven(LICOO2_18650, 148.0 + ZERO_DEGC_K, ALL, lumped=True).onset_s > 0


def test_a_hotter_oven_is_sooner_and_hotter(tests):
    ran = [tests[T] for T in (150, 155, 160)]
    assert all(a.onset_s > b.onset_s for a, b in pairwise(ran))
    assert all(a.core_K.max() < b.core_K.max() for a, b in pairwise(ran))
    assert 1000 < ran[-1].onset_s < ran[0].onset_s < 3600
    assert all(650 < test.core_K.max() < 900 for test in ran)


def test_below_onset_the_cell_goes_a_few_kelvin_over_the_oven_and_comes_back(tests):
    calm = tests[140]
    over = calm.core_K.max() - calm.oven_K
    assert 3 < over < 15
    assert abs(calm.core_K[-1] - calm.oven_K) < 3 < calm.core_K.max() - calm.oven_K
    assert "does not run away" in repr(calm) and "runs away after" in repr(tests[155])


def test_without_reactions_it_only_warms_up():
    cold = oven(LICOO2_18650, 428.15, Decomposition.of("none"), lumped=True, duration_s=2e4)
    assert (np.diff(cold.core_K) > -1e-3).all() and cold.core_K[-1] == pytest.approx(428.15, abs=1e-2)
    assert cold.heats_W == {} and cold.states == {}


def test_the_profile_along_the_radius_hardly_matters_for_the_onset(tests):
    """Biot number 0.05: the core leads, and ignites within some percent of the time of one temperature."""
    radial = oven(LICOO2_18650, 155.0 + ZERO_DEGC_K, ALL, nodes=4, duration_s=1800.0)
    assert radial.onset_s == pytest.approx(tests[155].onset_s, rel=0.03)
    burning = radial.core_K.argmax()
    assert radial.core_K[burning] > radial.surface_K[burning]
    assert radial.surface_K[5] > radial.core_K[5]  # at first the oven heats it from outside
    assert sum(radial.heats_W.values()).max() > 1e3


def test_energy_closes_with_the_walls(tests):
    """Heat released = heat stored + heat to the oven, the latter by the trapezoidal rule over the solver's times."""
    test = tests[160]
    flux = 7.17 * (test.surface_K - test.oven_K) + 0.8 * 5.670374419e-8 * (test.surface_K**4 - test.oven_K**4)
    lost = AREA_m2 * np.trapezoid(flux, test.time_s)
    stored = HEAT_CAPACITY_J_m3K * VOLUME_m3 * (test.mean_K[-1] - test.mean_K[0])
    released = VOLUME_m3 * ALL.released_J_m3([state[-1] for state in test.states.values()])
    assert lost + stored == pytest.approx(released, rel=2e-3)  # of the trapezoidal rule


def test_the_picture_is_the_same_bytes_twice(tests, tmp_path):
    draw_oven(list(tests.values()), tmp_path / "one.png")
    draw_oven(list(tests.values()), tmp_path / "two.png")
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()
