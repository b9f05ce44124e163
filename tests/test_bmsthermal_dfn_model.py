"""The full model as it is used: rest, signs of heat, controls and limits, layers, stress, and its small-signal twin."""

from __future__ import annotations

import copy
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import expm

from bmsthermal import Cell, CoupledModel, InputError, Run, Step, load_cell
from bmsthermal.dfn import mechanics
from bmsthermal.dfn.equations import Equations
from bmsthermal.dfn.integrate import State
from bmsthermal.dfn.mesh import Mesh
from bmsthermal.dfn.particle import ParticleGrid
from bmsthermal.protocol import profile, rest

SHIPPED = ("lgm50_21700", "lco_marquis", "a123_26650")
COARSE = Mesh(3, 2, 3, ParticleGrid(3), ParticleGrid(3))
TIGHT = {"rtol": 1e-8, "atol": 1e-8}
SHARP = {"rtol": 1e-7, "atol": 1e-7}
MECHANICS = {
    f"{side} electrode {key}": value
    for side, volume in (("Negative", 3.1e-6), ("Positive", 1e-6))
    for key, value in (
        ("partial molar volume [m3.mol-1]", volume),
        ("Young's modulus [Pa]", 50e9),
        ("Poisson's ratio", 0.3),
        ("stress activation volume [m3.mol-1]", 2e-6),
    )
}


@pytest.fixture(scope="module")
def models():
    """The three shipped cells, coarse, at one temperature each."""
    return {name: CoupledModel(load_cell(name), thermal="lumped", mesh=COARSE) for name in SHIPPED}


@pytest.fixture(scope="module")
def lgm50(models):
    return models["lgm50_21700"]


def blocks(eq, y):
    """Unknowns by name, without running totals."""
    return {name: y[places] for name, places in eq.places.items() if not name.endswith(("_J", "_C"))}


# --- rest and signs ---


@pytest.mark.parametrize("start_K", [263.15, 298.15, 318.15])
@pytest.mark.parametrize("soc", [0.1, 0.5, 1.0])
@pytest.mark.parametrize("name", SHIPPED)
def test_rest_stays_at_rest(models, name, soc, start_K):
    eq = models[name].equations
    run = models[name].simulate("rest 1h", initial_soc=soc, start_K=start_K, ambient_K=start_K, step_s=600, fields=True)
    first, last = (blocks(eq, run.snapshots[k].y) for k in (0, -1))
    for kind, before in first.items():
        # rounding of the potentials (1e-16 V over the exchange current) and an hour of it; 1e-9 of each typical size
        np.testing.assert_allclose(last[kind], before, atol=1e-9, rtol=1e-12, err_msg=kind)
    assert run.voltage_V[-1] == pytest.approx(float(eq.parameters.open_circuit_V(soc, start_K)), abs=1e-9)
    assert np.abs(run.heat_W).max() < 1e-9 and np.abs(run.current_A).max() < 1e-12


@pytest.mark.parametrize("soc", [0.15, 0.5, 0.85])
@pytest.mark.parametrize("name", SHIPPED)
def test_reversible_heat_is_that_of_the_cell(models, name, soc):
    p = models[name].equations.parameters
    current_A = 1e-3 * p.nominal_Ah
    heat = {}
    for way, verb in ((1, "discharge"), (-1, "charge")):
        run = models[name].simulate(f"{verb} {current_A}A for 600s", initial_soc=soc, step_s=600, **SHARP)
        heat[way] = run.heat_terms_W["reversible"]
        exact = -way * current_A * run.mean_K * p.entropic_V_K(run.soc)
        # at first all surfaces are alike, so it is exact; after 600 s a little lithium is uneven
        assert heat[way][0] == pytest.approx(exact[0], rel=1e-9)
        assert heat[way][1] == pytest.approx(exact[1], rel=0.02, abs=1e-3 * current_A * 298 * 1e-4)
    assert heat[1][0] == pytest.approx(-heat[-1][0], rel=1e-12)  # charge takes back what discharge gave


