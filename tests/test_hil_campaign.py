"""Campaigns: cases on one scenario, what is found and what not, crashes that are rows, the same answer every time."""

import operator
import os
from functools import partial

import numpy as np
import pytest

import hil.bench
from bmsthermal import InputError
from hil.campaign import Campaign, load_campaign, run_campaign
from hil.faults import KINDS
from hil.processes import in_processes

SHORT = {
    "name": "short", "base": "us06",
    "scenario": {
        "duration_s": 40.0, "profile": [{"kind": "drive", "schedule": "us06"}],
        "observer": {"sensors": ["surface_a", "surface_b"], "start_error_K": 0.0},
    },
}  # fmt: skip
OPEN = {"fault": {"kind": "open", "target": "surface_a", "at_s": 20}, "detectable": True, "within_s": 5}
NOISE = {
    "fault": {"kind": "noise", "target": "surface_b", "sigma_K": 0.001, "at_s": 20},
    "detectable": False, "reason": "far below the noise of the sensor itself",
}  # fmt: skip


def campaign(*cases, **given):
    return Campaign.model_validate(SHORT | {"case": list(cases)} | given)


def test_a_case_is_the_scenario_with_its_fault_and_its_requirement():
    found = campaign(OPEN, NOISE | {"scenario": {"surroundings": {"ambient_degC": 5.0}, "plant": {"cells": 2}}})
    first, second = found.scenarios
    assert (first.name, second.name) == ("open", "noise")
    assert first.observer.sensors == ("surface_a", "surface_b")
    assert [fault.kind for fault in first.faults] == ["open"]
    assert [asked.kind for asked in first.requirements] == ["detect", "false_alarms"]
    assert [asked.kind for asked in second.requirements] == ["undetected", "false_alarms"]
    assert (first.plant.cells, second.plant.cells) == (1, 2)
    assert second.profile == first.profile


def test_what_is_found_is_told_and_the_rest_has_a_reason():
    outcome = run_campaign(campaign(OPEN, NOISE), seeds=[1, 2], device="model", workers=1)
    assert outcome.passed
    assert [(run.case.name, run.seed) for run in outcome.runs] == [("open", 1), ("open", 2), ("noise", 1), ("noise", 2)]
    assert [run.found for run in outcome.runs] == [True, True, False, False]
    assert outcome.runs[0].flags == ("open",)
    assert outcome.runs[0].after_s <= 5.0
    assert all(run.false_alarms == 0 for run in outcome.runs)
    assert all(run.core_error_K < 1.0 for run in outcome.runs)
    first, second = outcome.rows()
    assert first[:4] == ("open", "open", "within 5 s", "2 of 2")
    assert second[2] == "not"
    assert outcome.reasons() == [("noise", NOISE["reason"])]


def test_what_should_be_found_and_is_not_fails():
    outcome = run_campaign(
        campaign(NOISE | {"detectable": True, "within_s": 5, "reason": ""}), device="model", workers=1
    )
    assert not outcome.passed
    assert np.isnan(outcome.runs[0].after_s)
    assert outcome.rows()[0][3] == "0 of 1"


def test_a_flag_that_does_not_count_is_no_detection():
    outcome = run_campaign(campaign(OPEN | {"flags": ["heat"]}), device="model", workers=1)
    assert not outcome.passed
    assert outcome.runs[0].flags == ("open",)
    assert not outcome.runs[0].found


def test_more_processes_say_the_same_in_the_same_order():
    told = []

    def digests(workers):
        outcome = run_campaign(
            campaign(OPEN, NOISE), seeds=[3], device="model", workers=workers,
            progress=lambda share, name: told.append((share, name)),
        )  # fmt: skip
        return [each.record.digest for each in outcome.outcomes]

    assert digests(2) == digests(3)
    assert [share for share, _ in told] == [0.5, 1.0] * 2
    assert {name for _, name in told} == {"open, seed 3", "noise, seed 3"}


