"""What a simulated run says of itself: columns, integrals, balance, files, picture."""

import copy
import dataclasses
import json

import numpy as np
import pytest

from bmsthermal import Cell, CoupledModel, InputError, InputWarning, Simulation, load_cell, read_measured
from bmsthermal.dfn.integrate import State
from bmsthermal.dfn.linearise import check_state
from bmsthermal.dfn.mesh import Mesh
from bmsthermal.dfn.particle import ParticleGrid
from bmsthermal.simulated import archive, columns, draw, layer_charge, layer_share, open_circuit_J, parts_J, rows, total


@pytest.fixture(scope="module")
def cell():
    return load_cell("lgm50_21700")


@pytest.fixture(scope="module")
def relaxed(cell):
    """A discharge and a rest until it has relaxed."""
    return CoupledModel(cell, thermal="lumped").simulate(
        "discharge 2C until 2.5V; rest 4h", initial_soc=0.8, step_s=5.0
    )


@pytest.fixture(scope="module")
def layered(cell):
    return CoupledModel(cell, thermal="radial", layers=3, nodes=6).simulate(
        "discharge 2C for 600s", initial_soc=0.9, step_s=30.0, fields=True
    )


def made(time_s, current_A, steps="rest 1 s", **more):
    """A run of which only time and current matter."""
    k = len(time_s)
    one = {name: np.full(k, 298.15) for name in ("ambient_K", "core_K", "mean_K")}
    return Simulation(
        np.array(time_s, float), np.array(current_A, float), np.full(k, 3.7), np.full(k, 0.5),
        surfaces_K={"surface side": np.full(k, 298.15)}, heat_W=np.ones(k), cooling_W=np.zeros(k),
        settings={"steps": steps}, **one, **more,
    )  # fmt: skip


def test_a_rate_is_summed_up_as_the_current_flowed():
    # a step's first row belongs to the last step: 5 A for 3 s, nothing for 2 s
    run = made([0, 1, 2, 3, 4, 5], [5, 5, 5, 5, 0, 0])
    assert total(run, run.current_A) == 15.0
    # a profile holds each row until the next
    run = made([0, 1, 3, 4], [5, 0, 2, 9], "profile drive")
    assert total(run, run.current_A) == 5 + 0 + 2
    # what varies smoothly is trapezoidal
    t = np.linspace(0, 1, 101)
    run = made(t, t**2)
    assert total(run, run.current_A) == pytest.approx(1 / 3, rel=1e-4)
    assert total(made([0], [1]), np.ones(1)) == 0.0


def test_heat_is_what_the_open_circuit_accounts_for_once_all_is_relaxed(relaxed, cell):
    assert relaxed.stopped == ""
    heat = total(relaxed, relaxed.heat_W)
    assert open_circuit_J(relaxed, cell) == pytest.approx(heat, rel=2e-3)
    before = relaxed.time_s <= relaxed.time_s[relaxed.current_A > 1].max()
    cut = dataclasses.replace(
        relaxed,
        **{f.name: getattr(relaxed, f.name)[before] for f in dataclasses.fields(relaxed)
           if isinstance(getattr(relaxed, f.name), np.ndarray) and len(getattr(relaxed, f.name)) == len(before)},
        heat_terms_W={name: term[before] for name, term in relaxed.heat_terms_W.items()},
    )  # fmt: skip
    # at the end of the discharge the energy of what has not relaxed is still to come
    assert open_circuit_J(cut, cell) > 1.005 * total(cut, cut.heat_W)


def test_the_balance_holds_where_the_windows_of_the_electrodes_differ(cell):
    """Charge counts in each electrode's own window, as of a published set whose windows hold 4.9 and 4.5 A.h."""
    document = copy.deepcopy(cell.document)
    document["Parameterisation"]["Positive electrode"]["Minimum stoichiometry"] = 0.32
    other = Cell("uneven", document)
    with pytest.warns(InputWarning, match="window"):
        p = other.electrochemistry
    assert p.negative.window_C_m2 > 1.08 * p.positive.window_C_m2
    run = CoupledModel(other, thermal="lumped").simulate(
        "discharge 2C until 2.7V; rest 4h", initial_soc=0.8, step_s=5.0
    )
    assert open_circuit_J(run, other) == pytest.approx(total(run, run.heat_W), rel=2e-3)