@pytest.mark.parametrize("name", SHIPPED)
def test_heat_of_each_kind_has_its_sign(name):
    cell = load_cell(name).with_values({"Contact resistance [Ohm]": 2e-3})
    model = CoupledModel(cell, thermal="lumped", mesh=COARSE)
    cycle = "discharge 1C for 120s; rest 120s; charge 1C for 120s; rest 120s; "
    run = model.simulate(3 * cycle, initial_soc=0.5, step_s=5, **SHARP)
    terms, driven = run.heat_terms_W, np.abs(run.current_A) > 0
    assert terms["reaction"].min() >= -1e-9  # j eta: both sides of Butler and Volmer
    assert terms["contact"].min() >= 0
    assert terms["contact"][driven].min() > 0
    # where current is driven through it; afterwards salt relaxes and drives small currents of its own
    assert terms["ohmic"][driven].min() > 0
    assert np.abs(terms["ohmic"][~driven]).max() < 0.1 * terms["ohmic"][driven].max()
    # a pulse borrows from uneven lithium and gives it back; over whole cycles something is left
    assert np.trapezoid(terms["mixing"], run.time_s) > 0
    whole = sum(np.trapezoid(terms[kind], run.time_s) for kind in ("ohmic", "reaction", "mixing", "contact"))
    assert np.trapezoid(run.heat_W, run.time_s) == pytest.approx(whole, rel=0.1)  # what is reversible came back


@settings(max_examples=10)
@given(share=st.floats(1e-5, 1e-3), name=st.sampled_from(SHIPPED), soc=st.floats(0.2, 0.8))
def test_small_currents_either_way_do_the_same(models, share, name, soc):
    p = models[name].equations.parameters
    change = []
    for way in (1, -1):
        step = Step("current", way * share * p.nominal_Ah, 60.0)
        run = models[name].simulate(step, initial_soc=soc, step_s=60, **TIGHT)
        change.append(run.voltage_V - float(p.open_circuit_V(soc)))
    # symmetric kinetics are odd at once; lithium that has moved sees another slope, to second order of the current
    odd = np.abs(change[0] + change[1]) / np.abs(change[0])
    assert odd[0] < 1e-6 + share
    assert odd[1] < 1e-5 + 20 * share
    assert (change[0] < 0).all() and (change[1] > 0).all()  # discharge lowers the voltage


# --- controls and limits ---


def test_power_is_current_times_voltage(lgm50):
    run = lgm50.simulate("power 20W for 300s; power -15W for 300s", initial_soc=0.6, step_s=10, **TIGHT)
    power = run.current_A * run.voltage_V
    # an equation of its own, which rows between the solver's steps hold to its tolerance
    np.testing.assert_allclose(power[run.time_s < 299], 20.0, rtol=1e-8)
    np.testing.assert_allclose(power[run.time_s > 301], -15.0, rtol=1e-8)


def test_a_held_voltage_and_a_held_current(lgm50):
    run = lgm50.simulate("hold 3.8V for 300s; discharge C/4 for 60s", initial_soc=0.8, step_s=10, **SHARP)
    held = run.time_s < 299
    np.testing.assert_allclose(run.voltage_V[held], 3.8, rtol=1e-9)
    assert (np.diff(run.current_A[held]) < 0).all() and run.current_A[held][0] > 0  # relaxes towards equilibrium
    np.testing.assert_allclose(run.current_A[run.time_s > 301], 1.25, rtol=1e-9)


def test_a_protocol_goes_from_limit_to_limit(lgm50):
    steps = "discharge 1C until 3.5V; rest 300s; charge C/2 until 4.1V; hold 4.1V until C/20; rest 10s"
    run = lgm50.simulate(steps, initial_soc=0.6, step_s=5, **SHARP)
    assert not run.stopped
    assert (np.diff(run.time_s) > 0).all()
    assert run.voltage_V.min() == pytest.approx(3.5, abs=1e-6)  # found within the solver's step
    assert run.voltage_V.max() == pytest.approx(4.1, abs=1e-6)
    taper = run.current_A[np.abs(run.voltage_V - 4.1) < 1e-7]
    assert taper[-1] == pytest.approx(-0.25, rel=1e-5)
    assert run.current_A[-1] == pytest.approx(0.0, abs=1e-9)
    assert run.time_s[-1] - run.time_s[np.abs(run.current_A) > 1e-6][-1] == pytest.approx(10.0, rel=1e-9)
    moved = np.trapezoid(run.current_A, run.time_s) / 3600 / lgm50.equations.parameters.capacity_Ah
    assert run.soc[-1] - run.soc[0] == pytest.approx(-moved, abs=5e-3)  # four jumps amid rows of 5 s


