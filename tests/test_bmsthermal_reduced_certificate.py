"""The certificate of a reduced cell: what must hold, what is worst, what comes back from a file, what is drawn."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bmsthermal.console import console
from bmsthermal.errors import InputError
from bmsthermal.reduced.certificate import CaseError, Certificate, Frequency, Trial, print_certificate
from bmsthermal.reduced.range import Range

HERTZ = np.append(0.0, np.geomspace(1e-4, 10.0, 60))


def low_pass(gain, tau_s):
    return gain / (1 + 2j * np.pi * HERTZ * tau_s)


def response() -> Frequency:
    return Frequency(
        HERTZ, 0.02 + low_pass(0.03, 40.0), 0.0202 + low_pass(0.0297, 40.0), low_pass(0.4, 900.0),
        low_pass(0.4, 880.0), about="about SOC 0.5, 25 degC, h 60 W/m2K",
    )  # fmt: skip


def case(name="2C", ambient_degC=25.0, h=60.0, **changes) -> CaseError:
    given = CaseError(
        f"{name} {ambient_degC:g} degC h {h:g}", ambient_degC, h, 1740.0, "cut-off", True, 21.9, 0.05, 0.04, 2e-3,
        9e-3, 2e-3, 3e-12,
    )  # fmt: skip
    return replace(given, **changes)


CASES = (
    case("0.5C", judged_s=7200.0, rise_K=3.7, core_K=0.008, surface_K=0.007, voltage_rms_V=4e-4),
    case(),
    case("3C", judged_s=1172.0, rise_K=36.3, core_K=0.071, surface_K=0.06, voltage_rms_V=2.9e-3),
    case("us06", judged_s=1800.0, why="end", rise_K=3.7, core_K=0.02, voltage_rms_V=1.2e-3),
    case("3C", -10.0, 10.0, judged_s=88.0, why="salt", scored=False, rise_K=13.9, core_K=0.9, voltage_rms_V=0.04),
    case("us06", -10.0, 300.0, judged_s=1800.0, why="end", rise_K=5.8, core_K=0.031, voltage_rms_V=4.4e-3),
    case("2C", 45.0, 10.0, judged_s=900.0, why="hot", rise_K=28.0, core_K=0.084, voltage_rms_V=1.1e-3),
    case("3C", 45.0, 300.0, judged_s=1190.0, rise_K=17.0, core_K=0.04, voltage_rms_V=1.5e-3),
)


def trials():
    """Errors that fall with the states, by two methods; the last but one was taken."""
    found = []
    for method, start in (("uniform reaction", 0.9), ("collocation", 0.6)):
        for states in (8, 10, 12, 14, 16):
            core = start * 0.72 ** (states - 8)
            sizes = f"thermal 3, salt 2, negative {states // 4}, positive {states - 6 - states // 4}, lithium 1"
            found.append(Trial(method, states, sizes, core, 0.04 * core, 0.2 * core, 0.01 * core, "2C 45 degC h 10"))
    return tuple(found)


def example(**changes) -> Certificate:
    given = Certificate(
        "lgm50_21700", "3f1c9a", 1.0, Range(), 0.1, 0.005, True, "", trials(), CASES, (0.99999, 0.998, 0.9), 2, 2,
        1e-11, 3e-12, response(), chosen=8,
    )  # fmt: skip
    return replace(given, **changes)


def test_what_holds_is_let_pass():
    example().verify()
    example(poles=(1 + 0.9e-9,), dc=0.9e-6, energy=0.9e-6).verify()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"poles": (1.02, 0.9)}, r"lgm50_21700: a pole of modulus 1\.02 is outside the unit circle"),
        ({"poles": (1 + 1.1e-9,)}, "outside the unit circle"),
        ({"poles": (0.9, math.nan)}, "a pole of modulus nan"),
        ({"poles_at_one": 1}, "insulated it has 1 poles at 1, expected 2"),
        ({"energy": 1.1e-6}, r"a run loses 1\.1e-06 of the energy, expected at most 1e-06"),
        ({"energy": math.nan}, "a run loses nan"),
        ({"dc": 2e-6}, r"a steady gain is missed by 2\.0e-06"),
        ({"dc": math.nan}, "a steady gain is missed by nan"),
    ],
)
def test_what_does_not_hold_is_named(changes, words):
    with pytest.raises(ArithmeticError, match=words):
        example(**changes).verify()


def test_all_that_is_wrong_is_said_at_once():
    with pytest.raises(ArithmeticError) as caught:
        example(poles=(2.0,), poles_at_one=0, energy=1.0, dc=1.0).verify()
    assert str(caught.value).count(";") == 3


@given(st.lists(st.floats(0.0, 1.0), max_size=8))
def test_no_pole_inside_the_circle_is_refused(poles):
    example(poles=tuple(sorted(poles, reverse=True))).verify()


def test_worst_is_of_the_scored_cases_only():
    assert example().worst("core_K").case == "2C 45 degC h 10"  # the one of 0.9 K was too short
    assert example().worst("voltage_rms_V").case == "us06 -10 degC h 300"
    assert example(cases=CASES[4:5]).worst("core_K") is None
    assert example(cases=()).worst("core_K") is None


def test_an_error_that_is_no_number_is_the_worst():
    broken = case("1C", core_K=math.nan)
    assert example(cases=(*CASES[:2], broken, *CASES[2:])).worst("core_K") is broken


def test_verdict_says_what_was_reached_and_where_it_is_worst():
    said = example().verdict()
    assert said == (
        "Reached: 14 states: core within 0.084 K (worst: 2C 45 degC h 10), voltage within 4.4 mV rms "
        "(worst: us06 -10 degC h 300); wanted 0.1 K and 5 mV rms."
    )
    limit = "Salt runs out in the cold."
    missed = example(reached=False, wanted_core_K=0.05, wanted_voltage_V=None, limit=limit).verdict()
    assert missed.startswith("Not reached: 14 states")
    assert missed.endswith("wanted 0.05 K. Salt runs out in the cold.")
    free = example(wanted_core_K=None, wanted_voltage_V=None).verdict()
    assert free.startswith("14 states: core")
    assert "wanted" not in free
    assert "no case was long enough" in example(cases=CASES[4:5]).verdict()


def test_tables_carry_units_and_mark_what_to_look_at():
    tables = example().tables()
    assert list(tables) == ["wanted", "kept", "cases", "trials", "range"]
    core = tables["wanted"].rows[0]
    assert core == ("core temperature, largest, K", "0.1", "0.084", "2C 45 degC h 10")
    assert tables["wanted"].marked == ()
    assert tables["kept"].marked == ()
    assert [tables["cases"].rows[i][0] for i in tables["cases"].marked] == ["us06 -10 degC h 300", "2C 45 degC h 10"]
    assert tables["cases"].rows[4][2] == "salt (not scored)"
    assert tables["cases"].rows[1][6] == "2"  # mV
    assert [row[1] for row in tables["trials"].rows if "*" in row[1]] == ["14*"]
    assert tables["range"].rows[0][1:] == ("-10", "45")
    for table in tables.values():
        assert {len(row) for row in table.rows} == {len(table.columns)}
    missed = example(wanted_voltage_V=0.004, dc=1.0).tables()
    assert missed["wanted"].marked == (1,)
    assert missed["kept"].rows[missed["kept"].marked[0]][0].startswith("DC")


def test_speed_is_told_if_known():
    speed = example(full_s=0.02, step_ns=500.0).tables()["speed"]
    assert speed.rows == (
        ("full model", "2.00e-02", "50"), ("reduced model", "5.00e-07", "2e+06"), ("full / reduced", "4e+04", ""),
    )  # fmt: skip


def test_the_last_trial_is_taken_unless_said():
    assert example(chosen=-1).trial.states == 16
    assert example(trials=()).trial is None
    assert "trials" not in example(trials=()).tables()


def test_a_file_gives_back_what_was_stored():
    stored = json.dumps(example().to_dict())
    again = Certificate.from_dict(json.loads(stored))
    assert json.dumps(again.to_dict()) == stored
    assert (again.trials, again.cases, again.range) == (example().trials, CASES, Range())
    for name in ("full_voltage", "reduced_voltage", "full_core", "reduced_core", "hertz"):
        assert np.array_equal(getattr(again.frequency, name), getattr(response(), name))
    assert (again.frequency.core_unit, again.frequency.about) == (response().core_unit, response().about)
    assert str(again) == str(example())


def test_measured_times_stay_out_of_files_unless_wanted():
    timed = example(full_s=0.02, step_ns=500.0)
    assert timed.to_dict() == example().to_dict()
    again = Certificate.from_dict(timed.to_dict(speed=True))
    assert (again.full_s, again.step_ns) == (0.02, 500.0)


def test_numbers_of_numpy_become_plain_ones():
    made = example(conserved=np.int64(2), reached=np.True_, poles=(np.float64(0.5),), frequency=None)
    assert json.loads(json.dumps(made.to_dict()))["conserved"] == 2


@pytest.mark.parametrize(
    "change", [{"trials": 3}, {"cases": [{"case": "2C"}]}, {"range": {"volume": [0, 1]}}, {"frequency": {"hertz": []}}]
)
def test_what_is_no_certificate_is_refused(change):
    with pytest.raises(InputError, match="this is no certificate"):
        Certificate.from_dict(example().to_dict() | change)


def test_a_missing_key_and_a_range_that_cannot_be_are_refused():
    stored = example().to_dict()
    with pytest.raises(InputError, match="'poles'"):
        Certificate.from_dict({key: value for key, value in stored.items() if key != "poles"})
    with pytest.raises(InputError, match="kelvin"):
        Certificate.from_dict(stored | {"range": stored["range"] | {"ambient_degC": [263, 318]}})


def test_errors_of_the_response():
    found = response()
    assert found.voltage_error()[0] == pytest.approx(abs(0.0499 - 0.05) / 0.05)
    assert found.core_error()[0] == 0.0
    assert found.core_error()[-1] < 1e-3  # nothing of 10 Hz arrives, however wrong
    still = replace(found, full_core=0 * found.full_core, reduced_core=0 * found.full_core)
    assert not still.core_error().any()


def test_words():
    text = str(example())
    for part in ("Reached: 14 states", "poles at 1, insulated", "us06 -10 degC h 300", "collocation", "to", "-10"):
        assert part in text
    assert max(map(len, text.splitlines())) < 170
    assert repr(example()) == "Certificate(lgm50_21700: 14 states, 7 cases scored)"


def test_the_console_says_the_same(monkeypatch):
    monkeypatch.setattr(console, "width", 80)
    with console.capture() as captured:
        print_certificate(example())
    said = captured.get()
    for part in (
        "Reached: 14 states",
        "rms mV",
        "us06 -10 degC h 300",
        "14*",
        "thermal 3, salt 2",
        "each face h, W/m2K",
    ):
        assert part in said
    assert "…" not in said  # nothing is cut at the usual width


@pytest.mark.parametrize("kind", ["png", "svg", "pdf"])
def test_picture(tmp_path, kind):
    path = tmp_path / f"certificate.{kind}"
    drawn = example().plot(path)
    assert path.stat().st_size > 5000
    labels = [axes.get_ylabel() + axes.get_xlabel() for axes in drawn.axes]
    for unit in ("K", "mV rms", "mV/A", "K/A", "Hz", "number of states"):
        assert any(unit in label for label in labels)


def test_the_chosen_one_and_what_was_wanted_are_marked():
    core = example().plot().axes[0]
    marked = {line.get_label(): line for line in core.get_lines()}
    assert marked["chosen: 14 states"].get_xdata().tolist() == [14]
    assert set(marked["wanted"].get_ydata()) == {0.1}


def test_the_worst_case_is_named_in_the_picture():
    titles = [axes.get_title(loc="left") for axes in example().plot().axes]
    assert "worst 0.084 K: 2C 45 degC h 10" in titles
    assert "worst 4.4 mV rms: us06 -10 degC h 300" in titles


@pytest.mark.parametrize(
    "changes",
    [
        {"frequency": None}, {"trials": ()}, {"cases": ()}, {"cases": CASES[4:5]}, {"wanted_core_K": None},
        {"cases": (case(core_K=0.0, voltage_rms_V=math.nan),)}, {"trials": trials()[:1], "chosen": 0},
    ],
)  # fmt: skip
def test_a_picture_of_whatever_there_is(tmp_path, changes):
    example(**changes).plot(tmp_path / "certificate.png")
    assert (tmp_path / "certificate.png").stat().st_size > 5000


def test_a_dollar_is_no_formula():
    odd = "a $\\frac$ b"
    drawn = example(cell=odd, cases=(case(case=odd),), trials=(replace(trials()[0], method=odd),), chosen=0).plot()
    drawn.canvas.draw()
    assert drawn.get_suptitle().replace("\\$", "$").startswith(odd)


def test_nothing_is_not_drawn(tmp_path):
    with pytest.raises(InputError, match="nothing to draw"):
        example(trials=(), cases=(), frequency=None).plot(tmp_path / "certificate.png")
    with pytest.raises(InputError, match=r"expected \.png"):
        example().plot(tmp_path / "certificate.gif")
    assert not list(tmp_path.iterdir())
