"""Strip charts: extremes survive thinning, numbers survive coding, a module shows its extremes."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent))

from hil_outcomes import outcome, record

from hil.verdict.strips import Strips, steps, thinned, whole_numbers


@given(st.lists(st.floats(-1e6, 1e6) | st.just(float("nan")), min_size=1, max_size=400), st.integers(2, 60))
def test_extremes_survive_thinning(values, points):
    column = np.array(values)
    found = thinned({"time": np.arange(len(column), dtype=float), "value": column}, points)
    assert len(found["time"]) == len(found["value"]) <= max(len(column) if len(column) <= points else points, 2)
    assert (np.diff(found["time"]) > 0).all()
    if np.isnan(column).all():
        assert np.isnan(found["value"]).all()
    else:
        assert np.nanmin(found["value"]) == np.nanmin(column)
        assert np.nanmax(found["value"]) == np.nanmax(column)


def test_extremes_keep_their_order():
    rising = np.arange(1000.0)
    assert (np.diff(thinned({"time": rising, "up": rising}, 20)["up"]) > 0).all()
    assert (np.diff(thinned({"time": rising, "down": -rising}, 20)["down"]) < 0).all()


def test_a_single_flag_is_not_lost():
    flag = np.zeros(100_000)
    flag[54_321] = 2
    found = thinned({"time": np.arange(1e5), "flag": flag}, 100)
    assert found["flag"].max() == 2
    assert abs(found["time"][found["flag"].argmax()] - 54_321) < 1e5 / 50


@given(st.lists(st.floats(allow_nan=True, allow_infinity=True), min_size=1, max_size=50))
def test_numbers_are_whole_and_their_steps_add_up(values):
    (numbers,) = whole_numbers({"a": np.array(values)}, {"a": 2})
    assert all(number is None or type(number) is int for number in numbers)
    assert [number is None for number in numbers] == [not np.isfinite(value) for value in values]
    (moved,) = steps([numbers])
    total, back = 0, []
    for step in moved:
        total += step or 0
        back.append(None if step is None else total)
    assert back == numbers


@pytest.mark.parametrize("cells", [1, 5])
def test_every_line_has_its_numbers(cells):
    made = record(cells, steps=50)
    strips = Strips(made.names)
    assert (strips.cells, strips.sensors, strips.faults) == (cells, made.sensors, made.faults)
    signals = strips.signals(made.rows)
    assert list(strips.keys()) == list(signals)
    drawn = [line["key"] for chart in strips.charts() for line in chart.get("lines", chart.get("lanes"))]
    assert set(drawn) <= set(signals)
    assert all(column.shape == (50,) for column in signals.values())


def test_a_module_shows_its_extremes_and_its_worst_cell():
    made = record(5, steps=50)
    true, said = made.each("true_core_degC"), made.each("core_degC").copy()
    rows = made.rows.copy()
    rows[:, made.names.index("core_degC[3]")] += 7.0
    signals = Strips(made.names).signals(rows)
    np.testing.assert_array_equal(signals["hot"], true.max(1))
    np.testing.assert_array_equal(signals["cold"], true.min(1))
    np.testing.assert_array_equal(signals["worst"], 3)
    np.testing.assert_allclose(signals["error"], said[:, 3] + 7 - true[:, 3])


def test_a_module_whose_device_says_nothing_is_drawn_too():
    made = record(3, steps=20)
    rows = made.rows.copy()
    first = made.names.index("core_degC[0]")
    rows[:, first : first + 6] = np.nan
    signals = Strips(made.names).signals(rows)
    assert np.isnan(signals["error"]).all()
    assert np.isfinite(signals["hot"]).all()


def test_device_states_are_lanes():
    lanes = Strips(outcome(steps=20).record.names).charts()[-1]["lanes"]
    assert lanes[0]["words"][3] == "injected"
    assert next(lane for lane in lanes if lane["key"] == "status")["words"][:4] == ["ok", "late", "garbage", "dead"]
