"""Stability against closed forms, finite differences, and its own definition."""

from __future__ import annotations

import copy
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import linalg
from scipy.integrate import solve_ivp

from bmsthermal import Cell, CoupledModel, load_cell
from bmsthermal.dfn.decomposition import REACTIONS, Decomposition
from bmsthermal.dfn.equations import Equations
from bmsthermal.dfn.solver import Solver
from bmsthermal.errors import InputError
from bmsthermal.heat import GAS_CONSTANT_J_molK
from bmsthermal.semenov import HeatCurve, frozen_heat, heat_curve, margin, margins, subsystem
from bmsthermal.stability import Stability, stability

COOLING = st.floats(0.05, 200.0)


@pytest.fixture(scope="module")
def cell() -> Cell:
    return load_cell("lgm50_21700")


@pytest.fixture(scope="module")
def held(cell: Cell) -> Stability:
    """Held at a voltage."""
    return stability(cell, control="voltage", points=60)


@pytest.fixture(scope="module")
def fresh(cell: Cell) -> Stability:
    """Held at a current, with decomposition."""
    return stability(cell, reactions="all", points=60)


def consistent(equations, current_A, T_K, h_W_m2K=10.0):
    """State at a constant current, half charged, with a temperature of each node, and inputs."""
    solver = Solver(equations.system, 1e-6, 1e-6, lambda t, y, out: None, 1)
    walls = len(equations.heat.walls)
    areas = equations.conductance_W_K / equations.conductance_W_K.sum() * total_area(equations.cell)
    solver.u[:] = [1.0, 0.0, 0.0, current_A, *np.full(walls, 298.15), *h_W_m2K * areas]
    y = equations.rest(0.5, 298.15)
    y[equations.places["T"]] = T_K
    return solver.consistent(y), solver.u.copy(), solver


def total_area(cell):
    return sum(cell.areas_m2.values())


def exponential(rate_W, slope_1_K, at_K=298.15):
    """Heat of one zero-order reaction with Frank-Kamenetskii's exponent."""
    T = np.arange(250.0, 451.0)
    heat = rate_W * np.exp(slope_1_K * (T - at_K))
    return HeatCurve(T, heat, slope_1_K * heat, 0.005, 60.0)


# --- closed forms


@given(st.floats(0.01, 1.0), st.floats(0.03, 0.12))
def test_semenov_number_at_the_limit_is_one_over_e(rate_W, slope_1_K):
    curve = exponential(rate_W, slope_1_K)
    h = curve.least_h_W_m2K(298.15)
    assert rate_W * slope_1_K / (h * curve.area_m2) == pytest.approx(np.exp(-1), rel=1e-5)
    assert curve.steady_K(1.001 * h, 298.15) == pytest.approx(298.15 + 1 / slope_1_K, abs=0.06 / slope_1_K)


@pytest.mark.parametrize("ambient_K", [330.0, 360.0, 390.0])
def test_one_reaction_without_current_is_semenovs_cell(cell, ambient_K):
    curve, _ = heat_curve(cell, c_rate=0.0, reactions="sei")
    reaction = REACTIONS["sei"]
    spread = reaction.activation_J_mol / GAS_CONSTANT_J_molK
    touch = spread / 2 * (1 - np.sqrt(1 - 4 * ambient_K / spread))  # T - T_amb = R T^2 / E
    volume = float(cell.lumped["Volume [m3]"])
    heat = volume * Decomposition((reaction,)).heat_W_m3([reaction.initial], touch)
    h = curve.least_h_W_m2K(ambient_K)
    assert h == pytest.approx(heat / (touch - ambient_K) / total_area(cell), rel=1e-5)
    # Semenov's psi, which is 1/e to first order in R T / E
    psi = volume * Decomposition((reaction,)).heat_W_m3([reaction.initial], ambient_K) * spread / ambient_K**2
    psi /= h * total_area(cell)
    small = ambient_K / spread
    assert psi == pytest.approx(np.exp(-1), rel=2 * small)
    assert psi == pytest.approx(np.exp(-1) * (1 + small), rel=3 * small**2)