def test_the_charge_that_is_said_is_what_flowed(relaxed, cell):
    said = dict(rows(relaxed, cell))
    charge = total(relaxed, relaxed.current_A) / 3600
    assert float(said["charge taken out"].split()[0]) == pytest.approx(charge, rel=1e-3)
    for row in ("time simulated", "energy taken out", "highest core", "core above surface, largest", "heat released",
                "  mixing", "heat to the surroundings", "heat neither stored nor gone",
                "  still to relax"):  # fmt: skip
        assert row in said
    share = sum(float(value.split()[2]) for row, value in said.items() if "kJ, " in value)
    assert share == pytest.approx(100.0, abs=0.4)


def test_columns_are_those_of_measured_data(layered):
    table = columns(layered)
    assert list(table)[:5] == ["time_s", "current_A", "voltage_V", "ambient_degC", "surface_degC"]
    assert [name for name in table if "layer" in name] == [f"layer_{i}_current_A" for i in (1, 2, 3)]
    terms = sum(table[f"heat_{name}_W"] for name in ("ohmic", "reaction", "reversible", "mixing", "contact"))
    np.testing.assert_allclose(terms, table["heat_W"], rtol=1e-12)
    np.testing.assert_allclose(sum(table[f"layer_{i}_current_A"] for i in (1, 2, 3)), table["current_A"], rtol=1e-6)
    assert "heat_decomposition_W" not in table
    assert table["core_degC"][0] == 25.0


def test_several_walls_have_a_column_each_and_the_first_is_the_surface():
    run = CoupledModel(load_cell("lco_marquis")).simulate("discharge 1C for 60s", step_s=30.0)
    table = columns(run)
    np.testing.assert_array_equal(table["surface_degC"], table["surface_back_degC"])
    assert "surface_front_degC" in table


def test_layers_start_alike_and_the_warm_ones_take_more(layered):
    share = layer_share(layered)
    np.testing.assert_allclose(share[0], 1.0)
    assert share[2, 0] > 1.0 > share[2, -1]
    idle = dataclasses.replace(layered, layer_current_A=np.zeros((3, 3)))
    assert np.isnan(layer_share(idle)).all()


def test_charge_of_layers_goes_on_where_no_current_flows():
    current = np.array([[1.0, 3.0], [1.2, 2.8], [0.0, 0.0], [0.1, -0.1], [-1.0, -3.0]])
    run = made([0, 1, 2, 3, 4], current.sum(axis=1), layer_current_A=current)
    charge = layer_charge(run)
    assert np.isfinite(charge).all()
    np.testing.assert_allclose(charge[0], 1.0)
    np.testing.assert_allclose(charge @ [0.25, 0.75], 1.0)  # weighed by area
    np.testing.assert_allclose(charge[1, 0], 1.1)
    np.testing.assert_allclose(charge[-1, 0], 4 * (1.1 + 0.6 + 0.05 + 0.55) / (4.0 + 2.0 + 0.1 + 2.1))
    idle = dataclasses.replace(run, current_A=np.full(5, 1e-18), layer_current_A=1e-18 * current)
    np.testing.assert_array_equal(layer_charge(idle), np.ones((5, 2)))


def test_layers_in_a_run_differ_by_charge_as_by_current(layered):
    charge, share = layer_charge(layered), layer_share(layered)
    assert 1.0 < charge[-1, 0] < share[:, 0].max()
    assert share[:, -1].min() < charge[-1, -1] < 1.0


