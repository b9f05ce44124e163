"""The loop and its verbs: what is commanded, written and captured is what the record says, to the bit."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bmsthermal.errors import InputError
from bmsthermal.observer import compiled
from hil.bench import open_bench, run_scenario
from hil.record import column_names
from hil.scenario import load_scenario
from hil.signals import Status

if not compiled():
    pytest.skip("the compiled kernel is missing", allow_module_level=True)


@pytest.fixture
def bench():
    with open_bench("us06", device="model") as opened:
        yield opened


def test_columns_are_those_that_are_promised(bench):
    assert bench.names == column_names(1, ("surface",), ())
    bench.step(3)
    assert bench.record.time_s.tolist() == [1.0, 2.0, 3.0]
    assert not np.isnan(bench.record.rows).any()


def test_read_before_the_first_step_is_nothing(bench):
    assert np.isnan(bench.read("core_degC"))


@given(current_A=st.floats(-50, 50))
@settings(max_examples=10, deadline=None)
def test_write_a_current_is_what_flows_until_release(current_A):
    with open_bench("us06", device="model") as bench:
        bench.step(5)
        bench.write("command_A", current_A)
        bench.step(5)
        assert (bench.record["true_current_A"][5:] == current_A).all()
        bench.release("command_A")
        bench.step(5)
        own = run_scenario("us06", device="model", duration_s=15).record
        assert (bench.record["command_A"][10:] == own["command_A"][10:]).all()


def test_write_a_reading_reaches_the_device_and_not_the_plant(bench):
    bench.step(30)
    bench.write("seen_surface_degC", 40.0)
    bench.step(1)
    assert bench.read("seen_surface_degC") == pytest.approx(40.0, abs=1e-9)  # to kelvin and back
    assert bench.read("true_surface_degC") < 30.0
    assert bench.read("fault_surface") > 0


@pytest.mark.parametrize("name", ["seen_current_A", "seen_voltage_V", "seen_ambient_degC"])
def test_write_each_reading(bench, name):
    bench.write(name, 12.0)
    bench.step(2)
    assert bench.read(name) == pytest.approx(12.0, abs=1e-9)


def test_stimulate_is_a_straight_line_from_now_on_with_its_ends_held(bench):
    bench.step(10)
    bench.stimulate("command_A", [0.0, 10.0], [0.0, 20.0])
    bench.step(15)
    # a command counts from the begin of its step: 0, 2, 4, ... 20, 20, 20
    assert bench.record["command_A"][10:] == pytest.approx(np.minimum(2.0 * np.arange(15), 20.0), abs=1e-12)


@pytest.mark.parametrize(
    ("name", "value"),
    [("command_A", np.nan), ("command_A", np.inf), ("command_A", "x"), ("seen_surface_degC", 1j),
     ("seen_surface_degC", None), ("cooling", [1.0, 2.0])],
)  # fmt: skip
def test_what_is_no_number_is_not_written(bench, name, value):
    if value is not None:  # which numpy takes for a reading that is not there
        with pytest.raises(InputError):
            bench.write(name, value)
    with pytest.raises(InputError):
        bench.stimulate(name, [0.0], [value, value])
    bench.step(1)
    assert bench.done == 1


@pytest.mark.parametrize("steps", [-1, 1.5, np.nan, "x", None, 10**9])
def test_a_number_of_steps_that_is_none(bench, steps):
    with pytest.raises(InputError, match="steps after 0"):
        bench.step(steps)


@pytest.mark.parametrize(
    "given", [{"clock": 3}, {"policy": None}, {"bus": 3}, {"device": 3}, {"seed": 1.5}, {"seed": -1}, {"scenario": 3}]
)
def test_wrong_types_are_refused(given):
    with pytest.raises(InputError):
        run_scenario(**{"scenario": "us06", "device": "model"} | given)


def test_capture_begins_at_the_next_step_and_grows(bench):
    bench.step(4)
    capture = bench.capture("core_degC")
    assert len(capture["core_degC"]) == 0
    bench.step(3)
    assert capture.time_s.tolist() == [5.0, 6.0, 7.0]
    assert capture["core_degC"].tolist() == bench.record["core_degC"][4:].tolist()
    with pytest.raises(InputError, match="not captured"):
        capture["heat_fault"]


@pytest.mark.parametrize(
    ("verb", "words", "said"),
    [
        ("read", ("cor_degC",), "no signal 'cor_degC'"),
        ("write", ("core_degC", 1.0), "is a result"),
        ("write", ("cooling", "off"), "'off'"),
        ("stimulate", ("command_A", [0.0, 0.0], [1.0, 2.0]), "increase"),
        ("stimulate", ("command_A", [], []), "a table of shapes"),
        ("capture", ("nothing",), "no signal 'nothing'"),
        ("release", ("nothing",), "no signal 'nothing'"),
        ("step", (100_000,), "whole steps"),
        ("step", (0.5,), "whole steps"),
    ],
)
def test_what_cannot_be_is_refused(bench, verb, words, said):
    with pytest.raises(InputError, match=said):
        getattr(bench, verb)(*words)


@pytest.mark.parametrize("name", ["us06_sensor_drift", "can_loss", "module_branch"])
def test_two_runs_are_the_same_to_the_bit(name):
    first, second = (run_scenario(name, device="sil", duration_s=400) for _ in range(2))
    assert first.record.digest == second.record.digest
    assert first.record.said == second.record.said
    assert [str(frame) for frame in first.frames] == [str(frame) for frame in second.frames]
    assert first.timing == second.timing
    assert run_scenario(name, device="sil", duration_s=400, seed=99).record.digest != first.record.digest


def test_a_device_without_power_says_nothing_and_starts_anew():
    scenario = load_scenario("key_off_key_on")
    record = run_scenario(scenario, device="model").record
    off = record["status"] == Status.OFF
    assert off.any() and np.isnan(record["core_degC"][off]).all()
    woken = int(np.flatnonzero(off)[-1]) + 1
    assert record["status"][woken] == Status.OK and np.isfinite(record["core_degC"][woken])


def test_charge_that_flowed_is_charge_that_is_missing():
    record = run_scenario("hot_soak", device="model").record
    flowed_Ah = record["true_current_A"][1:].sum() / 3600
    capacity_Ah = flowed_Ah / (record["true_soc"][0] - record["true_soc"][-1])
    # the spread of capacity is 1 % by default: five sigma of it
    assert capacity_Ah == pytest.approx(load_scenario("hot_soak").loaded.capacity_Ah, rel=0.05)


def test_a_run_that_is_cut_has_its_length():
    outcome = run_scenario("us06", device="model", duration_s=100)
    assert len(outcome.record.time_s) == 100
    with pytest.raises(InputError, match="expected 1 to 1200 s"):
        run_scenario("us06", device="model", duration_s=1e6)


def test_the_verdict_says_which_database_was_on_the_bus():
    digests = run_scenario("can_loss", device="model", duration_s=5).digests
    assert {"scenario", "cell", "plant", "model", "kernel", "bus", "record"} <= set(digests)
