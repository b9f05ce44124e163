"""Steps and profiles: what is read, and the sentence for what is not."""

import gzip
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bmsthermal import InputError, InputWarning, Run, Step
from bmsthermal.profiles import VEHICLE_Ah, profile_of, read_profile
from bmsthermal.protocol import parse_steps, profile, rest, total_s
from bmsthermal.vehicle import Vehicle, load_schedule, schedules


def test_the_grammar():
    steps = parse_steps(
        "discharge 1C until 2.5V; rest 1h; charge C/2 until 4.2V; hold 4.2V until 0.25A; power 20W for 60s", 5
    )
    assert steps == (
        Step("current", 5.0, until_V=2.5),
        Step("current", 0.0, 3600.0),
        Step("current", -2.5, until_V=4.2),
        Step("voltage", 4.2, until_A=0.25),
        Step("power", 20.0, 60.0),
    )


@pytest.mark.parametrize(
    ("text", "step"),
    [
        ("rest for 10 min", Step("current", 0.0, 600.0)),
        ("REST 2 Hours", Step("current", 0.0, 7200.0)),
        ("discharge at 5 A for 10 s or until 3V", Step("current", 5.0, 10.0, until_V=3.0)),
        ("charge 20W, until 60degC, until 4.1 V", Step("power", -20.0, until_V=4.1, until_K=333.15)),
        ("hold 4.2V until C/20, for 2h", Step("voltage", 4.2, 7200.0, until_A=0.1)),
        ("hold 4200 mV until 50 mA", Step("voltage", 4.2, until_A=0.05)),
        ("current -5A for 1e2 s", Step("current", -5.0, 100.0)),
        ("discharge .5C for 1s", Step("current", 1.0, 1.0)),
    ],
)
def test_other_ways_to_say_it(text, step):
    (found,) = parse_steps(text, 2.0)
    assert found.control == step.control
    for name in ("value", "duration_s", "until_V", "until_A", "until_K"):
        assert getattr(found, name) == pytest.approx(getattr(step, name))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no steps"),
        (" ; ;", "no steps"),
        ("rest", "step 1, 'rest': cannot read it"),
        ("rest 1h; rest 1 hor", "step 2, 'rest 1 hor': unknown amount"),
        ("rest 1h now", "cannot read it from 'now' on"),
        ("discharge -1C until 3V", "positive number"),
        ("discharge 0A for 3s", "positive number"),
        ("discharge 1V for 3s", "discharge in V"),
        ("discharge C/0 for 1s", "unknown amount"),
        ("discharge 1C", "never end"),
        ("hold 4.2V", "never end"),
        ("current 0A until 3V", "never end"),
        ("rest 1e999h", "never end"),
        ("discharge 1e999A for 1s", "finite number"),
        ("hold 4.2V until 4.1V", "what is not held"),
        ("discharge 1C until 3A", "what is not held"),
        ("discharge 1C until 3V until 2V", "one limit of a kind"),
        ("discharge 1C until 3 h", "'for' a time"),
        ("discharge 1C until -300degC", "positive number"),
        ("until 3V", "until in V"),
        ("discharge 1C until 3V or", "cannot read it from 'or' on"),
        ("rest 0s", "positive number"),
        ("rest ١s", "cannot read it"),
        ("9" * 5000, "cannot read it"),
    ],
)
def test_what_cannot_be_is_a_sentence_with_its_step(text, said):
    with pytest.raises(InputError, match="step") as error:
        parse_steps(text, 5.0)
    assert said in str(error.value)
    assert len(str(error.value)) < 500


words = st.sampled_from(
    ["discharge", "charge", "current", "power", "hold", "rest", "for", "until", "or", "at", "1C", "C/2", "5A", "50mA",
     "20W", "4.2V", "1h", "60s", "0", "-1", "1e9", "1e-400s", "1e999A", "/", ",", ";", "inf"]
)  # fmt: skip


@given(st.one_of(st.text(max_size=60), st.lists(words, max_size=12).map(" ".join)))
def test_no_text_does_worse_than_an_input_error(text):
    try:
        steps = parse_steps(text, 5.0)
    except InputError:
        return
    assert steps
    assert all(math.isfinite(step.value) for step in steps)
    assert parse_steps("; ".join(map(str, steps)), 5.0) is not None