def test_same_run_same_bytes_and_the_files_hold_it(layered, tmp_path):
    for name in ("a", "b"):
        layered.save(tmp_path / f"{name}.npz")
        layered.to_csv(tmp_path / f"{name}.csv")
        layered.plot(tmp_path / f"{name}.png")
    for ending in ("npz", "csv", "png"):
        assert (tmp_path / f"a.{ending}").read_bytes() == (tmp_path / f"b.{ending}").read_bytes()
    with np.load(tmp_path / "a.npz", allow_pickle=False) as kept:
        assert {*kept.files} == {*columns(layered), *layered.fields, "settings"}
        np.testing.assert_array_equal(kept["core_degC"], columns(layered)["core_degC"])
        assert kept["temperature_K"].shape[0] == len(layered.time_s)
        settings = json.loads(str(kept["settings"]))
    assert (settings["cell"], settings["layers"], settings["stopped"]) == ("lgm50_21700", "3", "")
    read = read_measured(tmp_path / "a.csv")
    np.testing.assert_array_equal(read.time_s, layered.time_s)
    for ours, theirs in (
        (layered.current_A, read.current_A), (layered.voltage_V, read.voltage_V), (layered.ambient_K, read.ambient_K),
        (layered.surface_K, read.surfaces_K["surface"]), (layered.core_K, read.core_K),
    ):  # fmt: skip
        np.testing.assert_allclose(theirs, ours, rtol=1e-9)


def test_a_measured_heat_run_is_written_too(tmp_path, us06):
    run = CoupledModel(load_cell("a123_26650"), heat="measured").simulate(us06.before(60.0), initial_soc=0.9)
    assert "heat_ohmic_W" not in columns(run)
    run.save(tmp_path / "run.npz")
    run.plot(tmp_path / "run.png")
    assert "open circuit" not in str(rows(run, load_cell("a123_26650")))
    assert archive(run)["settings"]


def test_the_picture_shows_what_the_run_has(layered, relaxed, tmp_path):
    drawn = draw(layered, None)
    assert [axes.get_ylabel().split("\n")[0] for axes in drawn.axes] == [
        "temperature", "voltage", "heat", "layer charge", "current",
    ]  # fmt: skip
    assert len(drawn.axes[0].get_legend_handles_labels()[1]) == 4
    drawn = draw(relaxed, None)
    assert len(drawn.axes) == 4
    assert drawn.axes[-1].get_xlabel() == "time, hours"
    assert "from core to surface" in drawn.axes[0].get_legend_handles_labels()[1][0]
    with pytest.raises(InputError, match=r"expected \.png or \.svg or \.pdf"):
        relaxed.plot(tmp_path / "run.xyz")


def test_nothing_is_drawn_flat_and_has_no_share(cell):
    model = CoupledModel(cell, thermal="radial", layers=2, nodes=6)
    rest = model.simulate("rest 10min", initial_soc=0.9, start_K=313.15, step_s=60.0)
    said = rows(rest, cell)
    named = dict(said)
    for row in ("  still to relax", "heat neither stored nor gone", "  mixing", "open circuit, I (U - T dU/dT - V)",
                "current density of layers over mean"):  # fmt: skip
        assert row not in named
    assert "nan" not in str(said)
    assert "-0.0" not in str(said)
    assert named["energy taken out"] == "0.0000 W.h"
    _, volts, heat, charge, current = draw(rest, None).axes
    for axes in (heat, current):
        assert not np.any(axes.get_lines()[0].get_ydata())
    assert current.get_ylim() == (-5.0, 5.0)
    assert np.ptp(volts.get_ylim()) > 0.0099
    assert np.ptp(charge.get_ylim()) > 1e-3
    told = dataclasses.replace(rest, settings=rest.settings | {"capacity_Ah": "5"}, cooling_W=0 * rest.cooling_W)
    assert draw(told, None).axes[-1].get_ylim() == (-5.0, 5.0)
    assert draw(told, None).axes[2].get_ylim() == (-0.5, 0.5)


def test_a_runaway_is_drawn_over_decades_and_sums_up(cell, layered):
    model = CoupledModel(cell, thermal="lumped", reactions="all")
    fire = model.simulate("rest 40min", initial_soc=0.9, start_K=400.0, ambient_K=460.0, step_s=20.0)
    assert fire.core_K.max() > 600.0
    heat = draw(fire, None).axes[2]
    assert heat.get_yscale() == "symlog"
    assert heat.get_ylim()[1] > fire.heat_W.max()
    assert draw(layered, None).axes[2].get_yscale() == "linear"
    # the peak is over between two rows: trapezes miss it, the solver's total does not
    assert abs(total(fire, fire.heat_W) / fire.totals["heat_J"] - 1) > 0.01
    assert sum(parts_J(fire).values()) == pytest.approx(fire.totals["heat_J"], rel=1e-12)
    assert dict(rows(fire, cell))["  decomposition"].endswith(" 100.0 %")
    assert "  still to relax" not in dict(rows(fire, cell))