def test_a_step_goes_on_where_the_last_one_ended(lgm50):
    one = lgm50.simulate("discharge 1C for 600s", initial_soc=0.9, step_s=100, **TIGHT)
    two = lgm50.simulate("discharge 1C for 250s; discharge 1C for 350s", initial_soc=0.9, step_s=100, **TIGHT)
    assert two.time_s[-1] == one.time_s[-1] == 600.0
    for name in ("voltage_V", "core_K", "soc"):
        assert getattr(two, name)[-1] == pytest.approx(getattr(one, name)[-1], rel=1e-7)  # a start anew in between


def drive(current, time_s, **options):
    time_s = np.asarray(time_s, float)
    columns = np.full(time_s.shape, np.nan), np.full(time_s.shape, options.pop("ambient_K", 298.15))
    return Run(time_s, np.asarray(current, float), *columns, name="drive", **options)


def test_a_profile_is_the_same_as_its_steps(lgm50):
    time_s, current = [0.0, 7.0, 10.0, 40.0, 41.5, 100.0, 160.0], [2.0, -3.0, 5.0, 0.0, 10.0, 1.0, 0.0]
    recorded = lgm50.simulate(drive(current, time_s), initial_soc=0.7, step_s=1000.0, **TIGHT)
    assert not recorded.stopped and list(recorded.time_s) == time_s  # its own rows, however uneven
    steps = [Step("current", amps, length) for amps, length in zip(current[:-1], np.diff(time_s), strict=True)]
    typed = lgm50.simulate(steps, initial_soc=0.7, step_s=1000.0, **TIGHT)
    assert list(typed.time_s) == time_s
    # a row of a profile has the current that begins there, the end of a step the one that ended: voltages differ
    for name in ("core_K", "soc"):
        np.testing.assert_allclose(getattr(typed, name), getattr(recorded, name), rtol=1e-8)
    for name, places in lgm50.equations.sandwich.places.items():
        if name.startswith(("x_", "salt")):
            ended = typed.snapshots[-1].y[places], recorded.snapshots[-1].y[places]
            np.testing.assert_allclose(*ended, atol=1e-7)


def test_one_long_row_is_a_constant_step(lgm50):
    row = lgm50.simulate(drive([5.0, 0.0], [0.0, 1000.0]), initial_soc=0.9, step_s=100.0, **TIGHT)
    assert not row.stopped and row.time_s[-1] == 1000.0
    step = lgm50.simulate("discharge 5A for 1000s; rest 1s", initial_soc=0.9, step_s=1000.0, **TIGHT)
    at = int(np.flatnonzero(step.time_s == 1000.0)[0])
    assert row.core_K[-1] == pytest.approx(step.core_K[at], abs=1e-5)  # the solver's own tolerance over 20 K
    assert row.soc[-1] == pytest.approx(step.soc[at], abs=1e-9)
    assert row.voltage_V[0] == pytest.approx(step.voltage_V[0], abs=1e-9)


def test_a_scaled_profile_and_rest(lgm50):
    once = lgm50.simulate([profile(drive([4.0, 4.0], [0.0, 60.0])), rest(30.0)], initial_soc=0.5)
    scaled = lgm50.simulate([profile(drive([2.0, 2.0], [0.0, 60.0]), scale=2.0), rest(30.0)], initial_soc=0.5)
    np.testing.assert_array_equal(once.voltage_V, scaled.voltage_V)
    assert once.time_s[-1] == 90.0


def test_a_profile_brings_its_ambient(lgm50):
    still = drive([0.0, 0.0, 0.0], [0.0, 3e4, 6e4], ambient_K=308.15)
    warm = lgm50.simulate(still, initial_soc=0.5, start_K=298.15, step_s=6000)
    assert warm.mean_K[-1] == pytest.approx(308.15, abs=0.01)  # 46 time constants of 1300 s
    np.testing.assert_array_equal(warm.ambient_K, 308.15)