@pytest.mark.parametrize("kind", ["current", "voltage"])
def test_heat_of_a_uniform_cell_is_bernardis(cell, kind):
    p = cell.electrochemistry
    curve, _ = heat_curve(cell, control=kind, c_rate=2.0)
    equations = Equations(cell, "lumped", mixing=False)
    for T in (280.0, 298.15, 330.0):
        y, u, solver = consistent(equations, 10.0, T)
        if kind == "voltage":
            volts = consistent(equations, 10.0, p.reference_K)[0][equations.places["V"]][0]
            solver.u[:4] = u[:4] = [0.0, 1.0, 0.0, volts]
            y = solver.consistent(y)
        current, voltage = (y[equations.places[name]][0] for name in "IV")
        bernardi = current * (p.open_circuit_V(0.5, T) - voltage - T * p.entropic_V_K(0.5))
        assert curve.heat(T) == pytest.approx(bernardi, rel=1e-6)


def test_no_heat_is_stable_for_all_cooling(cell):
    found = stability(cell, c_rate=0.0, h_W_m2K=(1e-3, 1e3), points=20)
    assert np.isposinf(found.limit_K).all()
    np.testing.assert_allclose(found.steady_K, np.broadcast_to(found.ambient_K, (20, 20)), rtol=1e-12)
    decay = found.h_W_m2K * total_area(cell) / cell.heat_capacity_J_K
    np.testing.assert_allclose(found.eigenvalue_1_s, -decay[:, None] * np.ones(20), rtol=1e-9)
    assert "no heat" in found.verdict()


@pytest.mark.parametrize("c_rate", [-1.0, 0.5, 3.0])
@pytest.mark.parametrize("soc", [0.1, 0.8])
def test_constant_current_without_reversible_heat_is_stable(cell, c_rate, soc):
    document = copy.deepcopy(dict(cell.document))
    for title in ("Negative electrode", "Positive electrode"):
        document["Parameterisation"][title]["Entropic change coefficient [V.K-1]"] = 0.0
    found = stability(Cell("cold", document), c_rate=c_rate, soc=soc, h_W_m2K=(1e-3, 1e3), points=20)
    assert (found.curve.heat_W > 0).all()
    assert (found.curve.slope_W_K < 0).all()
    assert not found.has_limit
    assert (found.eigenvalue_1_s[~np.isnan(found.steady_K)] < 0).all()


# --- the derivative


@pytest.mark.parametrize("reactions", [None, Decomposition.of("all")])
def test_eigenvalue_is_the_slope_of_the_heat_balance(cell, reactions):
    equations = Equations(cell, "lumped", mixing=False, reactions=reactions)
    T, small, flows = 380.0, 0.01, []
    for moved in (T - small, T + small):
        y, _, solver = consistent(equations, 5.0, moved)
        flows.append(solver.right(y)[equations.places["T"]][0])
    slope = (flows[1] - flows[0]) / (2 * small)
    y, u, _ = consistent(equations, 5.0, T)
    assert subsystem(equations, y, u)[0, 0] == pytest.approx(slope, rel=1e-5)
    assert margin(equations, y, u)[1] == pytest.approx(slope / cell.heat_capacity_J_K, rel=1e-5)
    curve = frozen_heat(equations, y, u)
    assert curve.eigenvalue_1_s(10.0, T) == pytest.approx(slope / cell.heat_capacity_J_K, rel=1e-5)
    assert margin(equations, y, u)[0] == pytest.approx(1 - curve.slope(T) / (10 * total_area(cell)), rel=1e-4)


def test_curve_between_its_points_is_the_model(cell):
    equations = Equations(cell, "lumped", mixing=False, reactions=Decomposition.of("all"))
    y, u, _ = consistent(equations, 5.0, 298.15)
    coarse, fine = (frozen_heat(equations, y, u, step_K=step) for step in (1.0, 0.25))
    np.testing.assert_allclose(coarse.heat(fine.T_K), fine.heat_W, rtol=1e-5)
    np.testing.assert_allclose(coarse.slope(fine.T_K), fine.slope_W_K, rtol=1e-3, atol=1e-6)


def test_every_direction_of_a_radial_profile(cell):
    equations = Equations(cell, "radial", nodes=8, mixing=False, reactions=Decomposition.of("sei"))
    at = equations.places["T"]
    T = np.linspace(385.0, 380.0, len(at))
    y, u, _ = consistent(equations, 5.0, T)
    exact = subsystem(equations, y, u)
    for column, small in ((0, 0.02), (3, 0.02), (len(at) - 1, 0.02)):
        flows = []
        for sign in (-1, 1):
            moved = T.copy()
            moved[column] += sign * small
            z, _, solver = consistent(equations, 5.0, moved)
            flows.append(solver.right(z)[at].copy())
        np.testing.assert_allclose(exact[:, column], (flows[1] - flows[0]) / (2 * small), rtol=1e-5, atol=1e-7)


