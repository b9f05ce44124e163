"""Verdicts on records by hand: what passes, what fails, what cannot be judged, and what of a run counts."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent))

from hil_records import made

from bmsthermal.faults import BIAS, DRIFT, OPEN
from hil.outcome import Outcome
from hil.requirements import judge
from hil.scenario import Scenario
from hil.signals import Status

K = 100
TIME = np.arange(1, K + 1)
SENSORS = ("surface", "surface_left")


def verdict(record, timing=None, *, profile=None, **requirement):
    """Result of one requirement."""
    scenario = Scenario(
        name="hand", title="By hand", initial_soc=0.5, requirements=[{"id": "R", **requirement}],
        profile=profile or [{"kind": "steps", "steps": f"rest {K}s"}], observer={"sensors": SENSORS},
        faults=[{"name": name, "kind": "bias", "offset_K": 1, "target": "surface"} for name in record.faults],
    )  # fmt: skip
    (result,) = judge(scenario, record, timing or {})
    return result, Outcome(scenario, "hand", record, (result,)).passed


def run(**columns):
    """Record with a fault from 41 s to 60 s."""
    active = (TIME > 40) & (TIME <= 60)
    return made(K, sensors=SENSORS, faults=("f",), **({"f__active": active, "f__enabled": 1.0} | columns))


def test_core_error_by_what_happens():
    record = run(core_degC=np.where(TIME < 10, 5.0, np.where((TIME > 40) & (TIME <= 60), 2.0, 0.5)))
    ask = {"kind": "core_error_K", "max_K": 1.0}
    assert verdict(record, **ask)[0].passed is False
    assert (
        verdict(record, **ask, during="healthy")[0].found == "1.74 K rms, 5.00 K max at 1 s"
    )  # (9 x 25 + 71 x 0.25) / 80
    result, passed = verdict(record, **ask, during="healthy", settle_s=10.0)
    assert (result.passed, passed, result.found) == (True, True, "0.50 K rms, 0.50 K max at 10 s")
    assert verdict(record, **ask, during="f")[0].found.startswith("2.00 K rms")
    assert verdict(record, kind="core_error_K", rms_K=1.99, during="faulted")[0].passed is False
    assert verdict(record, kind="core_error_K", rms_K=2.0, during="faulted")[0].passed is True


def test_after_a_fault_settling_counts_from_its_end():
    record = run(core_degC=np.where((TIME > 60) & (TIME <= 70), 3.0, 0.0))
    assert verdict(record, kind="core_error_K", max_K=1.0, during="healthy")[0].passed is False
    assert verdict(record, kind="core_error_K", max_K=1.0, during="healthy", settle_s=11.0)[0].passed is True


def test_a_missing_answer_fails_and_no_rows_are_not_judged():
    result, _ = verdict(run(core_degC=np.where(TIME == 50, np.nan, 0.0)), kind="core_error_K", max_K=1.0)
    assert (result.passed, result.found) == (False, "no estimate in 1 of 100 steps")
    result, passed = verdict(run(), kind="core_error_K", max_K=1.0, settle_s=1000.0)
    assert (result.passed, passed) == (None, False)
    assert verdict(run(), kind="core_error_K", max_K=1.0, settle_s=1000.0, optional=True)[1] is True


def test_without_power_nothing_is_asked_and_everything_settles_again():
    profile = [
        {"kind": "steps", "steps": "rest 40s"}, {"kind": "key_off", "duration_s": 20.0},
        {"kind": "steps", "steps": "rest 40s"},
    ]  # fmt: skip
    off = (TIME > 40) & (TIME <= 60)
    wrong = np.where(off, np.nan, np.where((TIME > 60) & (TIME <= 65), 3.0, 0.0))
    record = made(K, sensors=SENSORS, core_degC=wrong, status=np.where(off, Status.OFF, Status.OK))
    assert verdict(record, profile=profile, kind="alive")[0].passed is True
    assert verdict(record, profile=profile, kind="core_error_K", max_K=1.0)[0].found.endswith("3.00 K max at 61 s")
    assert verdict(record, profile=profile, kind="core_error_K", max_K=1.0, settle_s=6.0)[0].passed is True


def test_coverage():
    record = run(core_degC=np.where(TIME <= 10, 3.0, 0.0))
    result, _ = verdict(record, kind="coverage", at_least=0.9)
    assert (result.passed, result.found, result.bound) == (True, "90.0 %, NEES 0.90", "at least 90 %")
    assert verdict(record, kind="coverage", at_least=0.95)[0].passed is False
    assert verdict(record, kind="coverage", at_least=0.95, sigmas=3.0)[0].passed is True


def test_detection_by_the_right_sensor_with_the_right_name_in_time():
    record = run(fault_surface=np.where(TIME > 45, DRIFT, 0), fault_surface_left=np.where(TIME > 20, BIAS, 0))
    ask = {"kind": "detect", "fault": "f"}
    assert verdict(record, **ask, within_s=5.0)[0].found == "after 5 s"
    assert verdict(record, **ask, within_s=4.0)[0].passed is False
    assert verdict(record, **ask, within_s=5.0, flags=["open"])[0].found == "not flagged"
    assert verdict(record, **ask, within_s=5.0, sensors=["surface_left"])[0].passed is False
    assert verdict(made(K, sensors=SENSORS, faults=("f",)), **ask, within_s=5.0)[0].found == "was never injected"


def test_a_short_fault_may_be_flagged_after_it_is_over():
    record = run(f__active=TIME == 41, fault_surface=np.where(TIME > 44, DRIFT, 0))
    assert verdict(record, kind="detect", fault="f", within_s=4.0)[0].found == "after 4 s"
    assert verdict(record, kind="detect", fault="f", within_s=3.0)[0].passed is False


def test_a_run_of_no_steps_or_without_power_is_not_judged_and_not_passed():
    kinds = [
        {"kind": "core_error_K", "max_K": 1.0}, {"kind": "coverage", "at_least": 0.9}, {"kind": "alive"},
        {"kind": "detect", "fault": "f", "within_s": 1.0}, {"kind": "false_alarms"},
        {"kind": "latency", "age_steps": 1}, {"kind": "recovery", "fault": "f", "within_K": 1.0, "within_s": 1.0},
    ]  # fmt: skip
    off = [{"kind": "key_off", "duration_s": float(K)}]
    for kind in kinds:
        for record, profile in ((made(0, sensors=SENSORS, faults=("f",)), None), (run(), off)):
            result, passed = verdict(record, profile=profile, **kind)
            assert (result.passed, passed, result.found) == (None, False, "the device never had power")


def test_each_injection_has_to_be_found():
    active = (TIME % 50 > 20) & (TIME % 50 < 40)
    flags = np.where((TIME > 20) & (TIME < 45), OPEN, 0)
    record = run(f__active=active, fault_surface=flags)
    result, _ = verdict(record, kind="detect", fault="f", within_s=5.0)
    assert (result.passed, result.found) == (False, "after 0 s, 1 of 2 injections missed")


def test_false_alarms_are_counted_out_of_faults_or_of_the_others_in_them():
    flags = np.where((TIME > 45) & (TIME <= 75), DRIFT, 0)
    record = run(fault_surface=flags)
    ask = {"kind": "false_alarms"}
    result, _ = verdict(record, **ask)
    assert (result.passed, result.found) == (False, "1 in 0.02 h, the first at 61 s (surface)")
    assert verdict(record, **ask, per_hour=50.0)[0].passed is True  # one in 80 s is 45 an hour
    assert verdict(record, **ask, recovery_s=16.0)[0].passed is True
    assert verdict(record, **ask, during="f", sensors=["surface_left"])[0].passed is True
    assert verdict(record, **ask, during="f", sensors=["surface"])[0].passed is False


def test_recovery_from_the_end_of_the_fault_to_the_end_or_the_next():
    record = run(core_degC=np.where((TIME > 50) & (TIME <= 72), 3.0, 0.0))
    ask = {"kind": "recovery", "fault": "f", "within_K": 1.0}
    assert verdict(record, **ask, within_s=12.0)[0].found == "after 12 s"
    assert verdict(record, **ask, within_s=11.0)[0].passed is False
    assert verdict(run(core_degC=np.where(TIME > 50, 3.0, 0.0)), **ask, within_s=50.0)[0].found == "not to the end"
    lasting = verdict(run(f__active=TIME > 40), **ask, within_s=50.0)[0]
    assert (lasting.passed, lasting.found) == (None, "the fault does not end")
    assert verdict(run(f__active=TIME > 1e9), **ask, within_s=50.0)[0].found == "was never injected"
    # a second fault later is no matter of the first one's recovery
    later = run(f__active=((TIME > 20) & (TIME <= 30)) | (TIME > 90), core_degC=np.where(TIME > 90, 9.0, 0.0))
    assert verdict(later, **ask, within_s=1.0)[0].passed is True


def test_latency_on_each_clock():
    record = run(answer_age_s=np.where(TIME == 7, 2.0, 0.0))
    assert verdict(record, kind="latency", age_steps=2)[0].passed is True
    assert verdict(record, kind="latency", age_steps=1)[0].found == "2 steps"
    real = {"clock": "real", "tasks": {"device": {"execution": {"max_s": 0.004}}}}
    still = real | {"clock": "virtual"}
    assert verdict(record, real, kind="latency", step_ms=5.0)[0].found == "4 ms at most"
    assert verdict(record, real, kind="latency", step_ms=3.0)[0].passed is False
    assert verdict(record, still, kind="latency", step_ms=3.0)[0].passed is None
    assert verdict(record, still, kind="latency", step_ms=3.0, age_steps=1)[0].passed is False


def test_overruns_are_what_the_clock_counted():
    assert verdict(run(), {"overruns": 2}, kind="overruns", at_most=2)[0].passed is True
    assert verdict(run(), {"overruns": 3}, kind="overruns", at_most=2)[0].passed is False
    assert verdict(run(), kind="overruns")[0].passed is None


def test_what_cannot_be_detected_is_written_down_and_fails_nothing():
    result, passed = verdict(run(), kind="undetected", fault="f", reason="one sensor says nothing of itself")
    assert (result.passed, passed) == (None, True)
    assert result.found == "not flagged: one sensor says nothing of itself"
    flagged = run(fault_surface=np.where(TIME > 43, DRIFT, 0))
    result, _ = verdict(flagged, kind="undetected", fault="f", reason="so it was thought")
    assert result.found.startswith("something flagged after 3 s")


@given(st.floats(0.01, 10), st.floats(0.01, 10), st.integers(0, 90))
def test_a_wider_bound_never_fails_what_a_narrower_one_passed(one, other, settle_s):
    error = 3 * np.sin(TIME / 7) * np.exp(-TIME / 50)
    low, high = sorted((one, other))
    ask = {"kind": "core_error_K", "settle_s": float(settle_s)}
    narrow, wide = (verdict(run(core_degC=error), **ask, max_K=bound)[0].passed for bound in (low, high))
    assert wide or not narrow


@pytest.mark.parametrize("kind", ["core_error_K", "coverage", "detect", "false_alarms", "recovery", "alive", "latency"])
def test_every_requirement_says_what_it_asks_in_words_and_figures(kind):
    given_ = {
        "core_error_K": {"max_K": 1, "rms_K": 0.5}, "coverage": {"at_least": 0.9},
        "detect": {"fault": "f", "within_s": 9}, "false_alarms": {}, "alive": {},
        "recovery": {"fault": "f", "within_K": 1, "within_s": 9},
        "latency": {"age_steps": 1, "step_ms": 2},
    }[kind]  # fmt: skip
    result, _ = verdict(run(), {}, kind=kind, **given_)
    assert result.text.endswith(".")
    assert result.text[0].isupper()
    assert result.bound
    assert verdict(run(), {}, kind=kind, text="In words.", **given_)[0].text == "In words."