def test_legends_stand_above_what_they_explain(layered):
    drawn = draw(layered, None)
    drawn.draw_without_rendering()
    titled = drawn.get_suptitle()
    assert titled.startswith("lgm50_21700, discharge 10 A for 600 s")
    legends = [axes.get_legend() for axes in drawn.axes]
    assert [legend is not None for legend in legends] == [True, False, True, True, False]
    boxes = [axes.get_window_extent() for axes in drawn.axes]
    for legend in filter(None, legends):
        extent = legend.get_window_extent()
        assert not any(extent.overlaps(box) for box in boxes)
        assert extent.x1 < drawn.bbox.x1


def test_a_place_that_cannot_be_written(layered, tmp_path):
    for write, ending in ((layered.save, "npz"), (layered.to_csv, "csv"), (layered.plot, "png")):
        with pytest.raises(InputError, match="cannot be written"):
            write(tmp_path / "absent" / f"run.{ending}")
        with pytest.raises(InputError, match=r"ends in '\.xyz'"):
            write(tmp_path / "run.xyz")


def test_what_is_no_path_is_refused(layered, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for write, ending in ((layered.save, "npz"), (layered.to_csv, "csv"), (layered.plot, "png")):
        with pytest.raises(InputError, match=rf"run: has no ending, expected .*\.{ending}"):
            write("run")
        for wrong in (5, b"run", f"a\0b.{ending}", *([None] if ending != "png" else [])):
            with pytest.raises(InputError, match=rf"cannot write to .*, expected the path of a file .*\.{ending}"):
                write(wrong)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("time_s", ["a", None, True, float("nan"), float("inf"), 10**400, [0.0]])
def test_a_time_is_a_number(layered, time_s):
    with pytest.raises(InputError, match=r"time_s=.*, expected a number of seconds"):
        layered.at(time_s)


def test_a_time_lies_within_the_run(layered):
    assert layered.at(np.int64(30)).time_s == layered.at(31.0).time_s == 30.0
    with pytest.raises(InputError, match="601 s lies outside the run, expected 0 to 600 s"):
        layered.at(601)


def test_a_state_is_held_against_its_model(cell):
    model = CoupledModel(cell, thermal="lumped", mesh=Mesh(3, 2, 3, ParticleGrid(3), ParticleGrid(3)))
    run = model.simulate("discharge 1C for 60s", initial_soc=0.9, step_s=30.0)
    good, places = run.end, model.equations.places
    check_state(model.equations, good)

    def changed(block, value):
        y = good.y.copy()
        y[places[block][:1]] = value
        return State(good.time_s, y, good.u)

    for state, said in (
        (changed("V", np.nan), "whose unknowns are not all numbers: nan in place"),
        (changed("x_negative", np.inf), "whose unknowns are not all numbers: inf in place"),
        (changed("x_negative", 1.2), "stoichiometry of the negative electrode of 1.2, expected 0 to 1"),
        (changed("x_positive", -0.3), "stoichiometry of the positive electrode of -0.3, expected 0 to 1"),
        (changed("T", 25.0), "temperature of 25, expected 150 to 1500"),
        (State(0.0, good.y[::-1], good.u), "expected 0 to 1"),  # another order: another model of the same size
        (State(0.0, good.y[1:], good.u), f"a state of {len(good.y) - 1} unknowns"),
        (State(0.0, good.y, good.u[1:]), f"a state of {len(good.u) - 1} inputs"),
        (State(0.0, good.y, np.full_like(good.u, np.nan)), "whose inputs are not all numbers"),
        (State(0.0, good.y.tolist(), good.u), "are no array of numbers"),
        (None, "a NoneType, expected a state of this model"),
    ):
        with pytest.raises(InputError) as told:
            check_state(model.equations, state)
        assert said in str(told.value)