def test_radial_cell_without_heat_decays_as_conduction_does(cell):
    equations = Equations(cell, "radial", mixing=False)
    y, u, _ = consistent(equations, 0.0, 310.0)
    least = linalg.eigh(
        equations.field.cooled([10.0]).toarray(), np.diag(equations.field.capacity_J_K), eigvals_only=True
    )[0]
    found, eigenvalue = margin(equations, y, u)
    assert eigenvalue == pytest.approx(-least, rel=1e-6)
    assert found == pytest.approx(1.0, abs=1e-6)


def test_radial_margin_and_eigenvalue_change_sign_together_below_the_lumped(cell):
    radial, lumped = (
        Equations(cell, kind, mixing=False, reactions=Decomposition.of("all")) for kind in ("radial", "lumped")
    )
    signs = []
    for h in (2.0, 20.0, 100.0, 400.0):
        y, u, _ = consistent(radial, 0.0, 400.0, h)
        found, eigenvalue = margin(radial, y, u)
        y, u, _ = consistent(lumped, 0.0, 400.0, h)
        assert found < margin(lumped, y, u)[0]  # conduction is in series with the film
        assert (found > 0) == (eigenvalue < 0)
        signs.append(found > 0)
    assert signs == sorted(signs)
    assert {*signs} == {False, True}


# --- the limit


def test_limit_is_a_tangency(held, fresh):
    for found in (held, fresh):
        curve, inside = found.curve, np.isfinite(found.limit_K) & (found.limit_K > 260)
        assert inside.any()
        for h, limit in zip(found.h_W_m2K[inside], found.limit_K[inside], strict=True):
            just = float(curve.steady_K(h, limit - 1e-6))
            assert curve.slope(just) == pytest.approx(h * curve.area_m2, rel=1e-3)
            assert curve.eigenvalue_1_s(h, just) < 0
            assert just < curve.unstable_K(h, limit - 1e-6) < just + 0.1  # the pair that meets at the limit
            assert not curve.steady_K(h, limit + 1e-6) < just + 1.0  # NaN, or a jump
            assert curve.least_h_W_m2K(limit) == pytest.approx(h, rel=1e-6)


@pytest.mark.parametrize("offset_K", [-0.5, 0.5])
def test_cell_settles_below_the_limit_and_runs_away_above(fresh, offset_K):
    curve, h = fresh.curve, 10.0
    ambient = curve.limit_K(h) + offset_K

    def slope(t, T):
        return (curve.heat(T) - h * curve.area_m2 * (T - ambient)) / curve.capacity_J_K

    def hot(t, T):
        return T[0] - 440.0

    hot.terminal = True
    end = solve_ivp(slope, (0.0, 3e5), [ambient], "LSODA", events=hot, rtol=1e-8)
    assert end.status == (offset_K > 0)
    if offset_K < 0:
        assert end.y[0, -1] == pytest.approx(float(curve.steady_K(h, ambient)), abs=1e-3)


@given(COOLING, COOLING)
def test_limit_is_monotone_in_h(held, fresh, one, other):
    for curve in (held.curve, fresh.curve):
        low, high = (curve.limit_K(h) for h in sorted((one, other)))
        assert low <= high


@given(st.floats(255.0, 440.0), COOLING)
def test_every_steady_state_balances_and_is_stable(fresh, held, ambient, h):
    for curve in (held.curve, fresh.curve):
        steady = float(curve.steady_K(h, ambient))
        if ambient <= curve.limit_K(h) - 1e-3 and np.isfinite(curve.limit_K(h)):
            assert steady >= ambient
        if np.isnan(steady):
            continue
        flow = h * curve.area_m2 * (steady - ambient)
        assert curve.heat(steady) == pytest.approx(flow, rel=1e-6, abs=1e-8)
        assert curve.eigenvalue_1_s(h, steady) < 1e-6
        above = curve.unstable_K(h, ambient)
        assert above > steady
        if np.isfinite(above):
            assert curve.eigenvalue_1_s(h, above) > -1e-6


def test_with_reactions_a_limit_exists_and_falls_with_worse_cooling(fresh):
    assert fresh.has_limit
    limits = [fresh.curve.limit_K(h) for h in (100.0, 30.0, 10.0, 3.0, 1.0)]
    assert np.isfinite(limits).all()
    assert (np.diff(limits) < -1).all()
    assert fresh.curve.unstable_K(10.0, 298.15) > limits[2]


