"""A protocol through a reduced cell: a row every step, limits that end it, and what is refused."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from bmsthermal import InputError, Run
from bmsthermal.protocol import Step, rest

sys.path.insert(0, str(Path(__file__).parent))

from reduced_cells import CELLS, reduced_cell

PROTOCOL = "discharge at 1 C for 300 s; rest for 200 s; charge at 0.5 C for 250 s"


@pytest.fixture(scope="module")
def cell():
    return reduced_cell()


def drive(current_A, step_s=1.0, ambient_K=298.15):
    current = np.asarray(current_A, float)
    none = np.full(len(current), np.nan)
    return Run(step_s * np.arange(len(current)), current, none, np.full(len(current), ambient_K), name="drive")


def swings(count=200, seed=0):
    return 8.0 * np.random.default_rng(seed).standard_normal(count)


@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize("step_s", [0.5, 1.0, 10.0])
def test_a_protocol_has_a_row_every_step_and_closes_energy(name, step_s):
    model = reduced_cell(name, step_s=step_s)
    run = model.simulate(PROTOCOL, initial_soc=0.8, ambient_K=290.0, start_K=300.0)
    np.testing.assert_allclose(run.time_s, step_s * np.arange(750 / step_s + 1))
    assert not run.stopped and abs(run.energy_residual) < 1e-9
    np.testing.assert_allclose(sum(run.heat_terms_W.values()), run.heat_W, rtol=1e-9, atol=1e-9)
    assert set(run.surfaces_K) == {f"surface {wall}" for wall in model.cell.walls}
    assert run.state.shape[0] == len(run.time_s) and run.core_K[0] == pytest.approx(300.0)
    nominal = model.cell.electrochemistry.nominal_Ah
    assert run.totals["charge_C"] == pytest.approx(nominal * (300 - 125))
    # where a step of the protocol ends, the row is its last: what came before is what the current was
    first, last = round(300 / step_s), round(500 / step_s)
    assert run.current_A[first] == nominal and run.current_A[first + 1] == 0.0
    assert run.current_A[last] == 0.0 and run.current_A[last + 1] == -nominal / 2


@pytest.mark.parametrize("name", CELLS)
def test_two_steps_of_a_protocol_are_one_run_of_their_currents(name):
    model = reduced_cell(name)
    nominal = model.cell.electrochemistry.nominal_Ah
    steps = model.simulate("discharge at 1 C for 60 s; charge at 2 C for 40 s", initial_soc=0.6)
    current = np.repeat([nominal, -2 * nominal], [60, 41])
    run = model.simulate(drive(current), initial_soc=0.6)
    np.testing.assert_allclose(steps.soc, run.soc, rtol=0, atol=1e-12)
    np.testing.assert_allclose(steps.core_K, run.core_K, rtol=0, atol=1e-10)
    for total in ("heat_J", "cooling_J", "charge_C", "work_J"):
        assert steps.totals[total] == pytest.approx(run.totals[total], rel=1e-9)
    # at the switch the first shows where it ended, the other what begins
    same = np.arange(101) != 60
    np.testing.assert_allclose(steps.voltage_V[same], run.voltage_V[same], atol=1e-10)
    assert steps.voltage_V[60] < run.voltage_V[60]


def test_a_run_ends_at_a_cut_off_or_a_temperature_with_a_sentence(cell):
    p = cell.cell.electrochemistry
    down = cell.simulate("discharge at 2 C for 2 h", initial_soc=0.2)
    assert down.stopped.endswith("s: the voltage fell to its lower cut-off of 2.5 V")
    assert (down.voltage_V[:-1] >= p.lower_voltage_V).all() and down.voltage_V[-1] < p.lower_voltage_V
    assert down.stopped.startswith(f"{down.time_s[-1]:g} s")
    up = cell.simulate("charge at 1 C for 2 h; rest for 1 h", initial_soc=0.9)
    assert "step 1 (charge" in up.stopped and "upper cut-off of 4.2 V" in up.stopped
    warm = cell.simulate("discharge at 2 C for 1 h", initial_soc=1.0, ambient_K=300.0, hottest_K=303.15)
    assert warm.stopped.endswith("the core reached 30 degC") and warm.core_K[-1] >= 303.15 > warm.core_K[-2]
    for run in (down, up, warm):
        assert abs(run.energy_residual) < 1e-9


def test_a_step_ends_at_its_own_limit_and_the_next_begins(cell):
    run = cell.simulate("discharge at 1 C until 3.6 V; rest for 10 s; charge at 1 C until 4 V", initial_soc=0.7)
    switch = int(np.argmax(run.current_A == 0))
    assert run.voltage_V[switch - 1] <= 3.6 < run.voltage_V[switch - 2]
    assert (run.current_A == 0).sum() == 10 and run.voltage_V[-1] >= 4.0 > run.voltage_V[-2] and not run.stopped
    hot = cell.simulate([Step("current", 10.0, 3600.0, until_K=302.15), rest(5.0)], initial_soc=1.0)
    assert hot.core_K[-6] >= 302.15 > hot.core_K[-7] and not hot.stopped and abs(hot.energy_residual) < 1e-9


def test_no_step_can_be_passed_at_once(cell):
    already = cell.simulate("discharge at 1 C until 4.15 V; rest for 5 s", initial_soc=0.5)
    assert len(already.time_s) == 6 and (already.current_A[1:] == 0).all()
    assert already.totals["charge_C"] == 0.0 and already.soc[-1] == already.soc[0] == 0.5


def test_a_profile_is_held_from_row_to_row_and_its_mean_counts_within_a_step(cell):
    uneven = Run(
        np.array([0.0, 0.25, 1.0, 3.5, 5.0]),
        np.array([8.0, 4.0, -6.0, 2.0, 2.0]),
        np.full(5, np.nan),
        np.full(5, 300.0),
    )
    run = cell.simulate(uneven, initial_soc=0.5)
    np.testing.assert_allclose(run.current_A, [5.0, -6.0, -6.0, -2.0, 2.0, 2.0])
    np.testing.assert_allclose(run.time_s, np.arange(6))
    assert run.ambient_K == pytest.approx(300.0)


def test_ambients_of_a_run_count_and_where_there_are_none_the_given(cell):
    ambient = np.where(np.arange(400) < 200, 298.15, 318.15)
    swinging = Run(np.arange(400.0), np.zeros(400), np.full(400, np.nan), ambient)
    run = cell.simulate(swinging, initial_soc=0.5)
    np.testing.assert_array_equal(run.ambient_K, ambient)
    assert np.ptp(run.core_K[:200]) < 1e-9 and run.surface_K[-1] > run.core_K[-1] > 299.0
    assert abs(run.energy_residual) < 1e-9
    unknown = Run(np.arange(3.0), np.zeros(3), np.full(3, np.nan), np.full(3, np.nan))
    assert cell.simulate(unknown, initial_soc=0.5, ambient_K=280.0).core_K[0] == pytest.approx(280.0)


def test_long_runs_do_not_depend_on_how_they_are_cut(cell):
    # rows are computed in blocks: more than one of them is the same as steps one after another
    profile = swings(1500, 7) / 2
    whole = cell.simulate(drive(profile), initial_soc=0.6)
    assert not whole.stopped
    kernel = cell.kernel()
    kernel.rest(cell.cell.electrochemistry.stoichiometries(0.6)[0], 298.15)
    for k, current in enumerate(profile):
        out = np.empty((1, kernel.out_size))
        kernel.run(cell.inputs(current, 298.15), out)
        assert out[0, 0] == whole.voltage_V[k]


@pytest.mark.parametrize(
    "profile, options, said",
    [
        ("rest for 60 s", {"ambient_K": float("nan")}, "ambient_K=nan, expected 150 to 1500, in kelvin"),
        ("rest for 60 s", {"ambient_K": 25.0}, "ambient_K=25.0, expected .* in kelvin"),
        ("rest for 60 s", {"start_K": 1e6}, "start_K=.*in kelvin"),
        ("rest for 60 s", {"start_K": "warm"}, "start_K='warm'"),
        ("rest for 60 s", {"initial_soc": 80.0}, "80"),
        ("hold 4 V for 60 s", {}, "a step of voltage.*the full model"),
        ("power 10 W for 60 s", {}, "a step of power.*the full model"),
        ("discharge at 1 C", {}, "never end"),
        (Step("current", 0.0), {}, "never end"),
        (Step("current", 1.0), {}, "never end"),
        ("discharge at 1e6 C for 60 s", {}, "A, expected at most"),
        ("rest for 1e9 s", {}, "1e.09 rows of 1 s"),
        ([], {}, "no steps"),
        ("dance for 60 s", {}, "dance"),
    ],
)
def test_what_it_cannot_run_is_refused(cell, profile, options, said):
    with pytest.raises(InputError, match=said):
        cell.simulate(profile, **{"initial_soc": 0.5} | options)


@pytest.mark.parametrize("ambient_K", [25.0, -10.0, 1e9])
def test_the_ambient_of_a_run_is_in_kelvin_too(cell, ambient_K):
    with pytest.raises(InputError, match="kelvin"):
        cell.simulate(drive(np.ones(10), ambient_K=ambient_K), initial_soc=0.5)


@pytest.mark.parametrize("hottest_K", [float("nan"), "hot", None])
def test_the_hottest_is_a_number(cell, hottest_K):
    with pytest.raises(InputError, match="hottest_K"):
        cell.simulate("rest for 10 s", initial_soc=0.5, hottest_K=hottest_K)
