"""The commands of the bench, as a person types them."""

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bmsthermal.cli import application
from bmsthermal.errors import InputError
from bmsthermal.observer import compiled
from hil.campaign import load_campaign
from hil.faults import KINDS
from hil.scenario import shipped

RUNNER = CliRunner()


def call(*words, code=0):
    found = RUNNER.invoke(application(), ["hil", *map(str, words)], catch_exceptions=False)
    assert found.exit_code == code, found.output
    return found.output


def test_list_names_every_scenario_and_every_kind_of_fault():
    said = call("list")
    assert all(name in said for name in shipped())
    folder = Path(said.strip().splitlines()[-1].partition(": ")[2])
    assert {file.stem for file in folder.glob("*.toml")} == set(shipped())
    words = re.sub(r"\s", "", call("list", "--faults"))
    assert all(kind in words for kind in KINDS)


def test_there_are_at_least_twelve_scenarios_and_those_that_were_asked_for():
    asked = {"us06", "udds", "wltc", "cold_start", "hot_soak", "fast_charge", "cooling_pump_off", "internal_short"}
    asked |= {f"sensor_{what}" for what in ("open", "short", "stuck", "swap", "detached")}
    assert asked | {"us06_sensor_drift", "can_loss", "key_off_key_on"} <= set(shipped())


def test_the_shipped_campaign_has_every_kind():
    assert {case.fault.kind for case in load_campaign("faults").case} == set(KINDS)


@pytest.mark.skipif(not compiled(), reason="the compiled kernel is missing")
def test_run_writes_what_is_asked_and_ends_with_the_verdict(tmp_path):
    page, junit, log = tmp_path / "report.html", tmp_path / "results.xml", tmp_path / "log.csv"
    said = call(
        "run", "us06_sensor_drift", "--device", "model", "--compare", "none", "--report", page, "--junit", junit,
        "--log", log,
    )  # fmt: skip
    assert "Passed" in said and "DETECT-1" in said
    assert page.read_text().lower().startswith("<!doctype html>") and page.stat().st_size < 1_000_000
    assert "<testsuites>" in junit.read_text() and log.read_text().startswith("time_s,command_A")
    again = tmp_path / "again.csv"
    call("run", "us06_sensor_drift", "--device", "model", "--log", again)
    assert again.read_bytes() == log.read_bytes()


@pytest.mark.skipif(not compiled(), reason="the compiled kernel is missing")
def test_a_run_that_fails_ends_with_1():
    assert "FAILED" in call("run", "us06_sensor_drift", "--device", "model", "--duration-s", 200, code=1)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("run", "us07"), "no scenario 'us07'"),
        (("run", "us06", "--device", "board"), "device 'board'"),
        (("run", "us06", "--clock", "slow"), "no clock 'slow'"),
        (("run", "us06", "--policy", "never"), "no overrun policy 'never'"),
        (("run", "us06", "--report", "page.pdf"), "ends in '.pdf'"),
        (("run", "us06", "--duration-s", "0"), "expected 1 to 1200 s"),
        (("run", "us06", "--device", "model", "--compare", "z80"), "z80"),
        (("campaign", "nothing.toml"), "no campaign"),
        (("campaign", "faults", "--seeds", "one"), "whole numbers"),
        (("device", "no_such_cell"), "no_such_cell"),
    ],
)
def test_what_cannot_be_is_refused_before_any_work(words, said):
    with pytest.raises(InputError, match=re.escape(said)):
        call(*words)