sizes = st.floats(1e-3, 1e3).map(lambda x: float(f"{x:.9g}"))


@given(sizes, sizes, sizes, st.sampled_from(["discharge", "charge"]), st.sampled_from(["A", "W"]))
def test_a_step_reads_what_it_says(value, duration, limit, verb, unit):
    (step,) = parse_steps(f"{verb} {value!r}{unit} for {duration!r}s until {limit!r}V until 40degC", 5.0)
    (again,) = parse_steps(str(step), 5.0)
    assert (again.control, again.value, again.duration_s, again.until_V) == (step.control, step.value, duration, limit)


def test_a_step_that_cannot_be():
    for wrong in (
        {"value": math.nan}, {"value": math.inf}, {"duration_s": 0.0}, {"duration_s": math.nan}, {"until_V": math.nan},
        {"until_A": -1.0}, {"until_K": math.inf}, {"value": "a"}, {"value": None}, {"value": True}, {"value": 10**400},
        {"duration_s": -1.0}, {"duration_s": "1"}, {"duration_s": None}, {"duration_s": -math.inf},
        {"until_V": "3"}, {"until_A": [1]}, {"until_K": 0}, {"until_V": True},
    ):  # fmt: skip
        with pytest.raises(InputError, match=f"^current step with {next(iter(wrong))}=.*, expected"):
            Step("current", **wrong)
    for control in ("foo", None, 5, ["current"]):
        with pytest.raises(InputError, match=r"^control=.*, expected one of current, power, voltage, profile"):
            Step(control)
    for duration in (0, -1.0, math.nan, "1"):
        with pytest.raises(InputError, match=r"duration_s=.*, expected a number of seconds above 0"):
            rest(duration)
    assert Step("current", np.float32(1.0), np.int64(3)).duration_s == 3 and rest(math.inf).duration_s == math.inf
    with pytest.raises(InputError, match="run for a profile"):
        Step("profile")
    with pytest.raises(InputError, match="positive voltage"):
        Step("voltage", 0.0, 1.0)


def drive(current):
    unknown = np.full(len(current), np.nan)
    return Run(np.arange(float(len(current))), np.array(current, float), unknown, unknown, name="drive")


def test_a_profile_scales_the_current_and_wants_all_of_it():
    step = profile(drive([1.0, 2.0, 3.0]), 2.0)
    assert step.run is not None
    assert step.run.current_A.tolist() == [2.0, 4.0, 6.0]
    assert total_s([step, rest(10.0)]) == 12.0
    assert total_s(parse_steps("rest 1s; discharge 1C until 3V", 1.0)) == math.inf
    with pytest.raises(InputError, match=r"drive: no current in row 2 \(1 s\)"):
        profile(drive([1.0, np.nan]))
    with pytest.raises(InputError, match="row 1"):
        profile(drive([1e300, 0.0]), 1e300)
    for scale in (math.nan, "2", None):
        with pytest.raises(InputError, match="scale"):
            profile(drive([1.0, 1.0]), scale)
    for wrong in ([1.0, 2.0], "us06"):
        for make in (profile, lambda run: Step("profile", run=run)):
            with pytest.raises(InputError, match=f"a {type(wrong).__name__} as profile, expected a run"):
                make(wrong)
    with pytest.raises(InputError, match=r"drive: no current in row 2 \(1 s\)"):
        Step("profile", run=drive([1.0, np.nan]))
    with pytest.raises(InputError, match=r"drive: a current of -inf A in row 3 \(2 s\)"):
        Step("profile", run=drive([1.0, 1.0, -np.inf]))


@pytest.mark.parametrize("text", [None, 5, b"rest 1h", ["rest 1h"]])
def test_a_protocol_is_a_text(text):
    with pytest.raises(InputError, match=f"a {type(text).__name__} as protocol, expected a text: 'discharge 1C"):
        parse_steps(text, 5.0)


@pytest.mark.parametrize("capacity", [None, "5", 0.0, -1.0, math.nan, math.inf])
def test_a_multiple_of_the_capacity_needs_one(capacity):
    with pytest.raises(InputError, match=r"capacity_Ah=.*, expected a positive number"):
        parse_steps("discharge 1C for 1s", capacity)


def test_a_schedule_is_scaled_to_the_cell():
    for name in schedules():
        run, note = profile_of(name, 2 * VEHICLE_Ah)
        np.testing.assert_allclose(run.current_A, 2 * Vehicle().cell_current_A(*load_schedule(name)))
        assert np.isnan(run.ambient_K).all()
        assert "times 2" in note