def test_without_cooling_nothing_is_stable_but_what_has_no_heat(cell, fresh):
    curve = fresh.curve
    assert curve.limit_K(0.0) == -np.inf
    assert np.isnan(curve.steady_K(0.0, [300.0, 350.0])).all()
    assert curve.eigenvalue_1_s(0.0, 430.0) == pytest.approx(curve.slope(430.0) / cell.heat_capacity_J_K)
    assert heat_curve(cell, c_rate=0.0)[0].limit_K(0.0) == np.inf
    equations = Equations(cell, "lumped", mixing=False, reactions=Decomposition.of("all"))
    y, u, _ = consistent(equations, 0.0, 400.0, 0.0)
    found, eigenvalue = margin(equations, y, u)
    assert found == -np.inf
    assert eigenvalue > 0


def test_map_agrees_with_its_limit(held):
    stable = held.ambient_K <= held.limit_K[:, None] - 1e-3
    hot = held.ambient_K > held.limit_K[:, None]
    assert stable.any()
    assert hot.any()
    found = ~np.isnan(held.steady_K)
    assert (held.eigenvalue_1_s[found] < 0).all()
    assert found[stable & np.isfinite(held.limit_K)[:, None]].all()
    assert not found[hot & (held.limit_K[:, None] > held.curve.T_K[0])].any()


# --- set points, words and pictures


def test_default_set_points_are_the_same_state(cell):
    heats = [heat_curve(cell, control=kind, c_rate=-0.5)[0].heat(298.15) for kind in ("current", "voltage", "power")]
    np.testing.assert_allclose(heats, heats[0], rtol=1e-7)
    given_W = heat_curve(cell, control="power", set_point=18.0)[1]
    assert given_W.startswith("18 W held (")


def test_words_say_why_there_is_no_limit_and_what_would_give_one(cell, held, fresh, tmp_path):
    none = stability(cell, points=10)
    assert not none.has_limit
    for part in ("5 A held", "falls with temperature", "--control voltage", "--reactions all"):
        assert part in none.verdict()
    with pytest.raises(InputError, match="nothing to draw: 5 A held"):
        none.plot(tmp_path / "map.png")
    assert not list(tmp_path.iterdir())
    strong = stability(cell, control="voltage", reactions="all", h_W_m2K=(300, 1000), points=10)
    assert "or a hotter ambient" in strong.verdict()
    assert "stability is lost above an ambient of" in fresh.verdict()
    assert f"needs at least {held.curve.least_h_W_m2K(298.15):.3g} W/m2K" in held.verdict()


@pytest.mark.parametrize("kind", ["png", "svg", "pdf"])
def test_picture(held, tmp_path, kind):
    drawn = held.plot(tmp_path / f"map.{kind}")
    assert (tmp_path / f"map.{kind}").stat().st_size > 5000
    axes = drawn.axes[0]
    assert axes.get_xscale() == "log"
    assert "W/m2K" in axes.get_xlabel()
    assert "degC" in axes.get_ylabel()
    assert "SOC 0.5" in axes.get_title(loc="left")


def labels(drawn):
    return drawn.axes[0].get_legend_handles_labels()[1]


def test_picture_says_the_least_cooling_at_the_files_own_ambient(held):
    label = f"at 25 degC: at least {held.curve.least_h_W_m2K(298.15):.3g} W/m2K"
    axes = held.plot().axes[0]
    marked = {line.get_label(): line for line in axes.get_lines()}[label]
    h, ambient = (float(np.asarray(values).item()) for values in marked.get_data())
    assert held.curve.limit_K(h) - 273.15 == pytest.approx(ambient, abs=1e-3)


def test_picture_says_that_it_settles_outside_of_what_is_searched():
    """A cell that heats at first and then settles, past the end of its curve, has no limit at such a cooling."""
    T = np.arange(250.0, 451.0)
    curve = HeatCurve(T, 0.02 * (T - 150.0), np.full_like(T, 0.02), 0.01, 60.0)
    h, ambient = np.geomspace(1.0, 100.0, 20), np.linspace(293.15, 353.15, 20)
    steady = np.array([curve.steady_K(value, ambient) for value in h])
    limit = np.array([curve.limit_K(value) for value in h])
    made = Stability("made", "current", "1 A held", 0.5, (), curve, h, ambient, limit, steady, steady, (10.0, 298.15))
    assert "settles above 177 degC (outside what is searched)" in labels(made.plot())
    cooled = HeatCurve(T, 0.02 * (T - 300.0), np.full_like(T, 0.02), 0.01, 60.0)
    ambient = np.linspace(255.0, 353.15, 20)
    steady = np.array([cooled.steady_K(value, ambient) for value in h])
    made = Stability("made", "current", "1 A held", 0.5, (), cooled, h, ambient, limit, steady, steady, (10.0, 298.15))
    assert "settles below -23 or above 177 degC (outside what is searched)" in labels(made.plot())