@pytest.mark.parametrize(
    ("steps", "options", "said"),
    [
        ("discharge 2C for 1800s", {"ambient_K": 253.15}, "the voltage fell to its lower cut-off of 2.5 V"),
        ("discharge 1C for 9000s", {}, "the voltage fell to its lower cut-off of 2.5 V"),
        ("charge 1C for 600s", {"initial_soc": 1.0}, "the voltage rose to its upper cut-off of 4.2 V"),
        ("discharge 1C for 600s", {"initial_soc": 0.0}, "the voltage fell to its lower cut-off of 2.5 V"),
        ("power 300W for 60s", {}, "the voltage fell to its lower cut-off of 2.5 V"),
        ("hold 5V for 3600s", {"initial_soc": 0.9}, "full of lithium"),
        ("hold 1V for 3600s", {}, "the electrolyte ran out of salt"),
        ("discharge 2C for 1800s", {"hottest_K": 303.15}, "the temperature rose to 30 degC"),
        ("rest 60s; discharge 1C for 9000s", {"initial_soc": 0.3}, "step 2 (discharge 5 A for 9000 s)"),
    ],
)
def test_a_run_that_cannot_go_on_says_why_and_when(lgm50, steps, options, said):
    run = lgm50.simulate(steps, step_s=10.0, **{"initial_soc": 1.0} | options)
    assert said in run.stopped
    assert f"{run.time_s[-1]:.6g} s" in run.stopped  # when
    assert (np.diff(run.time_s) > 0).all()
    for column in (run.voltage_V, run.current_A, run.core_K, run.heat_W):  # and it returns what it has
        assert len(column) == len(run.time_s) and np.isfinite(column).all()


def test_a_profile_that_cannot_go_on_says_in_which_row(lgm50):
    run = lgm50.simulate(drive(np.full(100, 5.0), np.arange(0.0, 10000.0, 100.0)), initial_soc=1.0)
    assert "the voltage fell to its lower cut-off" in run.stopped and "of drive" in run.stopped
    row = int(run.stopped.split("row ")[1].split()[0])
    assert 100.0 * (row - 1) <= run.time_s[-1] <= 100.0 * row
    assert run.soc[-1] < 0.05


def test_power_that_no_voltage_delivers_is_a_sentence(lgm50):
    run = lgm50.simulate("discharge 1C for 60s; power 5000W for 60s", initial_soc=0.5, step_s=10)
    assert "step 2 (discharge 5000 W for 60 s), 60 s" in run.stopped
    assert run.time_s[-1] == 60.0 and run.soc[-1] < 0.5  # the rows of the first step are there


@pytest.mark.parametrize(
    ("limit", "found"),
    [
        ({"until_V": 3.7}, lambda run: run.voltage_V[-1] == pytest.approx(3.7, abs=1e-6)),
        ({"until_K": 300.0}, lambda run: run.core_K[-1] == pytest.approx(300.0, abs=1e-6)),
        ({"duration_s": 77.7}, lambda run: run.time_s[-1] == 77.7),
    ],
)
def test_a_limit_of_a_step_ends_it_where_it_is(lgm50, limit, found):
    run = lgm50.simulate(Step("current", 5.0, **limit), initial_soc=0.9, step_s=10, **SHARP)
    assert not run.stopped and found(run)


# --- layers and resolutions ---


def test_layers_at_one_temperature_are_one_layer(a123):
    stiff = a123.with_values({"Radial thermal conductivity [W.m-1.K-1]": 1e4})
    one, four = (
        CoupledModel(stiff, thermal="radial", layers=m, mesh=COARSE).simulate(
            "discharge 2C for 600s; rest 60s", initial_soc=0.9, step_s=20, **TIGHT
        )
        for m in (1, 4)
    )
    np.testing.assert_allclose(four.voltage_V, one.voltage_V, atol=1e-6)
    np.testing.assert_allclose(four.core_K, one.core_K, atol=1e-3)  # microkelvins of gradient, and what they shift


def test_shares_are_areas_until_temperatures_differ(a123):
    model = CoupledModel(a123, thermal="radial", layers=4, mesh=COARSE)
    run = model.simulate("discharge 3C for 300s", initial_soc=0.8, step_s=10, **SHARP)
    share = run.layer_current_A / run.current_A[:, None]
    np.testing.assert_allclose(share.sum(axis=1), 1.0, rtol=1e-6)  # one algebraic equation, between steps to tolerance
    area = model.equations.sandwich.area_m2
    np.testing.assert_allclose(share[0], area / area.sum(), rtol=1e-9)
    # cooled from outside, the core is the warmest and leads while temperatures part
    relative = share[5] / share[0]
    assert (np.diff(relative) < 0).all() and relative[0] > 1 > relative[-1]


