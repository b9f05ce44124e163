"""Sensors with a place, and the observer in r and z that reads them."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from bmsthermal import CoupledModel, InputError, Inputs, Observer, ReducedModel, Run, calibrate, load_cell
from bmsthermal.conduction_rz import field_of
from bmsthermal.coupled import load_model
from bmsthermal.observer import compiled
from bmsthermal.sensors import END, place, sensor_rows, sensor_walls

needs_kernel = pytest.mark.skipif(not compiled(), reason="the compiled kernel is missing")
H = "Heat transfer coefficient [W.m-2.K-1]"
COOLING = {"side": 40.0, "bottom": 150.0, "top": 8.0}
THREE = ("surface", "surface_left", "surface_right")
CELL = load_cell("lfp_32113").with_values({H: COOLING})


def tall(h=COOLING, order=8):
    return CoupledModel(CELL.with_values({H: h}), heat="measured", thermal="r-z").reduce(order=order)


@pytest.fixture(scope="module")
def model():
    return tall()


def measured(model, names=THREE, steps=1200, noise_K=0.03, seed=1):
    """A drive and what sensors of the model say, from one temperature throughout."""
    rng = np.random.default_rng(seed)
    current = np.repeat(rng.uniform(-25.0, 35.0, steps // 20 + 1), 20)[: steps + 1]
    ambient = 293.0 + np.sin(np.arange(steps + 1) / 150)
    heat, soc, dose = model.heat, 0.6, 1 / 3600 / model.cell.capacity_Ah
    charge = soc - np.concatenate([[0.0], np.cumsum(current[:-1])]) * dose
    voltage = np.array([heat.voltage_V(i, q, 293.0) for i, q in zip(current, charge, strict=True)])
    watts = np.array([heat.heat_W(i, v, q, 293.0) for i, v, q in zip(current, voltage, charge, strict=True)])
    u = np.column_stack([watts, *[ambient - 293.0] * len(model.walls)])[:-1]
    x = np.vstack([np.zeros(model.order), model.step.run(u, model.conductance_W_K)])
    rows = sensor_rows(model, names)
    surfaces = {n: 293.0 + x @ row + noise_K * rng.normal(size=len(x)) for n, row in zip(names, rows, strict=True)}
    return Run(np.arange(steps + 1.0), current, voltage, ambient, surfaces, 293.0 + x @ model.outputs[0], "drive")


# where a sensor sits


def test_a_name_says_where_a_sensor_sits(model, reduced, slab):
    assert place(model, "surface") == place(model, "surface_middle") == {"wall": "side"}
    assert place(model, "surface_left") == {"wall": "side", "height": END}
    assert place(model, "surface_right")["height"] == 1 - END and place(model, "surface_top") == {"wall": "top"}
    assert place(reduced, "surface_left") == {"wall": "side"}  # in one dimension a side has one temperature
    flat = CoupledModel(slab, heat="measured").reduce(order=4)
    assert sensor_walls(flat, ["surface", "surface_front"]) == [0, 1]
    assert sensor_rows(flat, ["surface_front"]).tobytes() == flat.step.wall.T[[1]].tobytes()


def test_the_file_may_say_it(reduced):
    places = {
        "surface": {},
        "surface_cap": {"wall": "top", "radius": 0.5},
        "surface_left": {"wall": "side", "height": 0},
    }
    mapped = CELL.with_values({"Observer": {"Sensors": places, "Thermal": "r-z"}})
    model = CoupledModel(mapped, heat="measured", thermal="r-z").reduce(order=6)
    assert [place(model, name) for name in places] == [{"wall": "side"}, *list(places.values())[1:]]
    rows = sensor_rows(model, list(places))
    np.testing.assert_allclose(rows[1], model.point(0.008, 0.113), rtol=0, atol=1e-12)
    np.testing.assert_allclose(rows[2], model.point(0.016, 0.0), rtol=0, atol=1e-12)
    with pytest.raises(InputError, match="of 'surface', expected a 'wall', one of"):
        CELL.with_values({"Observer": {"Sensors": {"surface": {"wall": "side", "radius": 0.5}}}})
    with pytest.raises(InputError, match="'Thermal': found 'x', expected 'r-z'"):
        CELL.with_values({"Observer": {"Thermal": "x"}})


def test_a_file_in_r_z_is_opened_so(tmp_path):
    path = tmp_path / "cell.json"
    CELL.with_values({"Observer": {"Thermal": "r-z"}}).save(path)
    model = load_model(path)
    assert model.resolution == "r-z" and model.order == 8
    model.save(tmp_path / "model.npz")
    again = ReducedModel.load(tmp_path / "model.npz")
    assert again.digest == model.digest
    np.testing.assert_array_equal(sensor_rows(again, THREE), sensor_rows(model, THREE))


# what it reads


@pytest.mark.parametrize("h", [dict.fromkeys(COOLING, 10.0), COOLING], ids=["alike", "one end cooled"])
def test_sensors_read_what_the_full_model_says_there(h):
    model, field = tall(h), field_of(CELL)
    heights, side = np.unique(field.z_m), np.isclose(field.r_m, field.r_m.max())
    order = np.argsort(field.z_m[side])

    def wanted(h):
        exact = field.steady(h, 3.0, 0.0)[side][order]
        return np.array([np.interp(place(model, name).get("height", 0.5) * 0.113, heights, exact) for name in THREE])

    def read(h):
        state = model.modal.steady(np.array(h) * field.wall_area_m2, [3.0], np.zeros(3)) * model.scale
        return sensor_rows(model, THREE) @ state

    as_filed, weaker = np.array(list(h.values())), np.array(list(h.values())) * [0.7, 0.7, 1.4]
    # a film at every node, exactly: the basis holds the steady shapes at the file's cooling
    np.testing.assert_allclose(read(as_filed), wanted(as_filed), rtol=1e-8)
    # other cooling closes the same walls: first order in what a film does beyond its mean
    np.testing.assert_allclose(read(weaker), wanted(weaker), rtol=0.02)
    assert np.ptp(read(as_filed)) > 0.03


def test_points_inside(model):
    result = Observer(model, THREE).run(measured(model, steps=60), initial_soc=0.6)
    for at, expected in (((0.002,), result.core_K), ((0.016,), result.surface_K), ((0.016, 0.0565), result.surface_K)):
        np.testing.assert_allclose(result.point(*at)[0], expected, rtol=0, atol=1e-9)
    between = [result.point(0.01, z)[0] for z in (0.030, 0.031, 0.032)]
    np.testing.assert_allclose(between[1], (between[0] + between[2]) / 2, rtol=0, atol=1e-9)  # a line between nodes
    for at in ((0.001,), (0.01, -0.001), (0.01, 0.2)):
        with pytest.raises(InputError, match="expected"):
            model.point(*at)


# the observer


@needs_kernel
@pytest.mark.parametrize("order", [4, 8])
def test_kernel_and_twin_agree_with_three_walls_and_three_sensors(order):
    model = tall(order=order)
    run = measured(model, steps=400)
    ours, theirs = (Observer(model, THREE, engine=e) for e in ("kernel", "filterpy"))
    found = [observer.run(run, initial_soc=0.6) for observer in (ours, theirs)]
    for name in ("core_K", "core_std_K", "surface_K", "surface_std_K", "mean_K"):
        np.testing.assert_allclose(getattr(found[0], name), getattr(found[1], name), rtol=0, atol=1e-9)
    np.testing.assert_allclose(found[0].point(0.016, 0.1), found[1].point(0.016, 0.1), rtol=0, atol=1e-9)
    # every wall its own coolant and coefficient, none, and a sensor that is absent
    beliefs = [observer.start(300.0, 0.5, core_K=303.0) for observer in (ours, theirs)]
    rng = np.random.default_rng(0)
    for k in range(200):
        coolant, h = 290.0 + 20.0 * rng.random(3), 300.0 * rng.random(3)
        coolant[rng.integers(3)] = np.nan if k % 7 == 0 else 300.0
        seen = 300.0 + rng.random(3)
        seen[rng.integers(3)] = np.nan
        inputs = Inputs(20.0, 3.1, coolant.tolist(), h_W_m2K=h.tolist())
        steps = [o.step(b, inputs, seen.tolist()) for o, b in zip((ours, theirs), beliefs, strict=True)]
        beliefs = [belief for belief, _ in steps]
    np.testing.assert_allclose(beliefs[0].row, beliefs[1].row, rtol=0, atol=1e-9)
    assert steps[0][1].core_K > 300.0


@needs_kernel
def test_float_is_close_to_double_with_three_walls(model):
    run = measured(model, steps=400)
    double, single = (Observer(model, THREE, real=r).run(run, initial_soc=0.6) for r in ("double", "float"))
    assert 0 < np.abs(single.core_K - double.core_K).max() < 2e-3  # 400 steps of 6e-8 relative in a few kelvin


def test_insulated_ends_leave_the_radial_observer():
    insulated = {"side": 40.0, "bottom": 0.0, "top": 0.0}
    radial = CoupledModel(CELL.with_values({H: insulated["side"]}), heat="measured").reduce(order=4)
    run = measured(radial, ("surface",))
    flat, both = (Observer(m).run(run, initial_soc=0.6) for m in (radial, tall(insulated)))
    # 12 intervals along the radius against 200, 4 states along it against 3: below 1 % of a rise of some kelvin
    rise = float((flat.core_K - flat.surface_K).max())
    assert rise > 2.0
    np.testing.assert_allclose(both.core_K, flat.core_K, rtol=0, atol=0.01 * rise)


def test_ends_that_cool_are_not_taken_for_the_radius(model):
    """One sensor and the right model of the ends find the core; the radial model takes their loss for its own."""
    run = measured(model)
    assert run.core_K is not None
    right = Observer(model, THREE).run(run, initial_soc=0.6).core_K - run.core_K
    assert np.abs(right[300:]).max() < 0.15  # noise of 0.03 K at a surface that leads the core by minutes
    mean = {"side": float(model.conductance_W_K.sum() / model.areas_m2[0])}
    radial = CoupledModel(CELL.with_values({H: mean}), heat="measured").reduce(order=4)
    wrong = Observer(radial).run(run, initial_soc=0.6).core_K - run.core_K
    assert np.abs(wrong[300:]).max() > 2 * np.abs(right[300:]).max()


def test_what_r_z_does_not_run(slab, model, us06):
    full = CoupledModel(CELL, heat="measured", thermal="r-z")
    for refused in (full, model):
        with pytest.raises(InputError, match="expected radial or slab"):
            refused.simulate(us06)
    with pytest.raises(InputError, match="r-z conduction of a slab"):
        CoupledModel(slab, heat="measured", thermal="r-z")
    with pytest.raises(InputError, match="without nodes"):
        CoupledModel(CELL, heat="measured", thermal="r-z", nodes=30)


@needs_kernel
@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler")
def test_it_is_exported_too(tmp_path, model):
    from firmware_export import export

    bundle = export(Observer(model, THREE), tmp_path / "c", real="float")
    assert bundle.manifest["sizes"]["walls"] == ["side", "bottom", "top"]
    assert "self-test passed" in str(bundle.check())


# calibration


@needs_kernel
def test_calibration_learns_the_ends_from_three_sensors():
    truth = tall({"side": 40.0, "bottom": 200.0, "top": 60.0})
    run = measured(truth, steps=1500, noise_K=0.02)
    found = calibrate(load_cell("lfp_32113"), run, use=THREE, initial_soc=0.6, thermal="r-z")
    numbers = {p.name: p for p in found.parameters}
    assert found.covariance.shape == (13, 13) and len(numbers) == 13
    for end, ratio in (("bottom", 5.0), ("top", 1.5)):
        p = numbers[f"Heat transfer coefficient of {end} over side"]
        assert p.information > 0.5 and abs(np.log(p.value / ratio)) < 3 * p.sd / p.value
    side = numbers["Heat transfer coefficient"]
    assert abs(np.log(side.value / 40.0)) < 3 * side.sd / side.value
    assert found.cell.settings["Thermal"] == "r-z" and found.cell.settings["Order"] == 8
    assert set(found.cell.h_W_m2K) == {"side", "bottom", "top"}
    observer = Observer(load_model_of(found.cell), THREE)
    assert run.core_K is not None
    error = observer.run(run, initial_soc=0.6).core_K - run.core_K
    assert np.sqrt(np.mean(error**2)) < 0.3


def load_model_of(cell):
    """Open a cell as a command does."""
    return CoupledModel(cell, heat="measured", thermal=cell.settings["Thermal"]).reduce(order=cell.settings["Order"])


def test_the_family_is_the_model_reduced_again():
    from bmsthermal.parameters import Family, Values

    family = Family(load_cell("lfp_32113"), 8, 1.0, 293.0, "r-z", THREE)
    values = Values(0.38, 950.0, 40.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 30.0, 4.0, 0.5)
    once = family.reduced(values)
    again = CoupledModel(once.cell, heat="measured", thermal="r-z").reduce(order=8)
    np.testing.assert_allclose(once.conductance_W_K, family.conductance_W_K(values), rtol=1e-12)
    np.testing.assert_allclose(once.conductance_W_K, again.conductance_W_K, rtol=1e-12)
    assert dict(once.cell.h_W_m2K) == {"side": 40.0, "bottom": 160.0, "top": 20.0}
    np.testing.assert_allclose(np.diag(once.modal.K), np.diag(again.modal.K), rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(family.seen(*family.modal(values)), sensor_rows(once, THREE).T * once.scale[:, None])
    np.testing.assert_allclose(sensor_rows(once, THREE), sensor_rows(again, THREE), rtol=0, atol=1e-9)
