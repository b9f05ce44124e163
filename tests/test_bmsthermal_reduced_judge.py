"""Errors against a run of the full model: zero against itself, and exactly what is added to it."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bmsthermal.files import ZERO_DEGC_K
from bmsthermal.reduced.judge import HOT_K, SALT_MOL_M3, SHORT_S, WINDOW, Referee, judge, trial
from bmsthermal.reduced.trace import Trace
from bmsthermal.reduced.training import Case, current

sys.path.insert(0, str(Path(__file__).parent))

from reduced_cells import reduced_cell

CASE = Case("us06", 10.0, 35.0, 2.0, 0.6, 300.0)
INITIAL = reduced_cell().cell.electrochemistry.electrolyte.initial_concentration_mol_m3


def own(case=CASE, model=None):
    """A trace of the reduced model's own run."""
    model = (model or reduced_cell()).with_h(case.h)
    run = model.simulate(
        current(case, model.cell), initial_soc=case.initial_soc, ambient_K=case.ambient_degC + ZERO_DEGC_K
    )
    states = np.arange(0, len(run.time_s), 20)
    full = np.ones((len(states), 15))
    return Trace(
        case, run.time_s, run.current_A, run.voltage_V, run.soc, run.core_K, run.mean_K, run.heat_W,
        np.array(list(run.surfaces_K.values())), full.min(axis=1), run.time_s[states], run.current_A[states],
        run.mean_K[states], full, full[:, :, None], full[:, :, None], run.stopped,
    )  # fmt: skip


@pytest.fixture(scope="module")
def trace():
    return own()


@pytest.mark.parametrize("name", ["lgm50_21700", "lco_marquis"])
def test_a_run_of_its_own_has_no_error(name):
    model = reduced_cell(name)
    found = judge(model, own(model=model))
    assert (found.case, found.ambient_degC, found.h) == (CASE.name, CASE.ambient_degC, CASE.h)
    assert found.scored and found.judged_s == 300.0 and found.why == "end" and found.rise_K > 0.01
    for value in (found.core_K, found.surface_K, found.voltage_max_V, found.voltage_rms_V, found.heat, found.energy):
        assert value < 1e-9


@given(offset=st.floats(-5.0, 5.0))
@settings(max_examples=10)
def test_what_is_added_is_the_error(trace, offset):
    moved = replace(trace, core_K=trace.core_K + offset, voltage_V=trace.voltage_V + 2 * offset)
    found = judge(reduced_cell(), moved)
    assert found.core_K == pytest.approx(abs(offset), abs=1e-9) and found.surface_K < 1e-9
    assert found.voltage_rms_V == pytest.approx(2 * abs(offset), abs=1e-9)
    assert found.voltage_max_V == pytest.approx(2 * abs(offset), abs=1e-9)
    assert judge(reduced_cell(), replace(trace, surface_K=trace.surface_K + offset)).surface_K == pytest.approx(
        abs(offset), abs=1e-9
    )
    heated = judge(reduced_cell(), replace(trace, heat_W=trace.heat_W * (1 + offset / 10)))
    assert heated.heat == pytest.approx(abs(1 / (1 + offset / 10) - 1), abs=1e-9)


def test_a_single_row_is_the_largest_error_and_little_of_the_mean(trace):
    voltage = trace.voltage_V.copy()
    voltage[40] += 1.0
    found = judge(reduced_cell(), replace(trace, voltage_V=voltage))
    assert found.voltage_max_V == pytest.approx(1.0)
    assert found.voltage_rms_V == pytest.approx(np.sqrt(1 / len(voltage)), rel=1e-6)


def test_judging_ends_where_the_salt_runs_out(trace):
    low = trace.salt_minimum.copy()
    low[8] = 0.999 * SALT_MOL_M3 / INITIAL
    core = trace.core_K + np.where(trace.time_s > trace.snapshot_s[8], 50.0, 0.0)  # nobody looks there
    found = judge(reduced_cell(), replace(trace, salt_minimum=low, core_K=core))
    assert (found.why, found.judged_s) == ("salt", trace.snapshot_s[8]) and found.core_K < 1e-9 and found.scored
    low[8] = 1.001 * SALT_MOL_M3 / INITIAL
    assert judge(reduced_cell(), replace(trace, salt_minimum=low)).why == "end"


