"""Scenarios: what is shipped, what a file may say, and what its mistakes are told with."""

from __future__ import annotations

import json
import os
import tomllib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bmsthermal import InputError
from hil.bench import open_bench
from hil.lines import lines_of
from hil.scenario import Scenario, load_scenario, shipped

NAMES = sorted(shipped())
GOOD = """\
# A good one.
title = "Good"
initial_soc = 0.5

[[profile]]
kind = "steps"
steps = "discharge 1C for 10s"

[[profile]]
kind = "drive"
schedule = "us06"

[surroundings]
ambient_degC = [[0.0, 25.0], [60.0, 40.0]]

[observer]
sensors = ["surface", "surface_left"]

[[faults]]
kind = "bias"
target = "surface"
offset_K = 2.0
at_s = 5.0

[[requirements]]
id = "R1"
kind = "core_error_K"
max_K = 1.0

[[requirements]]
id = "R2"
kind = "detect"
fault = "bias"
within_s = 60.0
"""


def told(tmp_path, text) -> str:
    """What is said of a file, without its folder."""
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(InputError) as error:
        load_scenario(path)
    return str(error.value).replace(f"{tmp_path}{os.sep}", "")


def test_those_of_the_issue_and_a_dozen_more_are_shipped():
    assert len(NAMES) >= 12
    assert {"us06", "udds", "wltc", "us06_sensor_drift", "cooling_pump_off", "can_loss", "key_off_key_on"} <= {*NAMES}


@pytest.mark.parametrize("name", NAMES)
def test_what_is_shipped_loads_says_what_it_is_for_and_comes_back_from_json(name):
    scenario = load_scenario(name)
    text = (scenario.folder / f"{name}.toml").read_text()
    assert text.startswith("# ")
    assert max(map(len, text.splitlines())) <= 120
    assert scenario.name == name
    assert 300 <= scenario.length_s <= 7200  # a run is seconds on a virtual clock
    again = Scenario.model_validate_json(scenario.model_dump_json())
    assert again.digest == scenario.digest
    profile = scenario.make_profile()
    current = [profile.current_A(t, None) for t in np.arange(0.0, scenario.length_s, 60.0)]
    assert np.isfinite(current).all()