@pytest.mark.parametrize("resolution", ["radial", "r-z"])
def test_one_layer_is_the_default(a123, resolution):
    cell = a123.with_values({"Axial thermal conductivity [W.m-1.K-1]": 20.0})
    runs = [
        CoupledModel(cell, thermal=resolution, mesh=COARSE, **layers).simulate("discharge 2C for 100s", initial_soc=0.8)
        for layers in ({}, {"layers": 1})
    ]
    np.testing.assert_array_equal(runs[0].voltage_V, runs[1].voltage_V)
    np.testing.assert_array_equal(runs[0].core_K, runs[1].core_K)


def test_layers_need_temperatures_of_their_own(a123):
    with pytest.raises(InputError, match="radial, slab or r-z"):
        CoupledModel(a123, thermal="lumped", layers=2)


def test_all_resolutions_are_near_each_other(a123):
    cell = a123.with_values({"Axial thermal conductivity [W.m-1.K-1]": 20.0})
    found = {
        kind: CoupledModel(cell, thermal=kind, mesh=COARSE).simulate(
            "discharge 2C for 600s", initial_soc=0.9, step_s=60, **SHARP
        )
        for kind in ("isothermal", "lumped", "x", "radial")
    }
    assert np.ptp(found["isothermal"].core_K) < 1e-9
    # a sandwich of 0.1 mm is at one temperature to millikelvins
    assert np.abs(found["x"].mean_K - found["lumped"].mean_K).max() < 5e-3
    assert 0 < np.ptp([found["x"].core_K[-1], found["x"].surface_K[-1]]) < 5e-3
    # the roll is not: kelvins from core to surface; its mean is warmer, as its skin is what is cooled
    assert found["radial"].core_K[-1] - found["radial"].surface_K[-1] > 0.5


@pytest.mark.parametrize("layers", [1, 3])
def test_with_insulated_ends_r_z_is_radial(a123, monkeypatch, layers):
    cell = a123.with_values({"Axial thermal conductivity [W.m-1.K-1]": 20.0})
    found = {}
    for kind, nodes in (("radial", 12), ("r-z", None)):
        model = CoupledModel(cell, thermal=kind, layers=layers, nodes=nodes, mesh=COARSE)
        side = model.equations.conductance_W_K * [wall == "side" for wall in model.equations.field.walls]
        monkeypatch.setattr(Equations, "conductance_W_K", property(lambda _, side=side: side))
        found[kind] = model.simulate("discharge 3C for 600s", initial_soc=0.9, step_s=60, **SHARP)
        monkeypatch.undo()
    radial, both = found["radial"], found["r-z"]
    # 12 nodes across the roll each, but not the same ones where a can is thin: some 1e-4 of a rise of 9 K
    for name in ("core_K", "mean_K", "surface_K"):
        np.testing.assert_allclose(getattr(both, name), getattr(radial, name), atol=1e-3 * 9.0 * layers)
    np.testing.assert_allclose(both.voltage_V, radial.voltage_V, atol=1e-4)
    assert radial.core_K[-1] > 306.0


# --- stress ---


@pytest.fixture(scope="module")
def stressed():
    """A 3C discharge of a cell with mechanics, under each of the couplings."""
    cell = load_cell("lgm50_21700").with_values(MECHANICS)
    asked = {"none": [], "all": ["stress"]} | {name: [name] for name in mechanics.EFFECTS}
    grid = ParticleGrid(6)
    made = {
        name: CoupledModel(cell, thermal="isothermal", couplings=names, mesh=Mesh(3, 2, 3, grid, grid))
        for name, names in asked.items()
    }
    return {
        name: (model, model.simulate("discharge 1C for 300s", initial_soc=0.7, step_s=100, fields=True, **SHARP))
        for name, model in made.items()
    }


def unevenness(model, run):
    """Mean over the cells of (surface less mean stoichiometry) of both electrodes at the end."""
    eq, y = model.equations, run.snapshots[-1].y
    return {
        name: float(np.mean(y[eq.sandwich.places[f"x_{name}"]] @ (np.eye(grid.count)[-1] - grid.share)))
        for name, (_, grid, _) in eq.sandwich.electrodes.items()
    }


def test_stress_gradient_speeds_diffusion_up(stressed):
    plain, with_flux = unevenness(*stressed["none"]), unevenness(*stressed["stress-flux"])
    # theta > 0 whatever the sign of the partial molar volume: lithium flees compression
    assert plain["negative"] < with_flux["negative"] < 0
    assert plain["positive"] > with_flux["positive"] > 0


