"""JUnit XML: what a build server reads of a verdict."""

from __future__ import annotations

import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from hil_outcomes import RESULTS, outcome

from bmsthermal.errors import InputError
from hil.outcome import Result

pytest.importorskip("junitparser", reason="junitparser is not installed")
from hil.verdict import write_junit


def cases(path):
    return {case.get("name"): case for case in ET.parse(path).getroot().iter("testcase")}


def test_a_requirement_is_a_case(tmp_path):
    write_junit(outcome(steps=10), tmp_path / "r.xml")
    found = cases(tmp_path / "r.xml")
    assert list(found) == [each.requirement for each in RESULTS]
    assert all(case.get("classname") == "us06_sensor_drift" for case in found.values())
    assert len(found["CORE-1"]) == 0
    (failure,) = found["ALIVE-1"]
    assert failure.tag == "failure"
    assert "99.47 %" in failure.get("message")
    assert "at least 100 % of steps" in failure.get("message")
    (skipped,) = found["TIME-1"]
    assert (skipped.tag, skipped.get("message")) == ("skipped", "no real clock, no overruns")


def test_a_run_that_ended_early_is_an_error(tmp_path):
    write_junit(outcome(steps=10, ended="it hangs"), tmp_path / "r.xml")
    (error,) = cases(tmp_path / "r.xml")["runs to its end"]
    assert (error.tag, error.get("message")) == ("error", "it hangs")
    suite = ET.parse(tmp_path / "r.xml").getroot().find("testsuite")
    assert [suite.get(key) for key in ("tests", "errors", "failures", "skipped")] == ["5", "1", "1", "1"]


def test_same_run_same_bytes(tmp_path):
    for name in ("a.xml", "b.xml"):
        write_junit([outcome(steps=10, seed=seed) for seed in (1, 2)], tmp_path / name)
    assert (tmp_path / "a.xml").read_bytes() == (tmp_path / "b.xml").read_bytes()
    assert len(ET.parse(tmp_path / "a.xml").getroot().findall("testsuite")) == 2


def test_what_a_device_says_cannot_break_the_file(tmp_path):
    text = '\x00\x1b[31m<&>"\ud800 ü'
    write_junit(outcome(steps=10, results=(Result("A", text, False, text, text),), ended=text), tmp_path / "r.xml")
    (failure,) = cases(tmp_path / "r.xml")["A"]
    assert "<&>" in failure.get("message")


def test_the_file_is_xml(tmp_path):
    with pytest.raises(InputError, match="xml"):
        write_junit(outcome(steps=10), tmp_path / "r.json")