def test_a_good_file_is_read(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(GOOD)
    scenario = load_scenario(path)
    assert (scenario.name, scenario.steps, scenario.length_s) == ("mine", 610, 610.0)
    assert scenario.make_observer() is scenario.make_observer()
    assert scenario.make_observer().measured == ("surface", "surface_left")


def test_an_editor_takes_from_the_schema_what_a_file_may_say():
    schema = Scenario.model_json_schema()
    assert json.dumps(schema).count("description") > 50
    assert {*schema["required"]} == {"title", "initial_soc", "profile"}
    assert schema["additionalProperties"] is False
    assert schema["$defs"]["Fault"]["additionalProperties"] is True  # the parameters of its kind


def test_an_observer_is_made_as_it_is_asked_for(tmp_path):
    path = tmp_path / "mine.toml"
    more = 'order = 5\nestimate = ["h"]\nnoise = { sensor_K = 0.07, log_h = 0.3 }\n\n[[faults]]'
    path.write_text(GOOD.replace("\n[[faults]]", more, 1))
    scenario = load_scenario(path)
    observer = scenario.make_observer()
    assert observer.reduced.order == 5
    assert observer.estimate == ("h",)
    assert (observer.noise.sensor_K, observer.noise.log_h, observer.noise.lag_s) == (0.07, 0.3, 8.0)


def test_a_copy_with_other_keys_is_another_scenario():
    scenario = load_scenario("us06")
    before = scenario.steps, scenario.digest
    copy = scenario.model_copy(update={"duration_s": 60.0})
    assert copy.steps == 60
    assert copy.digest != scenario.digest
    assert (scenario.steps, scenario.digest) == before


def test_values_of_the_cell_are_others_in_a_scenario():
    scenario = load_scenario("sensor_swap")
    assert scenario.loaded.h_W_m2K["bottom"] == 300.0
    assert load_scenario("us06").loaded.h_W_m2K == {"side": 25}
    assert scenario.make_observer().reduced.resolution == "r-z"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('title = "Good"\n', "", "line 1, title: no 'title'"),
        ('"Good"', "3", "line 2, title: found 3, expected a valid string"),
        ("initial_soc = 0.5", "initial_soc = 50", "line 3, initial_soc: found 50, expected less than or equal to 1"),
        ("initial_soc = 0.5", "initial_soc = nan", "line 3, initial_soc: found nan, expected a finite number"),
        ("initial_soc = 0.5", 'initial_soc = "0.5"', "line 3, initial_soc: found '0.5', expected a valid number"),
        ("initial_soc", "initial_sco", "line 3, initial_sco: unknown key 'initial_sco'; is 'initial_soc' meant?"),
        ('"us06"', '"us6"', "line 11, profile[1].schedule: no schedule 'us6', expected one of hwfet, udds, us06"),
        ('schedule = "us06"', 'schedule = "us06"\nrepat = 2', "line 12, profile[1].repat: unknown key 'repat'"),
        ('kind = "drive"', 'kind = "dirve"', "line 10, profile[1].kind: found kind 'dirve'"),
        ('kind = "drive"\n', "", "line 9, profile[1]: no 'kind'"),
        ("25.0]", "298.15]", "line 14, surroundings.ambient_degC[0][1]: found 298.15, "
         "expected less than or equal to 150; subtract 273.15 if it is in kelvin"),
        ("[0.0, 25.0], ", "", "line 14, surroundings.ambient_degC: found times [60.0], expected times that begin at 0"),
        ('"surface_left"]', '"surface"]', "line 17, observer.sensors: found ['surface', 'surface']"),
        ('"surface_left"]', '"surface_left"]\nrules = { ofset_K = 1 }', "line 18, observer.rules.ofset_K: unknown key"),
        ('"surface_left"]', '"surface_left"]\nnoise = { heat = 1 }\nfaults = false', "line 16, observer: noise 'heat'"),
        ('"surface_left"]', '"surface_left"]\nform = "fixed-gain"', "line 16, observer: form='fixed-gain' with"),
        ('target = "surface"', 'target = "surface_top"', "line 19, faults[0]: fault 'bias': no target 'surface_top'"),
        ("offset_K = 2.0", "ofset_K = 2.0", "line 22, faults[0].ofset_K: "),
        ("max_K = 1.0", "max_K = inf", "line 28, requirements[0].max_K: found inf, expected a finite number"),
        ("max_K = 1.0", "max_K = -1", "line 28, requirements[0].max_K: found -1, expected greater than 0"),
        ('fault = "bias"', 'fault = "drift"', "line 33, requirements[1].fault: no fault 'drift'"),
        ('"R2"', '"R1"', "line 31, requirements[1].id: 'R1' is taken: each id once"),
        ("max_K = 1.0", 'max_K = 1.0\nduring = "bais"', "line 29, requirements[0].during: 'bais', 'all', 'healthy'"),
        ("within_s = 60.0", 'within_s = 60.0\nsensors = ["cap"]', "line 35, requirements[1].sensors[0]: no sensor"),
        ('"discharge 1C for 10s"', '"discharge 1C until 3V"', "line 5, profile[0]: steps that end only at a limit"),
        ('title = "Good"', 'title = "Good"\ncell = "a123"', "line 3, cell: unknown cell 'a123'"),
        ("initial_soc = 0.5", "initial_soc = 0.5 0.6", "line 3: "),
        ('title = "Good"', 'title = "Good', "line 2: "),
        ("initial_soc", "duration_s = 1e12\ninitial_soc", "line 3, duration_s: 1e+12 steps of 1 s"),
        ("initial_soc", "step_s = 1e-9\ninitial_soc", "line 3, step_s: found 1e-09, expected greater than or equal to"),
        ("[[faults]]", "[faults]", "line 19, faults: a table, expected an array of tables, [[faults]]"),
        ("[observer]", "[surroundings]", "line 16: "),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_its_line_and_key(tmp_path, old, new, said):
    assert old in GOOD
    assert f"mine.toml, {said}" in told(tmp_path, GOOD.replace(old, new))


def test_all_mistakes_are_told_at_once_in_the_order_of_the_file(tmp_path):
    text = GOOD.replace("0.5", "5").replace('"us06"', '"us6"').replace("60.0\n", "-60.0\n")
    lines = told(tmp_path, text).splitlines()
    assert [line.split(", ")[1] for line in lines] == ["line 3", "line 11", "line 34"]


def test_files_that_are_none(tmp_path):
    assert told(tmp_path, "") == "mine.toml: the file is empty, expected keys and tables in TOML"
    assert "brackets" in told(tmp_path, "a = " + 5000 * "[" + 5000 * "]")
    (tmp_path / "latin.toml").write_bytes(b"title = '\xe9'")
    files = (("us6", "'us06' meant"), (tmp_path / "none.toml", "No such file"), (tmp_path / "latin.toml", "UTF-8"))
    for name, said in files:
        with pytest.raises(InputError, match=said):
            load_scenario(name)
    assert "folder" in told(tmp_path, GOOD.replace("initial_soc", 'folder = "x"\ninitial_soc'))


def test_paths_are_seen_from_the_file(tmp_path, monkeypatch):
    csv = '[[profile]]\nkind = "csv"\npath = "data/drive.csv"\n'
    text = GOOD.replace("[surroundings]", f"{csv}\n[surroundings]", 1)
    assert "data" in told(tmp_path, text)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "drive.csv").write_text("time_s,current_A\n0,1\n20,1\n")
    monkeypatch.chdir(tmp_path.parent)
    assert load_scenario(tmp_path / "mine.toml").length_s == 630.0