def test_compression_slows_and_tension_eases(stressed):
    plain, hopping = unevenness(*stressed["none"]), unevenness(*stressed["stress-diffusivity"])
    assert plain["negative"] < hopping["negative"] < 0  # it empties: its surface is in tension
    assert hopping["positive"] > plain["positive"] > 0  # it fills: its surface is compressed


def test_stress_lowers_the_voltage_of_a_discharge(stressed):
    (model, run), (_, plain) = stressed["stress-potential"], stressed["none"]
    assert run.voltage_V[0] == pytest.approx(plain.voltage_V[0], abs=1e-9)  # even lithium has no stress
    eq, y = model.equations, plain.snapshots[-1].y
    shift = {}
    for name, (electrode, grid, _) in eq.sandwich.electrodes.items():
        x = y[eq.sandwich.places[f"x_{name}"]]
        shift[name] = float(np.mean(mechanics.potential_shift(electrode, x[..., -1], x @ grid.share)))
    assert shift["negative"] > 0 > shift["positive"]  # tension raises, compression lowers the potential
    change = run.voltage_V[-1] - plain.voltage_V[-1]
    # the shifts of both electrodes, but for where in the electrode lithium goes under them
    assert change == pytest.approx(shift["positive"] - shift["negative"], rel=0.1)
    assert change < -1e-4


def test_each_stress_coupling_is_its_own_switch(stressed):
    voltage = {name: run.voltage_V[-1] for name, (_, run) in stressed.items()}
    assert len({round(v, 7) for v in voltage.values()}) == 5  # to the tolerance of the runs: all of them differ
    model, _ = stressed["all"]
    assert model.equations.couplings == mechanics.EFFECTS


@pytest.mark.parametrize("key", sorted(MECHANICS)[:-1])
def test_a_missing_mechanical_key_is_named(key):
    cell = load_cell("lco_marquis").with_values(MECHANICS)
    document = copy.deepcopy(dict(cell.document))
    del document["Parameterisation"]["User-defined"][key]
    if "activation" in key:  # 0 where the file has none
        CoupledModel(Cell("lco", document), couplings=["stress"])
    else:
        with pytest.raises(InputError, match=re.escape(f"no '{key}'")):
            CoupledModel(Cell("lco", document), couplings=["stress-potential"])


# --- small signals ---


def response(linear, duration_s, inputs):
    """Outputs at the end of a step of the inputs: ``x' = A x + B u``, integrators and all."""
    n, m = linear.B.shape
    whole = np.zeros((n + m, n + m))
    whole[:n, :n], whole[:n, n:] = linear.A, linear.B
    x = expm(whole * duration_s)[:n, n:] @ inputs
    return linear.C @ x + linear.D @ inputs


def outputs(run):
    return np.array([run.voltage_V[-1], run.heat_W[-1], run.core_K[-1], run.mean_K[-1], run.surface_K[-1]])


@pytest.mark.parametrize("name", SHIPPED)
def test_linear_steps_are_those_of_the_model_to_second_order(models, name):
    model = models[name]
    linear = model.linearise(model.simulate("rest 1s", initial_soc=0.5, **TIGHT).at(0.0))
    assert linear.inputs[0] == "current_A" and [name[-2:] for name in linear.inputs] == ["_A", "_K"]
    assert linear.outputs[:4] == ("voltage_V", "heat_W", "core_K", "mean_K") and linear.outputs[4].endswith("_K")
    base = outputs(model.simulate("rest 60s", initial_soc=0.5, step_s=60, **TIGHT))
    sizes, error = np.array([0.02, 0.01]) * model.equations.parameters.nominal_Ah, []
    for amps in sizes:
        moved = outputs(model.simulate(Step("current", amps, 60.0), initial_soc=0.5, step_s=60, **TIGHT)) - base
        error.append(np.abs(moved - response(linear, 60.0, [amps, 0.0]))[:2])
    error = np.array(error)
    assert error[0, 0] < 0.01 * sizes[0] * -response(linear, 60.0, [1.0, 0.0])[0]
    # voltage: a half of the step, a quarter of the error and less (odd kinetics); heat: the square of the current
    assert error[1, 1] == pytest.approx(error[0, 1] / 4, rel=0.1)
    assert error[1, 0] < error[0, 0] / 2.5 + 1e-8
    warm = outputs(model.simulate("rest 600s", initial_soc=0.5, start_K=298.15, ambient_K=299.15, step_s=600, **TIGHT))
    base = outputs(model.simulate("rest 600s", initial_soc=0.5, start_K=298.15, ambient_K=298.15, step_s=600, **TIGHT))
    # at rest all is linear in the temperature, the voltage too
    np.testing.assert_allclose(warm - base, response(linear, 600.0, [0.0, 1.0]), rtol=1e-5, atol=1e-7)


