"""A reduced cell: charge, rest, cooling, ageing and precision, and limits of what is free."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bmsthermal import InputError, Run

sys.path.insert(0, str(Path(__file__).parent))

from reduced_cells import CELLS, reduced_cell

PROTOCOL = "discharge at 1 C for 300 s; rest for 200 s; charge at 0.5 C for 250 s"


@pytest.fixture(scope="module")
def cell():
    return reduced_cell()


@pytest.fixture(scope="module")
def protocol(cell):
    return cell.simulate(PROTOCOL, initial_soc=0.8, ambient_K=290.0)


def drive(current_A, step_s=1.0, ambient_K=298.15):
    current = np.asarray(current_A, float)
    none = np.full(len(current), np.nan)
    return Run(step_s * np.arange(len(current)), current, none, np.full(len(current), ambient_K), name="drive")


def swings(count=200, seed=0):
    return 8.0 * np.random.default_rng(seed).standard_normal(count)


def test_the_charge_is_counted_and_is_the_lithium(cell, protocol):
    p = cell.cell.electrochemistry
    counted = (
        0.8 - np.concatenate([[0], np.cumsum(np.repeat([5.0, 0.0, -2.5], [300, 200, 250]))]) / 3600 / p.capacity_Ah
    )
    np.testing.assert_allclose(protocol.soc, counted, atol=1e-12)
    filling = protocol.state[:, 0] + protocol.state[:, 1]
    np.testing.assert_allclose(filling, p.stoichiometries(protocol.soc)[0], atol=1e-9)


def test_a_rest_stays_at_rest(cell):
    run = cell.simulate("rest for 2000 s", initial_soc=0.5, ambient_K=310.0)
    for values in (run.voltage_V, run.core_K, run.soc, run.surface_K):
        np.testing.assert_allclose(values, values[0], rtol=1e-12)
    np.testing.assert_allclose(run.heat_W, 0.0, atol=1e-9)
    assert run.energy_residual == 0.0  # of rounding there is no share
    p = cell.cell.electrochemistry
    x, y = p.stoichiometries(0.5)
    warm = 310.0 - p.reference_K
    wanted = p.positive.potential(y) + warm * p.positive.entropic(y)
    wanted -= p.negative.potential(x) + warm * p.negative.entropic(x)
    assert run.voltage_V[0] == pytest.approx(float(wanted), abs=1e-6)


@pytest.mark.parametrize("name", CELLS)
def test_other_cooling_is_that_of_a_cell_that_was_made_so(name):
    profile = drive(swings())
    cooled, rebuilt = reduced_cell(name).with_h(150.0), reduced_cell(name, h=150.0)
    ours, theirs = (model.simulate(profile, initial_soc=0.6, start_K=310.0) for model in (cooled, rebuilt))
    np.testing.assert_allclose(ours.core_K, theirs.core_K, atol=1e-9)
    np.testing.assert_allclose(ours.voltage_V, theirs.voltage_V, atol=1e-9)
    np.testing.assert_allclose(ours.cooling_W, theirs.cooling_W, atol=1e-9)
    assert np.abs(ours.core_K - reduced_cell(name).simulate(profile, initial_soc=0.6, start_K=310.0).core_K).max() > 0.1


def test_a_slab_is_cooled_by_each_wall_alone():
    model = reduced_cell("lco_marquis")
    walls = model.cell.walls
    assert len(walls) == 2
    one = model.with_h({walls[0]: 500.0, walls[1]: 0.0})
    run = one.simulate("discharge at 3 C for 600 s", initial_soc=0.9)
    first, second = run.surfaces_K.values()
    assert first[-1] < second[-1] and abs(run.energy_residual) < 1e-9
    swapped = model.with_h({walls[0]: 0.0, walls[1]: 500.0}).simulate("discharge at 3 C for 600 s", initial_soc=0.9)
    np.testing.assert_allclose(swapped.core_K, run.core_K, atol=1e-6)


@given(resistance=st.floats(0.0, 0.05), current=st.floats(-10.0, 10.0))
@settings(max_examples=15)
def test_a_resistance_that_has_grown_lowers_the_voltage_and_heats_by_ohms_law(cell, resistance, current):
    fresh = cell.simulate(drive([current, current]), initial_soc=0.6)
    aged = cell.aged(resistance_Ohm=resistance).simulate(drive([current, current]), initial_soc=0.6)
    assert fresh.voltage_V[0] - aged.voltage_V[0] == pytest.approx(current * resistance, abs=1e-12)
    assert aged.heat_W[0] - fresh.heat_W[0] == pytest.approx(current**2 * resistance, abs=1e-10)
    contact = aged.heat_terms_W["contact"] - fresh.heat_terms_W["contact"]
    assert contact[0] == pytest.approx(current**2 * resistance, abs=1e-10)


@given(fade=st.floats(0.0, 0.8))
@settings(max_examples=10)
def test_lost_area_is_more_current_through_what_is_left(cell, fade):
    # a contact resistance belongs to the cell and not to the area: it is taken off both
    R, current = cell.cell.electrochemistry.contact_resistance_Ohm, swings(60, 2) / 4
    insulated = cell.with_h(0.0)
    fresh = insulated.aged(entropic_scale=0.0).simulate(drive(current / (1 - fade)), initial_soc=0.6)
    aged = insulated.aged(entropic_scale=0.0, capacity_fade=fade).simulate(drive(current), initial_soc=0.6)
    # at the first row both are as warm
    assert aged.voltage_V[0] + R * current[0] == pytest.approx(
        fresh.voltage_V[0] + R * current[0] / (1 - fade), abs=1e-10
    )
    np.testing.assert_allclose(aged.soc, fresh.soc, atol=1e-12)
    heat = {
        name: aged.heat_terms_W[name][0] / (1 - fade) - fresh.heat_terms_W[name][0] for name in ("ohmic", "reaction")
    }
    assert heat == pytest.approx(dict.fromkeys(heat, 0.0), abs=1e-9)


def test_no_entropic_slope_is_no_reversible_heat(cell):
    run = cell.aged(entropic_scale=0.0).simulate(PROTOCOL, initial_soc=0.8, start_K=320.0)
    np.testing.assert_array_equal(run.heat_terms_W["reversible"], 0.0)
    assert abs(run.energy_residual) < 1e-9
    one, two = (cell.aged(entropic_scale=k).simulate(drive([5.0, 5.0]), initial_soc=0.8) for k in (1.0, 2.0))
    assert two.heat_terms_W["reversible"][0] == pytest.approx(2 * one.heat_terms_W["reversible"][0], rel=1e-9)


def test_what_is_free_is_kept_until_it_is_given(cell):
    aged = cell.aged(resistance_Ohm=0.01).aged(capacity_fade=0.1).with_h(20.0).aged(entropic_scale=0.5)
    assert (aged.resistance_Ohm, aged.capacity_fade, aged.entropic_scale) == (0.01, 0.1, 0.5)
    assert set(aged.cell.h_W_m2K.values()) == {20.0} and cell.capacity_fade == 0.0
    assert aged.digest != cell.digest and cell.aged().digest == cell.digest


@pytest.mark.parametrize(
    "given", [{"resistance_Ohm": -1.0}, {"capacity_fade": 1.0}, {"entropic_scale": np.nan}, {"resistance_Ohm": "1"}]
)
def test_what_is_free_has_limits(cell, given):
    with pytest.raises(InputError, match=f"{next(iter(given))}=.*expected"):
        cell.aged(**given)


@pytest.mark.parametrize("name", CELLS)
def test_single_precision_is_as_good_as_a_sensor(name):
    model, profile = (
        reduced_cell(name),
        drive(swings(3000, 5) * reduced_cell(name).cell.electrochemistry.nominal_Ah / 8),
    )
    double, single = (model.simulate(profile, initial_soc=0.6, dtype=dtype) for dtype in (np.float64, np.float32))
    np.testing.assert_allclose(single.voltage_V, double.voltage_V, atol=1e-4)
    np.testing.assert_allclose(single.core_K, double.core_K, atol=2e-3)


@given(st.lists(st.floats(-50.0, 50.0), min_size=2, max_size=40), st.floats(0.05, 0.95), st.floats(250.0, 330.0))
@settings(max_examples=25)
def test_any_current_gives_finite_rows_closed_energy(cell, current, soc, start_K):
    run = cell.aged(entropic_scale=0.0).simulate(drive(current), initial_soc=soc, start_K=start_K)
    if len(run.time_s) > 2:
        assert abs(run.energy_residual) < 1e-9
    for values in (run.voltage_V, run.core_K, run.heat_W, run.state):
        assert np.isfinite(values).all()
    assert (run.heat_terms_W["contact"] >= 0).all()


def test_it_says_what_it_is(cell, protocol):
    assert repr(cell) == (
        "ReducedCell(lgm50_21700: 14 states (thermal 3, salt 2, negative 4, positive 4, lithium 1), step 1 s)"
    )
    assert cell.order == 14 and protocol.settings["heat"] == "reduced" and "14" in protocol.settings["states"]
    cell.verify()
