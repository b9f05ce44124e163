from __future__ import annotations

import gzip
import os
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from bmsthermal.errors import InputError, InputWarning
from bmsthermal.measured import Run, read_measured

DATA = Path(__file__).parents[2] / "shared" / "data"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="the public measurements are not beside the project")

HEADER = "time_s,current_A,voltage_V,ambient_degC,surface_degC\n"
GOOD = HEADER + "0,1.5,3.30,25,25.5\n1,-2,3.31,25,25.6\n2,0,3.32,26,\n"


@pytest.fixture
def write(tmp_path):
    def write(text, name="drive.csv"):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


def make(time_s, current_A=None, **given) -> Run:
    time_s = np.asarray(time_s, float)
    current_A = np.ones(time_s.size) if current_A is None else current_A
    given = {"surfaces_K": {"surface": 300.0 + np.arange(time_s.size)}} | given
    return Run(time_s, current_A, np.full(time_s.size, 3.3), np.full(time_s.size, 298.15), **given)


# reading what is right


def test_columns_units_and_blanks(write):
    run = read_measured(write(GOOD))
    assert run.name == "drive" and run.core_K is None and list(run.surfaces_K) == ["surface"]
    np.testing.assert_array_equal(run.current_A, [1.5, -2, 0])
    np.testing.assert_allclose(run.ambient_K, [298.15, 298.15, 299.15])
    np.testing.assert_allclose(run.surfaces_K["surface"], [298.65, 298.75, np.nan])
    assert not run.current_A.flags.writeable
    assert repr(run) == "Run(drive: 3 samples over 2 s, -2 to 1.5 A, surface)"


@pytest.mark.parametrize(
    "change",
    [
        lambda t: b"\xef\xbb\xbf" + t.encode(),
        lambda t: t.replace("\n", "\r\n").encode(),
        lambda t: gzip.compress(t.encode()),
        lambda t: ("# made by hand\n\n" + t + "\n\n").encode(),
        lambda t: t.replace(",", " , ").encode(),
        lambda t: t.replace(",\n", ",NaN\n").encode(),
        lambda t: "".join(f'{line},"note, {i}"\n' for i, line in enumerate(t.splitlines())).encode(),
        lambda t: "".join(f"{line},in_°C\n" for line in t.splitlines()).encode(),
    ],
    ids=["bom", "crlf", "gzip", "comment", "spaces", "nan", "further column", "further letters"],
)
def test_the_same_table_in_other_clothes(write, change):
    plain, other = read_measured(write(GOOD)), read_measured(write(change(GOOD), "other.csv"))
    for label in ("time_s", "current_A", "voltage_V", "ambient_K"):
        np.testing.assert_array_equal(getattr(plain, label), getattr(other, label))
    np.testing.assert_array_equal(plain.surfaces_K["surface"], other.surfaces_K["surface"])


def test_columns_are_mapped_and_the_sign_is_ours(write):
    text = "t,I,U,chamber,skin,surface_left_degC,core_degC\n0,2,3.3,10,11,12,\n1,3,3.3,10,11,12,\n"
    names = {
        "time_s": "t",
        "current_A": "I",
        "voltage_V": "U",
        "ambient_degC": "chamber",
        "surface_degC": "skin",
    }
    run = read_measured(write(text), columns=names, current_sign="charge", sensors=["surface_left"])
    assert run.current_A.tolist() == [-2, -3]
    assert {s: k[0] - 273.15 for s, k in run.surfaces_K.items()} == pytest.approx({"surface": 11, "surface_left": 12})
    assert run.core_K is None  # present and blank


def test_a_mapped_column_is_not_read_twice(write):
    text = GOOD.replace("surface_degC", "surface_far_degC")
    run = read_measured(write(text), columns={"surface_degC": "surface_far_degC"})
    assert list(run.surfaces_K) == ["surface"]