def test_linear_about_a_running_cell(lgm50):
    steps = "discharge 1C for 300s; current {} A for 5s"
    base, more = (lgm50.simulate(steps.format(a), initial_soc=0.7, step_s=1, **TIGHT) for a in (5.0, 5.05))
    linear = lgm50.linearise(base.at(300.0))
    moved, expected = outputs(more) - outputs(base), response(linear, 5.0, [0.05, 0.0])
    # in 5 s of discharge the cell has become another by some per mille
    np.testing.assert_allclose(moved, expected, rtol=1e-2)


@pytest.mark.parametrize("name", SHIPPED)
def test_at_rest_everything_decays_but_what_is_conserved(models, name):
    model = models[name]
    linear = model.linearise(model.simulate("rest 1s", initial_soc=0.5, **TIGHT).at(0.0))
    rates = np.linalg.eigvals(linear.A)
    assert np.abs(rates.imag).max() <= 1e-9 * np.abs(rates).max()
    slow = np.sort(rates.real)[::-1]
    assert np.abs(slow[:3]).max() < 1e-12  # lithium in each electrode (which current moves), and salt
    assert slow[3] < -1e-7
    # what current does at once: -R, and -T dE/dT of heat
    p = model.equations.parameters
    amps = 1e-4 * p.nominal_Ah
    V = model.simulate(Step("current", amps, 1.0), initial_soc=0.5, **TIGHT).voltage_V[0]
    drop = V - float(p.open_circuit_V(0.5))
    assert linear.D[0, 0] == pytest.approx(drop / amps, rel=1e-6) and linear.D[0, 0] < 0
    assert linear.D[1, 0] == pytest.approx(-298.15 * float(p.entropic_V_K(0.5)), rel=1e-6)
    # after long, charge alone counts: the voltage falls with it as the open-circuit voltage does
    late = response(linear, 2e6, [1.0, 0.0])[0] - response(linear, 1e6, [1.0, 0.0])[0]
    h = 1e-5
    slope = float(p.open_circuit_V(0.5 + h) - p.open_circuit_V(0.5 - h)) / (2 * h)
    assert late == pytest.approx(-slope * 1e6 / 3600 / p.capacity_Ah, rel=1e-3)


def test_linear_under_other_controls(lgm50):
    run = lgm50.simulate("hold 3.7V for 100s; power 10W for 100s", initial_soc=0.6, **SHARP)
    for time_s, name in ((50.0, "voltage_V"), (150.0, "power_W")):
        linear = lgm50.linearise(run.at(time_s))
        assert linear.inputs[0] == name
    held = lgm50.linearise(run.at(50.0))
    assert held.D[0, 0] == pytest.approx(1.0, rel=1e-9)  # the voltage is what is held
    # a held voltage does not let lithium drift: salt is all that is conserved beside lithium as a whole
    assert np.sort(np.linalg.eigvals(held.A).real)[-3] < -1e-7


def test_a_state_of_another_model_is_refused(lgm50, models):
    state = models["a123_26650"].simulate("rest 1s").at(0.0)
    with pytest.raises(InputError, match="a state of 3 unknowns, expected one of this model, with"):
        lgm50.linearise(State(0.0, state.y[:3], state.u))
    with pytest.raises(InputError, match="heat='dfn'"):
        CoupledModel(lgm50.cell, heat="measured").linearise(state)


def test_soret_needs_a_coefficient_and_a_temperature_field():
    cell = load_cell("lco_marquis").with_values({"Soret coefficient [K-1]": 0.01})
    assert CoupledModel(cell, couplings=["soret"]).equations.resolution == "x"
    with pytest.raises(InputError, match="thermal='x'"):
        CoupledModel(cell, couplings=["soret"], thermal="lumped")
    with pytest.raises(InputError, match="no 'Soret coefficient"):
        CoupledModel(cell.with_values({"Soret coefficient [K-1]": 0.0}), couplings=["dufour"])
    with pytest.raises(InputError, match="unknown coupling 'sorret'"):
        CoupledModel(cell, couplings=["sorret"])