def written(tmp_path, text, name="drive.csv"):
    path = tmp_path / name
    path.write_text(text)
    return path


def test_a_profile_is_read(tmp_path):
    path = written(tmp_path, "# by hand\ntime_s,what,amps\n10,x,1\n11,,-2\n13,y,0\n")
    run = read_profile(path, columns={"current_A": "amps"}, current_sign="charge", capacity_Ah=1.0)
    assert run.time_s.tolist() == [10, 11, 13]
    assert run.current_A.tolist() == [-1, 2, 0]
    assert np.isnan(run.ambient_K).all()
    packed = tmp_path / "drive.csv.gz"
    packed.write_bytes(gzip.compress(b"time_s,current_A,ambient_degC\n0,1,20\n1,1,\n2,1,22\n"))
    run = read_profile(packed)
    assert run.name == "drive"
    np.testing.assert_allclose(run.ambient_K, [293.15, 294.15, 295.15])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "the file is empty"),
        ("time_s,current_A\n", "a header and no rows"),
        ("time_s,current_A\n0,1\n", "only one row"),
        ("time_s,amps\n0,1\n1,1\n", "no column 'current_A' among 'time_s', 'amps'"),
        ("0,1\n1,1\n2,1\n", "no column 'time_s'"),
        ("time_s;current_A\n0;1\n1;1\n", "separated by ';'"),
        ("time_s,current_A,current_A\n0,1,1\n1,1,1\n", "2 columns are called 'current_A'"),
        ("time_s,current_A\n0,1\n1,\n2,1\n", "row 3, column 'current_A': the current is blank"),
        ("time_s,current_A\n0,1\n1,nan\n2,1\n", "row 3, column 'current_A': the current is blank"),
        ("time_s,current_A\n0,1\n1,inf\n2,1\n", "row 3, column 'current_A': inf"),
        ("time_s,current_A\n0,1\n1,x\n2,1\n", "row 3, column 'current_A': 'x' is not a number"),
        ("time_s,current_A\n0,1\n1,2,3\n", "row 3: 3 cells, expected the 2 of the header"),
        ("time_s,current_A\n0,1\n2,1\n1,1\n", "row 4, column 'time_s': time 1 runs backwards from 2 in row 3"),
        ("time_s,current_A\n0,1\n0,1\n", "is the same as 0 in row 2"),
        ("time_s,current_A\n,1\n1,1\n", "row 2, column 'time_s': the time is blank"),
        ("time_s,current_A\n0,1\n1,2300\n2,1\n", "row 3, column 'current_A': 2300 A, expected at most 230 A"),
        ("time_s,current_A,ambient_degC\n0,1,298\n1,1,298\n", "subtract 273.15"),
        ("\0\0", "not a text file"),
    ],
)
def test_a_bad_profile_is_a_sentence_with_its_file(tmp_path, text, said):
    with pytest.raises(InputError) as error:
        read_profile(written(tmp_path, text), capacity_Ah=2.3)
    assert said in str(error.value)
    assert "drive.csv" in str(error.value)


def test_columns_that_cannot_be(tmp_path):
    path = written(tmp_path, "time_s,current_A\n0,1\n1,1\n")
    with pytest.raises(InputError, match="cannot map a column to 'voltage_V'"):
        read_profile(path, columns={"voltage_V": "u"})
    with pytest.raises(InputError, match="one column for two things"):
        read_profile(path, columns={"current_A": "time_s"})
    with pytest.raises(InputError, match="is a folder"):
        read_profile(tmp_path)
    with pytest.raises(InputError, match="no such file"):
        read_profile(tmp_path / "absent.csv")


def test_a_gap_and_a_clock_in_milliseconds_are_said(tmp_path):
    rows = "\n".join(f"{t},5" for t in [*range(20), 3600, 3601])
    with pytest.warns(InputWarning, match=r"row 21, column 'current_A': 5 A is held for 3581 s"):
        read_profile(written(tmp_path, f"time_s,current_A\n{rows}\n"))
    with pytest.warns(InputWarning, match="looks like ms"):
        read_profile(written(tmp_path, "time_s,current_A\n0,0\n1000,1\n2000,1\n"))