TEXTS = st.text(alphabet="ab[]{}=,.\"'#\\ \t", max_size=12)
LEAF = st.one_of(st.integers(-9, 9), st.booleans(), st.floats(allow_nan=False, allow_infinity=False, width=16), TEXTS)
VALUE = st.recursive(
    LEAF, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3), max_leaves=6
)


def written(value) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {written(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list):
        return "[\n" + ",\n".join(map(written, value)) + "]"
    return json.dumps(value)


def places(value, place=()):
    """Every place of a document."""
    if place:
        yield place
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in pairs:
        yield from places(each, (*place, key))


@given(st.dictionaries(TEXTS, VALUE, max_size=4), st.lists(st.dictionaries(TEXTS, LEAF, max_size=2), max_size=3))
def test_every_place_of_any_document_has_a_line(top, tables):
    text = "".join(f"# [[no]]\n{json.dumps(key)} = {written(value)} # = [\n" for key, value in top.items())
    for table in tables:
        text += "[[ 'the'.table ]]\n" + "".join(f"{json.dumps(key)} = {written(v)}\n" for key, v in table.items())
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError:  # `the` may be taken
        return
    lines = lines_of(text)
    assert {*places(document)} <= {*lines}
    assert all(1 <= line <= text.count("\n") + 1 for line in lines.values())


def test_lines_of_what_toml_allows():
    text = 'a.b = """\n1\n"""\n[x.y]\n"q.r" = [1,\n {s = 2}]\n[[x.z]]\nt = 12:00:00\nu = 1.5e3\n[x.z.v]\nw = "#"\n'
    lines = lines_of(text)
    assert (lines["a", "b"], lines["x", "y", "q.r"], lines["x", "y", "q.r", 1, "s"]) == (1, 5, 6)
    assert (lines["x", "z", 0], lines["x", "z", 0, "u"], lines["x", "z", 0, "v", "w"]) == (7, 9, 11)


def test_a_set_of_requirements_is_asked_beside_the_scenarios_own(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(GOOD.replace("initial_soc", 'sets = ["foxbms"]\ninitial_soc'))
    scenario = load_scenario(path)
    assert [each.id for each in scenario.asked] == ["R1", "R2", "FOXBMS-REDUNDANCY", "FOXBMS-SENSOR", "FOXBMS-TIMEOUT"]
    assert "nothing is asked" in told(tmp_path, GOOD[: GOOD.index("[[requirements]]")])


def test_a_record_that_no_memory_holds_is_refused(tmp_path):
    many = GOOD.replace("initial_soc", "duration_s = 5e6\ninitial_soc") + "\n[plant]\ncells = 1000\n"
    said = told(tmp_path, many)
    assert "line 3, duration_s: 5e+06 steps of 1 s of 1000 cells, expected at most" in said
    path = tmp_path / "mine.toml"
    path.write_text(GOOD)
    made = load_scenario(path).model_copy(update={"duration_s": 1e12})
    with pytest.raises(InputError, match="steps of 1 s, expected at most"):
        open_bench(made, device="model")
