"""Figures of records that were worked out by hand, and what holds of them in general."""

from __future__ import annotations

import math
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent))

from hil_records import made

from bmsthermal.faults import DRIFT, NAMES, OPEN
from hil import metrics
from hil.signals import Status

ALL = np.ones(10, bool)


def test_flags_are_the_codes_of_the_watch_and_heat():
    assert (*NAMES[1:], "heat") == metrics.FLAGS


def test_errors_of_the_worst_cell():
    error = np.array([[3.0, 0.0], [-4.0, 1.0]])
    record = made(2, cells=2, true_core_degC=20.0, core_degC=20 + error)
    both = np.ones(2, bool)
    assert metrics.rms_K(record, both) == pytest.approx(math.sqrt(12.5))
    assert metrics.max_K(record, both) == (pytest.approx(4.0), 2.0, 0)
    assert metrics.max_K(record, np.array([True, False])) == (pytest.approx(3.0), 1.0, 0)
    np.testing.assert_allclose(metrics.core_error_K(record), error)


def test_an_answer_that_lacks_is_no_small_error():
    record = made(core_degC=np.where(np.arange(10) == 4, np.nan, 0.0))
    assert math.isnan(metrics.rms_K(record, ALL))
    assert math.isnan(metrics.max_K(record, ALL)[0])
    assert metrics.max_K(record, ALL)[1] == 5.0
    assert metrics.unanswered(record, ALL) == 1
    assert metrics.coverage(record, ALL) == 0.9


def test_coverage_and_nees_of_four_errors():
    record = made(4, core_degC=[0.5, -1.0, 2.1, 6.0], core_std_K=[1.0, 1.0, 1.0, 3.0])
    rows = np.ones(4, bool)
    assert metrics.coverage(record, rows) == 0.75  # 2.1 is beyond 2 sigma, 6.0 is on its edge
    assert metrics.coverage(record, rows, sigmas=1.0) == 0.5
    assert metrics.nees(record, rows) == pytest.approx((0.25 + 1 + 2.1**2 + 4) / 4)


def test_an_honest_gaussian_estimate_covers_what_erf_says():
    draws = np.random.default_rng(1).standard_normal(20_000)
    record = made(20_000, core_degC=3 * draws, core_std_K=3.0)
    rows = np.ones(20_000, bool)
    # standard deviation of a share of 20,000 draws: 0.0015; of the mean square: 0.01
    assert metrics.coverage(record, rows) == pytest.approx(math.erf(math.sqrt(2)), abs=0.006)
    assert metrics.nees(record, rows) == pytest.approx(1.0, abs=0.04)


@given(st.lists(st.floats(-50, 50), min_size=10, max_size=10), st.floats(0.1, 5), st.floats(0.1, 5))
def test_rms_is_at_most_the_maximum_and_coverage_grows_with_the_band(error, one, other):
    record = made(core_degC=error)
    assert metrics.rms_K(record, ALL) <= metrics.max_K(record, ALL)[0] * (1 + 1e-12)
    low, high = sorted((one, other))
    assert metrics.coverage(record, ALL, low) <= metrics.coverage(record, ALL, high)


def test_flags_of_chosen_sensors_cells_and_kinds():
    codes = np.zeros((10, 2))
    codes[3:, 1] = DRIFT
    codes[5, 0] = OPEN
    record = made(cells=2, sensors=("surface", "surface_left"), fault_surface_left=codes, heat_fault=codes[:, ::-1] > 0)
    assert metrics.flagged(record).any(axis=1).tolist() == [False] * 3 + [True] * 7
    assert not metrics.flagged(record, sensors=("surface",), flags=("drift", "open")).any()
    assert metrics.flagged(record, ("open",)).any(axis=1).nonzero()[0].tolist() == [5]
    assert metrics.flagged(record, ("heat",), cells=(1,)).any(axis=1).nonzero()[0].tolist() == [5]
    assert metrics.flagged(record, ("drift",), cells=(0,)).sum() == 0


def test_a_fault_lasts_from_what_it_first_changes_until_its_time_is_over():
    active = np.array([0, 1, 1, 1, 1, 0, 0, 1, 1, 0])
    injected = np.array([0, 0, 1, 0, 1, 0, 0, 0, 0, 0])
    record = made(faults=("f",), f__active=active, f__injected=injected)
    assert metrics.under(record, "f").nonzero()[0].tolist() == [2, 3, 4]
    assert metrics.windows(record, "f") == [(3.0, 6.0)]
    assert metrics.windows(made(faults=("f",), f__active=1.0), "f") == [(1.0, 10.0)]


def test_time_to_detect_counts_from_the_fault_and_not_what_was_said_before():
    flags = np.zeros((10, 2), bool)
    flags[6:, 0] = True
    record = made()
    assert metrics.detected_after_s(record, (4.0, 10.0), flags) == 3.0
    assert metrics.detected_after_s(record, (7.0, 10.0), flags) == 0.0
    assert math.isnan(metrics.detected_after_s(record, (8.0, 10.0), flags))
    flags[8:, 1] = True  # another one rises while the first stands
    assert metrics.detected_after_s(record, (8.0, 10.0), flags) == 1.0
    assert math.isnan(metrics.detected_after_s(record, (1.0, 5.0), flags))


@given(st.integers(1, 9), st.integers(0, 9))
def test_a_flag_that_rises_later_is_detected_later(begin, rise):
    flags = (np.arange(10) >= rise)[:, None]
    found = metrics.detected_after_s(made(), (float(begin), 10.0), flags)
    if rise + 1 < begin:
        assert math.isnan(found)  # it was there before
    else:
        assert found == rise + 1 - begin


def test_an_alarm_is_a_rise_or_what_still_stands_where_one_looks_again():
    flags = np.array([[0, 1, 1, 0, 1, 0, 0, 1, 1, 1]], bool).T
    assert metrics.alarms(flags, ALL) == 3
    rows = ALL.copy()
    rows[7] = False
    assert metrics.alarms(flags, rows) == 3
    rows[4] = False
    assert metrics.alarms(flags, rows) == 2
    assert metrics.alarms(np.hstack([flags, flags]), ALL) == 6


def test_recovery_is_when_the_error_stays_small():
    error = np.array([0, 0, 3, 3, 0.5, 2, 0.5, 0.4, 0.1, 0.1])
    record = made(core_degC=error)
    assert metrics.recovery_s(record, 4.0, 1.0) == 3.0
    assert metrics.recovery_s(record, 8.0, 1.0) == 0.0
    assert metrics.recovery_s(record, 4.0, 1.0, until_s=6.0) == 1.0
    assert math.isnan(metrics.recovery_s(record, 4.0, 0.05))
    silent = made(core_degC=np.where(np.arange(10) == 9, np.nan, 0.0))
    assert math.isnan(metrics.recovery_s(silent, 4.0, 1.0))


def test_only_an_answer_in_time_that_makes_sense_counts():
    status = [Status.OK] * 7 + [Status.LATE, Status.GARBAGE, Status.DEAD]
    assert metrics.answered(made(status=status), ALL) == 0.7