def test_judging_ends_where_it_is_hot_and_the_first_end_counts(trace):
    core, low = trace.core_K.copy(), trace.salt_minimum.copy()
    core[250] = HOT_K
    assert Referee(replace(trace, core_K=core), 1.0, INITIAL).until == (250.0, "hot")
    low[10] = 0.0
    assert Referee(replace(trace, core_K=core, salt_minimum=low), 1.0, INITIAL).until == (200.0, "salt")


def test_a_constant_current_ends_at_its_cut_off():
    case = Case("3C", 25.0, 20.0, 3.0, 0.3)
    trace = own(case)
    assert "cut-off" in trace.stopped or not trace.stopped
    found = judge(reduced_cell(), trace)
    assert found.why == "cut-off" and found.judged_s == trace.time_s[-1]
    assert max(found.core_K, found.voltage_max_V) < 1e-9


def test_short_runs_are_listed_and_not_scored(trace):
    rows = int(SHORT_S)
    for until, scored in ((rows, True), (rows - 1, False)):
        core = trace.core_K.copy()
        core[until:] = HOT_K
        found = judge(reduced_cell(), replace(trace, core_K=core))
        assert (found.judged_s, found.scored) == (until, scored)
    none = {name: getattr(trace, name)[:0] for name in ("time_s", "current_A", "voltage_V", "soc", "core_K", "heat_W")}
    begun = judge(reduced_cell(), replace(trace, **none, surface_K=np.empty((1, 0)), stopped="too cold"))
    assert not begun.scored and begun.judged_s == 0.0 and np.isnan(begun.core_K)


def test_the_voltage_counts_in_a_window_of_the_charge(trace):
    inside = trace.soc.copy()
    inside[100:150], inside[200:] = WINDOW[0] - 1e-3, WINDOW[1] + 1e-3
    outside = (inside < WINDOW[0]) | (inside > WINDOW[1])
    voltage = trace.voltage_V + np.where(outside, 1.0, 0.0)
    found = judge(reduced_cell(), replace(trace, soc=inside, voltage_V=voltage))
    assert found.voltage_max_V < 1e-9 and found.scored
    voltage[10] += 0.25
    assert judge(reduced_cell(), replace(trace, soc=inside, voltage_V=voltage)).voltage_max_V == pytest.approx(0.25)
    nowhere = judge(reduced_cell(), replace(trace, soc=np.zeros_like(inside)))
    assert nowhere.voltage_rms_V == nowhere.voltage_max_V == 0.0 and nowhere.core_K < 1e-9


@pytest.mark.parametrize("step_s", [0.25, 0.5, 2.0])
def test_other_steps_are_judged_at_their_own_times(trace, step_s):
    referee = Referee(trace, step_s, INITIAL)
    assert referee.times[-1] == 300.0 and len(referee.times) == len(referee.current_A) == 300 / step_s + 1
    assert referee.current_A[:-1].sum() * step_s == pytest.approx(trace.current_A[:-1].sum())
    found = referee.judge(reduced_cell(step_s=step_s))
    assert found.energy < 1e-9 and found.core_K < 0.1
    # a shorter step knows all of the drive; one of two seconds only its mean
    assert step_s > 1 or (found.core_K < 0.01 and found.voltage_max_V < 0.02)


def test_between_the_rows_of_a_drive_the_voltage_does_not_count(trace):
    inside = (trace.soc >= WINDOW[0]) & (trace.soc <= WINDOW[1])
    assert Referee(trace, 0.25, INITIAL).counted.sum() == inside.sum()
    constant = replace(trace, case=replace(CASE, profile="2C"))  # goes on smoothly, so it counts everywhere
    assert Referee(constant, 0.25, INITIAL).counted.sum() > 3 * inside.sum()


def test_a_trial_names_the_case_that_is_worst_in_core(trace):
    model = reduced_cell()
    first = judge(model, replace(trace, core_K=trace.core_K + 1.0))
    other = replace(judge(model, replace(trace, voltage_V=trace.voltage_V + 0.5)), case="another")
    unscored = replace(first, core_K=99.0, scored=False)
    found = trial(model, "3 + 2 points", "sizes", [other, first, unscored])
    assert (found.where, found.states) == (CASE.name, model.order)
    assert found.core_K == pytest.approx(1.0) and found.voltage_rms_V == pytest.approx(0.5)