def test_ambient_value_overrides_and_blanks_are_interpolated(write):
    gaps = HEADER + "0,1,3.3,,25\n1,1,3.3,20,25\n2,1,3.3,,25\n3,1,3.3,24,25\n4,1,3.3,,25\n"
    np.testing.assert_allclose(read_measured(write(gaps)).ambient_K - 273.15, [20, 20, 22, 24, 24])
    for text in (gaps, GOOD, GOOD.replace(",ambient_degC", ",chamber_degC")):
        assert np.all(read_measured(write(text), ambient_degC=-5).ambient_K == 268.15)


def test_no_sensor_is_needed_when_none_is_asked_for(write):
    text = "time_s,current_A,voltage_V\n0,1,3.3\n1,1,3.3\n"
    assert read_measured(write(text), sensors=(), ambient_degC=25).surfaces_K == {}


# saying what is wrong

ROW = "3,0,3.3,25,25\n"
BAD = {
    "empty": ("", ["empty", "header line"]),
    "only comments": ("# nothing\n\n", ["empty"]),
    "header only": (HEADER, ["header and no rows", "at least 2 rows"]),
    "one row": (HEADER + ROW, ["only one row", "at least 2 rows"]),
    "no header": ("0,1,3.3,25,25\n1,1,3.3,25,25\n", ["'time_s'", "no names", "header line"]),
    "no voltage": (GOOD.replace("voltage_V", "U"), ["no column 'voltage_V'", "'U'", "--columns"]),
    "no current": (GOOD.replace("current_A", "I"), ["no column 'current_A'", "'I'", "--columns"]),
    "no surface": (
        GOOD.replace("surface_degC", "surface_left_degC"),
        ["no column 'surface_degC'", "sensors present: surface_left", "--columns"],
    ),
    "no ambient": (
        GOOD.replace("ambient", "chamber"),
        ["no column 'ambient_degC'", "--ambient-degC", "--columns"],
    ),
    "blank ambient": (
        HEADER + "0,1,3,,25\n1,1,3,,25\n",
        ["'ambient_degC' is entirely blank", "--ambient-degC"],
    ),
    "zero ambient": (
        HEADER + "0,1,3,0,25\n1,1,3,,25\n",
        ["'ambient_degC' is constantly 0", "--ambient-degC", "0 if"],
    ),
    "text": (GOOD + "3,0,n/a,25,25\n", ["row 5", "column 'voltage_V'", "'n/a' is not a number"]),
    "decimal comma": (GOOD + '3,0,"3,3",25,25\n', ["row 5", "column 'voltage_V'", "'3,3'"]),
    "infinite": (GOOD + "3,-inf,3.3,25,25\n", ["row 5", "column 'current_A'", "-inf", "finite"]),
    "overflow": (GOOD + "3,1e999,3.3,25,25\n", ["row 5", "column 'current_A'", "inf"]),
    "backwards": (GOOD + "\n1.5,0,3.3,25,25\n", ["row 6", "'time_s'", "1.5 runs backwards from 2 in row 4"]),
    "duplicate time": (GOOD + "2,0,3.3,25,25\n", ["row 5", "'time_s'", "2 is the same as 2 in row 4"]),
    "blank time": (GOOD + ",0,3.3,25,25\n", ["row 5", "'time_s'", "blank"]),
    "blank current": (HEADER + "0,,3,25,25\n1,,3,25,25\n", ["'current_A' is entirely blank"]),
    "blank voltage": (HEADER + "0,1,,25,25\n1,1,,25,25\n", ["'voltage_V' is entirely blank"]),
    "blank surface": (HEADER + "0,1,3,25,\n1,1,3,25,\n", ["'surface_degC' is entirely blank"]),
    "kelvin surface": (HEADER + "0,1,3,25,298\n1,1,3,25,298\n", ["'surface_degC'", "298", "degC", "kelvin"]),
    "kelvin ambient": (HEADER + "0,1,3,298,25\n1,1,3,298,25\n", ["'ambient_degC'", "298", "degC", "kelvin"]),
    "mV": (HEADER + "0,1,3300,25,25\n1,1,3310,25,25\n", ["'voltage_V'", "3305 V", "mV"]),
    "a mark in a sensor": (GOOD + "3,0,3.3,25,-9999\n", ["row 5", "'surface_degC'", "-9999", "-100 to 200"]),
    "a mark in the ambient": (GOOD + "3,0,3.3,-127,25\n", ["row 5", "'ambient_degC'", "-127", "leave blank"]),
    "a mark in the voltage": (GOOD + "3,0,-9999,25,25\n", ["row 5", "'voltage_V'", "-9999", "-100 to 100"]),
    "a mark in the core": (
        HEADER.replace("\n", ",core_degC\n") + "0,1,3,25,25,25\n1,1,3,25,25,-999\n",
        ["row 3", "'core_degC'", "-999"],
    ),
    "underscore": (GOOD + "3,1_0,3.3,25,25\n", ["row 5", "'current_A'", "'1_0' is not a number"]),
    "other digits": (GOOD + "3,٣,3.3,25,25\n", ["row 5", "'current_A'", "'٣' is not a number"]),
    "endless header": ("x" * 200_000 + "\n" + ROW, ["not a CSV table", "field"]),
    "swapped": (HEADER + "0,3.3,0,25,25\n1,3.3,-2,25,25\n", ["'voltage_V'", "-1 V", "swapped"]),
    "semicolons": (GOOD.replace(",", ";"), ["separated by ';'", "','"]),
    "tabs": (GOOD.replace(",", "\t"), ["separated by tabs", "','"]),
    "twice": (GOOD.replace("voltage_V", "current_A"), ["2 columns are called 'current_A'", "rename"]),
    "short row": (GOOD + "3,0,3.3\n", ["row 5", "3 cells", "5 of the header"]),
    "long row": (GOOD + "3,0,3.3,25,25,1\n", ["row 5", "6 cells", "5 of the header"]),
    "stray quote": (GOOD + '3,0,"3.3,25,25\n' + ROW * 20_000, ["drive.csv", "CSV"]),
    "binary": (b"\x89PNG\r\n\x1a\n\0\0", ["not a text file", "0x89", "UTF-8"]),
    "zero bytes": (GOOD.encode() + b"\0\0", ["not a text file", "zero bytes"]),
    "utf-16": (GOOD.encode("utf-16"), ["not a text file", "UTF-8"]),
    "torn gzip": (gzip.compress(GOOD.encode())[:-12], ["gzip", "damaged"]),
    "not gzip": (b"\x1f\x8b" + GOOD.encode(), ["gzip", "damaged"]),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_file(write, case):
    text, words = BAD[case]
    path = write(text)
    with pytest.raises(InputError) as error:
        read_measured(path)
    sentence = str(error.value)
    assert sentence.startswith(str(path)) and "\n" not in sentence
    for word in words:
        assert word in sentence


OPTIONS = {
    "no such name": ({"columns": {"ambient": "x"}}, ["'ambient'", "ambient_degC"]),
    "no such target": ({"columns": {"current_A": "I"}}, ["no column 'I'", "'current_A'"]),
    "no such mapped core": ({"columns": {"core_degC": "T7"}}, ["no column 'T7'"]),
    "half a swap": ({"columns": {"current_A": "voltage_V"}}, ["'voltage_V' would be both", "--columns"]),
    "sensor": ({"sensors": ["surface", "surface_left"]}, ["'surface_left_degC'", "sensors present: surface"]),
    "sensor as a string": ({"sensors": "surface_left"}, ["'surface_left_degC'", "sensors present: surface"]),
    "no surface": ({"sensors": ["core"]}, ["'core'", "surface_NAME"]),
    "sign": ({"current_sign": "Discharge"}, ["'Discharge'", "'charge'"]),
    "kelvin": ({"ambient_degC": 298.15}, ["--ambient-degC", "298.15", "kelvin"]),
    "too cold": ({"ambient_degC": -101.0}, ["--ambient-degC", "-100 to 200"]),
    "not a number": ({"ambient_degC": float("nan")}, ["--ambient-degC", "nan"]),
}


@pytest.mark.parametrize("case", OPTIONS)
def test_bad_option(write, case):
    options, words = OPTIONS[case]
    with pytest.raises(InputError) as error:
        read_measured(write(GOOD), **options)
    for word in words:
        assert word in str(error.value)


def test_no_file_and_no_folder(tmp_path):
    with pytest.raises(InputError, match=r"absent\.csv: no such file"):
        read_measured(tmp_path / "absent.csv")
    with pytest.raises(InputError, match="is a folder, expected a CSV file"):
        read_measured(tmp_path)


ODD = {
    "mA": ("0,1500,3.3,25,25\n1,2000,3.3,25,25\n", ["'current_A'", "mA", "expected A"]),
    "a mark in the current": (
        "".join(f"{i},{-9999 if i == 7 else 1},3.3,25,25\n" for i in range(30)),
        ["'current_A'", "-9999 in row 9", "expected A"],
    ),
    "ms": ("0,1,3.3,25,25\n1000,1,3.3,25,25\n", ["'time_s'", "1e+03", "ms", "expected seconds"]),
    "hours": ("0,1,3.3,25,25\n2.8e-4,1,3.3,25,25\n", ["'time_s'", "hours"]),
    "negative volts": (
        "0,1,3.3,25,25\n1,1,-0.5,25,25\n2,1,3.3,25,25\n",
        ["'voltage_V'", "-0.5 V", "positive"],
    ),
}


@pytest.mark.parametrize("case", ODD)
def test_implausible_units_warn_at_the_caller(write, case):
    rows, words = ODD[case]
    with pytest.warns(InputWarning) as caught:
        read_measured(write(HEADER + rows))
    assert len(caught) == 1 and caught[0].filename == __file__
    for word in ("drive.csv", *words):
        assert word in str(caught[0].message)


@pytest.mark.parametrize(
    ("time_s", "given", "words"),
    [
        ([0], {}, "1 sample, expected at least 2"),
        ([0, 0], {}, "not finite and increasing"),
        ([0, np.nan], {}, "not finite and increasing"),
        ([0, 1], {"core_K": [300.0]}, r"core_K has shape \(1,\)"),
        ([0, 1], {"surfaces_K": {"surface": [300.0]}}, r"surface 'surface' has shape \(1,\)"),
    ],
)
def test_a_run_that_does_not_fit_together(time_s, given, words):
    with pytest.raises(InputError, match=words):
        make(time_s, **given)


# writing


@pytest.mark.parametrize("name", ["out.csv", "out.csv.gz"])
def test_round_trip(tmp_path, name):
    rng = np.random.default_rng(1)
    time_s = np.cumsum(rng.uniform(0.1, 2, 50))
    surfaces = {"surface": 298.15 + rng.normal(size=50), "surface_left": np.full(50, 298.15)}
    surfaces["surface"][[0, 7, 49]] = np.nan
    run = Run(
        time_s,
        rng.normal(size=50),
        3.3 + rng.normal(size=50) / 9,
        295 + time_s / 9,
        surfaces,
        300 + time_s / 7,
    )
    run.to_csv(tmp_path / name)
    back = read_measured(tmp_path / name)
    for label in ("time_s", "current_A", "voltage_V"):
        np.testing.assert_array_equal(getattr(back, label), getattr(run, label))
    for was, now in [(run.ambient_K, back.ambient_K), (run.core_K, back.core_K)]:
        np.testing.assert_allclose(now, was, rtol=0, atol=1e-9)
    assert list(back.surfaces_K) == list(surfaces)
    for sensor, kelvin in surfaces.items():
        np.testing.assert_allclose(back.surfaces_K[sensor], kelvin, rtol=0, atol=1e-9)
    back.to_csv(tmp_path / f"again_{name}")
    assert (tmp_path / name).read_bytes() == (tmp_path / f"again_{name}").read_bytes()


def test_what_is_written_reads_well(tmp_path):
    make([0, 1], [-0.0, 2.5]).to_csv(tmp_path / "out.csv")
    assert (tmp_path / "out.csv").read_text() == HEADER + "0.0,0.0,3.3,25.0,26.85\n1.0,2.5,3.3,25.0,27.85\n"


def test_an_interruption_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "out.csv"
    path.write_text("old")

    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", interrupt)
    with pytest.raises(KeyboardInterrupt):
        make([0, 1]).to_csv(path)
    assert path.read_text() == "old" and os.listdir(tmp_path) == ["out.csv"]


def test_where_nothing_can_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    for path, words in [
        (tmp_path, "not an ordinary file"),
        (tmp_path / "absent" / "out.csv", "cannot be written"),
        (tmp_path / "file" / "out.csv", "cannot be written"),
    ]:
        with pytest.raises(InputError, match=words):
            make([0, 1]).to_csv(path)
    assert os.listdir(tmp_path) == ["file"]


# slices


def test_slices_are_a_partition():
    run = make(np.arange(10.0) + 100, core_K=np.arange(10.0))
    first, last = run.part(0, 0.5), run.part(0.5, 1)
    np.testing.assert_array_equal(np.append(first.time_s, last.time_s), run.time_s)
    np.testing.assert_array_equal(run.before(105).time_s, np.arange(100, 105))
    np.testing.assert_array_equal(run.after(105).core_K, np.arange(5, 10))
    np.testing.assert_array_equal(run.after(105).surfaces_K["surface"], 300.0 + np.arange(5, 10))
    with pytest.raises(InputError, match="0 <= start < stop <= 1"):
        run.part(0.5, 0.2)
    with pytest.raises(InputError, match="0 samples"):
        run.after(1e9)


# whole steps

intervals = st.lists(st.floats(0.05, 3), min_size=1, max_size=30)
steps = st.sampled_from([0.1, 0.5, 1.0, 2.0])


def test_a_uniform_log_is_returned_unchanged():
    rng = np.random.default_rng(2)
    for step_s, t0 in [(1.0, 0.0), (0.1, 0.0), (1.0, 1.7e9), (0.1, 1.7e9)]:
        run = make(t0 + np.arange(200) * step_s, rng.normal(size=200), core_K=rng.normal(300, 1, 200))
        same = run.resample(step_s)
        np.testing.assert_array_equal(same.time_s, run.time_s)
        np.testing.assert_array_equal(same.current_A, run.current_A)
        np.testing.assert_array_equal(same.voltage_V, run.voltage_V)
        np.testing.assert_array_equal(same.ambient_K, run.ambient_K)
        np.testing.assert_array_equal(same.core_K, run.core_K)
        np.testing.assert_array_equal(same.surfaces_K["surface"], run.surfaces_K["surface"])


def test_a_faster_log_is_averaged():
    run = make(np.arange(40) / 10, np.arange(40.0), surfaces_K={"surface": 300.0 + np.arange(40)})
    slow = run.resample(1.0)
    np.testing.assert_allclose(slow.current_A, [4.5, 14.5, 24.5, 34.5])
    np.testing.assert_allclose(slow.surfaces_K["surface"], [304.5, 314.5, 324.5, 334.5])


def test_a_gap_holds_inputs_briefly_ambient_always_and_sensors_never():
    time_s = [0, 1, 2, 9, 10]
    run = make(time_s, [1, 2, 3, 4, 5])
    nan = np.nan
    even = run.resample(1.0)
    np.testing.assert_array_equal(even.time_s, np.arange(11))
    np.testing.assert_array_equal(even.current_A, [1, 2, 3, 3, 3, nan, nan, nan, nan, 4, 5])
    assert np.isnan(even.voltage_V[5:9]).all() and not np.isnan(even.ambient_K).any()
    np.testing.assert_array_equal(np.flatnonzero(~np.isnan(even.surfaces_K["surface"])), time_s)
    np.testing.assert_array_equal(run.resample(1.0, hold_s=1).current_A, [1, 2, 3, *[nan] * 6, 4, 5])
    np.testing.assert_array_equal(run.resample(1.0, hold_s=np.inf).current_A[2:9], 3)


def test_a_slow_log_is_held_between_its_samples():
    even = make([0, 60, 120], [1, 2, 3]).resample(1.0)
    np.testing.assert_array_equal(even.current_A, np.repeat([1, 2, 3], [60, 60, 1]))
    assert np.isfinite(even.surfaces_K["surface"]).sum() == 3


def test_blank_cells_are_missing_samples():
    nan = np.nan
    run = Run(np.arange(8), [nan, 1, nan, 3, nan, nan, nan, nan], np.full(8, nan), [nan, 290, *[nan] * 6])
    even = run.resample(1.0)
    np.testing.assert_array_equal(even.current_A, [nan, 1, 1, 3, 3, 3, nan, nan])
    assert np.isnan(even.voltage_V).all()
    np.testing.assert_array_equal(even.ambient_K, np.full(8, 290))


@pytest.mark.parametrize("step_s", [0, -1, np.nan, np.inf, 11, 1e-9])
def test_a_step_that_does_not_suit(step_s):
    with pytest.raises(InputError, match=r"steps|step_s"):
        make(np.arange(10)).resample(step_s)


@given(intervals, steps, st.data())
def test_charge_is_conserved_when_held(dt, step_s, data):
    time_s = np.cumsum([0.0, *dt])
    if time_s[-1] < step_s:
        time_s = np.append(time_s, step_s)
    amperes = st.lists(st.floats(-50, 50), min_size=time_s.size, max_size=time_s.size)
    run = make(time_s, data.draw(amperes))
    even = run.resample(step_s, hold_s=10)
    # the last sample stands until its step ends
    until = np.append(run.time_s[1:], even.time_s[-1] + step_s)
    charge = run.current_A @ (until - run.time_s)
    assert even.current_A.sum() * step_s == pytest.approx(charge, abs=50 * 60 * 1e-5 * step_s)
    assert even.current_A.min() >= run.current_A.min() - 1e-9
    assert even.current_A.max() <= run.current_A.max() + 1e-9


@given(intervals, steps)
def test_nan_is_never_invented(dt, step_s):
    run = make(np.cumsum([0.0, *dt, step_s]))
    # a sample on the very edge of what counts as rounding may fall to either side
    off = np.abs(run.time_s / step_s - np.rint(run.time_s / step_s))
    assume(not ((off > 5e-6) & (off < 2e-5)).any())
    even = run.resample(step_s, hold_s=max(3.0, step_s))
    for values in (even.current_A, even.voltage_V, even.ambient_K):
        assert np.isfinite(values).all()
    sampled = np.unique(np.floor(run.time_s / step_s + 1e-5).astype(int))
    np.testing.assert_array_equal(np.flatnonzero(np.isfinite(even.surfaces_K["surface"])), sampled)


@given(st.integers(1, 400), steps)
def test_a_gap_of_any_length_is_whole_steps(gap, step_s):
    run = make(np.array([0, 1, 2, 2 + gap, 3 + gap]) * step_s)
    even = run.resample(step_s)
    np.testing.assert_allclose(even.time_s, np.arange(gap + 4) * step_s, rtol=1e-14)
    assert np.isnan(even.current_A).sum() == max(0, gap - 3)
    again = even.resample(step_s, hold_s=step_s)
    np.testing.assert_array_equal(again.current_A, even.current_A)


# real files


@needs_data
@pytest.mark.parametrize("path", [*DATA.glob("a123*/*.csv"), *DATA.glob("lfp*/*.csv")], ids=lambda p: p.stem)
def test_measurements_with_a_core(path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run = read_measured(path)
    np.testing.assert_array_equal(run.resample(1.0).current_A, run.current_A)
    assert run.core_K is not None and 3 < np.max(run.core_K - run.surfaces_K["surface"]) < 8


@needs_data
@pytest.mark.parametrize("path", list(DATA.glob("panasonic*/*.csv")), ids=lambda p: p.stem)
def test_measurements_with_and_without_a_chamber(path):
    chamber = {"ambient_degC": "chamber_degC"}
    if path.stem in ("0degC_cycle_1", "0degC_us06", "10degC_cycle_1", "n10degC_cycle_1"):
        with pytest.raises(InputError, match=r"'chamber_degC' is .*--ambient-degC"):
            read_measured(path, columns=chamber)
        run = read_measured(path, columns=chamber, ambient_degC=0)
    else:
        run = read_measured(path, columns=chamber)
    even = run.resample(1.0)
    assert np.all(np.diff(even.time_s) == 1) and np.isfinite(even.ambient_K).all()
    assert np.isfinite(even.surfaces_K["surface"]).sum() == run.time_s.size