def test_a_case_that_crashes_is_a_row_that_failed(monkeypatch):
    whole = hil.bench.run_scenario

    def fragile(scenario, **given):
        if scenario.name == "open":
            raise ZeroDivisionError("over the edge")
        return whole(scenario, **given)

    monkeypatch.setattr(hil.bench, "run_scenario", fragile)
    outcome = run_campaign(campaign(OPEN, NOISE), device="model", workers=1)
    assert not outcome.passed
    first, second = outcome.runs
    assert first.crashed == "ZeroDivisionError: over the edge"
    assert first.outcome.results[0].passed is False
    assert not first.found
    assert first.false_alarms == 0
    assert np.isnan(first.core_error_K)
    assert second.outcome.passed
    assert [row[3] for row in outcome.rows()] == ["0 of 1, 1 crashed", "0 of 1"]


def test_a_device_that_is_none_is_refused_before_any_case():
    with pytest.raises(InputError, match="toaster"):
        run_campaign(campaign(OPEN, NOISE), device="toaster")


def test_a_process_that_dies_takes_no_other_job_with_it():
    jobs = {number: partial(int, number) for number in range(5)} | {2: partial(os._exit, 3)}
    found = {}
    assert in_processes(jobs, operator.call, 2, found.__setitem__) == [2]
    assert found == {0: 0, 1: 1, 3: 3, 4: 4}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"case": [OPEN | {"within_s": None}]}, "within_s"),
        ({"case": [NOISE | {"reason": ""}]}, "reason"),
        ({"case": [OPEN, OPEN]}, "taken"),
        ({"case": [OPEN | {"scenario": {"seed": 4}}]}, "campaign's own"),
        ({"case": [OPEN | {"scenario": {"colour": 4}}]}, "colour"),
        ({"case": [OPEN | {"fault": OPEN["fault"] | {"kind": "gremlin"}}]}, "gremlin"),
        ({"base": "us07"}, "us07"),
        ({"seeds": []}, "seeds"),
    ],
)
def test_a_mistake_is_told(change, said):
    with pytest.raises(ValueError, match=said):
        Campaign.model_validate(SHORT | {"case": [OPEN]} | change)


def test_a_file_s_mistake_has_its_line(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text('base = "us06"\n[[case]]\nfault = { kind = "open", target = "surface" }\ndetectable = true\n')
    with pytest.raises(InputError, match=r"mine\.toml, line \d+, case.*within_s"):
        load_campaign(path)
    with pytest.raises(InputError, match="no campaign 'mine'"):
        load_campaign("mine")
    for seeds in ([], [1, 1], [-1]):
        with pytest.raises(InputError, match="seeds"):
            run_campaign(campaign(OPEN), seeds=seeds)
    with pytest.raises(InputError, match="workers"):
        run_campaign(campaign(OPEN), workers=0)


def test_the_shipped_campaign_has_every_kind():
    shipped = load_campaign("faults")
    assert {case.fault.kind for case in shipped.case} == {*KINDS}
    assert load_campaign("faults.toml") == shipped
    assert len(shipped.seeds) == 3


@pytest.mark.parametrize("seeds", [(1,), pytest.param((1, 2, 3), marks=pytest.mark.skipif(
    not os.environ.get("BMSTHERMAL_FULL"), reason="every case and seed: set BMSTHERMAL_FULL=1"))])  # fmt: skip
def test_all_that_is_detectable_is_found(seeds):
    shipped = load_campaign("faults")
    if len(seeds) == 1:  # the first case of each kind: those that are to be found come first
        first = {case.fault.kind: case for case in reversed(shipped.case)}
        less = {"case": tuple(first.values()), "scenario": shipped.scenario | {"duration_s": 2400.0}}
        shipped = Campaign.model_validate(shipped.model_dump(exclude_unset=True) | less)
    pytest.importorskip("can", reason="frames need python-can")
    outcome = run_campaign(shipped, seeds=seeds, workers=2)
    assert outcome.passed, [row for row in outcome.rows() if "0 of" in row[3]]
    assert all(run.false_alarms == 0 for run in outcome.runs)
