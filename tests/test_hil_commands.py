"""The commands of the bench, as a person types them."""

import re
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bmsthermal.cli import application
from bmsthermal.errors import InputError
from bmsthermal.observer import compiled
from hil.bench import run_scenario
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


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--seed", "-1"), "seed -1"), (("--seed", str(2**32)), "expected 0 to 4294967295"),
        (("--compare", "host,nosuch"), "nosuch"),
    ],
)  # fmt: skip
def test_a_run_is_refused_before_it_begins(words, said, monkeypatch):
    monkeypatch.setattr("hil.bench.open_bench", lambda *_, **__: pytest.fail("it began"))
    with pytest.raises(InputError, match=said):
        call("run", "us06", "--device", "model", *words)


@pytest.mark.parametrize(
    ("words", "package", "extra"),
    [
        (("run", "us06", "--junit", "a.xml"), "junitparser", "hil"),
        (("run", "us06", "--log", "a.mf4"), "asammdf", "mdf"),
        (("run", "us06", "--bus", "virtual", "--frames", "a.mf4"), "asammdf", "mdf"),
        (("campaign", "faults", "--junit", "a.xml"), "junitparser", "hil"),
    ],
)
def test_what_is_not_installed_is_said_before_a_run(words, package, extra, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.setattr("hil.bench.run_scenario", lambda *_, **__: pytest.fail("it began"))
    monkeypatch.setattr("hil.campaign.run_campaign", lambda *_, **__: pytest.fail("it began"))
    with pytest.raises(InputError, match=rf"bmsthermal\[{extra}\]"):
        call(*words)
    assert not [*tmp_path.iterdir()]


@pytest.mark.skipif(not compiled(), reason="the compiled kernel is missing")
@pytest.mark.parametrize("more", [("--log", "a.csv"), ("--frames", "a.asc")])
def test_a_log_that_cannot_be_written_costs_no_verdict(more, tmp_path, monkeypatch):
    def full(*_, **__):
        raise InputError("cannot be written (No space left on device)")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("hil.logs.write", full)
    monkeypatch.setattr("hil.logs.passing.write_frames", full)
    with pytest.raises(InputError, match="No space left"):
        call("run", "us06", "--device", "model", "--bus", "virtual", "--duration-s", 60, "--junit", "a.xml", *more)
    assert "<testsuites>" in (tmp_path / "a.xml").read_text()


@pytest.mark.parametrize("package", ["can", "cantools", "crccheck"])
@pytest.mark.parametrize(
    "words",
    [
        ("run", "us06", "--device", "model", "--bus", "virtual"), ("run", "us06", "--device", "can"),
        ("device", "a123_26650"),
    ],
)  # fmt: skip
def test_a_bus_without_its_packages_is_refused(package, words, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(InputError, match=r"which is missing.*bmsthermal\[can\]"):
        call(*words)


@pytest.mark.skipif(not compiled(), reason="the compiled kernel is missing")
def test_a_log_of_frames_that_cannot_be_ended_is_named(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("hil.logs.frames.FrameLog.__exit__", full)
    log = tmp_path / "a.blf"
    with pytest.raises(InputError, match=r"a\.blf: cannot be written \(No space left"):
        call("run", "us06", "--device", "model", "--bus", "virtual", "--duration-s", 60, "--frames", log)


@pytest.mark.skipif(not compiled(), reason="the compiled kernel is missing")
def test_a_log_that_fails_is_no_fault_of_the_device():
    def full(_):
        raise OSError(28, "No space left on device")

    found = run_scenario("us06", device="model", bus="virtual", duration_s=60, log=full)
    assert found.record["status"].max() == 0
    said = [words for _, words in found.record.said]
    assert said == ["the log of frames ends here: [Errno 28] No space left on device"]


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