def test_the_file_holds_the_map_and_is_the_same_every_time(held, tmp_path):
    for name in ("a.npz", "b.npz"):
        held.save(tmp_path / name)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    with np.load(tmp_path / "a.npz", allow_pickle=False) as kept:
        assert kept.files == ["h_W_m2K", "ambient_degC", "limit_degC", "steady_degC", "eigenvalue_1_s", "settings"]
        np.testing.assert_array_equal(kept["h_W_m2K"], held.h_W_m2K)
        for name, T in (("ambient", held.ambient_K), ("limit", held.limit_K), ("steady", held.steady_K)):
            np.testing.assert_allclose(kept[f"{name}_degC"], T - 273.15, atol=1e-8)
        np.testing.assert_array_equal(kept["eigenvalue_1_s"], held.eigenvalue_1_s)
        said = json.loads(str(kept["settings"]))
    assert (said["cell"], said["control"], said["soc"], said["reactions"]) == ("lgm50_21700", "voltage", "0.5", "none")
    assert (float(said["own_h_W_m2K"]), float(said["own_ambient_degC"])) == (10.0, 25.0)
    assert float(said["least_h_at_own_ambient_W_m2K"]) == pytest.approx(held.curve.least_h_W_m2K(298.15))


def test_without_a_limit_on_the_map_the_least_cooling_is_said_if_there_is_one(cell):
    strong = stability(cell, control="voltage", h_W_m2K=(300, 1000), points=10)
    assert not strong.has_limit
    assert f"25.0 degC needs at least {strong.curve.least_h_W_m2K(298.15):.3g} W/m2K" in strong.verdict()
    assert "needs at least" not in stability(cell, points=10).verdict()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"control": "heat"}, "control 'heat', expected current, voltage or power"),
        ({"soc": 1.2}, "expected 0 to 1"),
        ({"soc": np.nan}, "expected 0 to 1"),
        ({"h_W_m2K": (100, 1)}, "lower end first"),
        ({"h_W_m2K": (0, 1)}, "h from 0 to 1 W/m2K"),
        ({"h_W_m2K": (1, np.nan)}, "expected a range within"),
        ({"ambient_K": (20, 80)}, r"250 to 450 K \(-23.15 to 176.85 degC\)"),
        ({"ambient_K": (353.15, 293.15)}, "lower end first"),
        ({"c_rate": np.nan}, "current nan A"),
        ({"set_point": 5000.0}, "current 5000 A, expected -500 to 500"),
        ({"control": "voltage", "set_point": 3600.0}, "voltage 3600 V, expected 2.5 to 4.2"),
        ({"control": "voltage", "c_rate": -1.0, "soc": 1.0}, "voltage 4.3.. V, expected 2.5 to 4.2"),
        ({"control": "power", "set_point": 1500.0}, "1500 W cannot be reached at 50% charge and 25.0 degC"),
        ({"reactions": "fire"}, "unknown decomposition 'fire'"),
    ],
)
def test_mistakes_are_sentences(cell, given, said):
    with pytest.raises(InputError, match=said):
        stability(cell, **given)


def test_only_resolutions_with_nodes_have_a_margin(cell):
    equations = Equations(cell, "isothermal", mixing=False)
    with pytest.raises(InputError, match="thermal='isothermal', expected lumped, radial, slab or r-z"):
        margin(equations, equations.rest(0.5, 298.15), np.zeros(8))


def test_margins_along_a_run_are_those_of_its_states(cell):
    model = CoupledModel(cell, thermal="lumped")
    run = model.simulate("discharge 2C for 5min; hold 3.4V for 5min", step_s=60.0, initial_soc=0.6)
    time_s, along = margins(model, run)
    assert (along[time_s < 300.0] > 1.0).all()  # at a current, ohmic and reaction heat fall with temperature
    assert (along[time_s > 300.0] < 1.0).all()  # at a voltage, the current rises
    state = run.at(420.0)
    frozen = Equations(cell, "lumped", mixing=False)
    assert along[np.flatnonzero(time_s == state.time_s)[0]] == margin(frozen, state.y, state.u)[0]
    with pytest.raises(InputError, match="a margin with thermal='x', expected lumped"):
        margins(CoupledModel(cell, thermal="x"), run)
